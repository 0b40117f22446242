"""Where the points of each frame of a clip are in one of its frames, along the engine's flow."""

import cv2
import numpy as np

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import RenderError
from renderlift.bridge.frame import Channel
from renderlift.model.following import (
    Channels,
    Trace,
    follow,
    follow_on,
    frames_to_follow,
    inside_things,
    known_where,
)


def traces_to(clip: Clip, anchor: int) -> list[Trace]:
    """For each frame of the clip, where its points are in frame `anchor` (its place in the clip).

    A point is lost where another object or another depth comes before it on the way (the flow's own
    frames are asked, one by one), so a thing that was hidden in between is not taken up again.

    Raises:
        RenderError: the clip has no flow.
    """
    if Channel.FLOW not in clip.channels:
        raise RenderError("the clip has no flow to propagate along", fix="Record the flow channel.")
    frames = frames_to_follow(clip)
    traces: dict[int, Trace] = {anchor: _at_home(clip.height, clip.width)}
    for t in range(anchor + 1, len(clip)):
        traces[t] = _joined(follow(frames[t - 1], frames[t]), traces[t - 1], frames[t - 1])
    for t in range(anchor - 1, -1, -1):
        traces[t] = _joined(follow_on(frames[t], frames[t + 1]), traces[t + 1], frames[t + 1])
    return [traces[t] for t in range(len(clip))]


def _joined(step: Trace, onward: Trace, beyond: Channels) -> Trace:
    """One step, and the way on from there. Between two objects the nearest point is taken, never their mean."""
    place_x, place_y = (np.rint(np.clip(v, 0, None)).astype(int) for v in (step.x, step.y))
    place_y, place_x = place_y.clip(0, onward.x.shape[0] - 1), place_x.clip(0, onward.x.shape[1] - 1)
    near_x, near_y = onward.x[place_y, place_x], onward.y[place_y, place_x]
    near_x = near_x + (step.x - place_x)  # the rest of a pixel moves along
    near_y = near_y + (step.y - place_y)
    smooth = [np.asarray(cv2.remap(v, step.x, step.y, cv2.INTER_LINEAR)) for v in (onward.x, onward.y)]
    whole = cv2.erode((onward.seen & inside_things(beyond)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    use = whole[place_y, place_x]
    seen = step.seen & onward.seen[place_y, place_x]
    return known_where(np.where(use, smooth[0], near_x), np.where(use, smooth[1], near_y), seen)


def _at_home(height: int, width: int) -> Trace:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return known_where(x, y, np.ones((height, width), np.bool_))
