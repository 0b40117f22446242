"""Light that stays where it is: what a renderer changed is averaged along the engine's flow.

A base paints every frame's light anew, so surfaces shimmer by what it guessed differently. The engine
knows which pixels of neighbouring frames show one surface point. There the difference between rendered and
engine's picture is averaged, and laid back onto the engine's own picture: its detail and its motion stay
as they are, and light that really moves is in it already.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Video, continues
from renderlift.bridge.errors import ChannelError
from renderlift.bridge.frame import Channel
from renderlift.model.following import Trace, follow, follow_on, frames_to_follow

Sum = NDArray[np.float32]  # (H, W, 4): weighted differences of three colours, and the weight


def steadied(clip: Clip, video: Video, share: float) -> Video:
    """The same pictures, with their change to the engine's averaged over the frames that show a surface.

    Args:
        video: (T, H, W, 3), of the clip's size.
        share: weight of a frame beside its neighbour's, 0..1; of the one after that, its square, and so on.

    Raises:
        ChannelError: the clip has no flow.
    """
    if not share or len(clip) == 1:
        return video
    if Channel.FLOW not in clip.channels:
        raise ChannelError(
            "pictures cannot be steadied: the recording has no flow", fix="Capture flow as well, or use --steady 0."
        )
    back, on = _traces(clip)
    earlier = list(_carried(clip, video, back, share))
    steady = np.empty_like(video)
    # From the end on, so that only one direction is kept whole.
    for t, later in zip(reversed(range(len(clip))), _carried(clip, video, on, share, from_end=True), strict=True):
        total = earlier.pop() + later - _difference(clip, video, t)
        engine = clip.channels[Channel.RGB][t]
        steady[t] = np.rint(engine + total[..., :3] / total[..., 3:]).clip(0, 255).astype(np.uint8)
    return steady


def _carried(
    clip: Clip, video: Video, traces: list[Trace | None], share: float, *, from_end: bool = False
) -> Iterator[Sum]:
    """For each frame, from one end on: its own difference, and those of all frames gone through."""
    total = np.empty((0, 0, 4), np.float32)  # at an end there is no way to go on from
    places = range(len(clip))
    for t in reversed(places) if from_end else places:
        own, trace = _difference(clip, video, t), traces[t]
        if trace is not None:
            own += np.asarray(share * trace.seen[..., None], np.float32) * trace.fetch(total)
        total = own
        yield total


def _difference(clip: Clip, video: Video, t: int) -> Sum:
    own = np.ones((clip.height, clip.width, 4), np.float32)
    own[..., :3] = video[t].astype(np.float32) - clip.channels[Channel.RGB][t]
    return own


def _traces(clip: Clip) -> tuple[list[Trace | None], list[Trace | None]]:
    """Where each frame's points are in the frame before, and in the one after; None = no way there."""
    frames = frames_to_follow(clip)
    back: list[Trace | None] = [None] * len(frames)
    on: list[Trace | None] = [None] * len(frames)
    for t in range(1, len(frames)):
        if continues(clip.frames[t - 1], clip.frames[t]):  # flow over a gap or a cut leads nowhere
            back[t] = path = follow(frames[t - 1], frames[t])
            on[t - 1] = follow_on(frames[t - 1], frames[t], path)
    return back, on
