"""Where surface points are in another frame: along the engine's backward flow, or by depth and cameras."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import Array, CameraPose, Channel

Channels = Mapping[Channel, Array]  # of one frame, (H, W, C) each
Mask = NDArray[np.bool_]  # (H, W)

SKY_M = np.float32(1e6)
SHORTEST_FOCAL_PX = 2.0
STILL_PX = 0.5  # a camera that stands still moves nothing by more, not even by jitter
_MOST_RATIO = np.float32(np.exp(0.1))  # of two depths: more is another surface
_ENOUGH = 0.15  # of a pixel's area must be reached by points of the next frame


@dataclass(frozen=True)
class Trace:
    """Where the points of one frame are in another one."""

    x: NDArray[np.float32]  # (H, W) px; -1 where unknown
    y: NDArray[np.float32]
    seen: Mask  # the same surface point shows in both

    def fetch(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W, C) of the other frame, moved to this one; meaningless where nothing is seen."""
        moved = cv2.remap(picture, self.x, self.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.float32)

    def nearest(self) -> NDArray[np.intp]:
        """(H * W): the places in the other frame, row by row, whose ids and depth were looked at."""
        height, width = self.x.shape
        rows, columns = np.rint(self.y).astype(np.intp), np.rint(self.x).astype(np.intp)
        return (rows.clip(0, height - 1) * width + columns.clip(0, width - 1)).ravel()


def frames_to_follow(clip: Clip) -> list[Channels]:
    """The channels of each frame of a clip, with the sky at a distance, so that it is one place and not none."""
    channels = dict(clip.channels)
    if Channel.DEPTH in channels:
        channels[Channel.DEPTH] = np.minimum(channels[Channel.DEPTH], SKY_M)
    return [{channel: array[t] for channel, array in channels.items()} for t in range(len(clip))]


def inside_things(channels: Channels) -> Mask:
    """Pixels whose neighbours show the same object."""
    if Channel.INSTANCE_ID not in channels:
        return np.ones(channels[Channel.RGB].shape[:2], np.bool_)
    ids = channels[Channel.INSTANCE_ID][..., 0].astype(np.float64)
    window = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(ids, window) == cv2.erode(ids, window))


def follow(before: Channels, now: Channels) -> Trace:
    """Follow the points of a frame back; those that show another object or depth there were hidden.

    Args:
        before, now: two neighbouring frames; `now` needs flow, and both are asked for instance ids and depth.
    """
    flow = now[Channel.FLOW].astype(np.float32)
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x_before, y_before = x + flow[..., 0], y + flow[..., 1]
    # What is not a number is in no picture.
    seen = (x_before >= 0) & (x_before <= width - 1) & (y_before >= 0) & (y_before <= height - 1)
    x_before, y_before = np.where(seen, x_before, -1), np.where(seen, y_before, -1)
    columns = np.rint(x_before).astype(int).clip(0, width - 1)
    rows = np.rint(y_before).astype(int).clip(0, height - 1)
    seen &= _same_surface(before, now, (rows, columns), (slice(None), slice(None)))
    return Trace(x_before, y_before, seen)


def follow_on(now: Channels, after: Channels, back: Trace | None = None) -> Trace:
    """Where the points of a frame are in the next one, from the next one's backward flow.

    Each point of the next frame is laid down where it came from, if what shows there is the same object
    at the same depth; a pixel's way is the mean of the points that land on it, by the area they cover.

    Args:
        back: `follow(now, after)`, where it is at hand.
    """
    back = back or follow(now, after)
    height, width = back.x.shape
    places = np.flatnonzero(back.seen)
    rows, columns = np.divmod(places, width)
    x, y = back.x.ravel()[places], back.y.ravel()[places]
    way_x, way_y = columns - x, rows - y
    surface_now, surface_after = ([values.ravel() for values in known] for known in _surfaces(now, after))
    laid_down = [values[places] for values in surface_after]
    total_x, total_y, weight = (np.zeros(height * width) for _ in range(3))
    for to_x, share_x in _neighbours(x, width):
        for to_y, share_y in _neighbours(y, height):
            place = to_y * width + to_x
            share = share_x * share_y
            share *= _is_same([values[place] for values in surface_now], laid_down)
            weight += np.bincount(place, share, height * width)
            total_x += np.bincount(place, share * way_x, height * width)
            total_y += np.bincount(place, share * way_y, height * width)
    seen = (weight > _ENOUGH).reshape(height, width)
    weight = np.maximum(weight, 1e-6)
    there_x = np.arange(width) + (total_x / weight).reshape(height, width)
    there_y = np.arange(height)[:, None] + (total_y / weight).reshape(height, width)
    seen &= (there_x >= 0) & (there_x <= width - 1) & (there_y >= 0) & (there_y <= height - 1)
    nearest = np.rint(there_y).astype(int).clip(0, height - 1), np.rint(there_x).astype(int).clip(0, width - 1)
    seen &= _same_surface(now, after, (slice(None), slice(None)), nearest)  # a mean may lie beyond the border
    return known_where(there_x, there_y, seen)


