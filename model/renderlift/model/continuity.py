"""Clips of any length from a base that paints a few seconds: windows that go on from each other.

Neighbouring windows share frames. A later window is shown the finished pictures of those it shares, where
the base can use them, is held to the colours of the first, and cross-fades. A cut ends a window: nothing is
carried or faded over it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Render, Video, clips, continues
from renderlift.bridge.frame import Channel
from renderlift.bridge.join import join_clip
from renderlift.model.bases.settings import Picture
from renderlift.model.colour import Look, held_to, look_of

# A window of a clip and the pictures that are known already, by place in it, to (T, H, W, 3).
RenderWindow = Callable[[Clip, Mapping[int, Picture]], Video]


def continuous(
    render: RenderWindow,
    *,
    window: int,
    overlap: int,
    takes_before: bool,
    anchors: Mapping[int, Picture],
    kept: Callable[[Clip], NDArray[np.float32] | None] = lambda part: None,
) -> Render:
    """A render for clips of any length.

    It depends on its clip alone: what earlier clips ended with is part of the clip (`Clip.before`), so a
    resumed job goes on as an uninterrupted one would have.

    Args:
        window: frames that `render` paints at once, at most; 0 = any number.
        overlap: frames that windows share, less than `window`.
        takes_before: show a window the finished pictures of the frames it shares.
        anchors: pictures that are known, by frame index.
        kept: (T, H, W), where a window will be left as the engine drew it, which colours are measured without.
    """

    def whole(clip: Clip) -> Video:
        done: list[Video] = []
        tail, look = _carried(clip) if window else (None, None)
        for part in windows(clip, window, overlap):
            if not part.shared:
                tail, look = None, None
            known = _known(part, tail if takes_before else None, anchors)
            engine, left = part.channels[Channel.RGB], kept(part)
            video = render(part, known)
            # An anchor says what colours are to be from there on: it is not bent to those before it.
            is_anchored = any(frame.index in anchors for frame in part.frames)
            video = video if look is None or is_anchored else held_to(look, engine, video, kept=left)
            if window and (look is None or is_anchored):
                look = look_of(engine, video, kept=left) or look
            # The caller fades the first window with the clip before; and nothing comes after the last.
            joined = replace(part, shared=0) if part.frames[0] is clip.frames[0] else part
            pictures, tail = join_clip(tail, joined, video, overlap=overlap)
            done.append(pictures)
        return np.concatenate(done)

    return whole


def windows(clip: Clip, window: int, overlap: int) -> Iterator[Clip]:
    """A clip cut into windows, and at cuts. The first one shares with the clip before what `clip` does."""
    if not window:
        yield clip
        return
    if len(clip) <= window and all(
        continues(one, next_one, over_gaps=True) for one, next_one in pairwise(clip.frames)
    ):
        yield replace(clip, last=True)  # as it is: to stack its frames anew would copy all of it
        return
    # A preview's clip lacks the frames that its renderer had no time for; others were cut at every gap already.
    for number, part in enumerate(clips(clip.frames, length=window, overlap=overlap, over_gaps=True)):
        yield part if number else replace(part, shared=clip.shared)


def _carried(clip: Clip) -> tuple[Video | None, Look | None]:
    before = clip.before
    if before is None or len(before.pictures) != clip.shared:
        return None, None
    return before.pictures, Look(*np.array(before.look).reshape(2, 3)) if before.look else None


def _known(part: Clip, tail: Video | None, anchors: Mapping[int, Picture]) -> dict[int, Picture]:
    known = dict(enumerate(tail)) if tail is not None and len(tail) == part.shared else {}
    return known | {t: anchors[f.index] for t, f in enumerate(part.frames) if f.index in anchors}
