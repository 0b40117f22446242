"""Light that stays where it is: what a renderer changed is averaged over the frames that show a surface.

A base paints every frame's light anew, so surfaces shimmer by what it guessed differently. The engine
knows which pixels of neighbouring frames show one surface point. There the difference between rendered and
engine's picture is averaged, and laid back onto the engine's own picture: its detail and its motion stay
as they are, and light that really moves is in it already.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Video, continues
from renderlift.bridge.errors import ChannelError
from renderlift.bridge.frame import Channel
from renderlift.bridge.shots import is_cut
from renderlift.model.following import (
    Channels,
    Trace,
    contradicts_its_camera,
    follow,
    follow_on,
    frames_to_follow,
    inside_things,
    reproject,
)
from renderlift.model.frame_by_frame import made_ahead

MOST_KNOWN = 9.0  # frames that a picture shown before stands for, at most

Sum = NDArray[np.float32]  # (H, W, 4): weighted differences of three colours, and the weight


def can_steady(clip: Clip) -> bool:
    """Whether a clip tells where its surfaces are in neighbouring frames."""
    return Channel.FLOW in clip.channels or Channel.DEPTH in clip.channels


def finished_before(clip: Clip) -> Video:
    """(S, H, W, 3): the pictures of the first frames, where they were finished with the clip before."""
    before = clip.before
    return before.pictures if before and len(before.pictures) == clip.shared else clip.channels[Channel.RGB][:0]


def steadied(clip: Clip, video: Video, share: float, *, painted: NDArray[np.float32] | None = None) -> Video:
    """The same pictures, with their change to the engine's averaged over the frames that show a surface.

    Frames that were finished with the clip before keep their pictures, and the following ones go on from the last
    of them. Surfaces are followed by flow, and over missing frames by depth and the cameras.

    Args:
        video: (T, H, W, 3), of the clip's size.
        share: weight of a frame beside its neighbour's, 0..1; of the one after that, its square, and so on.
        painted: (H, W), how much of the last finished picture is the renderer's, where the rest was left as the
            engine drew it; None = all.

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
    known = finished_before(clip)
    steady = np.concatenate([known, video[len(known) :]])
    rendered = _Rendered(clip, steady.copy(), frames_to_follow(clip))
    earlier = list(_carried(rendered, share, known=len(known), painted=painted))
    later: Sum | float = 0.0
    fresh = range(len(known), len(clip))
    ways = made_ahead(lambda t: rendered.way(t, t - 1), reversed(fresh[1:]))
    for t in reversed(fresh):
        total = earlier.pop() + later
        engine = clip.channels[Channel.RGB][t]
        steady[t] = np.rint(engine + total[..., :3] / total[..., 3:]).clip(0, 255).astype(np.uint8)
        later = _moved(rendered.difference(t) + later, share, next(ways)) if t > fresh[0] else 0.0
    return steady


@dataclass(frozen=True)
class _Way:
    """Where what a frame passes on goes in its neighbour."""

    trace: Trace
    # Between two things the nearest one's, never their mean: light does not leak from one to the other.
    borders: NDArray[np.intp]  # places of the neighbour there, row by row
    nearest: NDArray[np.intp]  # and which of the frame's they show


def _moved(total: Sum, share: float, way: _Way | None) -> Sum | float:
    """What a frame passes on to its neighbour; 0 where there is no way to it."""
    if way is None:
        return 0.0
    moved = way.trace.fetch(total)
    moved.reshape(-1, 4)[way.borders] = total.reshape(-1, 4)[way.nearest]
    moved *= np.asarray(share * way.trace.seen[..., None], np.float32)
    return moved


@dataclass(frozen=True)
class _Rendered:
    """A clip and its pictures."""

    clip: Clip
    video: Video
    channels: list[Channels]

    @cached_property  # it is asked for at gaps alone
    def has_no_pose(self) -> bool:
        return contradicts_its_camera(self.clip)

    def difference(self, t: int) -> Sum:
        """To the engine's picture, with a weight of 1."""
        own = np.ones((self.clip.height, self.clip.width, 4), np.float32)
        own[..., :3] = self.video[t].astype(np.float32) - self.clip.channels[Channel.RGB][t]
        return own

    def way(self, source: int, to: int) -> _Way | None:
        """From a frame to its neighbour; None = nobody can tell."""
        trace = self._trace(source, to)
        if trace is None:
            return None
        nearest = trace.nearest()
        borders = np.flatnonzero(~inside_things(self.channels[source]).ravel()[nearest])
        return _Way(trace, borders, nearest[borders])

    def _trace(self, source: int, to: int) -> Trace | None:
        """Where the points of frame `to` are in its neighbour `source`; None = nobody can tell."""
        early, late = sorted((source, to))
        before, now = self.channels[early], self.channels[late]
        first, second = self.clip.frames[early], self.clip.frames[late]
        if Channel.FLOW in now and continues(first, second):
            return follow(before, now) if source == early else follow_on(before, now)
        if Channel.DEPTH not in now or is_cut(first, second) or self.has_no_pose:
            return None
        cameras = self.clip.cameras
        return reproject(self.channels[source], cameras[source], self.channels[to], cameras[to])


def _carried(
    rendered: _Rendered, share: float, *, known: int, painted: NDArray[np.float32] | None
) -> Iterator[Sum]:
    """For each frame from the last known one on: its own difference, and those of all before it."""
    start = max(0, known - 1)
    total = rendered.difference(start)
    if known:
        if painted is not None:
            total[..., 3] = painted  # what is left of a difference counts as much as is left of it
        total *= np.float32(1 / max(1 - share, 1 / MOST_KNOWN))
    yield total
    later = range(start + 1, len(rendered.video))
    for t, way in zip(later, made_ahead(lambda t: rendered.way(t - 1, t), later), strict=True):
        total = rendered.difference(t) + _moved(total, share, way)
        yield total
