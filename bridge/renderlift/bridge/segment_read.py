"""Reads one segment of a recording, however its writer ended."""

import logging
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import zstandard
from mcap.opcode import Opcode
from mcap.records import Channel as McapChannel
from mcap.records import Chunk, Footer, McapRecord, Message, MessageIndex, Metadata, MetadataIndex, Schema
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC

from renderlift.bridge.errors import RecordingError
from renderlift.bridge.foxglove import FrameAssembler, StoredFrame
from renderlift.bridge.segment_index import (
    INDEX_NAME,
    SegmentIndex,
    decoder,
    encoded,
    footer_prefix,
    read_index_record,
)

log = logging.getLogger(__name__)

RECORD_CAP_BYTES = 1 << 29  # no record we write is longer: 8K x 3 floats is 400 MB


@dataclass
class SegmentReport:
    """How reading a segment went; complete once its frames have been read."""

    frames: int = 0
    whole: bool = False  # the file has its end
    damaged_chunks: int = 0
    foreign: frozenset[str] = frozenset()  # topics that are not ours


def read_segment(path: Path, report: SegmentReport) -> Iterator[StoredFrame]:
    """The whole frames of a segment, in the order they were written.

    Stops silently where the writer was cut short, and skips damaged chunks; `report` says so.

    Raises:
        RecordingError: not an MCAP file, or one from a newer Renderlift.
    """
    frames = FrameAssembler()
    with path.open("rb") as file:
        _check_magic(path, file)
        # The definitions are repeated at the end, so a damaged first chunk costs only itself.
        closing = closing_records(file)
        report.whole = bool(closing)
        for record in closing:
            if isinstance(record, McapChannel):
                frames.define(record.id, record.topic, record.metadata)
        for raw in walk(file, len(MCAP0_MAGIC)):
            records = unpacked(raw)
            if records is None:
                report.damaged_chunks += 1
                log.warning("%s: the data at byte %d are damaged, their frames are skipped", path, raw.start)
            for stored in assembled(frames, records or []):
                report.frames += 1
                yield stored
    report.foreign = frozenset(frames.foreign)


def segment_index(path: Path) -> SegmentIndex | None:
    """The index a whole segment carries; None where it was cut short or has none."""
    with path.open("rb") as file:
        _check_magic(path, file)
        for record in closing_records(file):
            if isinstance(record, MetadataIndex) and record.name == INDEX_NAME:
                for raw in walk(file, record.offset):
                    found = unpacked(raw)
                    return read_index_record(found[0]) if found and isinstance(found[0], Metadata) else None
    return None


class RawRecord(NamedTuple):
    """One record as it stands in the file; the payload of what we do not read is empty."""

    opcode: int
    start: int
    end: int
    payload: bytes


_PARSERS = {
    Opcode.CHUNK: Chunk.read,
    Opcode.SCHEMA: Schema.read,
    Opcode.CHANNEL: McapChannel.read,
    Opcode.FOOTER: Footer.read,
    Opcode.METADATA: Metadata.read,
    Opcode.METADATA_INDEX: MetadataIndex.read,
    Opcode.MESSAGE_INDEX: MessageIndex.read,
}
_READ = {*_PARSERS, Opcode.MESSAGE}
_PREFIX = struct.Struct("<BQ")  # opcode, length of the payload


def walk(file: BinaryIO, start: int) -> Iterator[RawRecord]:
    """Whole records from `start` on. A claimed length is held against the file before it is believed."""
    size = os.fstat(file.fileno()).st_size
    while start + _PREFIX.size <= size:
        file.seek(start)
        opcode, length = _PREFIX.unpack(file.read(_PREFIX.size))
        end = start + _PREFIX.size + length
        if opcode == 0 or end > size or (opcode in _READ and length > RECORD_CAP_BYTES):
            return  # zeros are what a power cut leaves of blocks that never reached the disk
        payload = file.read(length) if opcode in _READ else b""
        yield RawRecord(opcode, start, end, payload)
        if opcode == Opcode.FOOTER:
            return
        start = end


def unpacked(raw: RawRecord) -> list[McapRecord] | None:
    """The records in `raw`: those of a chunk, or itself; None where it is damaged."""
    try:
        if raw.opcode == Opcode.CHUNK:
            chunk = Chunk.read(decoder(raw.payload))
            plain = _decompressed(chunk)
            if chunk.uncompressed_crc not in (0, zlib.crc32(plain)):
                return None
            return breakup_chunk(Chunk("", plain, 0, 0, 0, len(plain)))
        if raw.opcode == Opcode.MESSAGE:
            return [Message.read(decoder(raw.payload), len(raw.payload))]
        return [_PARSERS[Opcode(raw.opcode)](decoder(raw.payload))] if raw.opcode in _PARSERS else []
    except Exception:  # whatever a library makes of hostile bytes
        return None


def _decompressed(chunk: Chunk) -> bytes:
    size = chunk.uncompressed_size
    if size > RECORD_CAP_BYTES:
        raise RecordingError(f"a chunk claims {size} bytes")
    if chunk.compression == "zstd":
        if zstandard.frame_content_size(chunk.data) > size:
            raise RecordingError("a chunk holds more than it claims")
        return zstandard.ZstdDecompressor().decompress(chunk.data, max_output_size=size)
    if chunk.compression:
        raise RecordingError(f"a chunk is compressed with {chunk.compression}")
    return chunk.data


def assembled(frames: FrameAssembler, records: list[McapRecord]) -> Iterator[StoredFrame]:
    """The frames that become whole with these records.

    Raises:
        RecordingError: they come from a newer Renderlift.
    """
    for record in records:
        if isinstance(record, McapChannel):
            frames.define(record.id, record.topic, record.metadata)
        elif isinstance(record, Message):
            try:
                stored = frames.add(record.channel_id, record.sequence, record.data)
            except msgspec.MsgspecError as error:
                raise RecordingError(
                    f"a frame description cannot be read: {error}",
                    fix="It may come from a newer Renderlift; upgrade with: pip install -U renderlift",
                ) from error
            if stored:
                yield stored


def _check_magic(path: Path, file: BinaryIO) -> None:
    start = file.read(len(MCAP0_MAGIC))
    # A power cut can leave any part of it, and zeros after.
    if not MCAP0_MAGIC.startswith(start.rstrip(b"\0")):
        raise RecordingError(
            f"{path} is not an MCAP file", fix="Name a recording folder, or an .mcap file that Renderlift wrote."
        )


def closing_records(file: BinaryIO) -> list[McapRecord]:
    """The records of the summary section; none where the file was cut short or they are damaged."""
    size = os.fstat(file.fileno()).st_size
    footer_bytes = len(encoded(Footer(0, 0, 0))) + len(MCAP0_MAGIC)
    for raw in walk(file, max(size - footer_bytes, 0)):
        found = unpacked(raw)
        if raw.opcode == Opcode.FOOTER and found and isinstance(found[0], Footer):
            return _summary_records(file, raw.start, found[0])
        break
    return []


def _summary_records(file: BinaryIO, footer_start: int, footer: Footer) -> list[McapRecord]:
    start = footer.summary_start
    if not 0 < start <= footer_start <= start + RECORD_CAP_BYTES:
        return []
    if footer.summary_crc:
        file.seek(start)
        checked = file.read(footer_start - start) + footer_prefix(start, footer.summary_offset_start)
        if zlib.crc32(checked) != footer.summary_crc:
            return []
    return [record for raw in walk(file, start) for record in unpacked(raw) or []]
