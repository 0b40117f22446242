"""Frames as messages that Foxglove and Rerun know, and back, bit for bit.

Each channel is a `foxglove.RawImage`, beside it go `foxglove.CameraCalibration` and
`foxglove.FrameTransform` for the viewers. What they cannot hold exactly (the pose as a
matrix, the times, which arrays belong together) stands in one JSON message per frame,
`renderlift.Frame`. It comes last, so a frame is whole if and only if it is there.

docs/recording.md lists the topics and encodings.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.RawImage_pb2 import RawImage
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.timestamp_pb2 import Timestamp
from numpy.typing import NDArray

from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import Array, CameraPose, Channel, Frame, IdName, check_channels

FORMAT = "1"  # raised when an older reader would misread the messages

_CHANNELS = {channel.value: channel for channel in Channel}
# Viewers cannot draw two-component or half-float pictures, so components are stacked as
# planes from top to bottom, and halves are stored as their 16 bits.
_ENCODINGS = {"uint8": "mono8", "float16": "mono16", "float32": "32FC1", "uint32": "32SC1"}


class ArrayRecord(msgspec.Struct, frozen=True):
    dtype: str
    height: int
    width: int
    components: int


class FrameRecord(msgspec.Struct, frozen=True):
    """The `renderlift.Frame` message: everything about a frame but its arrays."""

    index: int
    engine_time_ns: int
    capture_time_ns: int
    world_from_camera: Annotated[list[float], msgspec.Meta(min_length=16, max_length=16)]  # row-major
    image_from_camera: Annotated[list[float], msgspec.Meta(min_length=9, max_length=9)]  # row-major
    channels: dict[Channel, ArrayRecord]
    names: int = 0  # which id table of this stream holds; 0 = none


class IdTable(msgspec.Struct, frozen=True):
    """The `renderlift.IdTable` message, written when the table changes and once per segment."""

    table: int
    names: tuple[IdName, ...]


@dataclass(frozen=True)
class Topic:
    """Where messages of one kind of one stream go: an MCAP channel."""

    name: str
    schema: str
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class StoredFrame:
    """One whole frame of a recording, its arrays not decoded yet."""

    stream: tuple[str, str, str]
    record: FrameRecord
    images: Mapping[Channel, bytes]
    names: tuple[IdName, ...]

    def frame(self, channels: Collection[Channel] | None = None) -> Frame:
        """Decode `channels` (None = all); rgb always comes, a frame has its size from it.

        Raises:
            RecordingError: the stored arrays contradict their description.
        """
        record = self.record
        wanted = {c: a for c, a in record.channels.items() if channels is None or c in channels or c is Channel.RGB}
        try:
            arrays = {channel: _unpack(self.images[channel], wanted[channel]) for channel in wanted}
            check_channels(arrays)
            pose = CameraPose(_matrix(record.world_from_camera, 4), _matrix(record.image_from_camera, 3))
        except Exception as error:  # whatever protobuf or numpy make of hostile bytes
            raise RecordingError(
                f"frame {record.index} of {'/'.join(self.stream)} does not hold what it says: {error}",
                fix="The recording was altered after it was written; use another copy of it.",
            ) from error
        engine, session, camera = self.stream
        return Frame(
            index=record.index,
            engine_time_ns=record.engine_time_ns,
            capture_time_ns=record.capture_time_ns,
            camera=pose,
            channels=arrays,
            camera_name=camera,
            engine=engine,
            session=session,
            names=self.names,
        )


def schema(name: str) -> tuple[str, bytes]:
    """The encoding and definition of a message schema, as MCAP stores them."""
    if name in _PROTOBUF:
        return "protobuf", _descriptor_set(_PROTOBUF[name].DESCRIPTOR.file).SerializeToString()
    return "jsonschema", json.dumps(_JSON[name]).encode()


def frame_record(frame: Frame, *, table: int) -> FrameRecord:
    """The description of a frame; `table` is the number of the id table that holds for it, 0 = none."""
    return FrameRecord(
        index=frame.index,
        engine_time_ns=frame.engine_time_ns,
        capture_time_ns=frame.capture_time_ns,
        world_from_camera=frame.camera.world_from_camera.ravel().tolist(),
        image_from_camera=frame.camera.image_from_camera.ravel().tolist(),
        channels={c: ArrayRecord(a.dtype.name, *a.shape) for c, a in frame.channels.items()},
        names=table,
    )


def frame_messages(frame: Frame, record: FrameRecord, *, new_table: bool) -> Iterator[tuple[Topic, bytes]]:
    """The messages of one frame, `record` last; `new_table` writes its id table too."""
    if new_table:
        yield _topic(frame, "names", "renderlift.IdTable"), msgspec.json.encode(IdTable(record.names, frame.names))
    for channel, array in frame.channels.items():
        yield _topic(frame, channel, "foxglove.RawImage"), _image(frame, channel, array).SerializeToString()
    yield _topic(frame, "calibration", "foxglove.CameraCalibration"), _calibration(frame).SerializeToString()
    yield _topic(frame, "transform", "foxglove.FrameTransform"), _transform(frame).SerializeToString()
    yield _topic(frame, "frame", "renderlift.Frame"), msgspec.json.encode(record)


@dataclass
class FrameAssembler:
    """Puts messages together to frames again, in whatever order streams are interleaved."""

    foreign: set[str] = field(default_factory=lambda: set[str]())  # topics that are not ours
    _sources: dict[int, tuple[tuple[str, str, str], str]] = field(default_factory=lambda: {})
    _pending: dict[int, tuple[int, bytes]] = field(default_factory=lambda: {})
    _tables: dict[tuple[str, str, str], IdTable] = field(default_factory=lambda: {})

    def define(self, channel_id: int, topic: str, metadata: Mapping[str, str]) -> None:
        """Learn what the messages of an MCAP channel are.

        Raises:
            RecordingError: it was written by a newer Renderlift.
        """
        if "renderlift.kind" not in metadata:
            self.foreign.add(topic)
            return
        if metadata.get("renderlift.format") != FORMAT:
            raise RecordingError(
                f"recording format {metadata.get('renderlift.format')}, this Renderlift reads {FORMAT}",
                fix="Upgrade Renderlift: pip install -U renderlift",
            )
        stream = tuple(metadata.get(f"renderlift.{key}", "") for key in ("engine", "session", "camera"))
        self._sources[channel_id] = ((stream[0], stream[1], stream[2]), metadata["renderlift.kind"])

    def add(self, channel_id: int, sequence: int, data: bytes) -> StoredFrame | None:
        """Take one message; returns a frame when this was the last one of it."""
        if channel_id not in self._sources:
            return None
        stream, kind = self._sources[channel_id]
        if kind == "names":
            self._tables[stream] = msgspec.json.decode(data, type=IdTable)
        elif kind == "frame":
            return self._finish(stream, sequence, msgspec.json.decode(data, type=FrameRecord))
        elif kind in _CHANNELS:
            self._pending[channel_id] = (sequence, data)
        return None

    def _finish(self, stream: tuple[str, str, str], sequence: int, record: FrameRecord) -> StoredFrame | None:
        images: dict[Channel, bytes] = {}
        for channel_id, (owner, kind) in self._sources.items():
            if owner == stream and kind in _CHANNELS:
                # A message left over from a frame that was never finished bears another number.
                number, data = self._pending.pop(channel_id, (-1, b""))
                if number == sequence:
                    images[_CHANNELS[kind]] = data
        table = self._tables.get(stream, IdTable(0, ()))
        whole = Channel.RGB in record.channels and record.channels.keys() <= images.keys()
        if not whole or record.names not in (0, table.table):
            return None
        return StoredFrame(stream, record, images, table.names if record.names else ())


def _topic(frame: Frame, kind: str, schema_name: str) -> Topic:
    metadata = {
        "renderlift.format": FORMAT,
        "renderlift.kind": str(kind),
        "renderlift.engine": frame.engine,
        "renderlift.session": frame.session,
        "renderlift.camera": frame.camera_name,
    }
    return Topic(f"/{_camera_frame_id(frame)}/{kind}", schema_name, tuple(metadata.items()))


def _camera_frame_id(frame: Frame) -> str:
    return f"{frame.engine or 'engine'}/{frame.camera_name}"


def _image(frame: Frame, channel: Channel, array: Array) -> RawImage:
    encoding, pixels = _pack(array)
    # Only pictures in the camera's own pixel grid are tied to it, or a 3D view would
    # place stacked planes in the scene.
    in_camera = channel in (Channel.RGB, Channel.DEPTH, Channel.ALBEDO)
    return RawImage(
        timestamp=_timestamp(frame),
        frame_id=_camera_frame_id(frame) if in_camera else "",
        width=pixels.shape[1],
        height=pixels.shape[0],
        encoding=encoding,
        step=pixels.strides[0] if pixels.size else 0,
        data=pixels.tobytes(),
    )


def _pack(array: Array) -> tuple[str, Array]:
    """An array (H, W, C) as encoding and little-endian pixels (C*H, W), or (H, W, 3) for rgb8."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    if array.dtype == np.uint8 and array.shape[2] == 3:
        return "rgb8", array
    encoding = _ENCODINGS[array.dtype.name]
    if array.dtype == np.uint32 and array.max(initial=0) < 1 << 16:
        # Both viewers draw 16-bit ids and neither draws 32-bit ones.
        encoding, array = "mono16", array.astype("<u2")
    return encoding, np.ascontiguousarray(np.moveaxis(array, 2, 0)).reshape(-1, array.shape[1])


