"""Render a whole recording offline: any length, bounded memory, resumable after kill -9.

Beside the output stands a folder `<output>.parts` with what is finished: one part per clip,
the pictures held back for the next clip's cross-fade, the first picture of the run (what
colours are held to), and a ledger that says how far it is and with which settings. Each is in
place before the ledger counts it, so a rerun renders only what is missing, and its result is
that of an uninterrupted run.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import msgspec
import numpy as np

from renderlift.bridge.ahead import ahead
from renderlift.bridge.clip import Before, Clip, Render, Video, clips, rendered
from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import Channel, Frame
from renderlift.bridge.join import join_clip
from renderlift.bridge.record import read_frames, summarize
from renderlift.bridge.segment_index import StreamSummary
from renderlift.bridge.video import Picture, VideoWriter, join_videos, refuse_other_ending
from renderlift.bridge.video import side_by_side as before_and_after

Progress = Callable[[int, int], None]  # frames done, frames in all

DEFAULT_FPS = 24.0  # of a recording whose engine time does not pass
_PICTURE_NAME = re.compile(r"\d{6,}\.png")


@dataclass(frozen=True)
class Enhanced:
    """A finished output."""

    path: Path
    frames: int
    reused_frames: int  # taken over from an interrupted run
    missing_frames: int  # gaps and damage of the recording, between its first frame and its last


class Ledger(msgspec.Struct, frozen=True):
    """How far a run is, and everything its pictures depend on."""

    settings: dict[str, str]
    clips: int = 0
    frames: int = 0
    next_index: int = 0  # of the first frame of the next clip


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
        restart: give up what an interrupted run has finished, or overwrite `output`.
        progress: called at the start and after each clip.

    Raises:
        RecordingError: no such stream, an output in the way, other settings than those of
            the interrupted run, or a full disk. What is finished is kept.
        RenderError: the renderer failed on a clip. What is finished is kept.
    """
    stream = _chosen_stream(recording, session, camera)
    wanted = _settings(stream, length, overlap, side_by_side, settings or {})
    job = _Job(Path(output), stream, side_by_side)
    with _disk_errors(job.parts):
        ledger = job.open(wanted, restart)
        reused = ledger.frames
        tail = job.read_tail(ledger.clips)
        frames = read_frames(recording, session=stream.session, camera=stream.camera, start=ledger.next_index)
        ours = (frame for frame in frames if frame.engine == stream.engine)
        # Frames are read, clips cut and rendered, pictures written side by side, each in its own thread.
        cut_ahead = ahead(clips(ahead(ours, length), length=length, overlap=overlap), 1)
        cut = _going_on(cut_ahead, shared=len(tail))
        _report(progress, ledger, stream)
        with closing(ahead(_videos(cut, render, job, tail, overlap), 1)) as videos:
            for clip, video in videos:
                if not clip.shared:
                    job.write_first(clip.channels[Channel.RGB][:1], video[:1])
                pictures, tail = join_clip(tail, clip, video, overlap=overlap)
                job.write_part(ledger.clips, clip.frames, pictures)
                job.write_tail(ledger.clips + 1, tail)
                next_index = clip.frames[len(pictures)].index if len(tail) else clip.frames[-1].index + 1
                ledger = Ledger(wanted, ledger.clips + 1, ledger.frames + len(pictures), next_index)
                job.write_ledger(ledger)
                _report(progress, ledger, stream)
        job.finish(ledger)
    spanned = stream.last_index - stream.first_index + 1
    return Enhanced(job.output, ledger.frames, reused, spanned - ledger.frames)


def _videos(
    cut: Iterable[Clip], render: Render, job: "_Job", tail: Video, overlap: int
) -> Iterator[tuple[Clip, Video]]:
    first: tuple[Video, Video] | None = job.read_first() if len(tail) else None
    for clip in cut:
        job.refuse_other_size(clip)
        before = Before(tail, first) if clip.shared and first else None
        video = rendered(render, replace(clip, before=before))
        if not clip.shared:
            engine: Video = clip.channels[Channel.RGB][:1]
            first = (engine, video[:1])
        _, tail = join_clip(tail if clip.shared else None, clip, video, overlap=overlap)
        yield clip, video


