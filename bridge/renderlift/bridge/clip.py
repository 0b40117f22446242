"""The vocabulary of time: clips cut from frames, and the video a renderer returns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import ChannelError, RenderError, RenderliftError
from renderlift.bridge.frame import Array, CameraPose, Channel, Frame
from renderlift.bridge.shots import is_cut

Video = NDArray[np.uint8]  # (T, H, W, 3), sRGB
Look = tuple[float, ...]  # what a renderer made of a run's colours, in its own numbers: nobody else reads them


@dataclass(frozen=True)
class Before:
    """What was rendered of this run so far, for a renderer that goes on from it."""

    pictures: Video  # (shared, H, W, 3), of the frames that the clip shares with the one before
    look: Look | None = None  # what the run is held to; see `look_of`


@dataclass(frozen=True)
class Clip:
    """T consecutive frames of one camera, stacked."""

    frames: tuple[Frame, ...]
    channels: Mapping[Channel, Array]  # each (T, H, W, C)
    shared: int = 0  # leading frames that the previous clip of this stream ended with
    last: bool = False  # no later clip continues this one
    before: Before | None = field(default=None, repr=False, compare=False)  # where the caller keeps it

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def cameras(self) -> tuple[CameraPose, ...]:
        return tuple(frame.camera for frame in self.frames)

    @property
    def stream(self) -> tuple[str, str, str]:
        return self.frames[0].stream

    @property
    def height(self) -> int:
        return self.frames[0].height

    @property
    def width(self) -> int:
        return self.frames[0].width


Render = Callable[[Clip], Video]
Sink = Callable[[Clip, Video], None]
Steps = Callable[[int, int], None]  # denoising steps done of the clip at work, steps in all


LENGTH, OVERLAP = 9, 2  # of the embedded base's clips


def clip_size(render: Render, length: int | None, overlap: int | None) -> tuple[int, int]:
    """Frames in a clip and frames shared: as asked for, or as the renderer says by its attribute `clip_size`."""
    wanted: tuple[int, int] = getattr(render, "clip_size", (LENGTH, OVERLAP))
    frames = wanted[0] if length is None else length
    return frames, min(wanted[1], frames // 2) if overlap is None else min(overlap, frames - 1)


def preview_size(render: Render, length: int | None) -> tuple[int, int]:
    """Frames in a clip of a preview, and how many of them, rendered before, it goes on from.

    As asked for, or as the renderer says by its attribute `preview_size`; else one frame that goes on from nothing.
    """
    wanted: tuple[int, int] = getattr(render, "preview_size", (1, 0))
    frames = wanted[0] if length is None else length
    return frames, min(wanted[1], frames - 1)


def look_of(render: Render, clip: Clip, video: Video) -> Look | None:
    """What later clips of the run are held to, as the renderer says by its attribute `look`; None: nothing yet.

    It is asked after every clip, and reads in `Clip.before` what this one was held to.
    """
    tell: Callable[[Clip, Video], Look | None] | None = getattr(render, "look", None)
    return tell(clip, video) if tell else None


def tell_steps(render: Render, told: Steps) -> None:
    """Have each step of a clip told, in the renderer's thread; by the renderer's attribute `tell_steps`, if any."""
    tell: Callable[[Steps], None] | None = getattr(render, "tell_steps", None)
    if tell:
        tell(told)


def prepared(render: Render, clip: Clip) -> Render:
    """Make ready what of a clip needs neither the device nor other clips; gives what renders it.

    So that is done while the clip before is rendered. A renderer offers it by its attribute `prepare`, with
    `render(clip)` equal to `prepare(clip)(clip)`. What fails here is left to rendering.
    """
    prepare: Callable[[Clip], Render] | None = getattr(render, "prepare", None)
    if prepare is None:
        return render
    try:
        return prepare(clip)
    except Exception:
        return render


def begun(render: Render, clip: Clip) -> Render | None:
    """Do the part of rendering a clip that needs nothing of the clips before; gives what does the rest.

    So the next clip can be painted while this one is finished. A renderer offers it by its attribute `begin`, with
    `render(clip)` equal to `begin(clip)(clip)`. None: this one does not. What fails, the rest raises. Whatever
    remedies it takes (`remedied.remedies_of`) are in force by then.
    """
    begin: Callable[[Clip], Render] | None = getattr(render, "begin", None)
    if begin is None:
        return None
    try:
        return begin(clip)
    except Exception as error:
        return partial(_raise, error)


def _raise(error: Exception, clip: Clip) -> Video:
    raise error


def identity(clip: Clip) -> Video:
    """The renderer that changes nothing: the engine's own picture."""
    return clip.channels[Channel.RGB]