def _unpack(data: bytes, record: ArrayRecord) -> Array:
    """A `foxglove.RawImage` as an owned array (H, W, C)."""
    image = RawImage.FromString(data)
    shape = (record.height, record.width, record.components)
    stored = "uint16" if (record.dtype, image.encoding) == ("uint32", "mono16") else record.dtype
    pixels: Array = np.frombuffer(image.data, np.dtype(stored).newbyteorder("<"))
    if image.encoding == "rgb8":
        return pixels.reshape(shape).copy()
    planes = pixels.reshape(record.components, record.height, record.width)
    return np.array(np.moveaxis(planes, 0, 2), dtype=record.dtype, order="C")


def _calibration(frame: Frame) -> CameraCalibration:
    matrix = frame.camera.image_from_camera
    return CameraCalibration(
        timestamp=_timestamp(frame),
        frame_id=_camera_frame_id(frame),
        width=frame.width,
        height=frame.height,
        K=matrix.ravel().tolist(),
        R=np.eye(3).ravel().tolist(),
        P=np.hstack([matrix, np.zeros((3, 1))]).ravel().tolist(),
    )


def _transform(frame: Frame) -> FrameTransform:
    pose = frame.camera.world_from_camera
    transform = FrameTransform(
        timestamp=_timestamp(frame), parent_frame_id="world", child_frame_id=_camera_frame_id(frame)
    )
    transform.translation.x, transform.translation.y, transform.translation.z = pose[:3, 3].tolist()
    rotation = transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = quaternion(pose[:3, :3]).tolist()
    return transform