class _Job:
    """The files of one run."""

    def __init__(self, output: Path, stream: StreamSummary, beside: bool) -> None:
        refuse_other_ending(output)
        self.output = output
        self.parts = output.with_name(output.name + ".parts")
        self._is_video = output.suffix == ".mp4"
        self._fps = Fraction(stream.fps or DEFAULT_FPS).limit_denominator(1001)
        self._stream = stream
        self._beside = beside

    def open(self, wanted: dict[str, str], restart: bool) -> Ledger:
        """The ledger to go on from."""
        if restart:
            shutil.rmtree(self.parts, ignore_errors=True)
            self._clear_output()
        ledger = self._read_ledger()
        if ledger is None:
            if not restart and self.output.exists() and not _is_empty_folder(self.output):
                raise RecordingError(
                    f"{self.output} is there already", fix="Add --restart, or choose another name."
                )
            self.parts.mkdir(parents=True, exist_ok=True)
            ledger = Ledger(wanted)
            self.write_ledger(ledger)
        if ledger.settings != wanted:
            raise RecordingError(
                f"{self.output} was begun with other settings: {_differences(ledger.settings, wanted)}",
                fix="Use the same settings, or add --restart to begin again.",
            )
        return ledger

    def refuse_other_size(self, clip: Clip) -> None:
        size, final = (clip.width, clip.height), (self._stream.width, self._stream.height)
        if self._is_video and size != final:
            raise RecordingError(
                f"frame {clip.frames[0].index} is {size[0]}x{size[1]}, the last {final[0]}x{final[1]}, "
                "and a video has one size",
                fix="Name a folder without an ending, to get PNGs.",
            )

    def write_part(self, number: int, frames: Sequence[Frame], pictures: Video) -> None:
        composed = self._composed(frames, pictures)
        if self._is_video:
            with _replacing(self._part(number)) as path:
                _write_video(path, composed, self._fps)
            return
        self.output.mkdir(parents=True, exist_ok=True)
        for frame, picture in zip(frames, composed, strict=False):  # the held-back frames have no picture yet
            with _replacing(self.output / f"{frame.index:06d}.png") as path:
                path.write_bytes(_png(picture))

    def read_tail(self, number: int) -> Video:
        """The pictures held back before clip `number`."""
        path = self._tail(number)
        if not path.exists():
            return np.empty((0, 0, 0, 3), np.uint8)
        tail: Video = np.load(path, allow_pickle=False)
        return tail

    def write_tail(self, number: int, tail: Video) -> None:
        with _replacing(self._tail(number)) as path, path.open("wb") as file:
            np.save(file, tail, allow_pickle=False)

    def read_first(self) -> tuple[Video, Video] | None:
        """The first frame of the run that goes on: the engine's picture and the rendered one."""
        path = self.parts / "first.npy"
        if not path.exists():
            return None
        pair: Video = np.load(path, allow_pickle=False)
        return pair[0], pair[1]

    def write_first(self, engine: Video, picture: Video) -> None:
        with _replacing(self.parts / "first.npy") as path, path.open("wb") as file:
            np.save(file, np.stack([engine, picture]), allow_pickle=False)

    def write_ledger(self, ledger: Ledger) -> None:
        with _replacing(self.parts / "ledger.json") as path:
            path.write_bytes(msgspec.json.format(msgspec.json.encode(ledger)))
        self._tail(ledger.clips - 1).unlink(missing_ok=True)

    def finish(self, ledger: Ledger) -> None:
        if self._is_video:
            with _replacing(self.output, beside=self.parts) as path:
                join_videos([self._part(number) for number in range(ledger.clips)], path)
        (self.parts / "ledger.json").unlink()  # first, since without its parts it would mislead a rerun
        shutil.rmtree(self.parts)

    def _read_ledger(self) -> Ledger | None:
        path = self.parts / "ledger.json"
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=Ledger)
        except msgspec.MsgspecError as error:
            raise RecordingError(
                f"{path} is not a ledger of ours: {error}", fix="Add --restart to begin again."
            ) from error

    def _composed(self, frames: Sequence[Frame], pictures: Video) -> Iterator[Picture]:
        for frame, picture in zip(frames, pictures, strict=False):
            before = frame.channels[Channel.RGB]
            captions = (frame.engine or "engine", "renderlift")
            yield before_and_after(before, picture, captions=captions) if self._beside else picture

    def _part(self, number: int) -> Path:
        return self.parts / f"{number:06d}.mp4"

    def _tail(self, number: int) -> Path:
        return self.parts / f"{number:06d}.tail.npy"

    def _clear_output(self) -> None:
        if not self.output.is_dir():
            self.output.unlink(missing_ok=True)
            return
        for path in self.output.iterdir():
            if _PICTURE_NAME.fullmatch(path.name):
                path.unlink()


