"""Scripts of UnrealCV's users run against the core: the real `unrealcv` client drives the null engine."""

import contextlib
import io
import json
import socket
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from renderlift.bridge.frame import Channel

from .conftest import StartEngine
from .null_pixels import pixels, world_from_camera

unrealcv = pytest.importorskip("unrealcv", reason="pip install 'renderlift[engines]' brings the client")
Capture = pytest.importorskip("renderlift.engine.unrealcv").Capture

HEIGHT, WIDTH = 48, 64
MAGIC = 0x9E2B83C1
NOBODY = "tcp://127.0.0.1:1"


@pytest.fixture
def port(start_engine: StartEngine) -> Iterator[int]:
    options = (
        "--unrealcv",
        "0",
        "--frames",
        "1000000",
        "--size",
        f"{WIDTH}x{HEIGHT}",
        "--fps",
        "100",
        "--wait",
        "0",
    )
    with start_engine(NOBODY, *options) as engine:
        assert engine.stdout is not None
        yield json.loads(engine.stdout.readline())["unrealcv_port"]
        engine.kill()


@pytest.fixture
def client(port: int) -> Iterator[Any]:
    client = unrealcv.Client(("127.0.0.1", port))
    assert client.connect()
    yield client
    client.disconnect()


def receive(server: socket.socket) -> bytes:
    magic, length = struct.unpack("<II", server.recv(8, socket.MSG_WAITALL))
    assert magic == MAGIC
    return server.recv(length, socket.MSG_WAITALL)


