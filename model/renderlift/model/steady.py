"""Light that stays where it is: what a renderer changed is averaged over the frames that show a surface.

A base paints every frame's light anew, so surfaces shimmer by what it guessed differently. The engine
knows which pixels of neighbouring frames show one surface point. There the difference between rendered and
engine's picture is averaged, and laid back onto the engine's own picture: its detail and its motion stay
as they are, and light that really moves is in it already.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Video, continues
from renderlift.bridge.errors import ChannelError
from renderlift.bridge.frame import Channel, Frame
from renderlift.bridge.shots import is_cut
from renderlift.model.following import Channels, Trace, follow, follow_on, frames_to_follow, reproject

MOST_KNOWN = 9.0  # frames that a picture shown before stands for, at most

Sum = NDArray[np.float32]  # (H, W, 4): weighted differences of three colours, and the weight


def can_steady(clip: Clip) -> bool:
    """Whether a clip tells where its surfaces are in neighbouring frames."""
    return Channel.FLOW in clip.channels or Channel.DEPTH in clip.channels


def steadied(clip: Clip, video: Video, share: float) -> Video:
    """The same pictures, with their change to the engine's averaged over the frames that show a surface.

    Frames that were finished with the clip before keep their pictures, and the following ones go on from the last
    of them. Surfaces are followed by flow, and over missing frames by depth and the cameras.

    Args:
        video: (T, H, W, 3), of the clip's size.
        share: weight of a frame beside its neighbour's, 0..1; of the one after that, its square, and so on.

    Raises:
        ChannelError: the clip has neither flow nor depth.
    """
    if not share or len(clip) == 1:
        return video
    if not can_steady(clip):
        raise ChannelError(
            "pictures cannot be steadied: the recording has neither flow nor depth",
            fix="Capture flow as well, or use --steady 0.",
        )
    known = clip.before.pictures if clip.before and len(clip.before.pictures) == clip.shared else video[:0]
    steady = np.concatenate([known, video[len(known) :]])
    differences = _Differences(clip, steady.copy())
    steps = _steps(clip, known=len(known))
    earlier = list(_carried(differences, share, steps, known=len(known)))
    later: Sum | float = 0.0
    for t in reversed(range(len(known), len(clip))):
        total = earlier.pop() + later
        engine = clip.channels[Channel.RGB][t]
        steady[t] = np.rint(engine + total[..., :3] / total[..., 3:]).clip(0, 255).astype(np.uint8)
        step = steps[t]
        later = _moved(step.on, differences[t] + later, share) if step and step.on else 0.0
    return steady


@dataclass(frozen=True)
class _Differences:
    """Of the pictures of a clip to the engine's, each made when it is needed, since all would fill gigabytes."""

    clip: Clip
    video: Video

    def __getitem__(self, t: int) -> Sum:
        own = np.ones((self.clip.height, self.clip.width, 4), np.float32)
        own[..., :3] = self.video[t].astype(np.float32) - self.clip.channels[Channel.RGB][t]
        return own


@dataclass(frozen=True)
class _Step:
    """The way between a frame and the one before it."""

    back: Trace
    on: Trace | None  # from the frame before to this one; None where that keeps its picture


def _steps(clip: Clip, *, known: int) -> list[_Step | None]:
    """For each frame the way to the one before; None where there is none, or where it is not gone."""
    channels = frames_to_follow(clip)
    pairs = zip(clip.frames, clip.frames[1:], channels, channels[1:], strict=False)
    return [None, *(_step(*pair, on=t > known) if t >= known else None for t, pair in enumerate(pairs, 1))]


def _step(frame_before: Frame, frame: Frame, before: Channels, now: Channels, *, on: bool) -> _Step | None:
    if Channel.FLOW in now and continues(frame_before, frame):
        back = follow(before, now)
        return _Step(back, follow_on(before, now, back) if on else None)
    if Channel.DEPTH in now and not is_cut(frame_before, frame):
        then, camera = frame_before.camera, frame.camera
        back = reproject(before, then, now, camera)
        return _Step(back, reproject(now, camera, before, then) if on else None)
    return None


def _carried(differences: _Differences, share: float, steps: list[_Step | None], *, known: int) -> Iterator[Sum]:
    """For each frame from the last known one on: its own difference, and those of all before it."""
    start = max(0, known - 1)
    total = differences[start]
    if known:
        total *= np.float32(1 / max(1 - share, 1 / MOST_KNOWN))
    yield total
    for t in range(start + 1, len(steps)):
        own, step = differences[t], steps[t]
        total = own + _moved(step.back, total, share) if step else own
        yield total


def _moved(trace: Trace, total: Sum, share: float) -> Sum:
    return np.asarray(share * trace.seen[..., None], np.float32) * trace.fetch(total)
