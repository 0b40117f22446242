"""What stands at the end of a segment: MCAP's own summary, and ours of its streams.

Viewers seek with the first, `summarize` answers from the second without reading pictures.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, cast

import msgspec
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel as McapChannel
from mcap.records import (
    ChunkIndex,
    DataEnd,
    Footer,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.writer import MCAP0_MAGIC

from renderlift.bridge.foxglove import FrameRecord
from renderlift.bridge.frame import Channel

INDEX_NAME = "renderlift.segment"

Stream = tuple[str, str, str]  # engine, session, camera


class StreamSummary(msgspec.Struct, frozen=True):
    """What a recording, or one segment of it, holds of one stream."""

    engine: str
    session: str
    camera: str
    runs: tuple[tuple[int, int], ...]  # first and last index of frames without a gap, ascending
    first_time_ns: int  # engine time
    last_time_ns: int
    height: int
    width: int
    channels: tuple[Channel, ...]

    @property
    def stream(self) -> Stream:
        return (self.engine, self.session, self.camera)

    @property
    def first_index(self) -> int:
        return self.runs[0][0]

    @property
    def last_index(self) -> int:
        return self.runs[-1][1]

    @property
    def frames(self) -> int:
        return sum(last - first + 1 for first, last in self.runs)

    @property
    def missing(self) -> tuple[range, ...]:
        """Indices between the first and the last frame that are not there."""
        return tuple(range(a[1] + 1, b[0]) for a, b in zip(self.runs, self.runs[1:], strict=False))

    @property
    def duration_s(self) -> float:
        """Engine time from the first frame to the last."""
        return (self.last_time_ns - self.first_time_ns) * 1e-9

    @property
    def fps(self) -> float | None:
        """Frames per second of engine time, gaps counted in; None where time does not pass."""
        steps = self.last_index - self.first_index
        return steps / self.duration_s if steps and self.duration_s > 0 else None


def joined(parts: Sequence[StreamSummary]) -> StreamSummary:
    """The summary of one stream over several segments, given in the order they were written."""
    runs: list[tuple[int, int]] = []
    for first, last in (run for part in parts for run in part.runs):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
        else:
            runs.append((first, last))
    channels = tuple(dict.fromkeys(channel for part in parts for channel in part.channels))
    whole: StreamSummary = msgspec.structs.replace(
        parts[-1], runs=tuple(runs), first_time_ns=parts[0].first_time_ns, channels=channels
    )
    return whole


class SegmentIndex(msgspec.Struct, frozen=True):
    """What the metadata record `renderlift.segment` says of the file it stands in."""

    streams: tuple[StreamSummary, ...]
    recovered: bool = False  # the writer died; the index was added later
    damaged_chunks: int = 0


@dataclass
class StreamIndex:
    """A stream summary that grows with every frame."""

    runs: list[list[int]] = field(default_factory=lambda: [])
    first_time_ns: int = 0
    latest: FrameRecord | None = None

    def note(self, record: FrameRecord) -> None:
        if self.latest is None:
            self.first_time_ns = record.engine_time_ns
        if self.runs and record.index <= self.runs[-1][1]:
            return
        if self.runs and record.index == self.runs[-1][1] + 1:
            self.runs[-1][1] = record.index
        else:
            self.runs.append([record.index, record.index])
        self.latest = record

    def summary(self, stream: Stream) -> StreamSummary:
        assert self.latest is not None
        rgb = self.latest.channels[Channel.RGB]
        return StreamSummary(
            *stream,
            runs=tuple((first, last) for first, last in self.runs),
            first_time_ns=self.first_time_ns,
            last_time_ns=self.latest.engine_time_ns,
            height=rgb.height,
            width=rgb.width,
            channels=tuple(self.latest.channels),
        )


@dataclass
class Contents:
    """What the index at the end of a segment is made of."""

    schemas: dict[str, Schema] = field(default_factory=lambda: {})
    channels: dict[int, McapChannel] = field(default_factory=lambda: {})
    chunks: list[tuple[ChunkIndex, dict[int, int]]] = field(default_factory=lambda: [])  # with messages per channel
    streams: dict[Stream, StreamIndex] = field(default_factory=lambda: {})

    def note(self, stream: Stream, record: FrameRecord) -> None:
        self.streams.setdefault(stream, StreamIndex()).note(record)

    def index(self, *, recovered: bool = False, damaged_chunks: int = 0) -> SegmentIndex:
        summaries = tuple(index.summary(stream) for stream, index in self.streams.items())
        return SegmentIndex(summaries, recovered, damaged_chunks)


def segment_ending(contents: Contents, index: SegmentIndex, start: int) -> bytes:
    """Everything that follows the last chunk of a segment, which ends at byte `start`."""
    data = encoded(_index_record(index))
    located = MetadataIndex(start, len(data), INDEX_NAME)
    data += encoded(DataEnd(0))
    summary_start = start + len(data)
    offsets: list[SummaryOffset] = []
    for opcode, group in (
        (Opcode.SCHEMA, contents.schemas.values()),
        (Opcode.CHANNEL, contents.channels.values()),
        (Opcode.STATISTICS, [_statistics(contents)]),
        (Opcode.CHUNK_INDEX, [entry for entry, _ in contents.chunks]),
        (Opcode.METADATA_INDEX, [located]),
    ):
        records = b"".join(encoded(record) for record in group)
        offsets.append(SummaryOffset(opcode, start + len(data), len(records)))
        data += records
    offset_start = start + len(data)
    data += b"".join(encoded(offset) for offset in offsets)
    summary_crc = zlib.crc32(data[summary_start - start :] + footer_prefix(summary_start, offset_start))
    return data + encoded(Footer(summary_start, offset_start, summary_crc)) + MCAP0_MAGIC


def footer_prefix(summary_start: int, offset_start: int) -> bytes:
    """The part of a footer that its checksum covers too: all but the checksum."""
    return encoded(Footer(summary_start, offset_start, 0))[:-4]


def read_index_record(record: Metadata) -> SegmentIndex | None:
    """The index in a metadata record; None where it was damaged."""
    text = record.metadata.get("index", "").encode()
    if record.metadata.get("crc32") != str(zlib.crc32(text)):
        return None
    return msgspec.json.decode(text, type=SegmentIndex)


def _index_record(index: SegmentIndex) -> Metadata:
    text = msgspec.json.encode(index)
    return Metadata(INDEX_NAME, {"index": text.decode(), "crc32": str(zlib.crc32(text))})


def _statistics(contents: Contents) -> Statistics:
    totals: dict[int, int] = {}
    for _, counts in contents.chunks:
        for channel_id, count in counts.items():
            totals[channel_id] = totals.get(channel_id, 0) + count
    return Statistics(
        attachment_count=0,
        channel_count=len(contents.channels),
        channel_message_counts=totals,
        chunk_count=len(contents.chunks),
        message_count=sum(totals.values()),
        message_start_time=min((index.message_start_time for index, _ in contents.chunks), default=0),
        message_end_time=max((index.message_end_time for index, _ in contents.chunks), default=0),
        metadata_count=1,
        schema_count=len(contents.schemas),
    )


def encoded(record: McapRecord) -> bytes:
    """One record as it stands in a file."""
    builder = RecordBuilder()
    record.write(builder)
    return taken(builder)


def taken(builder: RecordBuilder) -> bytes:
    """What was built so far; the builder starts afresh."""
    data: bytes = cast(Any, builder).end()
    return data


def decoder(payload: bytes) -> ReadDataStream:
    """The reader that mcap's record classes read themselves from."""
    return ReadDataStream(BytesIO(payload))
