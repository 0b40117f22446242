"""The messages of docs/protocol.md: bytes to typed structs and back, checked on the way in.

Every length is capped by its type, so a peer cannot make the decoder grow; what the
types cannot say (channels, shapes, poses) stands in `check_hello` and `check_frame`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from renderlift.bridge.errors import ChannelError, ProtocolError, VersionError
from renderlift.bridge.frame import CHANNELS, CameraPose, Channel

PROTOCOL_VERSION = 1
DEFAULT_ENDPOINT = "tcp://127.0.0.1:5755"

MAX_PARTS = 33
MAX_PART_BYTES = 256 << 20
MAX_FRAME_BYTES = 1 << 30
MAX_HEADER_BYTES = 64 << 10
MAX_TABLE_HEADER_BYTES = 16 << 20  # hello and names carry the id table
MAX_SIDE = 16384
SLOT_ALIGNMENT = 64


class Mode(StrEnum):
    """What a stream promises: the newest frame, or every frame."""

    PREVIEW = "preview"
    CAPTURE = "capture"


class NackReason(StrEnum):
    """Why a frame was not accepted."""

    CORRUPT = "corrupt"
    OVERWRITTEN = "overwritten"
    GAP = "gap"
    BUSY = "busy"


Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=1024)]
Index = Annotated[int, Meta(ge=-1, le=2**63 - 1)]
U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
U63 = Annotated[int, Meta(ge=0, le=2**63 - 1)]
U64 = Annotated[int, Meta(ge=0)]  # msgpack itself ends at 2^64 - 1
I64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Shape = Annotated[tuple[int, ...], Meta(min_length=3, max_length=3)]


class ChannelRow(msgspec.Struct, frozen=True):
    """One channel an engine may send; must equal the row of `CHANNELS`."""

    name: Name
    dtype: Name
    components: U32
    unit: Text


class CameraRow(msgspec.Struct, frozen=True):
    """A camera in `hello`; `acknowledged` is the last frame the engine holds an ack for."""

    name: Name
    acknowledged: Index


class SettledRow(msgspec.Struct, frozen=True):
    """A camera in `welcome`; frames up to `index` are settled."""

    name: Name
    index: Index


class EndRow(msgspec.Struct, frozen=True):
    """A camera in `bye`: last published index, and how many frames the engine dropped."""

    name: Name
    index: Index
    dropped: U63


class IdRow(msgspec.Struct, frozen=True):
    """One row of the id table."""

    id: U32
    name: Text
    class_name: Text
    path: Text


class SlotRow(msgspec.Struct, frozen=True):
    """Where in shared memory a frame's pixels are."""

    ring: Name
    slot: U32
    sequence: U64


class BufferRow(msgspec.Struct, frozen=True):
    """One channel's pixels; `shape` is (height, width, components)."""

    channel: Name
    dtype: Name
    shape: Shape
    checksum: U64 | None
    offset: U63 | None

    @property
    def nbytes(self) -> int:
        height, width, components = self.shape
        return height * width * components * np.dtype(self.dtype).itemsize


Cameras = Annotated[tuple[CameraRow, ...], Meta(max_length=64)]
IdTable = Annotated[tuple[IdRow, ...], Meta(max_length=65536)]


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    version: U32
    engine: Name
    engine_version: Text
    session: Name
    instance: Name
    mode: Mode
    host: Text
    shared_memory: bool
    channels: Annotated[tuple[ChannelRow, ...], Meta(max_length=32)]
    cameras: Cameras
    names: IdTable


class RingOffer(msgspec.Struct, frozen=True, tag_field="type", tag="ring"):
    name: Name
    slots: U32
    slot_bytes: U63
    token: U64


class FrameHeader(msgspec.Struct, frozen=True, tag_field="type", tag="frame"):
    session: Name
    camera: Name
    index: U63
    previous: Index
    dropped: U63
    engine_time_ns: I64
    capture_time_ns: I64
    world_from_camera: Annotated[tuple[float, ...], Meta(min_length=16, max_length=16)]
    image_from_camera: Annotated[tuple[float, ...], Meta(min_length=9, max_length=9)]
    slot: SlotRow | None
    buffers: Annotated[tuple[BufferRow, ...], Meta(min_length=1, max_length=32)]

    @property
    def nbytes(self) -> int:
        return sum(row.nbytes for row in self.buffers)


class Names(msgspec.Struct, frozen=True, tag_field="type", tag="names"):
    names: IdTable


