"""Render a whole recording offline: any length, bounded memory, resumable after kill -9.

What is finished of an output stands in a folder beside it (see `parts`), so a rerun renders only what is
missing, and its result is that of an uninterrupted run.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from renderlift.bridge.ahead import ahead
from renderlift.bridge.clip import Before, Clip, Look, Render, Video, begun, clips, look_of, prepared, rendered
from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import Frame
from renderlift.bridge.join import join_clip
from renderlift.bridge.parts import DEFAULT_FPS, Ledger, Parts, disk_errors, frames_done
from renderlift.bridge.record import read_frames, summarize
from renderlift.bridge.remedied import Remedied, remedies_of, with_more
from renderlift.bridge.segment_index import StreamSummary
from renderlift.bridge.video import refuse_other_ending

__all__ = ["DEFAULT_FPS", "Enhanced", "Order", "enhance", "enhance_share", "fulfil"]

Progress = Callable[[int, int], None]  # frames done, frames in all


@dataclass(frozen=True)
class Enhanced:
    """A finished output."""

    path: Path
    frames: int
    reused_frames: int  # taken over from an interrupted run
    missing_frames: int  # gaps and damage of the recording, between its first frame and its last
    remedied: tuple[Remedied, ...] = ()  # frames that the renderer made otherwise than was asked for


@dataclass(frozen=True)
class Order:
    """What is to be rendered to which output, and all its pictures depend on but the renderer."""

    recording: Path
    output: Path  # NAME.mp4, or without an ending: a folder of PNGs
    length: int
    overlap: int
    settings: Mapping[str, object] = field(default_factory=lambda: {})
    session: str | None = None
    camera: str | None = None
    side_by_side: bool = False

    def stream(self) -> StreamSummary:
        """Raises:
        RecordingError: not exactly one stream fits.
        """
        return _chosen_stream(self.recording, self.session, self.camera)

    def text(self, stream: StreamSummary) -> dict[str, str]:
        """Everything the output depends on, as text, so that two runs can be compared and told apart."""
        settings: dict[str, object] = {
            **self.settings,
            "recording": f"{'/'.join(stream.stream)} {stream.width}x{stream.height}",
            "frames": f"{stream.frames}, {stream.first_index} to {stream.last_index}",
            "length": self.length,
            "overlap": self.overlap,
            "side by side": self.side_by_side,
        }
        return {name: str(value) for name, value in settings.items()}

    def refuse(
        self, stream: StreamSummary, *, length: int | None, overlap: int | None, noted: bool = False
    ) -> None:
        """Refuse, by the files alone, what `fulfil` would refuse once the renderer is loaded.

        Args:
            length, overlap: as asked for; None = as the renderer likes it, so that it is not known yet.

        Raises:
            RecordingError: another ending, an output in the way, or one that was begun with other settings.
        """
        refuse_other_ending(self.output)
        unknown = ["length"] * (length is None) + ["overlap"] * (None in (length, overlap))
        parts = Parts(self.output, stream, self.side_by_side)
        parts.refuse(self.text(stream), unknown=unknown, noted=noted)


def enhance(
    recording: Path | str,
    output: Path | str,
    render: Render,
    *,
    length: int,
    overlap: int,
    settings: Mapping[str, object] | None = None,
    session: str | None = None,
    camera: str | None = None,
    side_by_side: bool = False,
    restart: bool = False,
    progress: Progress | None = None,
) -> Enhanced:
    """Render one stream of a recording to a video or to pictures.

    Out come exactly the recorded frames, in their size and at the rate of the engine's
    clock. `render` must depend on its clip alone, or a resumed run could differ.

    Args:
        output: a name ending in .mp4 (H.264), or without an ending: a folder of PNGs, one
            per frame, named by frame index.
        length, overlap: of the clips; see `clips`.
        settings: what else the pictures depend on: renderer, weights, seed. Goes into the
            ledger, so that a resumed run cannot mix two looks.
        session, camera: which stream, where the recording holds several.
        side_by_side: put the engine's picture to the left of each rendered one.
        restart: give up what an interrupted run has finished, or replace `output`: a video once the new one is
            whole, pictures one by one.
        progress: called at the start and after each clip.

    Raises:
        RecordingError: no such stream, an output in the way, other settings than those of
            the interrupted run, anchors of frames that are not there, another process at the
            same output, or a full disk. What is finished is kept.
        RenderError: the renderer failed on a clip. What is finished is kept.
    """
    order = Order(Path(recording), Path(output), length, overlap, settings or {}, session, camera, side_by_side)
    return fulfil(order, render, restart=restart, progress=progress)


def fulfil(
    order: Order, render: Render, *, restart: bool = False, noted: bool = False, progress: Progress | None = None
) -> Enhanced:
    """As `enhance`. Goes on with shares where `split` or another worker has begun some.

    Args:
        noted: leave a note beside the finished output, so that the same order, given again, is known to be done.

    Raises:
        RecordingError, RenderError: as `enhance`.
    """
    refuse_other_ending(order.output)
    stream = order.stream()
    _refuse_strange_anchors(render, stream)
    wanted = order.text(stream)
    whole = Parts(order.output, stream, order.side_by_side)
    spanned = stream.last_index - stream.first_index + 1
    with disk_errors(whole.root), ExitStack() as stack:
        if restart:
            whole.clear()
        if noted and (ledger := whole.noted(wanted)):
            whole.take_away()
            return _enhanced(order, ledger, ledger.frames, spanned)
        plan = whole.plan(wanted)
        if not (restart or plan or whole.ledger(wanted)):
            whole.refuse_in_the_way()
        stack.enter_context(whole.locked())
        done = Ledger(wanted)
        reused, paths = 0, list[Path]()
        starts = plan.starts if plan else (None,)
        for start, stop in zip(starts, [*starts[1:], None], strict=True):
            parts = whole if start is None else Parts(order.output, stream, order.side_by_side, share=start)
            before = done.frames

            def told(frames: int, before: int = before) -> None:
                if progress:
                    progress(before + frames, stream.frames)

            with nullcontext() if parts is whole else parts.locked():
                ledger, had = _go_on(order, stream, parts, render, (start or 0, stop), told)
            reused += had
            paths += [parts.part(number) for number in range(ledger.clips)]
            done = _joined(done, ledger)
        whole.finish(paths, done, noted=noted)
    return _enhanced(order, done, reused, spanned)


def _enhanced(order: Order, ledger: Ledger, reused: int, spanned: int) -> Enhanced:
    return Enhanced(order.output, ledger.frames, reused, spanned - ledger.frames, ledger.remedied)


def _joined(before: Ledger, share: Ledger) -> Ledger:
    """The ledger of all shares up to this one."""
    clips, frames = before.clips + share.clips, before.frames + share.frames
    remedied = with_more(before.remedied, share.remedied)
    return Ledger(share.settings, clips, frames, share.next_index, remedied)


def enhance_share(order: Order, render: Render, start: int, stop: int | None) -> int:
    """Render the frames start <= index < stop of an order that `split` has shared out. Gives their number.

    Raises:
        RecordingError, RenderError: as `enhance`.
    """
    stream = order.stream()
    parts = Parts(order.output, stream, order.side_by_side, share=start)
    with disk_errors(parts.root), parts.locked():
        ledger, _ = _go_on(order, stream, parts, render, (start, stop), lambda frames: None)
    return ledger.frames


def _go_on(
    order: Order,
    stream: StreamSummary,
    parts: Parts,
    render: Render,
    span: tuple[int, int | None],
    told: Callable[[int], None],
) -> tuple[Ledger, int]:
    """Render what is missing of a span of frames: the ledger at its end, and how many frames were there before."""
    wanted = order.text(stream)
    ledger = parts.ledger(wanted) or parts.begin(wanted)
    reused = ledger.frames
    tail = parts.read_tail(ledger.clips)
    start = max(ledger.next_index, span[0])
    frames = read_frames(order.recording, session=stream.session, camera=stream.camera, start=start, stop=span[1])
    ours = (frame for frame in frames if frame.engine == stream.engine)
    # Frames are read, clips cut, begun, ended, and pictures written side by side, each in its own thread.
    told(ledger.frames)
    look = ledger.look if len(tail) else None
    with (
        _begun_in_vain_is_forgotten(parts),
        closing(ahead(_cut(ours, order), 1)) as cut,
        closing(ahead(_started(_going_on(cut, shared=len(tail)), render, parts), 1)) as started,
        closing(ahead(_videos(started, render, (tail, look), order.overlap), 1)) as videos,
    ):
        for clip, video, remedies, look in videos:
            pictures, tail = join_clip(tail, clip, video, overlap=order.overlap)
            parts.write_part(ledger.clips, clip.frames, pictures)
            parts.write_tail(ledger.clips + 1, tail)
            next_index = clip.frames[len(pictures)].index if len(tail) else clip.frames[-1].index + 1
            first, last = clip.frames[0].index, clip.frames[-1].index
            new = (Remedied(remedy, first, last) for remedy in remedies)
            remedied = with_more(ledger.remedied, new, done_to=ledger.next_index)
            ledger = Ledger(wanted, ledger.clips + 1, ledger.frames + len(pictures), next_index, remedied, look)
            parts.write_ledger(ledger)
            told(ledger.frames)
    return ledger, reused


@contextmanager
def _begun_in_vain_is_forgotten(parts: Parts) -> Generator[None]:
    """What ends before anything is done, as by an option that was mistyped, can be given again with others."""
    try:
        yield
    except BaseException:
        if not frames_done(parts.output):
            parts.forget()
        raise


def _cut(frames: Iterator[Frame], order: Order) -> Iterator[Clip]:
    return clips(ahead(frames, order.length), length=order.length, overlap=order.overlap)


@dataclass(frozen=True)
class _Started:
    """A clip, and what renders it, or the rest of it."""

    clip: Clip
    end: Render
    remedies: tuple[str, ...] | None  # that were in force as it was painted; None = it is still to be painted


def _started(cut: Iterable[Clip], render: Render, parts: Parts) -> Iterator[_Started]:
    for clip in cut:
        parts.refuse_other_size(clip)
        if end := begun(render, clip):
            yield _Started(clip, end, remedies_of(render))
        else:
            yield _Started(clip, prepared(render, clip), None)


def _videos(
    started: Iterable[_Started], render: Render, before: tuple[Video, Look | None], overlap: int
) -> Iterator[tuple[Clip, Video, tuple[str, ...], Look | None]]:
    """Each clip, what was rendered of it, the remedies that were in force, and the look of its run."""
    tail, look = before
    for one in started:
        clip = replace(one.clip, before=Before(tail, look) if one.clip.shared else None)
        video = rendered(one.end, clip)
        # Before the next clip may need one.
        remedies = remedies_of(render) if one.remedies is None else one.remedies
        look = look_of(render, clip, video)
        _, tail = join_clip(tail if clip.shared else None, clip, video, overlap=overlap)
        yield clip, video, remedies, look


def _going_on(cuts: Iterable[Clip], *, shared: int) -> Iterator[Clip]:
    """Clips of a run that was interrupted: the first one does not know how much it shares."""
    for number, clip in enumerate(cuts):
        yield clip if number else replace(clip, shared=shared)


def _refuse_strange_anchors(render: Render, stream: StreamSummary) -> None:
    """A renderer says by its attribute `anchors` of which frames it knows the pictures."""
    known: Collection[int] = getattr(render, "anchors", ())
    if strange := sorted(index for index in known if not stream.first_index <= index <= stream.last_index):
        raise RecordingError(
            f"there are anchors for the frames {', '.join(map(str, strange[:5]))}, and the recording has "
            f"{stream.first_index} to {stream.last_index}",
            fix="Name each picture by the index of its frame: 000048.png.",
        )


def _chosen_stream(recording: Path | str, session: str | None, camera: str | None) -> StreamSummary:
    streams = summarize(recording).streams
    fitting = [s for s in streams if session in (None, s.session) and camera in (None, s.camera)]
    if len(fitting) == 1:
        return fitting[0]
    names = "; ".join(f"session {s.session}, camera {s.camera} ({s.frames} frames)" for s in streams)
    raise RecordingError(
        f"{len(fitting)} streams of {recording} fit, one is wanted. It holds: {names or 'no frames'}",
        fix="Name one with --session and --camera, or render all of them into a folder: --workers 1.",
    )
