"""Clips of any length from a base that paints a few seconds: windows that go on from each other.

Neighbouring windows share frames. A later window is shown the finished pictures of those it shares, where
the base can use them, is held to the colours of the first, and cross-fades. A cut ends a window: nothing is
carried or faded over it.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.ahead import ahead
from renderlift.bridge.clip import Clip, Video, clips, continues
from renderlift.bridge.frame import Channel
from renderlift.bridge.join import join_clip
from renderlift.model.bases.settings import Picture
from renderlift.model.colour import Look, held_to, look_of

# A window of a clip and the pictures that are known already, by place in it, to (T, H, W, 3).
RenderWindow = Callable[[Clip, Mapping[int, Picture]], Video]
# Makes ready what of a window needs neither the base nor other windows; gives what paints that window.
BeginWindow = Callable[[Clip], RenderWindow]


class Continuous(Protocol):
    """A `Render`, which may be told that the first window is ready."""

    def __call__(self, clip: Clip, first: RenderWindow | None = None) -> Video: ...


def continuous(
    render: RenderWindow,
    *,
    window: int,
    overlap: int,
    takes_before: bool,
    anchors: Mapping[int, Picture],
    kept: Callable[[Clip], NDArray[np.float32] | None] = lambda part: None,
    begin_window: BeginWindow | None = None,
) -> Continuous:
    """A render for clips of any length.

    It depends on its clip alone: what earlier clips ended with is part of the clip (`Clip.before`), so a
    resumed job goes on as an uninterrupted one would have.

    Args:
        window: frames that `render` paints at once, at most; 0 = any number.
        overlap: frames that windows share, less than `window`.
        takes_before: show a window the finished pictures of the frames it shares.
        anchors: pictures that are known, by frame index.
        kept: (T, H, W), where a window will be left as the engine drew it, which colours are measured without.
        begin_window: make the next window ready while one is painted; None = paint them one by one.
    """

    def whole(clip: Clip, first: RenderWindow | None = None) -> Video:
        """`first`: what paints the first window, where that is ready already."""
        done: list[Video] = []
        tail, look = _carried(clip) if window else (None, None)
        with _ready(windows(clip, window, overlap), first, render, begin_window) as ready:
            for part, paint in ready:
                if not part.shared:
                    tail, look = None, None
                known = _known(part, tail if takes_before else None, anchors)
                engine, left = part.channels[Channel.RGB], kept(part)
                video = paint(part, known)
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


@contextmanager
def _ready(
    parts: Iterator[Clip], first: RenderWindow | None, render: RenderWindow, begin: BeginWindow | None
) -> Generator[Iterator[tuple[Clip, RenderWindow]]]:
    """Windows with what paints each, one ahead."""

    def begun() -> Iterator[tuple[Clip, RenderWindow]]:
        if first:
            yield next(parts), first
        for part in parts:
            yield part, _begun_or_left(render, begin, part)

    if begin is None:
        yield begun()
        return
    with closing(ahead(begun(), 1)) as ready:
        yield ready


def _begun_or_left(render: RenderWindow, begin: BeginWindow | None, part: Clip) -> RenderWindow:
    """What fails as a window is made ready is left to the painting of it, which knows remedies."""
    if begin is None:
        return render
    try:
        return begin(part)
    except Exception:
        return render


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
