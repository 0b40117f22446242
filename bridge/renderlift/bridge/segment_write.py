"""Writes one segment of a recording: an MCAP file that a crash at any byte leaves readable.

A frame is one burst of chunks handed to the operating system in one go. What was handed
over survives the death of this process, and a burst that was cut short is ignored on
reading. The index at the end of the file serves viewers and quick summaries; everything
can be read without it.
"""

import os
import time
import zlib
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel as McapChannel
from mcap.records import Chunk, ChunkIndex, Header, McapRecord, Message, MessageIndex, Schema
from mcap.writer import MCAP0_MAGIC

from renderlift.bridge.foxglove import FrameAssembler, StoredFrame, Topic, frame_messages, frame_record, schema
from renderlift.bridge.frame import Frame, IdName
from renderlift.bridge.segment_index import Contents, SegmentIndex, Stream, decoder, encoded, segment_ending, taken
from renderlift.bridge.segment_read import RawRecord, assembled, closing_records, unpacked, walk

OPENING = MCAP0_MAGIC + encoded(Header("", "renderlift"))  # what our segments begin with
CHUNK_BYTES = 1 << 20  # a chunk closes at this size, so a large picture gets its own
FSYNC_INTERVAL_S = 2.0
_MESSAGE_HEAD_BYTES = len(encoded(Message(0, 0, b"", 0, 0)))


