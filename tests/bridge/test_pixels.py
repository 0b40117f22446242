"""Arrays become bytes and bytes become the same arrays; anything else is noticed."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from renderlift.bridge.errors import ProtocolError
from renderlift.bridge.frame import Channel
from renderlift.bridge.pixels import (
    CorruptError,
    arrays_from_parts,
    arrays_in_slot,
    buffers_of,
    check_slot_checksums,
    part_rows,
    slot_rows,
)
from renderlift.bridge.shared_memory import RingReader, RingWriter
from renderlift.bridge.wire import FrameHeader, SlotRow

GOLDEN = Path(__file__).parents[1] / "golden"


def golden_frame() -> tuple[FrameHeader, list[memoryview]]:
    header = msgspec.json.decode((GOLDEN / "frame_parts.json").read_bytes(), type=FrameHeader)
    return header, [memoryview((GOLDEN / f"frame_parts.{i}.bin").read_bytes()) for i in (1, 2)]


def channels() -> dict[Channel, np.ndarray]:
    random = np.random.default_rng(7)
    return {
        Channel.RGB: random.integers(0, 255, (5, 7, 3), np.uint8),
        Channel.NORMAL: random.normal(size=(5, 7, 3)).astype(np.float16),
        Channel.INSTANCE_ID: random.integers(0, 2**32, (5, 7, 1), np.uint32),
    }


def with_rows(rows: Any, slot: SlotRow | None = None) -> FrameHeader:
    return msgspec.structs.replace(golden_frame()[0], buffers=rows, slot=slot)


def test_the_golden_parts_become_the_arrays_that_the_readme_tells() -> None:
    arrays = arrays_from_parts(*golden_frame())
    np.testing.assert_array_equal(arrays[Channel.RGB], np.arange(18).reshape(2, 3, 3))
    np.testing.assert_array_equal(arrays[Channel.DEPTH], np.reshape([0.5, 1, 2.25, 3, 4, np.inf], (2, 3, 1)))


@pytest.mark.parametrize(
    "laid_out",
    [
        lambda array: array,
        np.asfortranarray,
        lambda array: np.flip(np.flip(array, 0).copy(), 0),
        lambda array: array.astype(array.dtype.newbyteorder(">")),
    ],
    ids=["plain", "column by column", "upside down view", "big-endian"],
)
def test_any_layout_of_an_array_arrives_as_the_same_values(laid_out: Any) -> None:
    sent = {channel: laid_out(array) for channel, array in channels().items()}
    buffers = buffers_of(sent)
    parts = [memoryview(bytearray(buffer)) for buffer in buffers.values()]
    received = arrays_from_parts(with_rows(part_rows(sent, buffers)), parts)
    for channel, array in channels().items():
        np.testing.assert_array_equal(received[channel], array)
        assert received[channel].dtype == array.dtype


def test_plain_arrays_are_not_copied_on_the_way_out() -> None:
    sent = channels()
    assert all(np.shares_memory(buffer, sent[channel]) for channel, buffer in buffers_of(sent).items())


def test_parts_at_odd_addresses_become_aligned_arrays() -> None:
    sent = channels()
    buffers = buffers_of(sent)
    parts = [memoryview(b"!" + buffer.tobytes())[1:] for buffer in buffers.values()]
    received = arrays_from_parts(with_rows(part_rows(sent, buffers)), parts)
    assert all(array.flags.aligned for array in received.values())
    np.testing.assert_array_equal(received[Channel.INSTANCE_ID], sent[Channel.INSTANCE_ID])


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("bit", range(0, 144, 13))
def test_every_flipped_bit_is_caught(part: int, bit: int) -> None:
    header, parts = golden_frame()
    damaged = bytearray(parts[part])
    damaged[bit // 8] ^= 1 << bit % 8
    parts[part] = memoryview(damaged)
    with pytest.raises(CorruptError, match="another checksum"):
        arrays_from_parts(header, parts)


def test_missing_short_and_surplus_parts_are_caught() -> None:
    header, (rgb, depth) = golden_frame()
    for parts in ([], [rgb], [rgb, depth, depth], [rgb, depth[:-1]], [depth, rgb]):
        with pytest.raises(CorruptError):
            arrays_from_parts(header, parts)


def test_a_slot_gives_back_what_was_written() -> None:
    sent = channels()
    buffers = list(buffers_of(sent).values())
    writer = RingWriter(slots=1, slot_bytes=4096)
    sequence, offsets = writer.write(0, buffers)
    header = with_rows(slot_rows(sent, offsets), SlotRow(writer.shape.name, 0, sequence))
    received = arrays_in_slot(header, RingReader(writer.shape))
    writer.close()
    for channel, array in sent.items():
        np.testing.assert_array_equal(received[channel], array)


def test_a_ring_that_was_never_offered_is_refused() -> None:
    header = with_rows(slot_rows(channels(), [0, 64, 128]), SlotRow("renderlift-0123456789abcdef", 0, 2))
    with pytest.raises(ProtocolError, match="in no ring that was offered"):
        arrays_in_slot(header, None)


def test_checksums_in_shared_memory_are_compared_where_the_engine_sends_them() -> None:
    header, parts = golden_frame()
    arrays = arrays_from_parts(header, parts)
    check_slot_checksums(header, arrays)
    arrays[Channel.DEPTH] = arrays[Channel.DEPTH] + 1
    with pytest.raises(CorruptError, match="depth"):
        check_slot_checksums(header, arrays)