def _going_on(cuts: Iterable[Clip], *, shared: int) -> Iterator[Clip]:
    """Clips of a run that was interrupted: the first one does not know how much it shares."""
    for number, clip in enumerate(cuts):
        yield clip if number else replace(clip, shared=shared)


def _chosen_stream(recording: Path | str, session: str | None, camera: str | None) -> StreamSummary:
    streams = summarize(recording).streams
    fitting = [s for s in streams if session in (None, s.session) and camera in (None, s.camera)]
    if len(fitting) == 1:
        return fitting[0]
    names = "; ".join(f"session {s.session}, camera {s.camera} ({s.frames} frames)" for s in streams)
    raise RecordingError(
        f"{len(fitting)} streams of {recording} fit, one is wanted. It holds: {names or 'no frames'}",
        fix="Name one with --session and --camera.",
    )


def _report(progress: Progress | None, ledger: Ledger, stream: StreamSummary) -> None:
    if progress:
        progress(ledger.frames, stream.frames)


def _settings(
    stream: StreamSummary, length: int, overlap: int, beside: bool, others: Mapping[str, object]
) -> dict[str, str]:
    """Everything the output depends on, as text, so that two runs can be compared and told apart."""
    settings: dict[str, object] = {
        **others,
        "recording": f"{'/'.join(stream.stream)} {stream.width}x{stream.height}",
        "frames": f"{stream.frames}, {stream.first_index} to {stream.last_index}",
        "length": length,
        "overlap": overlap,
        "side by side": beside,
    }
    return {name: str(value) for name, value in settings.items()}


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"{name} was {before.get(name, 'not set')}, is {now.get(name, 'not set')}" for name in names)


def _write_video(path: Path, pictures: Iterable[Picture], fps: Fraction) -> None:
    writer: VideoWriter | None = None
    try:
        for picture in pictures:
            if writer is None:
                writer = VideoWriter(path, picture.shape[0], picture.shape[1], fps)
            writer.write(picture)
    finally:
        if writer:
            writer.close()


def _png(picture: Picture) -> bytes:
    # Level 3 takes a third of the default's time for some percent more bytes.
    done, encoded = cv2.imencode(".png", picture[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    assert done
    return encoded.tobytes()


@contextmanager
def _replacing(path: Path, *, beside: Path | None = None) -> Generator[Path]:
    """A name to write to; what was written takes the place of `path` in one step, on disk."""
    temporary = (beside or path.parent) / f".{path.name}.unfinished"
    yield temporary
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextmanager
def _disk_errors(parts: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        is_full = error.strerror is None or error.errno in (errno.ENOSPC, errno.EDQUOT)  # numpy gives no reason
        raise RecordingError(
            f"cannot write {error.filename or parts}: {error.strerror or error}",
            fix="Free some space and run the same again: what is finished is kept."
            if is_full
            else "Choose a place that can be written to.",
        ) from error
