"""The C++ core against the real bridge: every frame, every byte, whoever is killed."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.frame import CHANNELS, Channel, Frame
from renderlift.bridge.receive import Receiver
from renderlift.bridge.record import read_frames

from .conftest import CORE, NULL_ENGINE, StartEngine, end_of
from .null_pixels import engine_time_ns, pixels, world_from_camera


def assert_exact(frame: Frame, height: int, width: int) -> None:
    expected = pixels(frame.index, height, width)
    assert set(frame.channels) == set(expected)
    for channel, array in expected.items():
        np.testing.assert_array_equal(frame.channels[channel], array, err_msg=f"{channel} of {frame.index}")
        assert frame.channels[channel].dtype == array.dtype
    np.testing.assert_allclose(frame.camera.world_from_camera, world_from_camera(frame.index), atol=1e-12)
    assert frame.engine_time_ns == engine_time_ns(frame.index)
    assert abs(time.time_ns() - frame.capture_time_ns) < 60e9


@pytest.mark.parametrize("pixels_are", ["handed over", "lent"])
@pytest.mark.parametrize("transport", ["shared memory", "sockets"])
@pytest.mark.parametrize(("width", "height"), [(320, 180), (1919, 11), (641, 37)])
def test_every_captured_frame_arrives_with_its_bytes(
    start_engine: StartEngine, transport: str, pixels_are: str, width: int, height: int
) -> None:
    options = ["--no-shared-memory"] if transport == "sockets" else []
    options += ["--lend"] if pixels_are == "lent" else []
    with Receiver("tcp://127.0.0.1:*") as receiver:
        engine = start_engine(
            receiver.endpoint, "--capture", "--frames", "12", "--size", f"{width}x{height}", *options
        )
        indices: list[int] = []
        for frame in receiver.frames(timeout_s=20, until_bye=True):
            assert_exact(frame, height, width)
            indices.append(frame.index)
            receiver.acknowledge(frame)
        end = end_of(engine)
    assert indices == list(range(12))
    assert (end["code"], end["acknowledged"], end["dropped"]) == (0, 12, 0)
    assert end["shared_memory"] == (transport == "shared memory" and sys.platform == "linux")


def test_the_picture_may_change_its_size_in_mid_stream(start_engine: StartEngine) -> None:
    with Receiver("tcp://127.0.0.1:*") as receiver:
        engine = start_engine(
            receiver.endpoint, "--capture", "--frames", "12", "--size", "64x48", "--resize-after", "6"
        )
        sizes: list[tuple[int, int]] = []
        for frame in receiver.frames(timeout_s=20, until_bye=True):
            assert_exact(frame, frame.height, frame.width)
            sizes.append((frame.width, frame.height))
            receiver.acknowledge(frame)
        assert end_of(engine)["code"] == 0
    assert sizes == [(64, 48)] * 6 + [(80, 56)] * 6


def test_preview_accounts_for_every_frame(start_engine: StartEngine) -> None:
    with Receiver("tcp://127.0.0.1:*") as receiver:
        engine = start_engine(receiver.endpoint, "--frames", "300", "--size", "64x48", "--fps", "500")
        delivered = 0
        for frame in receiver.frames(timeout_s=20, until_bye=True):
            assert_exact(frame, 48, 64)
            delivered += 1
            time.sleep(0.02)  # a reader that is slower than the engine
        end = end_of(engine)
        (stream,) = receiver.streams
    assert end["published"] == 300
    assert end["published"] == end["acknowledged"] + end["dropped"]
    assert delivered + stream.dropped == 300
    assert 0 < delivered < 300


def test_a_picture_comes_back_on_the_same_connection(start_engine: StartEngine, tmp_path: Path) -> None:
    path = tmp_path / "back.ppm"
    picture = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    with Receiver("tcp://127.0.0.1:*") as receiver:
        engine = start_engine(
            receiver.endpoint, "--frames", "1", "--size", "64x48", "--picture", str(path), "--wait", "10"
        )
        for frame in receiver.frames(timeout_s=10, until_bye=True):
            receiver.send_result(frame, picture)
        assert end_of(engine)["results"] == 1
    assert path.read_bytes() == b"P6\n64 48\n255\n" + picture.tobytes()


def free_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def start_recording(endpoint: str, path: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "renderlift.bridge.cli", "record", str(path), "--endpoint", endpoint, "--once"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def wait_for_growth(path: Path, nbytes: int) -> None:
    deadline = time.monotonic() + 30
    while sum(file.stat().st_size for file in path.glob("**/*") if file.is_file()) < nbytes:
        assert time.monotonic() < deadline, "the recording does not grow"
        time.sleep(0.02)


def assert_recorded(path: Path, frames: int) -> None:
    indices: list[int] = []
    for frame in read_frames(path):
        assert_exact(frame, 90, 160)
        indices.append(frame.index)
    assert indices == list(range(frames))


CAPTURE = ("--capture", "--size", "160x90", "--session", "one run", "--frames", "120")


def test_killing_the_bridge_loses_and_doubles_nothing(start_engine: StartEngine, tmp_path: Path) -> None:
    endpoint, path = free_endpoint(), tmp_path / "take"
    engine = start_engine(endpoint, *CAPTURE, "--fps", "60")
    bridge = start_recording(endpoint, path)
    wait_for_growth(path, 500_000)
    bridge.kill()
    bridge.wait()
    bridge = start_recording(endpoint, path)
    end = end_of(engine)
    bridge.wait(timeout=30)
    assert (end["code"], end["acknowledged"], end["dropped"]) == (0, 120, 0)
    assert_recorded(path, 120)


def test_killing_the_engine_loses_and_doubles_nothing(start_engine: StartEngine, tmp_path: Path) -> None:
    endpoint, path = free_endpoint(), tmp_path / "take"
    bridge = start_recording(endpoint, path)
    killed = start_engine(endpoint, *CAPTURE, "--fps", "60")
    wait_for_growth(path, 500_000)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    end = end_of(start_engine(endpoint, *CAPTURE))
    bridge.wait(timeout=30)
    assert end["code"] == 0
    assert 0 < end["published"] < 120  # it went on where the killed one had come to
    assert_recorded(path, 120)


def test_the_channel_table_is_the_same_in_both_languages() -> None:
    source = (CORE / "src/frame.cpp").read_text()
    row = re.compile(r'\{Channel::(\w+), "(\w+)", DType::(\w+), DType::(\w+), (\d+), "([^"]+)", (\w+)\}')
    rows = row.findall(source)
    assert [name for name, *_ in rows] == [str(channel) for channel in CHANNELS]
    for identifier, name, dtype, other, components, unit, view_sized in rows:
        spec = CHANNELS[Channel(name)]
        assert identifier == name
        assert set(spec.dtypes) == {dtype, other} and spec.dtypes[0] == dtype
        assert (spec.components, spec.unit, spec.view_sized) == (int(components), unit, view_sized == "true")


@pytest.mark.skipif(not NULL_ENGINE.exists() or not shutil.which("readelf"), reason="not built, or no readelf")
def test_what_is_built_on_the_core_needs_libc_alone() -> None:
    needed = subprocess.run(["readelf", "-d", NULL_ENGINE], capture_output=True, text=True, check=True).stdout
    libraries = set(re.findall(r"NEEDED.*\[(\S+?)\.so", needed))
    assert libraries <= {"libc", "libm", "ld-linux-x86-64", "ld-linux-aarch64"}
