"""Frames made up from their index, so that a test can tell whether it got the right ones back."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from renderlift.bridge.frame import CHANNELS, Array, CameraPose, Channel, Frame, IdName

MakeFrame = Callable[..., Frame]

FRAME_TIME_NS = 1_000_000_000 // 25
START_NS = 1_700_000_000_000_000_000


def noise(channel: Channel, height: int, width: int, random: np.random.Generator) -> Array:
    """Every bit pattern the channel's first dtype can hold, NaN and infinity too."""
    spec = CHANNELS[channel]
    dtype = np.dtype(spec.dtypes[0])
    size = height * width * spec.components * dtype.itemsize
    return np.frombuffer(random.bytes(size), dtype).reshape(height, width, spec.components).copy()


def frame_of(
    index: int = 0,
    height: int = 5,
    width: int = 7,
    *,
    channels: tuple[Channel, ...] = (Channel.RGB,),
    arrays: Mapping[Channel, Array] | None = None,
    camera: str = "main",
    engine: str = "test",
    session: str = "s",
    names: tuple[IdName, ...] = (),
) -> Frame:
    random = np.random.default_rng([index, *camera.encode(), *session.encode()])
    pose = np.eye(4)
    pose[:3, 3] = random.standard_normal(3)
    return Frame(
        index=index,
        engine_time_ns=index * FRAME_TIME_NS,
        capture_time_ns=START_NS + index * FRAME_TIME_NS,
        camera=CameraPose(pose, np.array([[50.1, 0, width / 2], [0, 50.1, height / 2], [0, 0, 1]])),
        channels=arrays or {channel: noise(channel, height, width, random) for channel in channels},
        camera_name=camera,
        engine=engine,
        session=session,
        names=names,
    )


@pytest.fixture(scope="session")
def make_frame() -> MakeFrame:
    return frame_of


def _same(a: Frame, b: Frame) -> bool:
    return (
        (a.index, a.engine_time_ns, a.capture_time_ns, a.stream, a.names)
        == (b.index, b.engine_time_ns, b.capture_time_ns, b.stream, b.names)
        and a.camera.world_from_camera.tobytes() == b.camera.world_from_camera.tobytes()
        and a.camera.image_from_camera.tobytes() == b.camera.image_from_camera.tobytes()
        and a.channels.keys() == b.channels.keys()
        and all(_same_array(a.channels[c], b.channels[c]) for c in a.channels)
    )


def _same_array(a: Array, b: Array) -> bool:
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@pytest.fixture(scope="session")
def same_frame() -> Callable[[Frame, Frame], bool]:
    """Whether two frames agree in every bit, NaN included."""
    return _same
