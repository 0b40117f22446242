"""A ring of pixel slots in shared memory, laid out as in docs/protocol.md section 5.

The engine writes, the bridge reads. Each slot has a sequence number that is odd while
it is being written, so a reader notices a slot that changed under it, and a `released`
number by which the reader gives the slot back.

The file under /dev/shm is mapped directly: multiprocessing.shared_memory would have the
reader's exit unlink the writer's ring (cpython issue 82300).
"""

import mmap
import os
import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import ProtocolError, TransportError
from renderlift.bridge.frame import Array
from renderlift.bridge.wire import SLOT_ALIGNMENT

SHARED_MEMORY_FOLDER = Path("/dev/shm")
PAGE_BYTES = 4096
MAX_SLOTS = 1024
_MAGIC = b"RLRING01"
_NAME = re.compile(r"renderlift-[0-9a-f]{16}")
_SLOT_ROW_BYTES = 128
_TABLE_OFFSET = 64


@dataclass(frozen=True)
class RingShape:
    """What both sides must agree on to map one ring."""

    name: str
    slots: int
    slot_bytes: int
    token: int

    @property
    def data_offset(self) -> int:
        return _round_up(_TABLE_OFFSET + _SLOT_ROW_BYTES * self.slots, PAGE_BYTES)

    @property
    def nbytes(self) -> int:
        return self.data_offset + self.slots * self.slot_bytes


def slot_offsets(arrays: Sequence[Array]) -> tuple[list[int], int]:
    """Where each array goes in a slot, and the bytes that all of them need."""
    offsets: list[int] = []
    end = 0
    for array in arrays:
        offsets.append(end)
        end = _round_up(end + array.nbytes, SLOT_ALIGNMENT)
    return offsets, end


class RingWriter:
    """The engine's end: creates the ring, and unlinks it when closed.

    Args:
        slots: frames that can be in the ring at once.
        slot_bytes: room for one frame; rounded up to whole pages.

    Raises:
        TransportError: no shared memory here, or not enough of it.
    """

    def __init__(self, *, slots: int, slot_bytes: int) -> None:
        shape = RingShape(
            f"renderlift-{secrets.token_hex(8)}", slots, _round_up(slot_bytes, PAGE_BYTES), secrets.randbits(64)
        )
        _sweep_rings_of_the_dead()
        try:
            self._fd = _create_locked(shape)
        except OSError as error:
            raise TransportError(
                f"no shared-memory ring of {shape.nbytes >> 20} MiB: {error.strerror}",
                fix=f"Make {SHARED_MEMORY_FOLDER} larger (docker: --shm-size); until then sockets are used.",
            ) from error
        self.shape = shape
        self._data = _map(self._fd, shape)
        self._data[:32] = _header(shape)
        self._sequence, self._released = _slot_columns(self._data, shape)

    def free_slot(self) -> int | None:
        """A slot that the reader has given back, or None."""
        free = np.flatnonzero(self._sequence == self._released)
        return int(free[0]) if len(free) else None

    def write(self, slot: int, arrays: Sequence[NDArray[np.uint8]]) -> tuple[int, list[int]]:
        """Copy flat byte arrays into a slot; return its sequence number and their offsets."""
        offsets, _ = slot_offsets(arrays)
        start = self.shape.data_offset + slot * self.shape.slot_bytes
        self._sequence[slot] += np.uint64(1)
        for offset, array in zip(offsets, arrays, strict=True):
            np.copyto(self._data[start + offset : start + offset + array.nbytes], array)
        self._sequence[slot] += np.uint64(1)
        return int(self._sequence[slot]), offsets

    def close(self) -> None:
        """Remove the ring's name; a reader keeps what it has mapped."""
        if self._fd >= 0:
            (SHARED_MEMORY_FOLDER / self.shape.name).unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


