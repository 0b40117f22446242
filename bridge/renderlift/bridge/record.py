"""Recordings: a folder of MCAP segments, written so that a crash costs nothing.

Every run of a recorder opens a new segment, so nothing written before is touched, and
appending needs no rewriting. A single .mcap file is read like a folder of one segment.
docs/recording.md describes the layout and what survives what.
"""

import errno
import os
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import Channel, Frame, check_channels
from renderlift.bridge.segment_index import SegmentIndex, Stream, StreamIndex, StreamSummary, joined
from renderlift.bridge.segment_read import SegmentReport, read_segment, segment_index
from renderlift.bridge.segment_write import SegmentWriter, recover_segment

SEGMENT_FRAMES = 4096  # also rolls here, which bounds the index a writer keeps in memory
_SEGMENT_NAME = re.compile(r"\d{6,}\.mcap")


@dataclass(frozen=True)
class RecordingSummary:
    """What a recording holds and how its writers ended."""

    path: Path
    streams: tuple[StreamSummary, ...]
    bytes: int
    segments: int
    cut_segments: tuple[str, ...]  # without an end: the writer died, or writes still
    recovered_segments: tuple[str, ...]  # the writer died; a later run gave them their end
    damaged_chunks: int

    @property
    def frames(self) -> int:
        return sum(stream.frames for stream in self.streams)

    @property
    def whole(self) -> bool:
        """Every writer ended properly and nothing is damaged."""
        return not (self.cut_segments or self.recovered_segments or self.damaged_chunks)


class Recorder:
    """Appends frames to a recording. For one thread, and one process per folder at a time.

    A frame is safe from the death of this process once `write` has returned, and from a
    power cut once `flush` has asked the disk for it, which it does every two seconds at most.
    """

    def __init__(self, path: Path | str, *, segment_bytes: int = 1 << 30) -> None:
        """Open a recording to append to, or start one.

        Segments that an earlier run left without an end get one.

        Args:
            path: a folder; made if it is not there.
            segment_bytes: a segment that has grown to this size is followed by a new one.

        Raises:
            RecordingError: not a folder, in use by another process, or not readable.
        """
        self.path = Path(path)
        self._is_new = not self.path.exists()
        self._segment_bytes = segment_bytes
        self._segment: SegmentWriter | None = None
        self._in_flight: tuple[tuple[str, str], int] | None = None
        self._folder = _locked_folder(self.path)
        self._last: dict[tuple[str, str], int] = {}
        try:
            self._last = self._recover()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, frame: Frame) -> None:
        """Append one frame. The frames of a session and camera come in order of their index;
        one at or before the last is a repetition and is left out.

        After a RecordingError nothing written before is harmed, and writing the same frame
        again, or any later one, goes on where it stopped.

        Raises:
            ChannelError: the frame breaks the channel table.
            RecordingError: no space, or another failure of the disk.
        """
        check_channels(frame.channels)
        self._drain()
        if frame.index <= self.last_index(frame.session, frame.camera_name):
            return
        key = (frame.session, frame.camera_name)
        segment = self._writable_segment(sum(array.nbytes for array in frame.channels.values()))
        try:
            segment.add(frame)
        except OSError as error:
            self._in_flight = (key, frame.index)
            raise _cannot_write(segment.path, error, segment.unwritten_bytes) from error
        self._last[key] = frame.index

    def flush(self) -> None:
        """Return once everything written so far survives kill -9.

        Raises:
            RecordingError: something still waits for space.
        """
        self._drain()
        if self._segment:
            try:
                self._segment.sync()
            except OSError as error:
                raise _cannot_write(self._segment.path, error) from error

    def last_index(self, session: str, camera: str) -> int:
        """Index of the last frame that is safe, of earlier runs too; -1 = none."""
        return self._last.get((session, camera), -1)

    def close(self) -> None:
        """End the recording. May be called twice. A folder made for nothing is taken away again.

        Raises:
            RecordingError: no space for the last frame or the index. All earlier frames are
                safe, and the next recorder or reader copes with the missing end.
        """
        segment, self._segment = self._segment, None
        folder, self._folder = self._folder, None
        try:
            if segment:
                _finish(segment)
        finally:
            if self._is_new and not self._last:
                with suppress(OSError):  # somebody else has put something there
                    self.path.rmdir()
            self._is_new = False
            if folder is not None:
                os.close(folder)

    def _recover(self) -> dict[tuple[str, str], int]:
        last: dict[tuple[str, str], int] = {}
        for segment in _segments(self.path):
            if segment_index(segment) is None:
                try:
                    recover_segment(segment)
                except OSError as error:
                    raise _cannot_write(segment, error) from error
            for stream in _read_index(segment)[0].streams if segment.exists() else ():
                key = (stream.session, stream.camera)
                last[key] = max(last.get(key, -1), stream.last_index)
        return last

    def _writable_segment(self, needed_bytes: int) -> SegmentWriter:
        segment = self._segment
        if segment and segment.bytes < self._segment_bytes and segment.frames < SEGMENT_FRAMES:
            return segment
        if segment:
            self._segment = None
            _finish(segment)
        existing = _segments(self.path)
        path = self.path / f"{int(existing[-1].stem) + 1 if existing else 0:06d}.mcap"
        try:
            self._segment = SegmentWriter(path)
            if self._folder is not None:
                os.fsync(self._folder)  # or a power cut may forget the new file's name
        except OSError as error:
            raise _cannot_write(path, error, needed_bytes) from error
        return self._segment

    def _drain(self) -> None:
        if self._segment is None:
            return
        try:
            self._segment.drain()
        except OSError as error:
            raise _cannot_write(self._segment.path, error, self._segment.unwritten_bytes) from error
        if self._in_flight:
            key, index = self._in_flight
            self._last[key] = index
            self._in_flight = None


