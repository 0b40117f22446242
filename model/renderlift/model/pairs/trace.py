"""Where the points of each frame of a clip are in one of its frames, along the engine's flow."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import RenderError
from renderlift.bridge.frame import Array, Channel
from renderlift.model.evaluate.motion import follow

SKY_M = np.float32(1e6)
_ENOUGH = 0.15  # of a pixel's area must be reached by points of the next frame
_DEPTH_STEP = 0.1  # of the logarithm
Channels = Mapping[Channel, Array]


@dataclass(frozen=True)
class Trace:
    """Where the points of one frame are in the anchor's frame."""

    x: NDArray[np.float32]  # (H, W) px; -1 where unknown
    y: NDArray[np.float32]
    seen: NDArray[np.bool_]  # the same surface point shows in both

    def fetch(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W, C) of the anchor's frame, moved to this one; meaningless where nothing is seen."""
        moved = cv2.remap(picture, self.x, self.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.float32)


def traces_to(clip: Clip, anchor: int) -> list[Trace]:
    """For each frame of the clip, where its points are in frame `anchor` (its place in the clip).

    A point is lost where another object or another depth comes before it on the way (the flow's own
    frames are asked, one by one), so a thing that was hidden in between is not taken up again.

    Raises:
        RenderError: the clip has no flow.
    """
    if Channel.FLOW not in clip.channels:
        raise RenderError("the clip has no flow to propagate along", fix="Record the flow channel.")
    channels = dict(clip.channels)
    if Channel.DEPTH in channels:  # the sky is one place, not none
        channels[Channel.DEPTH] = np.minimum(channels[Channel.DEPTH], SKY_M)
    frames = [{channel: array[t] for channel, array in channels.items()} for t in range(len(clip))]
    traces: dict[int, Trace] = {anchor: _at_home(clip.height, clip.width)}
    for t in range(anchor + 1, len(clip)):
        back = follow(frames[t - 1], frames[t])
        traces[t] = _joined(Trace(back.x, back.y, back.seen), traces[t - 1], frames[t - 1])
    for t in range(anchor - 1, -1, -1):
        traces[t] = _joined(forward(frames[t], frames[t + 1]), traces[t + 1], frames[t + 1])
    return [traces[t] for t in range(len(clip))]


def forward(now: Channels, after: Channels) -> Trace:
    """Where the points of a frame are in the next one, from the next one's backward flow.

    Each point of the next frame is laid down where it came from, if what shows there is the same object
    at the same depth; a pixel's way is the mean of the points that land on it, by the area they cover.
    """
    height, width = now[Channel.RGB].shape[:2]
    back = follow(now, after)
    rows, columns = np.nonzero(back.seen)
    x, y = back.x[rows, columns], back.y[rows, columns]
    way = np.stack([columns - x, rows - y], -1)
    total, weight = np.zeros((height * width, 2)), np.zeros(height * width)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for right in (0, 1):
        for down in (0, 1):
            to_x, to_y = left + right, top + down
            share = np.maximum(0, 1 - np.abs(x - to_x)) * np.maximum(0, 1 - np.abs(y - to_y))
            share = share * ((to_x < width) & (to_y < height))
            place = to_y.clip(0, height - 1) * width + to_x.clip(0, width - 1)
            share = share * _same_surface(now, after, place, rows * width + columns)
            weight += np.bincount(place, share, height * width)
            for axis in (0, 1):
                total[:, axis] += np.bincount(place, share * way[:, axis], height * width)
    seen = (weight > _ENOUGH).reshape(height, width)
    mean = (total / np.maximum(weight, 1e-6)[:, None]).reshape(height, width, 2)
    grid_x, grid_y = np.meshgrid(np.arange(width), np.arange(height))
    there_x, there_y = grid_x + mean[..., 0], grid_y + mean[..., 1]
    seen &= (there_x >= 0) & (there_x <= width - 1) & (there_y >= 0) & (there_y <= height - 1)
    return _trace(there_x, there_y, seen)


def _same_surface(now: Channels, after: Channels, place_now: Array, place_after: Array) -> NDArray[np.bool_]:
    same = np.ones(len(place_now), np.bool_)
    if Channel.INSTANCE_ID in now and Channel.INSTANCE_ID in after:
        ids_now, ids_after = (c[Channel.INSTANCE_ID].reshape(-1) for c in (now, after))
        same &= ids_now[place_now] == ids_after[place_after]
    if Channel.DEPTH in now and Channel.DEPTH in after:
        depth_now, depth_after = (c[Channel.DEPTH].reshape(-1) for c in (now, after))
        with np.errstate(invalid="ignore", divide="ignore"):
            same &= np.abs(np.log(depth_after[place_after] / depth_now[place_now])) < _DEPTH_STEP
    return same


def _joined(step: Trace, onward: Trace, beyond: Channels) -> Trace:
    """One step, and the way on from there. Between two objects the nearest point is taken, never their mean."""
    place_x, place_y = (np.rint(np.clip(v, 0, None)).astype(int) for v in (step.x, step.y))
    place_y, place_x = place_y.clip(0, onward.x.shape[0] - 1), place_x.clip(0, onward.x.shape[1] - 1)
    near_x, near_y = onward.x[place_y, place_x], onward.y[place_y, place_x]
    near_x = near_x + (step.x - place_x)  # the rest of a pixel moves along
    near_y = near_y + (step.y - place_y)
    smooth = [np.asarray(cv2.remap(v, step.x, step.y, cv2.INTER_LINEAR)) for v in (onward.x, onward.y)]
    whole = cv2.erode((onward.seen & _inside(beyond)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    use = whole[place_y, place_x]
    seen = step.seen & onward.seen[place_y, place_x]
    return _trace(np.where(use, smooth[0], near_x), np.where(use, smooth[1], near_y), seen)


def _inside(channels: Channels) -> NDArray[np.bool_]:
    """Pixels whose neighbours show the same object."""
    if Channel.INSTANCE_ID not in channels:
        return np.ones(channels[Channel.RGB].shape[:2], np.bool_)
    ids = channels[Channel.INSTANCE_ID][..., 0].astype(np.float64)
    window = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(ids, window) == cv2.erode(ids, window))


def _at_home(height: int, width: int) -> Trace:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return _trace(x, y, np.ones((height, width), np.bool_))


def _trace(x: Array, y: Array, seen: NDArray[np.bool_]) -> Trace:
    return Trace(np.where(seen, x, -1).astype(np.float32), np.where(seen, y, -1).astype(np.float32), seen)