class RingReader:
    """The bridge's end. Its mapping lives as long as the last array that views it.

    Raises:
        TransportError: the ring cannot be opened, or is not the one that was offered.
    """

    def __init__(self, shape: RingShape) -> None:
        if not _NAME.fullmatch(shape.name) or not 1 <= shape.slots <= MAX_SLOTS or shape.slot_bytes % PAGE_BYTES:
            raise TransportError(f"{shape.slots} slots of {shape.slot_bytes} bytes in {shape.name!r} are no ring")
        try:
            fd = os.open(SHARED_MEMORY_FOLDER / shape.name, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise TransportError(f"ring {shape.name} cannot be opened: {error.strerror}") from error
        try:
            if os.fstat(fd).st_size != shape.nbytes:
                raise TransportError(f"ring {shape.name} has {os.fstat(fd).st_size} bytes, not {shape.nbytes}")
            self._data = _map(fd, shape)
        finally:
            os.close(fd)
        if not np.array_equal(self._data[:32], _header(shape)):
            raise TransportError(f"ring {shape.name} is another one than was offered")
        self.shape = shape
        self._sequence, self._released = _slot_columns(self._data, shape)
        self._releasing = threading.Lock()

    def bytes_of(self, slot: int, offset: int, nbytes: int) -> NDArray[np.uint8]:
        """The bytes of one buffer, read-only and not copied.

        Raises:
            ProtocolError: they do not lie inside a slot of this ring.
        """
        if slot >= self.shape.slots or offset + nbytes > self.shape.slot_bytes:
            raise ProtocolError(
                f"{nbytes} bytes at {offset} of slot {slot} do not lie in a ring of "
                f"{self.shape.slots} slots of {self.shape.slot_bytes} bytes"
            )
        start = self.shape.data_offset + slot * self.shape.slot_bytes + offset
        view = self._data[start : start + nbytes]
        view.flags.writeable = False
        return view

    def is_whole(self, slot: int, sequence: int) -> bool:
        """Whether the slot still holds what was announced under `sequence`."""
        return slot < self.shape.slots and int(self._sequence[slot]) == sequence

    def release(self, slot: int, sequence: int) -> None:
        """Give the slot back to the writer, unless it holds something newer by now."""
        with self._releasing:
            if slot < self.shape.slots and sequence > int(self._released[slot]):
                self._released[slot] = sequence


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _header(shape: RingShape) -> NDArray[np.uint8]:
    numbers = shape.slots.to_bytes(8, "little") + shape.slot_bytes.to_bytes(8, "little")
    return np.frombuffer(_MAGIC + numbers + shape.token.to_bytes(8, "little"), np.uint8)


def _map(fd: int, shape: RingShape) -> NDArray[np.uint8]:
    return np.frombuffer(mmap.mmap(fd, shape.nbytes), np.uint8)


def _slot_columns(data: NDArray[np.uint8], shape: RingShape) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The `sequence` and `released` columns (slots,) of the slot table, a cache line apart."""
    table = data[_TABLE_OFFSET : _TABLE_OFFSET + _SLOT_ROW_BYTES * shape.slots].view(np.uint64)
    rows = table.reshape(shape.slots, _SLOT_ROW_BYTES // 8)
    return rows[:, 0], rows[:, 8]


def _create_locked(shape: RingShape) -> int:
    """A new file of the ring's full size, reserved and locked for as long as it is open."""
    import fcntl  # not on Windows, where this file must still import

    path = SHARED_MEMORY_FOLDER / shape.name
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                os.posix_fallocate(fd, 0, shape.nbytes)
                return fd
        except OSError:
            path.unlink(missing_ok=True)
            os.close(fd)
            raise
        os.close(fd)  # a sweep came between open and lock


def _sweep_rings_of_the_dead() -> None:
    """Remove rings whose writer was killed: nobody holds their lock any more."""
    import fcntl

    for path in SHARED_MEMORY_FOLDER.glob("renderlift-*"):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except OSError:
            continue
        finally:
            os.close(fd)