def read_frames(
    path: Path | str,
    *,
    session: str | None = None,
    camera: str | None = None,
    channels: Collection[Channel] | None = None,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Frame]:
    """The frames of a recording in the order they were recorded, each once, in bounded memory.

    Reads what is whole of a recording that was cut short, or that is still being written.

    Args:
        session, camera: only frames of these; None = all.
        channels: only these, and rgb, from which a frame has its size; None = all.
        start, stop: only frames with start <= index < stop.

    Raises:
        RecordingError: no recording there, or one that cannot be read.
    """
    last: dict[Stream, int] = {}
    for segment in _existing_segments(Path(path)):
        if not _may_hold(segment_index(segment), start, stop):
            continue
        report = SegmentReport()
        for stored in read_segment(segment, report):
            index = stored.record.index
            if index <= last.get(stored.stream, -1):
                continue
            last[stored.stream] = index
            wanted = session in (None, stored.stream[1]) and camera in (None, stored.stream[2])
            if wanted and start <= index and (stop is None or index < stop):
                yield stored.frame(channels)
        _refuse_foreign(segment, report)


def summarize(path: Path | str, *, verify: bool = False) -> RecordingSummary:
    """What a recording holds.

    Args:
        verify: read and check every byte, instead of trusting the index of whole segments.

    Raises:
        RecordingError: no recording there, or one that cannot be read.
    """
    segments = _existing_segments(Path(path))
    streams: dict[Stream, list[StreamSummary]] = {}
    cut: list[str] = []
    recovered: list[str] = []
    damaged = 0
    for segment in segments:
        index, whole = _read_index(segment, verify=verify)
        for stream in index.streams:
            streams.setdefault(stream.stream, []).append(stream)
        damaged += index.damaged_chunks
        if index.recovered:
            recovered.append(segment.name)
        elif not whole:
            cut.append(segment.name)
    return RecordingSummary(
        path=Path(path),
        streams=tuple(joined(parts) for parts in streams.values()),
        bytes=sum(segment.stat().st_size for segment in segments),
        segments=len(segments),
        cut_segments=tuple(cut),
        recovered_segments=tuple(recovered),
        damaged_chunks=damaged,
    )


def _read_index(segment: Path, *, verify: bool = False) -> tuple[SegmentIndex, bool]:
    """What a segment holds, and whether it has its end."""
    index = segment_index(segment)
    if index and not verify:
        return index, True
    report = SegmentReport()
    streams: dict[Stream, StreamIndex] = {}
    for stored in read_segment(segment, report):
        streams.setdefault(stored.stream, StreamIndex()).note(stored.record)
    _refuse_foreign(segment, report)
    summaries = tuple(stream.summary(name) for name, stream in streams.items())
    return SegmentIndex(summaries, bool(index and index.recovered), report.damaged_chunks), report.whole


def _may_hold(index: SegmentIndex | None, start: int, stop: int | None) -> bool:
    """Whether frames with start <= index < stop can stand in a segment with this index."""
    return index is None or any(
        start <= stream.last_index and (stop is None or stream.first_index < stop) for stream in index.streams
    )


def _refuse_foreign(segment: Path, report: SegmentReport) -> None:
    if report.foreign and not report.frames:
        raise RecordingError(
            f"{segment} holds no Renderlift frames, only {', '.join(sorted(report.foreign)[:5])}",
            fix="Record from an engine with: renderlift record",
        )


def _existing_segments(path: Path) -> list[Path]:
    segments = [path] if path.is_file() else _segments(path)
    if not segments:
        raise RecordingError(
            f"there is no recording at {path}",
            fix="Name a folder that `renderlift record` wrote, or an .mcap file.",
        )
    return segments


def _segments(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    names = [path for path in folder.iterdir() if _SEGMENT_NAME.fullmatch(path.name)]
    return sorted(names, key=lambda path: int(path.stem))


def _finish(segment: SegmentWriter) -> None:
    try:
        segment.finish()
    except OSError as error:
        raise _cannot_write(segment.path, error, segment.unwritten_bytes) from error


def _cannot_write(path: Path, error: OSError, needed_bytes: int = 0) -> RecordingError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    waiting = f"; {needed_bytes} bytes are waiting" if needed_bytes else ""
    return RecordingError(
        f"cannot write {path}: {error.strerror}{waiting}",
        fix="Free some space: the recording goes on by itself, and nothing written before is lost."
        if full
        else "Check the disk; nothing written before is lost.",
    )


def _locked_folder(path: Path) -> int | None:
    """An open descriptor of the folder, locked against a second recorder until it closes."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":  # which cannot open folders
            return None
        folder = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise RecordingError(
            f"cannot record into {path}: {error.strerror}", fix="Name a folder that can be written to."
        ) from error
    import fcntl

    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(folder)
        raise RecordingError(
            f"another process records into {path}", fix="Stop it, or record into another folder."
        ) from error
    return folder