def picture(answer: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) in red, green, blue."""
    image = cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image[..., ::-1], np.uint8)


def numbers(answer: str) -> list[float]:
    return [float(word) for word in answer.split()]


def test_a_camera_is_where_it_was_put_and_looks_where_it_was_turned(client: Any) -> None:
    assert client.request("vset /camera/0/location 120.5 -30 1.7e2") == "ok"
    assert client.request("vset /camera/0/rotation -10 135 5") == "ok"
    client.request("vget /camera/0/lit png")  # waits until the engine has put it there
    assert numbers(client.request("vget /camera/0/location")) == [120.5, -30, 170]
    assert numbers(client.request("vget /camera/0/rotation")) == pytest.approx([-10, 135, 5], abs=2e-3)
    assert client.request("vset /camera/0/pose 1 2 3 4 5 6") == "ok"
    assert numbers(client.request("vget /camera/0/pose")) == pytest.approx([1, 2, 3, 4, 5, 6], abs=2e-3)


def test_the_engines_own_path_is_told_in_unreals_axes(client: Any) -> None:
    x, y, z = numbers(client.request("vget /camera/0/location"))
    pitch, yaw, roll = numbers(client.request("vget /camera/0/rotation"))
    tick = round(x / 10)
    assert (y, z) == (150, 170)
    assert (pitch, roll) == pytest.approx((0, 0), abs=2e-3)
    assert np.cos(np.radians(yaw) - 0.01 * tick) > 0.9  # asked a moment later


def test_the_channels_of_a_batch_are_of_one_instant(client: Any) -> None:
    commands = ["lit png", "depth npy", "object_mask png", "normal png", "location"]
    answers = client.request([f"vbatch {len(commands)}", *(f"vget /camera/0/{command}" for command in commands)])
    lit, mask, normal = (picture(answers[i]) for i in (1, 3, 4))
    tick = round(numbers(answers[5])[0] / 10)
    expected = pixels(tick, HEIGHT, WIDTH)
    np.testing.assert_array_equal(lit, expected[Channel.RGB])
    depth_cm = np.load(io.BytesIO(answers[2]))
    sky = np.isinf(expected[Channel.DEPTH][..., 0])
    np.testing.assert_allclose(depth_cm[~sky], 100 * expected[Channel.DEPTH][..., 0][~sky], rtol=1e-6)
    assert (depth_cm[sky] == 65504).all()
    assert (mask[sky] == 0).all()
    assert (normal[sky] == 128).all()
    back = -np.array([np.cos(0.01 * tick), np.sin(0.01 * tick), 0])  # towards the camera, in Unreal's world
    np.testing.assert_allclose(normal[~sky][0], 127.5 * (back + 1), atol=1)


def test_every_object_has_its_colour_in_the_mask(client: Any) -> None:
    mask = picture(client.request("vget /camera/0/object_mask png"))
    ids = pixels(0, HEIGHT, WIDTH)[Channel.INSTANCE_ID]
    names = client.request("vget /objects").split()
    assert names == ["floor_1", "wall_1", "box_1"]
    for name, id_ in zip(names, (10, 20, 30), strict=True):
        color = client.request(f"vget /object/{name}/color")
        red, green, blue = (int(part[2:]) for part in color.strip("()").split(",")[:3])
        np.testing.assert_array_equal((mask == (red, green, blue)).all(-1), ids[..., 0] == id_)


def test_the_field_of_view_and_the_size_are_the_frames(client: Any) -> None:
    assert numbers(client.request("vget /camera/0/size")) == [WIDTH, HEIGHT]
    focal = HEIGHT / 2 / np.tan(0.5)
    assert numbers(client.request("vget /camera/0/fov"))[0] == pytest.approx(
        np.degrees(2 * np.arctan(WIDTH / 2 / focal)), abs=2e-3
    )


def test_nothing_but_the_listed_commands_is_understood(client: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the client's, that they are not listed
        for command in (
            "vrun quit",
            "vset /action/quit",
            "vget /camera/0/lit out.png",
            "vget /camera/0/lit png; vrun quit",
            "vset /camera/0/location 1 2 nan",
            "vset /camera/0/location 1 2 1e99",
            "vset /camera/0/location 1 2",
            "vset /camera/0/fov 180",
            "vset /object/box_1/location 1 2 3",
            "vget /object/nothing/color",
            "vget /camera/99/lit png",
            "",
        ):
            assert client.request(command).startswith("error"), command
    assert client.request("vget /unrealcv/status").startswith("Is Listening")


def test_a_second_client_is_told_and_the_first_served(client: Any, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as second:
        assert receive(second) == b"error another client is connected"
    assert client.request("vget /scene/name") == "null"


@pytest.mark.parametrize(
    "message",
    [
        struct.pack("<II", 1, 5) + b"0:abc",
        struct.pack("<II", MAGIC, 0xFFFFFFFF),
        struct.pack("<II", MAGIC, 5) + b"abcde",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_client_that_speaks_something_else_is_shown_out_and_the_next_served(port: int, message: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as rude:
        assert receive(rude) == b"connected to null"
        rude.settimeout(10)  # one that stalls in mid-message is shown out after 5 s
        rude.sendall(message)
        with contextlib.suppress(ConnectionResetError):
            assert rude.recv(100) == b""
    polite = unrealcv.Client(("127.0.0.1", port))
    assert polite.connect()
    assert polite.request("vget /unrealcv/version") == "v1.1.0"
    polite.disconnect()


def test_our_own_unrealcv_capture_gets_the_engines_frame_back(port: int) -> None:
    with Capture(f"127.0.0.1:{port}") as capture:
        (frame,) = capture.grab(engine_time_ns=0)
    tick = round(10 * frame.camera.world_from_camera[0, 3])
    expected = pixels(tick, HEIGHT, WIDTH)
    np.testing.assert_array_equal(frame.channels[Channel.RGB], expected[Channel.RGB])
    np.testing.assert_allclose(frame.channels[Channel.DEPTH], expected[Channel.DEPTH], rtol=1e-6)
    np.testing.assert_allclose(frame.camera.world_from_camera, world_from_camera(tick), atol=1e-4)
    assert frame.camera.image_from_camera[0, 0] == pytest.approx(HEIGHT / 2 / np.tan(0.5), rel=1e-4)
    names = {row.id: row.class_name for row in frame.names if row.path}
    for id_, name in {10: "floor", 20: "wall", 30: "box"}.items():
        (seen,) = np.unique(frame.channels[Channel.INSTANCE_ID][expected[Channel.INSTANCE_ID] == id_])
        assert names[seen] == name