class Welcome(msgspec.Struct, frozen=True, tag_field="type", tag="welcome"):
    version: U32
    bridge: Text
    host: Text
    shared_memory: bool
    channels: Annotated[tuple[Name, ...], Meta(max_length=32)]
    credits: Annotated[int, Meta(ge=1, le=2**32 - 1)]
    cameras: Annotated[tuple[SettledRow, ...], Meta(max_length=64)]


class RingReady(msgspec.Struct, frozen=True, tag_field="type", tag="ring_ready"):
    name: Name
    opened: bool
    problem: Text


class Ack(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    camera: Name
    index: U63
    credits: Annotated[int, Meta(ge=1, le=2**32 - 1)]


class Nack(msgspec.Struct, frozen=True, tag_field="type", tag="nack"):
    camera: Name
    index: U63
    after: Index
    reason: NackReason


class ResultHeader(msgspec.Struct, frozen=True, tag_field="type", tag="result"):
    session: Name
    camera: Name
    index: U63
    shape: Shape
    checksum: U64
    timings: Annotated[dict[Name, float], Meta(max_length=16)]


class Heartbeat(msgspec.Struct, frozen=True, tag_field="type", tag="heartbeat"):
    pass


class ErrorMessage(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    code: Name
    message: Text
    fix: Text


class Bye(msgspec.Struct, frozen=True, tag_field="type", tag="bye"):
    cameras: Annotated[tuple[EndRow, ...], Meta(max_length=64)]


class _Versioned(msgspec.Struct, frozen=True):
    """All that is promised of a hello or welcome of another version."""

    type: str
    version: int


EngineMessage = Hello | RingOffer | FrameHeader | Names | Heartbeat | ErrorMessage | Bye
BridgeMessage = Welcome | RingReady | Ack | Nack | ResultHeader | Heartbeat | ErrorMessage | Bye
Message = EngineMessage | BridgeMessage
_Decoded = TypeVar("_Decoded", EngineMessage, BridgeMessage)

_encoder = msgspec.msgpack.Encoder()
_engine_decoder: msgspec.msgpack.Decoder[EngineMessage] = msgspec.msgpack.Decoder(EngineMessage)
_bridge_decoder: msgspec.msgpack.Decoder[BridgeMessage] = msgspec.msgpack.Decoder(BridgeMessage)
_version_decoder = msgspec.msgpack.Decoder(_Versioned)


def encode(message: Message) -> bytes:
    """One message as the bytes of its header part."""
    return _encoder.encode(message)


def decode_from_engine(part: bytes | memoryview) -> EngineMessage:
    """What an engine said. Frames still need `check_frame`, hellos `check_hello`.

    Raises:
        VersionError: a hello of another protocol version.
        ProtocolError: anything else that docs/protocol.md does not allow.
    """
    return _decode(part, _engine_decoder)


def decode_from_bridge(part: bytes | memoryview) -> BridgeMessage:
    """What the bridge said; raises as `decode_from_engine`."""
    return _decode(part, _bridge_decoder)


def _decode(part: bytes | memoryview, decoder: "msgspec.msgpack.Decoder[_Decoded]") -> _Decoded:
    if len(part) > MAX_TABLE_HEADER_BYTES:
        raise ProtocolError(
            f"a header has {len(part)} bytes, at most {MAX_TABLE_HEADER_BYTES} are allowed", code="too_large"
        )
    try:
        message = decoder.decode(part)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _check_version(part)
        raise ProtocolError(f"a header cannot be read: {error}"[:1024]) from error
    if isinstance(message, Hello | Welcome):
        _raise_unless_ours(message.version)
    if len(part) > MAX_HEADER_BYTES and not isinstance(message, Hello | Names):
        raise ProtocolError(
            f"a header has {len(part)} bytes, at most {MAX_HEADER_BYTES} are allowed", code="too_large"
        )
    return message


def _check_version(part: bytes | memoryview) -> None:
    try:
        peer = _version_decoder.decode(part)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if peer.type in ("hello", "welcome"):
        _raise_unless_ours(peer.version)


def _raise_unless_ours(version: int) -> None:
    if version != PROTOCOL_VERSION:
        raise VersionError(
            f"the peer speaks protocol version {version}, this side speaks {PROTOCOL_VERSION}",
            fix="Install the same renderlift release in the engine and at the bridge.",
        )


def channel_rows(channels: Iterable[Channel]) -> tuple[ChannelRow, ...]:
    """Rows for `hello`, in the dtype our own plugins write."""
    specs = [(channel, CHANNELS[channel]) for channel in channels]
    return tuple(ChannelRow(str(c), spec.dtypes[0], spec.components, spec.unit) for c, spec in specs)


def check_hello(hello: Hello) -> frozenset[Channel]:
    """The channels of `hello` that this side knows and therefore accepts.

    Raises:
        ProtocolError: a known channel with another dtype, component count or unit
            (code `channel_mismatch`), or a name that stands twice.
    """
    accepted = [row for row in hello.channels if row.name in CHANNELS]
    for row in accepted:
        spec = CHANNELS[Channel(row.name)]
        if row.dtype not in spec.dtypes or (row.components, row.unit) != (spec.components, spec.unit):
            raise ProtocolError(
                f"{hello.engine} declares {row.name} as {row.dtype} x {row.components} in {row.unit!r}, "
                f"the table wants {' or '.join(spec.dtypes)} x {spec.components} in {spec.unit!r}",
                fix=f"Convert {row.name} in the engine's adapter; docs/conventions.md says how.",
                code="channel_mismatch",
            )
    _refuse_twice("channel", [row.name for row in hello.channels])
    _refuse_twice("camera", [row.name for row in hello.cameras])
    return frozenset(Channel(row.name) for row in accepted)


def check_frame(header: FrameHeader, accepted: frozenset[Channel]) -> CameraPose:
    """Hold a frame's header against the channel table and the limits; return its pose.

    Raises:
        ProtocolError: with code `unknown_channel`, `channel_mismatch`, `too_large` or `malformed`.
        ChannelError: a pose that is not finite.
    """
    _refuse_twice("channel", [row.channel for row in header.buffers])
    for row in header.buffers:
        _check_buffer(row, accepted, in_slot=header.slot is not None)
    sizes: Mapping[str, tuple[int, ...]] = {
        row.channel: row.shape[:2] for row in header.buffers if CHANNELS[Channel(row.channel)].view_sized
    }
    if Channel.RGB not in sizes:
        raise ProtocolError(f"frame {header.index} has no rgb", code="channel_mismatch")
    if len(set(sizes.values())) > 1:
        raise ProtocolError(f"frame {header.index} mixes sizes: {dict(sizes)}", code="channel_mismatch")
    if header.nbytes > MAX_FRAME_BYTES:
        raise ProtocolError(
            f"frame {header.index} claims {header.nbytes} bytes, at most {MAX_FRAME_BYTES} are allowed",
            code="too_large",
        )
    return CameraPose(
        np.array(header.world_from_camera, np.float64).reshape(4, 4),
        np.array(header.image_from_camera, np.float64).reshape(3, 3),
    )


def _check_buffer(row: BufferRow, accepted: frozenset[Channel], *, in_slot: bool) -> None:
    if row.channel not in accepted:
        raise ProtocolError(
            f"channel {row.channel!r} was not agreed on",
            fix=f"Declare it in hello; this side knows {', '.join(CHANNELS)}.",
            code="unknown_channel",
        )
    spec = CHANNELS[Channel(row.channel)]
    if row.dtype not in spec.dtypes or row.shape[2] != spec.components:
        raise ProtocolError(
            f"{row.channel} comes as {row.dtype} {row.shape}, "
            f"the table wants {' or '.join(spec.dtypes)} (H, W, {spec.components})",
            code="channel_mismatch",
        )
    if not all(1 <= side <= MAX_SIDE for side in row.shape[:2]) or row.nbytes > MAX_PART_BYTES:
        raise ProtocolError(
            f"{row.channel} claims {row.shape[1]}x{row.shape[0]} pixels; "
            f"sides go from 1 to {MAX_SIDE}, a buffer to {MAX_PART_BYTES} bytes",
            code="too_large",
        )
    if in_slot and (row.offset is None or row.offset % SLOT_ALIGNMENT):
        raise ProtocolError(f"{row.channel} lies in a slot at offset {row.offset}, a multiple of 64 is wanted")
    if not in_slot and (row.checksum is None or row.offset is not None):
        raise ProtocolError(f"{row.channel} comes as a part and needs a checksum and no offset")


def _refuse_twice(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise ProtocolError(f"a {what} stands twice in {names}")


def error_message(error: ProtocolError | ChannelError) -> ErrorMessage:
    """What the peer is told about bytes of its that were refused."""
    code = error.code if isinstance(error, ProtocolError) else "malformed"
    return ErrorMessage(code, error.message[:1024], error.fix[:1024])