def rendered(render: Render, clip: Clip) -> Video:
    """What `render` makes of a clip, (T, H, W, 3) uint8, held against the clip.

    Raises:
        RenderError: the renderer failed, or returned another shape or dtype; names the frames.
    """
    frames = f"frames {clip.frames[0].index} to {clip.frames[-1].index} of {'/'.join(clip.stream)}"
    try:
        video = render(clip)
    except RenderliftError as error:
        raise RenderError(f"rendering {frames} failed: {error.message}", fix=error.fix) from error
    except Exception as error:
        raise RenderError(f"rendering {frames} failed: {type(error).__name__}: {error}") from error
    wanted = (len(clip), clip.height, clip.width, 3)
    if video.shape != wanted or video.dtype != np.uint8:
        raise RenderError(
            f"rendering {frames} returned {video.dtype} {video.shape}, wanted uint8 {wanted}",
            fix="A renderer returns one sRGB picture per frame, in the size of the clip.",
        )
    return video


def stack(frames: Sequence[Frame], *, shared: int = 0, last: bool = False) -> Clip:
    """Stack frames of one camera into a clip; it keeps the channels that all of them have.

    Raises:
        ChannelError: no frames, or frames of unequal size or stream.
    """
    if not frames:
        raise ChannelError("a clip needs at least one frame")
    first = frames[0]
    for frame in frames:
        if (frame.height, frame.width, frame.stream) != (first.height, first.width, first.stream):
            raise ChannelError(
                f"frame {frame.index} is {frame.width}x{frame.height} of {frame.stream}, "
                f"the clip holds {first.width}x{first.height} of {first.stream}"
            )
    common = [c for c in first.channels if all(c in f.channels for f in frames)]
    arrays = {c: np.stack([f.channels[c] for f in frames]) for c in common}
    return Clip(tuple(frames), arrays, shared=shared, last=last)


@dataclass(frozen=True)
class StreamEnd:
    """Stands among the frames of several streams where one of them ends."""

    stream: tuple[str, str, str]


def clips(
    frames: Iterable[Frame | StreamEnd],
    *,
    length: int,
    overlap: int = 0,
    live: bool = False,
    over_gaps: bool = False,
) -> Iterator[Clip]:
    """Cut streams of frames into clips that share `overlap` frames; no frame is left out.

    Frames of several cameras may arrive interleaved: each stream is cut by itself.
    A change of size or, unless `live`, a missing frame index or a cut to another shot ends the
    run: what is pending comes as a shorter clip marked `last`, and the next one starts afresh,
    because the model was never shown a gap, and nothing may fade over a cut.
    A `StreamEnd` and the end of the input do the same.

    Args:
        length: frames in a full clip, at least 1.
        overlap: trailing frames repeated at the head of the next clip; 0 <= overlap < length.
        live: yield each clip the moment it is full and go on over missing frames, as a
            preview must. Otherwise a full clip waits for one more frame, so that `last`
            is exact and a sink may hold back the overlap until the next clip has come.
        over_gaps: go on over missing frames, but still not over a cut.
    """
    if not 0 <= overlap < length:
        raise ValueError(f"overlap must be in [0, {length}), got {overlap}")
    runs: dict[tuple[str, str, str], _Run] = {}
    for frame in frames:
        if isinstance(frame, StreamEnd):
            if ended := runs.pop(frame.stream, None):
                yield from ended.finish()
            continue
        run = runs.setdefault(frame.stream, _Run())
        if run.pending and not continues(run.pending[-1], frame, live=live, over_gaps=over_gaps):
            yield from run.finish()
        if len(run.pending) == length:
            yield run.cut(overlap)
        run.pending.append(frame)
        if live and len(run.pending) == length:
            yield run.cut(overlap)
    for run in runs.values():
        yield from run.finish()


@dataclass
class _Run:
    """Frames of one stream that wait for their clip; the first `shared` were in the clip before."""

    pending: list[Frame] = field(default_factory=lambda: [])
    shared: int = 0

    def cut(self, overlap: int) -> Clip:
        clip = stack(self.pending, shared=self.shared)
        self.pending = self.pending[len(self.pending) - overlap :]
        self.shared = overlap
        return clip

    def finish(self) -> Iterator[Clip]:
        if len(self.pending) > self.shared:
            yield stack(self.pending, shared=self.shared, last=True)
        self.pending, self.shared = [], 0


def continues(before: Frame, frame: Frame, *, live: bool = False, over_gaps: bool = False) -> bool:
    """Whether `frame` goes on from `before` in one clip; see `clips`."""
    same_size = (before.height, before.width) == (frame.height, frame.width)
    follows = over_gaps or frame.index == before.index + 1
    return same_size and (live or (follows and not is_cut(before, frame)))