class SegmentWriter:
    """Writes one segment. A failed write is kept and tried again by `drain`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._contents = Contents()
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._topics: dict[Topic, McapChannel] = {}
        self._tables: dict[Stream, tuple[int, tuple[IdName, ...]]] = {}
        self.frames = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._synced_s = time.monotonic()
        self._last_whole = 0  # length of the file up to its last whole frame
        self._unwritten = bytearray(OPENING)
        self.bytes = len(self._unwritten)

    @property
    def unwritten_bytes(self) -> int:
        """What a full disk has kept from being written."""
        return len(self._unwritten)

    def add(self, frame: Frame) -> None:
        """Hand one frame to the operating system.

        Raises:
            OSError: not all of it was taken; the rest is kept, and `drain` goes on there.
        """
        number, names = self._tables.get(frame.stream, (0, ()))
        new_table = frame.names != names
        number += new_table
        record = frame_record(frame, table=number if frame.names else 0)
        messages = list(frame_messages(frame, record, new_table=new_table))
        burst = _Burst(self.bytes, self._contents, self._compressor)
        for topic, data in messages:
            if topic not in self._topics:
                self._topics[topic] = burst.define(topic)
            burst.add(self._topics[topic].id, frame, data)
        burst.close_chunk()
        self._tables[frame.stream] = (number, frame.names)
        self._contents.note(frame.stream, record)
        self.frames += 1
        self._append(burst.data)

    def drain(self) -> None:
        """Write what is not written yet.

        Raises:
            OSError: the disk is still full, or the file's limit is reached.
        """
        while self._unwritten:
            with memoryview(self._unwritten) as rest:
                written = os.write(self._file, rest)
            del self._unwritten[:written]
        self._last_whole = self.bytes

    def sync(self, *, now: bool = False) -> None:
        """Ask for the data to reach the disk itself, at most every `FSYNC_INTERVAL_S`."""
        if now or time.monotonic() - self._synced_s >= FSYNC_INTERVAL_S:
            os.fsync(self._file)
            self._synced_s = time.monotonic()

    def finish(self) -> None:
        """Write the index and close the file.

        Raises:
            OSError: no space for it; the file ends after its last whole frame.
        """
        try:
            self.drain()
            self._append(segment_ending(self._contents, self._contents.index(), self.bytes))
            self.sync(now=True)
        finally:
            if self._unwritten:
                os.ftruncate(self._file, self._last_whole)
            os.close(self._file)
            if not self._last_whole:
                self.path.unlink()

    def _append(self, data: bytes | bytearray) -> None:
        self._unwritten += data
        self.bytes += len(data)
        self.drain()


class _Burst:
    """The chunks of one frame and their indexes, as they will stand in the file."""

    def __init__(self, start: int, contents: Contents, compressor: zstandard.ZstdCompressor) -> None:
        self.data = bytearray()
        self._start = start
        self._contents = contents
        self._compressor = compressor
        self._chunk = RecordBuilder()
        self._messages: dict[int, MessageIndex] = {}

    def define(self, topic: Topic) -> McapChannel:
        """Enter a channel, and its schema where that is new, into the chunk."""
        schemas, channels = self._contents.schemas, self._contents.channels
        if topic.schema not in schemas:
            encoding, definition = schema(topic.schema)
            schemas[topic.schema] = Schema(len(schemas) + 1, definition, encoding, topic.schema)
            schemas[topic.schema].write(self._chunk)
        used = schemas[topic.schema]
        encoding = "json" if used.encoding == "jsonschema" else used.encoding
        channel = McapChannel(len(channels) + 1, topic.name, encoding, dict(topic.metadata), used.id)
        channels[channel.id] = channel
        channel.write(self._chunk)
        return channel

    def add(self, channel_id: int, frame: Frame, data: bytes) -> None:
        log_time = max(frame.capture_time_ns, 0)
        entry = self._messages.setdefault(channel_id, MessageIndex(channel_id, []))
        entry.records.append((log_time, self._chunk.count))
        sequence = frame.index & 0xFFFFFFFF
        Message(channel_id, log_time, data, max(frame.engine_time_ns, 0), sequence).write(self._chunk)
        if self._chunk.count >= CHUNK_BYTES:
            self.close_chunk()

    def close_chunk(self) -> None:
        plain = taken(self._chunk)
        if not self._messages:
            return
        packed = self._compressor.compress(plain)
        times = [at for entry in self._messages.values() for at, _ in entry.records]
        index = ChunkIndex(
            chunk_start_offset=self._start + len(self.data),
            chunk_length=0,
            compression="zstd",
            compressed_size=len(packed),
            uncompressed_size=len(plain),
            message_start_time=min(times),
            message_end_time=max(times),
            message_index_offsets={},
            message_index_length=0,
        )
        chunk = Chunk(
            compression="zstd",
            data=packed,
            message_start_time=min(times),
            message_end_time=max(times),
            uncompressed_crc=zlib.crc32(plain),
            uncompressed_size=len(plain),
        )
        self.data += encoded(chunk)
        index.chunk_length = self._start + len(self.data) - index.chunk_start_offset
        for channel_id, entry in self._messages.items():
            index.message_index_offsets[channel_id] = self._start + len(self.data)
            records = encoded(entry)
            index.message_index_length += len(records)
            self.data += records
        self._contents.chunks.append((index, {i: len(entry.records) for i, entry in self._messages.items()}))
        self._messages.clear()


def recover_segment(path: Path) -> None:
    """Give a segment that was cut short its end: what follows the last whole frame is cut off.

    May itself be cut short at any time and be done again. A file that is not ours, or that
    has its end, is left as it is.

    Raises:
        OSError: no space for the index; the file is still readable.
    """
    with path.open("rb") as file:
        if not OPENING.startswith(file.read(len(OPENING))) or closing_records(file):
            return
        contents, index, end = _salvaged(file)
    if not index.streams:
        path.unlink()
        return
    os.truncate(path, end)
    with path.open("ab") as file:
        file.write(segment_ending(contents, index, end))
        file.flush()
        os.fsync(file.fileno())


def _salvaged(file: BinaryIO) -> tuple[Contents, SegmentIndex, int]:
    """What a segment holds up to its last frame whose chunks are all indexed, and the byte where that ends."""
    contents, damaged = Contents(), 0
    chunks_kept, damage_kept, end = 0, 0, 0
    frames = FrameAssembler()
    chunk: ChunkIndex | None = None
    unindexed: dict[int, MessageIndex] = {}
    finished: list[StoredFrame] = []
    for raw in walk(file, len(MCAP0_MAGIC)):
        records = unpacked(raw)
        damaged += records is None
        if raw.opcode == Opcode.CHUNK:
            chunk = None
            if records is not None:
                unindexed = _message_indexes(records)
                chunk = _chunk_index(raw)
                contents.chunks.append((chunk, {i: len(entry.records) for i, entry in unindexed.items()}))
                _define(contents, records)
                finished = list(assembled(frames, records))
        for record in records or []:
            if chunk and isinstance(record, MessageIndex) and record == unindexed.get(record.channel_id):
                del unindexed[record.channel_id]
                chunk.message_index_offsets[record.channel_id] = raw.start
                chunk.message_index_length += raw.end - raw.start
                if finished and not unindexed:
                    for stored in finished:
                        contents.note(stored.stream, stored.record)
                    chunks_kept, damage_kept, end = len(contents.chunks), damaged, raw.end
                    finished = []
    del contents.chunks[chunks_kept:]
    return contents, contents.index(recovered=True, damaged_chunks=damage_kept), end


def _define(contents: Contents, records: list[McapRecord]) -> None:
    for record in records:
        if isinstance(record, Schema):
            contents.schemas[record.name] = record
        elif isinstance(record, McapChannel):
            contents.channels[record.id] = record


def _message_indexes(records: list[McapRecord]) -> dict[int, MessageIndex]:
    """The indexes that have to follow a chunk of these records, by channel."""
    indexes: dict[int, MessageIndex] = {}
    offset = 0
    for record in records:
        if isinstance(record, Message):
            entry = indexes.setdefault(record.channel_id, MessageIndex(record.channel_id, []))
            entry.records.append((record.log_time, offset))
            offset += _MESSAGE_HEAD_BYTES + len(record.data)
        else:
            offset += len(encoded(record))
    return indexes


def _chunk_index(raw: RawRecord) -> ChunkIndex:
    chunk = Chunk.read(decoder(raw.payload))
    return ChunkIndex(
        chunk_start_offset=raw.start,
        chunk_length=raw.end - raw.start,
        compression=chunk.compression,
        compressed_size=len(chunk.data),
        uncompressed_size=chunk.uncompressed_size,
        message_start_time=chunk.message_start_time,
        message_end_time=chunk.message_end_time,
        message_index_offsets={},
        message_index_length=0,
    )