def quaternion(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unit quaternion (x, y, z, w) nearest to a rotation matrix (3, 3).

    Bar-Itzhack's method: an eigenvector instead of four cases, good also where the
    matrix is only almost a rotation.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx - yy - zz, xy + yx, xz + zx, zy - yz],
            [xy + yx, yy - xx - zz, yz + zy, xz - zx],
            [xz + zx, yz + zy, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    best: NDArray[np.float64] = np.linalg.eigh(symmetric).eigenvectors[:, -1]
    return best if best[3] >= 0 else -best


def _matrix(values: list[float], side: int) -> NDArray[np.float64]:
    return np.array(values, np.float64).reshape(side, side)


def _timestamp(frame: Frame) -> Timestamp:
    # The wall clock: engine time starts again with every session, which viewers' transform
    # buffers do not survive.
    seconds, nanos = divmod(frame.capture_time_ns, 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)


def _descriptor_set(file: FileDescriptor) -> FileDescriptorSet:
    """`file` and everything it imports, imports first."""
    result = FileDescriptorSet()
    seen: set[str] = set()

    def visit(descriptor: FileDescriptor) -> None:
        if descriptor.name not in seen:
            seen.add(descriptor.name)
            for imported in descriptor.dependencies:
                visit(imported)
            descriptor.CopyToProto(result.file.add())

    visit(file)
    return result


_PROTOBUF: Mapping[str, Any] = {
    "foxglove.RawImage": RawImage,
    "foxglove.CameraCalibration": CameraCalibration,
    "foxglove.FrameTransform": FrameTransform,
}

_NUMBERS = {"type": "array", "items": {"type": "number"}}
_ID_NAME = {key: {"type": "string"} for key in ("name", "class_name", "path")} | {"id": {"type": "integer"}}
_JSON: Mapping[str, Any] = {
    "renderlift.Frame": {
        "title": "renderlift.Frame",
        "type": "object",
        "properties": {
            "index": {"type": "integer"},
            "engine_time_ns": {"type": "integer"},
            "capture_time_ns": {"type": "integer"},
            "world_from_camera": _NUMBERS,
            "image_from_camera": _NUMBERS,
            "channels": {"type": "object"},
            "names": {"type": "integer"},
        },
    },
    "renderlift.IdTable": {
        "title": "renderlift.IdTable",
        "type": "object",
        "properties": {
            "table": {"type": "integer"},
            "names": {"type": "array", "items": {"type": "object", "properties": _ID_NAME}},
        },
    },
}
