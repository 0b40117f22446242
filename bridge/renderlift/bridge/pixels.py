"""Between arrays and bytes: a frame's pixels as message parts or in a shared-memory slot."""

from collections.abc import Mapping, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from renderlift.bridge.errors import ProtocolError
from renderlift.bridge.frame import Array, Channel
from renderlift.bridge.shared_memory import RingReader
from renderlift.bridge.wire import BufferRow, FrameHeader

Buffer = NDArray[np.uint8]  # (nbytes,)


class CorruptError(ProtocolError):
    """Pixels arrived that are not the ones their header announces."""


def buffers_of(channels: Mapping[Channel, Array]) -> dict[Channel, Buffer]:
    """Each channel as the bytes that travel: little-endian, row by row; copies only what is laid out otherwise."""
    return {
        channel: np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
        for channel, array in channels.items()
    }


def part_rows(channels: Mapping[Channel, Array], buffers: Mapping[Channel, Buffer]) -> tuple[BufferRow, ...]:
    """Header rows for pixels that follow as message parts."""
    return tuple(
        BufferRow(str(channel), array.dtype.name, array.shape, checksum(buffers[channel]), None)
        for channel, array in channels.items()
    )


def slot_rows(channels: Mapping[Channel, Array], offsets: Sequence[int]) -> tuple[BufferRow, ...]:
    """Header rows for pixels in a slot; its sequence number protects them, so there is no checksum."""
    return tuple(
        BufferRow(str(channel), array.dtype.name, array.shape, None, offset)
        for (channel, array), offset in zip(channels.items(), offsets, strict=True)
    )


def arrays_from_parts(header: FrameHeader, parts: Sequence[memoryview]) -> dict[Channel, Array]:
    """The channels (H, W, C) of a frame whose pixels came as parts; they keep the parts' memory.

    Raises:
        CorruptError: a part is missing, or its length or checksum differs.
    """
    if len(parts) != len(header.buffers):
        raise CorruptError(f"frame {header.index} announces {len(header.buffers)} buffers, {len(parts)} came")
    arrays: dict[Channel, Array] = {}
    for row, part in zip(header.buffers, parts, strict=True):
        if len(part) != row.nbytes:
            raise CorruptError(f"{row.channel} of frame {header.index} has {len(part)} bytes, not {row.nbytes}")
        buffer = np.frombuffer(part, np.uint8)
        _compare_checksum(header, row, buffer)
        arrays[Channel(row.channel)] = _typed(buffer, row)
    return arrays


def arrays_in_slot(header: FrameHeader, ring: RingReader | None) -> dict[Channel, Array]:
    """The channels (H, W, C) of a frame as read-only views of its slot.

    Raises:
        ProtocolError: the header points outside the slot.
    """
    if ring is None or header.slot is None or header.slot.ring != ring.shape.name:
        raise ProtocolError(f"frame {header.index} lies in no ring that was offered")
    return {
        Channel(row.channel): _typed(ring.bytes_of(header.slot.slot, row.offset or 0, row.nbytes), row)
        for row in header.buffers
    }


def check_slot_checksums(header: FrameHeader, arrays: Mapping[Channel, Array]) -> None:
    """Compare those checksums that the engine chose to send with pixels in shared memory.

    Raises:
        CorruptError: one differs.
    """
    for row in header.buffers:
        if row.checksum is not None:
            _compare_checksum(header, row, arrays[Channel(row.channel)].reshape(-1).view(np.uint8))


def checksum(buffer: Buffer) -> int:
    """XXH3, 64 bits, seed 0."""
    return xxhash.xxh3_64_intdigest(buffer.data)


def _compare_checksum(header: FrameHeader, row: BufferRow, buffer: Buffer) -> None:
    if checksum(buffer) != row.checksum:
        raise CorruptError(f"{row.channel} of frame {header.index} has another checksum than announced")


def _typed(buffer: Buffer, row: BufferRow) -> Array:
    dtype = np.dtype(row.dtype).newbyteorder("<")
    # ZeroMQ may hand out memory at any address; most array code is slow or fails on odd ones.
    aligned = buffer if buffer.ctypes.data % dtype.itemsize == 0 else buffer.copy()
    return aligned.view(dtype).reshape(row.shape)
