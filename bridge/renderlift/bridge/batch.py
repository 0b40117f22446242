"""Many recordings, by many workers: one output per stream, and what is finished is never rendered again.

A piece of work is a stream, or where there are more workers than streams, some shots of one: clips that go on
from each other stay on one worker. What a piece has finished stands on disk (see `parts`), so a worker or the
whole command may be killed at any moment.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from renderlift.bridge.clip import Steps, clip_size, tell_steps
from renderlift.bridge.cluster import DIED, Busy, Cluster, crew_of
from renderlift.bridge.enhance import Enhanced, Order, enhance_share, fulfil
from renderlift.bridge.errors import RecordingError, RenderliftError, SetupError
from renderlift.bridge.loading import LoadRenderer
from renderlift.bridge.parts import Parts, disk_errors, frames_done
from renderlift.bridge.record import summarize
from renderlift.bridge.renderer import load_renderer
from renderlift.bridge.segment_index import StreamSummary
from renderlift.bridge.split import Share, split
from renderlift.bridge.steps_file import StepsFile, read_steps
from renderlift.bridge.video import refuse_other_ending

SHARES_PER_WORKER = 4  # more even the load out, fewer read the recording less often
DEATHS_OF_A_PIECE = 3  # without a clip finished in between; then it is no accident
_RECORDINGS = "[0-9]" * 6 + "/render"  # in a dataset of pairs
_NOT_IN_NAMES = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True)
class Look:
    """What is rendered with, and what becomes of it: the same for all recordings."""

    render: str = "embedded"
    options: Mapping[str, Any] = field(default_factory=lambda: {})
    length: int | None = None  # of clips; None = as the renderer likes it
    overlap: int | None = None
    side_by_side: bool = False


@dataclass(frozen=True)
class Stream:
    """One stream to render, and where to."""

    name: str  # of the output, without folder and ending
    recording: Path
    output: Path
    summary: StreamSummary
    noted: bool = True  # a note says when it is finished, so that it is known when all are asked for again


@dataclass(frozen=True)
class Choice:
    """What is to be rendered of what was asked for."""

    streams: list[Stream]
    unreadable: list[tuple[Path, RecordingError]]  # recordings that cannot be opened, and why


@dataclass(frozen=True)
class Failure:
    """Why a stream could not be rendered."""

    message: str
    fix: str = ""
    fatal: bool = False  # no other stream would fare better


@dataclass(frozen=True)
class Piece:
    """What a worker is given: a stream, a share of one, or the question how to share it out."""

    stream: Stream
    share: Share | None = None
    shares: int = 0  # how many at most; above 0 = share out, render nothing


DIED_TOO_OFTEN = Failure(
    f"its worker died {DEATHS_OF_A_PIECE} times over the same clip, perhaps for want of memory",
    fix="Use fewer --workers, or shorter clips (--length).",
)
Result = Enhanced | Failure | int | list[Share]
Told = Callable[[Sequence[Busy[Piece]], Mapping[str, int]], None]  # what workers do; frames done, by name of stream


def streams_of(
    recordings: Iterable[Path],
    output: Path,
    *,
    png: bool = False,
    session: str | None = None,
    camera: str | None = None,
) -> Choice:
    """The streams of recordings, and of datasets of pairs, each with a name of its own in the folder `output`.

    Args:
        output: a folder; or NAME.mp4, where there is one stream.
        png: a folder of PNGs per stream, in place of a video.
        session, camera: only streams of these.

    Raises:
        RecordingError: nothing there, or no such stream, or more than fit into the output.
    """
    paths = list(dict.fromkeys(path for given in recordings for path in _recordings(given)))
    found: list[Stream] = []
    unreadable: list[tuple[Path, RecordingError]] = []
    for path, name in zip(paths, _names(paths), strict=True):
        if not path.exists():  # a slip of the pen, rather than a recording that went wrong
            raise RecordingError(
                f"there is no recording at {path}", fix="Name folders that `renderlift record` wrote."
            )
        try:
            summaries = summarize(path).streams
        except RecordingError as error:
            unreadable.append((path, error))
            continue
        fitting = [s for s in summaries if session in (None, s.session) and camera in (None, s.camera)]
        for summary, own in zip(fitting, _stream_names(fitting), strict=True):
            whole = _NOT_IN_NAMES.sub("_", "-".join(word for word in (name, own) if word))
            whole += f"-{len(found) + 1}" * any(whole == stream.name for stream in found)
            found.append(Stream(whole, path, output / (whole if png else f"{whole}.mp4"), summary))
    if output.suffix and len(found) == 1:
        refuse_other_ending(output)
        return Choice([replace(found[0], output=output, noted=False)], unreadable)
    if output.suffix and found:
        raise RecordingError(
            f"{len(found)} streams do not go into {output}: {', '.join(stream.name for stream in found[:5])}, ...",
            fix="Name a folder, without an ending, or one stream with --session and --camera.",
        )
    if not found and unreadable:
        raise unreadable[0][1]
    if not found:
        raise RecordingError(
            f"there is no stream to render in {', '.join(map(str, paths))}",
            fix="`renderlift info RECORDING` shows what one holds; look at --session and --camera.",
        )
    return Choice(found, unreadable)


def enhance_all(
    streams: Sequence[Stream],
    look: Look,
    cluster: Cluster | None,
    *,
    restart: bool = False,
    told: Told = lambda busy, done: None,
    died: Callable[[Stream], None] = lambda stream: None,
    steps: Steps = lambda done, total: None,
    load: LoadRenderer = load_renderer,
) -> Generator[tuple[Stream, Enhanced | Failure]]:
    """Render all streams; each with what became of it, as they get done. One that fails stops no other.

    Given again after a kill, it goes on; with the same outputs as one that ran through.

    Args:
        cluster: who works; None = this process, one stream after the other.
        restart: give up what earlier runs have finished, and replace outputs.
        told: called now and then with how far it is.
        died: called when a worker has died over a stream.
        steps: called with the denoising steps of the clip at work, where this process works; those of workers stand
            in what `told` is called with.
        load: loads the renderer, where this process works.

    Raises:
        SetupError: something is missing that every stream needs.
    """
    with disk_errors(streams[0].output):
        for stream in streams if restart else ():
            Parts(stream.output, stream.summary, look.side_by_side).clear()
        streams[0].output.parent.mkdir(parents=True, exist_ok=True)
    refused = dict(_refused(streams, look))
    yield from refused.items()
    if not (left := [stream for stream in streams if stream not in refused]):
        return
    if cluster is None:
        yield from _here(left, look, told, steps, load)
    else:
        yield from _by_workers(left, look, cluster, told, died)


def _refused(streams: Iterable[Stream], look: Look) -> Iterator[tuple[Stream, Failure]]:
    """Streams whose output is in the way, or was begun otherwise: told before anything is loaded."""
    for stream in streams:
        order = _order(stream, look, look.length or 0, look.overlap or 0)
        try:
            order.refuse(stream.summary, length=look.length, overlap=look.overlap, noted=stream.noted)
        except RecordingError as error:
            yield stream, Failure(error.message, error.fix)


def _order(stream: Stream, look: Look, length: int, overlap: int) -> Order:
    names = {"session": stream.summary.session, "camera": stream.summary.camera}
    settings = {"render": look.render, **look.options}
    return Order(
        stream.recording, stream.output, length, overlap, settings, side_by_side=look.side_by_side, **names
    )


def _here(
    streams: Sequence[Stream], look: Look, told: Told, steps: Steps, load: LoadRenderer
) -> Generator[tuple[Stream, Enhanced | Failure]]:
    done: dict[str, int] = {}

    def progress(stream: Stream, frames: int) -> None:
        done[stream.name] = frames
        told([Busy(1, "", Piece(stream))], done)

    work = open_work(look, progress, steps, load)
    for stream in streams:
        result = work(Piece(stream))
        if isinstance(result, Failure) and result.fatal:
            raise SetupError(result.message, fix=result.fix)
        assert isinstance(result, Enhanced | Failure)
        yield stream, result


def _by_workers(
    streams: Sequence[Stream], look: Look, cluster: Cluster, told: Told, died: Callable[[Stream], None]
) -> Generator[tuple[Stream, Enhanced | Failure]]:
    with crew_of(partial(open_work, look), cluster) as crew:
        shares = crew.size * SHARES_PER_WORKER if len(streams) < crew.size else 0
        longest_first = sorted(streams, key=lambda stream: -stream.summary.frames)
        pieces = deque(Piece(stream, shares=shares) for stream in longest_first)
        books = _Books(told, died)
        for piece, result in crew.work(pieces, kind=_size, again=books.again, meanwhile=books.look):
            stream = piece.stream
            outcome = books.enter(piece, DIED_TOO_OFTEN if result is DIED else result, pieces)
            if isinstance(outcome, Failure) and outcome.fatal:
                raise SetupError(outcome.message, fix=outcome.fix)
            if outcome:
                yield stream, outcome


class _Books:
    """How far the streams are, and which pieces have killed how many workers."""

    def __init__(self, told: Told, died: Callable[[Stream], None]) -> None:
        self._done: dict[str, int] = {}
        self._told = told
        self._died = died
        self._deaths: Counter[tuple[Piece, int]] = Counter()
        self._missing: Counter[str] = Counter()  # shares, by stream
        self._failed: set[str] = set()

    def enter(self, piece: Piece, result: Result, pieces: deque[Piece]) -> Enhanced | Failure | None:
        """Note a result, put what follows from it before the other pieces; give how a stream ended, if one did."""
        stream = piece.stream
        if isinstance(result, Failure):
            for other in [other for other in pieces if other.stream == stream]:
                pieces.remove(other)
            first = stream.name not in self._failed
            self._failed.add(stream.name)
            return result if first else None
        if isinstance(result, Enhanced):
            self._done[stream.name] = result.frames
            return result
        if isinstance(result, list):
            self._missing[stream.name] = len(result)
            shared = [Piece(stream, share) for share in result]
            pieces.extendleft(reversed(shared or [Piece(stream)]))
            return None
        self._missing[stream.name] -= 1
        if not self._missing[stream.name] and stream.name not in self._failed:
            pieces.appendleft(Piece(stream))  # which finds all shares rendered, and joins them
        return None

    def look(self, busy: Sequence[Busy[Piece]]) -> None:
        """Read from the ledgers how far it is."""
        for stream in {worker.piece.stream for worker in busy if worker.piece}:
            # While a stream is put together it has no ledger.
            self._done[stream.name] = max(self._done.get(stream.name, 0), frames_done(stream.output))
        with_steps = [replace(at, steps=self._steps(at.piece)) if at.piece else at for at in busy]
        self._told(with_steps, self._done)

    def _steps(self, piece: Piece) -> tuple[int, int] | None:
        is_painted = self._done[piece.stream.name] >= piece.stream.summary.frames
        return None if is_painted else read_steps(_parts(piece))

    def again(self, piece: Piece) -> bool:
        self._died(piece.stream)
        at = (piece, frames_done(piece.stream.output))
        self._deaths[at] += 1
        return self._deaths[at] < DEATHS_OF_A_PIECE


def open_work(
    look: Look,
    progress: Callable[[Stream, int], None] = lambda stream, frames: None,
    steps: Steps | None = None,
    load: LoadRenderer = load_renderer,
) -> Callable[[Piece], Result]:
    """Load the renderer; gives what does pieces with it. Neither raises: what is wrong becomes a `Failure`.

    Args:
        steps: called with the denoising steps of the clip at work; None = they are written down beside its parts.
    """
    try:
        render = load(look.render, look.options)
    except RenderliftError as error:
        wrong = Failure(error.message, error.fix, fatal=True)
        return lambda piece: wrong
    file = StepsFile()
    tell_steps(render, steps or file.write)
    length, overlap = clip_size(render, look.length, look.overlap)

    def work(piece: Piece) -> Result:
        stream = piece.stream
        order = _order(stream, look, length, overlap)
        try:
            if piece.shares:
                return split(order, piece.shares)
            with file.beside(_parts(piece)):
                if piece.share:
                    return enhance_share(order, render, *piece.share)
                return fulfil(
                    order, render, noted=stream.noted, progress=lambda frames, total: progress(stream, frames)
                )
        except RenderliftError as error:
            return Failure(error.message, error.fix)

    return work


def _parts(piece: Piece) -> Path:
    """The folder of the parts that a piece adds."""
    start = piece.share[0] if piece.share else None
    return Parts(piece.stream.output, piece.stream.summary, beside=False, share=start).folder


def _size(piece: Piece) -> tuple[int, int]:
    return piece.stream.summary.height, piece.stream.summary.width


def is_dataset(path: Path) -> bool:
    """Whether a folder holds pairs, rather than a recording."""
    return path.is_dir() and any(path.glob(_RECORDINGS))


def _recordings(path: Path) -> Iterator[Path]:
    yield from sorted(path.glob(_RECORDINGS)) if is_dataset(path) else [path]


def _names(paths: Sequence[Path]) -> list[str]:
    """Names of recordings: the folder's own, and as many of those around it as tell them apart."""
    words = [
        [part for part in path.resolve().with_suffix("").parts[1:] if part != "render"][::-1] for path in paths
    ]
    counts = [1] * len(paths)
    while True:
        names = ["-".join(reversed(parts[:count])) for parts, count in zip(words, counts, strict=True)]
        twice = {name for name, number in Counter(names).items() if number > 1}
        longer = [
            count + (name in twice and count < len(parts))
            for name, count, parts in zip(names, counts, words, strict=True)
        ]
        if longer == counts:
            return names
        counts = longer


def _stream_names(streams: Sequence[StreamSummary]) -> list[str]:
    """What tells the streams of one recording apart: nothing, the camera, or the session too."""
    if len(streams) == 1:
        return [""]
    one_session = len({stream.session for stream in streams}) == 1
    names = [stream.camera if one_session else f"{stream.session[:8]}-{stream.camera}" for stream in streams]
    if len(set(names)) == len(names):
        return names
    return [f"{stream.engine}-{stream.session}-{stream.camera}" for stream in streams]
