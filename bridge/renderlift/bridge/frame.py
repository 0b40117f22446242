"""The vocabulary of one instant: channels, camera, frame.

Axes, units and colour spaces are spelled out in docs/conventions.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import ChannelError

Array = NDArray[Any]


class Channel(StrEnum):
    """What an engine can tell about a picture; `CHANNELS` says how each is stored."""

    RGB = "rgb"
    DEPTH = "depth"
    NORMAL = "normal"
    CLASS_ID = "class_id"
    INSTANCE_ID = "instance_id"
    FLOW = "flow"
    ALBEDO = "albedo"
    MATERIAL = "material"
    ENVIRONMENT = "environment"


@dataclass(frozen=True)
class ChannelSpec:
    """One row of the channel table.

    `dtypes` lists what may be stored, the first being what our own plugins write.
    `view_sized` channels share the frame's height and width; others bring their own.
    """

    dtypes: tuple[str, ...]  # numpy names, little-endian
    components: int
    unit: str
    meaning: str
    view_sized: bool = True


CHANNELS: Mapping[Channel, ChannelSpec] = {
    Channel.RGB: ChannelSpec(("uint8",), 3, "sRGB", "colour after tonemapping, as the viewport shows it"),
    Channel.DEPTH: ChannelSpec(("float32",), 1, "m", "distance along camera +Z; +inf = sky"),
    Channel.NORMAL: ChannelSpec(
        ("float16", "float32"), 3, "unit vector", "camera space, facing the camera; zero = none"
    ),
    Channel.CLASS_ID: ChannelSpec(("uint32",), 1, "id", "semantic class; 0 = unlabelled"),
    Channel.INSTANCE_ID: ChannelSpec(("uint32",), 1, "id", "one object; 0 = unlabelled"),
    Channel.FLOW: ChannelSpec(
        ("float32",), 2, "px", "backward: position in the previous frame minus position in this one; NaN = none"
    ),
    Channel.ALBEDO: ChannelSpec(("uint8",), 3, "linear/255", "base colour, linear; zero = none"),
    Channel.MATERIAL: ChannelSpec(("uint8",), 2, "1/255", "roughness, metallic"),
    Channel.ENVIRONMENT: ChannelSpec(
        ("float16",), 3, "radiance", "equirectangular HDR light, world space", view_sized=False
    ),
}


@dataclass(frozen=True)
class CameraPose:
    """Where the camera is and how it projects.

    OpenCV camera axes (x right, y down, z forward); world right-handed, Z up, metres.
    Pixel (u, v) has its centre at (u + 0.5, v + 0.5), the origin at the top left.
    """

    world_from_camera: NDArray[np.float64]  # (4, 4)
    image_from_camera: NDArray[np.float64]  # (3, 3), pixels

    def __post_init__(self) -> None:
        for name, matrix, shape in (
            ("world_from_camera", self.world_from_camera, (4, 4)),
            ("image_from_camera", self.image_from_camera, (3, 3)),
        ):
            if matrix.shape != shape or not np.isfinite(matrix).all():
                raise ChannelError(f"{name} must be a finite {shape} matrix, got shape {matrix.shape}")


@dataclass(frozen=True)
class IdName:
    """One row of the id table that goes with a stream: what an id stands for."""

    id: int
    name: str  # of the instance, or of the class itself
    class_name: str
    path: str = ""  # where the engine keeps it, e.g. "room/table/cup"


@dataclass(frozen=True)
class Frame:
    """One instant of one camera. It owns its arrays.

    Every channel array has shape (H, W, C), also where C is 1.
    """

    index: int  # counts the frames of one session from 0; a gap is a dropped frame
    engine_time_ns: int  # the engine's own clock: simulation time
    capture_time_ns: int  # wall clock at capture, for latency only
    camera: CameraPose
    channels: Mapping[Channel, Array]
    camera_name: str = "main"
    engine: str = ""  # name the engine gave in its handshake
    session: str = ""  # one run of one engine; two runs never share it
    names: tuple[IdName, ...] = field(default=(), repr=False, compare=False)

    @property
    def height(self) -> int:
        return int(self.channels[Channel.RGB].shape[0])

    @property
    def width(self) -> int:
        return int(self.channels[Channel.RGB].shape[1])

    @property
    def stream(self) -> tuple[str, str, str]:
        """What frames must share to stand in one clip: engine, session, camera."""
        return (self.engine, self.session, self.camera_name)


def check_channels(channels: Mapping[Channel, Array]) -> None:
    """Hold arrays against the channel table.

    Raises:
        ChannelError: no rgb, a dtype or component count the table does not allow,
            or view-sized channels of unequal size.
    """
    if Channel.RGB not in channels:
        raise ChannelError("a frame needs at least the rgb channel", fix="Add Channel.RGB to the channels.")
    size = channels[Channel.RGB].shape[:2]
    for channel, array in channels.items():
        spec = CHANNELS[channel]
        if array.dtype.name not in spec.dtypes:
            raise ChannelError(f"{channel} holds {array.dtype.name}, the table wants {' or '.join(spec.dtypes)}")
        if array.ndim != 3 or array.shape[2] != spec.components:
            raise ChannelError(f"{channel} has shape {array.shape}, the table wants (H, W, {spec.components})")
        if spec.view_sized and array.shape[:2] != size:
            raise ChannelError(f"{channel} is {array.shape[:2]}, rgb of the same frame is {size}")