def _neighbours(at: Array, size: int) -> list[tuple[Array, Array]]:
    """The two pixels beside each point of an axis, and how much of the point each has; nothing outside."""
    first = np.floor(at).astype(int)
    return [(to.clip(0, size - 1), np.maximum(0, 1 - np.abs(at - to)) * (to < size)) for to in (first, first + 1)]


def reproject(before: Channels, then: CameraPose, now: Channels, camera: CameraPose) -> Trace:
    """Where the points of a frame were in an earlier one, if they stood still: by depth and the two cameras.

    For frames between which others are missing, so that flow does not lead from one to the other. What moved by
    itself is lost, wherever something else or nothing of that depth is seen in its place.

    Args:
        before, now: channels of the two frames; both need depth, finite (`frames_to_follow`).
    """
    depth_m = now[Channel.DEPTH][..., 0].astype(np.float64)
    height, width = depth_m.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)  # centres of pixels
    if not _is_camera(then) or not _is_camera(camera):
        return known_where(x, y, np.zeros((height, width), np.bool_))
    image_from_then = np.linalg.inv(then.world_from_camera)[:3] @ camera.world_from_camera
    rays = np.linalg.inv(camera.image_from_camera)
    turned = then.image_from_camera @ image_from_then[:, :3] @ rays
    shift = then.image_from_camera @ image_from_then[:, 3]
    u, v, w = (depth_m * (row[0] * x + row[1] * y + row[2]) + s for row, s in zip(turned, shift, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        there_x, there_y = u / w - 0.5, v / w - 0.5
    seen = (w > 0) & (there_x >= 0) & (there_x <= width - 1) & (there_y >= 0) & (there_y <= height - 1)
    there_x, there_y = np.where(seen, there_x, -1), np.where(seen, there_y, -1)
    place = np.rint(there_y).astype(int).clip(0), np.rint(there_x).astype(int).clip(0)
    moved = {**now, Channel.DEPTH: w[..., None]}  # the last row of intrinsics makes w the depth as seen from there
    return known_where(there_x, there_y, seen & _same_surface(before, moved, place, (slice(None), slice(None))))


def contradicts_its_camera(clip: Clip) -> bool:
    """Whether the engine's flow moves most of the picture under a camera that is said to stand still.

    So it is with an engine that knows its lens, but not where it is, and sends one pose for all frames.
    """
    first, *later = clip.cameras
    if Channel.FLOW not in clip.channels or not all(_are_equal(first, camera) for camera in later):
        return False
    for flow in clip.channels[Channel.FLOW][1:]:  # the first frame's is of a camera that is not in the clip
        way_px = np.hypot(flow[..., 0], flow[..., 1])
        if np.count_nonzero(way_px > STILL_PX) > way_px.size / 2:  # what is not known has not moved
            return True
    return False


def _are_equal(one: CameraPose, other: CameraPose) -> bool:
    same_place = np.array_equal(one.world_from_camera, other.world_from_camera)
    return same_place and np.array_equal(one.image_from_camera, other.image_from_camera)


def _is_camera(camera: CameraPose) -> bool:
    """Whether these are a camera's matrices, and not what an engine sends that knows of none."""
    focal_px = np.diag(camera.image_from_camera)[:2]
    invertible = np.linalg.det(camera.world_from_camera) and np.linalg.det(camera.image_from_camera)
    return bool(invertible) and bool((np.abs(focal_px) > SHORTEST_FOCAL_PX).all())


def known_where(x: Array, y: Array, seen: Mask) -> Trace:
    """A trace, with -1 where nothing is seen."""
    return Trace(np.where(seen, x, -1).astype(np.float32), np.where(seen, y, -1).astype(np.float32), seen)


def _same_surface(now: Channels, after: Channels, place_now: Any, place_after: Any) -> Mask:
    """Whether pixels of two frames, by an index each, show one object at one depth, as far as is known."""
    one, other = _surfaces(now, after)
    return _is_same([values[place_now] for values in one], [values[place_after] for values in other])


def _surfaces(now: Channels, after: Channels) -> tuple[list[Array], list[Array]]:
    """What is known in both of two frames of what a pixel shows, instance and depth, (H, W) each."""
    known = [channel for channel in (Channel.INSTANCE_ID, Channel.DEPTH) if channel in now and channel in after]
    return [now[channel][..., 0] for channel in known], [after[channel][..., 0] for channel in known]


def _is_same(one: list[Array], other: list[Array]) -> Mask:
    """Whether what is known of pixels is one object at one depth."""
    same = np.ones(1, np.bool_)
    for a, b in zip(one, other, strict=True):
        if a.dtype.kind == "u":  # ids, not metres
            same = same & (a == b)
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = b / a
        same = same & (ratio > 1 / _MOST_RATIO) & (ratio < _MOST_RATIO)
    return same
