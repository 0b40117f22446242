"""The ring: what is written is read, what is overwritten is noticed, and nothing is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from renderlift.bridge.errors import ProtocolError, TransportError
from renderlift.bridge.frame import Channel
from renderlift.bridge.pixels import arrays_in_slot
from renderlift.bridge.shared_memory import SHARED_MEMORY_FOLDER, RingReader, RingShape, RingWriter
from renderlift.bridge.wire import FrameHeader, RingOffer

fcntl = pytest.importorskip("fcntl", reason="rings exist on Linux only; elsewhere sockets are used")
GOLDEN = Path(__file__).parents[1] / "golden"


def pixels(value: int, nbytes: int = 1000) -> np.ndarray:
    return np.full(nbytes, value, np.uint8)


@pytest.fixture
def writer() -> Iterator[RingWriter]:
    ring = RingWriter(slots=2, slot_bytes=5000)
    yield ring
    ring.close()


def test_the_reader_finds_what_the_writer_wrote(writer: RingWriter) -> None:
    reader = RingReader(writer.shape)
    sequence, offsets = writer.write(1, [pixels(7), pixels(8, 10)])
    assert reader.is_whole(1, sequence)
    assert offsets == [0, 1024]
    np.testing.assert_array_equal(reader.bytes_of(1, 0, 1000), pixels(7))
    np.testing.assert_array_equal(reader.bytes_of(1, 1024, 10), pixels(8, 10))


def test_a_slot_is_taken_until_the_reader_gives_it_back(writer: RingWriter) -> None:
    reader = RingReader(writer.shape)
    sequences = [writer.write(slot, [pixels(slot)])[0] for slot in (0, 1)]
    assert writer.free_slot() is None
    reader.release(1, sequences[1])
    assert writer.free_slot() == 1


def test_an_overwritten_slot_is_noticed(writer: RingWriter) -> None:
    reader = RingReader(writer.shape)
    first, _ = writer.write(0, [pixels(1)])
    second, _ = writer.write(0, [pixels(2)])
    assert not reader.is_whole(0, first)
    assert reader.is_whole(0, second)


def test_a_late_release_does_not_give_back_what_came_since(writer: RingWriter) -> None:
    reader = RingReader(writer.shape)
    first, _ = writer.write(0, [pixels(1)])
    second, _ = writer.write(0, [pixels(2)])
    reader.release(0, first)
    assert writer.free_slot() == 1, "slot 0 holds a frame that nobody has read"
    reader.release(0, second)
    reader.release(0, first)
    assert writer.free_slot() == 0


def test_views_are_read_only_and_outlive_the_ring(writer: RingWriter) -> None:
    writer.write(0, [pixels(5)])
    view = RingReader(writer.shape).bytes_of(0, 0, 1000)
    writer.close()
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    np.testing.assert_array_equal(view, pixels(5))


@pytest.mark.parametrize(("slot", "offset", "nbytes"), [(2, 0, 1), (0, 8192, 1), (0, 0, 8193), (0, 2**62, 2**62)])
def test_bytes_outside_a_slot_are_refused(writer: RingWriter, slot: int, offset: int, nbytes: int) -> None:
    reader = RingReader(writer.shape)
    with pytest.raises(ProtocolError, match="do not lie in a ring"):
        reader.bytes_of(slot, offset, nbytes)


@pytest.mark.parametrize(
    "other",
    [
        {"name": "../etc/passwd"},
        {"name": "renderlift-0000000000000000"},
        {"token": 1},
        {"slots": 3},
        {"slots": 0},
        {"slots": 2**32 - 1},
        {"slot_bytes": 4096},
        {"slot_bytes": 2**62},
        {"slot_bytes": 8191},
    ],
)
def test_a_ring_other_than_the_offered_one_is_not_opened(writer: RingWriter, other: dict[str, object]) -> None:
    with pytest.raises(TransportError):
        RingReader(replace(writer.shape, **other))


def test_a_full_shared_memory_is_an_error_at_once_and_leaves_no_file() -> None:
    free = os.statvfs(SHARED_MEMORY_FOLDER).f_bavail * os.statvfs(SHARED_MEMORY_FOLDER).f_frsize
    before = set(SHARED_MEMORY_FOLDER.iterdir())
    with pytest.raises(TransportError, match="No space left"):
        RingWriter(slots=2, slot_bytes=free)
    assert set(SHARED_MEMORY_FOLDER.iterdir()) <= before


def test_the_ring_of_a_killed_engine_is_removed_by_the_next_one() -> None:
    code = (
        "from renderlift.bridge.shared_memory import RingWriter\n"
        "ring = RingWriter(slots=2, slot_bytes=4096)\nprint(ring.shape.name, flush=True)\ninput()"
    )
    engine = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with engine:
        assert engine.stdout is not None
        left_behind = SHARED_MEMORY_FOLDER / engine.stdout.readline().strip()
        living = RingWriter(slots=2, slot_bytes=4096)
        assert left_behind.exists(), "the ring of an engine that lives must stay"
        engine.send_signal(signal.SIGKILL)
    next_one = RingWriter(slots=2, slot_bytes=4096)
    assert not left_behind.exists()
    assert (SHARED_MEMORY_FOLDER / living.shape.name).exists()
    for ring in (living, next_one):
        ring.close()
        assert not (SHARED_MEMORY_FOLDER / ring.shape.name).exists()


def test_the_golden_ring_holds_the_golden_frame() -> None:
    offer = msgspec.json.decode((GOLDEN / "ring.json").read_bytes(), type=RingOffer)
    header = msgspec.json.decode((GOLDEN / "frame_slot.json").read_bytes(), type=FrameHeader)
    path = SHARED_MEMORY_FOLDER / offer.name
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write((GOLDEN / "ring.bin").read_bytes())
        file.flush()
        try:
            reader = RingReader(RingShape(offer.name, offer.slots, offer.slot_bytes, offer.token))
        finally:
            path.unlink()
    assert header.slot is not None
    assert reader.is_whole(header.slot.slot, header.slot.sequence)
    arrays = arrays_in_slot(header, reader)
    np.testing.assert_array_equal(arrays[Channel.RGB].ravel(), np.arange(18))
    np.testing.assert_array_equal(arrays[Channel.DEPTH].ravel(), [0.5, 1, 2.25, 3, 4, np.inf])


def test_our_writer_writes_the_golden_ring() -> None:
    rgb = np.frombuffer((GOLDEN / "frame_parts.1.bin").read_bytes(), np.uint8)
    depth = np.frombuffer((GOLDEN / "frame_parts.2.bin").read_bytes(), np.uint8)
    ring = RingWriter(slots=2, slot_bytes=4096)
    reader = RingReader(ring.shape)
    for slot, arrays in ((0, []), (1, []), (1, [rgb, depth])):
        sequence, _ = ring.write(slot, arrays)
        if sequence == 2:
            reader.release(slot, sequence)
    written = bytearray((SHARED_MEMORY_FOLDER / ring.shape.name).read_bytes())
    ring.close()
    golden = (GOLDEN / "ring.bin").read_bytes()
    written[24:32] = golden[24:32]  # the token is random
    assert written == golden
