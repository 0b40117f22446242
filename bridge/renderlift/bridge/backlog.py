"""Captured frames that wait for a renderer which is slower than the engine."""

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

from renderlift.bridge.clip import StreamEnd
from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import Frame
from renderlift.bridge.record import read_frames

BATCH_FRAMES = 64  # read from disk at a stretch, before other streams have their turn

Stream = tuple[str, str, str]


@dataclass
class _OnDisk:
    """Frames of one stream that are only in the recording."""

    first_index: int
    last_index: int
    frames: int = 1
    ended: bool = False


class Backlog:
    """A queue of frames of any length in bounded memory.

    With a recording, which must hold every frame before it is put here, what does not fit
    into memory is read back from there: the engine is never held up by the renderer.
    Without one, `put` waits for room: the engine goes in step with the renderer.
    """

    def __init__(self, recording: Path | None, *, budget_bytes: int = 512 << 20) -> None:
        self._recording = recording
        self._budget_bytes = budget_bytes
        self._changed = threading.Condition()
        self._memory: deque[Frame | StreamEnd] = deque()
        self._memory_bytes = 0
        self._on_disk: dict[Stream, _OnDisk] = {}
        self._ended = False
        self._abandoned = False

    def __len__(self) -> int:
        """Frames that wait."""
        with self._changed:
            in_memory = sum(isinstance(item, Frame) for item in self._memory)
            return in_memory + sum(stored.frames for stored in self._on_disk.values())

    def put(self, frame: Frame) -> None:
        """Add a frame; frames of one stream come in order. After `abandon` it is left out."""
        with self._changed:
            if self._recording is None:
                self._changed.wait_for(lambda: self._ended or not self._is_full)
            if self._ended:
                return
            stored = self._on_disk.get(frame.stream)
            if stored:
                stored.last_index = frame.index
                stored.frames += 1
            elif self._is_full:
                self._on_disk[frame.stream] = _OnDisk(frame.index, frame.index)
            else:
                self._memory.append(frame)
                self._memory_bytes += _bytes(frame)
            self._changed.notify_all()

    def put_end(self, end: StreamEnd) -> None:
        """Add the end of one stream, which comes out after its last frame."""
        with self._changed:
            if stored := self._on_disk.get(end.stream):
                stored.ended = True
            elif not self._ended:
                self._memory.append(end)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more comes; `frames` ends after what waits."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abandon(self) -> int:
        """End at once; returns how many frames are left out."""
        with self._changed:
            left_out = len(self)
            self._memory.clear()
            self._on_disk.clear()
            self._memory_bytes = 0
            self._abandoned = True
            self.end()
        return left_out

    def frames(self) -> Iterator[Frame | StreamEnd]:
        """The frames as they come, those of one stream in order; where one ends, a `StreamEnd`. For one reader.

        Raises:
            RecordingError: the recording cannot be read back.
        """
        while (source := self._next()) is not None:
            if isinstance(source, tuple):
                yield from self._read_back(*source)
            else:
                yield source

    @property
    def _is_full(self) -> bool:
        return bool(self._memory) and self._memory_bytes >= self._budget_bytes

    def _next(self) -> Frame | StreamEnd | tuple[Stream, _OnDisk] | None:
        """The next frame in memory, or a stream that has some on disk; memory first, it is older."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._memory or self._on_disk)
            if self._memory:
                item = self._memory.popleft()
                if isinstance(item, Frame):
                    self._memory_bytes -= _bytes(item)
                self._changed.notify_all()
                return item
            return next(iter(self._on_disk.items()), None)

    def _read_back(self, stream: Stream, stored: _OnDisk) -> Iterator[Frame | StreamEnd]:
        assert self._recording is not None
        _, session, camera = stream
        first, last = stored.first_index, stored.last_index  # more may come while these are read
        found = read_frames(self._recording, session=session, camera=camera, start=first, stop=last + 1)
        with closing(cast(Generator[Frame], found)):
            for frame in islice(found, BATCH_FRAMES):
                with self._changed:
                    if self._abandoned:
                        return
                    stored.first_index, stored.frames = frame.index + 1, stored.frames - 1
                    if stored.first_index > stored.last_index:
                        del self._on_disk[stream]
                yield frame
        if stored.first_index == first:
            raise RecordingError(f"frames {first} to {last} of {'/'.join(stream)} are not in {self._recording}")
        with self._changed:
            more_waits = stream in self._on_disk
            if more_waits:  # behind the streams that wait for their turn
                self._on_disk[stream] = self._on_disk.pop(stream)
        if stored.ended and not more_waits:
            yield StreamEnd(stream)


def _bytes(frame: Frame) -> int:
    return sum(array.nbytes for array in frame.channels.values())
