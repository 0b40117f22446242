"""Scripts of UnrealCV's users run against Godot: its real client drives a game."""

import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest

from renderlift.bridge.frame import Array, Channel, Frame

unrealcv = pytest.importorskip("unrealcv", reason="pip install 'renderlift[engines]' brings the client")

WIDTH, HEIGHT = 161, 91
FIRST_STILL = 15  # from this step on, project/exact.gd moves nothing but its camera
POSE = "25 -30 60 -5 -80 3"  # centimetres and degrees in Unreal's axes; the scene lies along -y


@dataclass(frozen=True)
class Driven:
    """A game, UnrealCV's client that drives it, and the bridge that hears of the same frames."""

    client: Any
    painter: Any

    def frame_from(self, camera: str, position_m: tuple[float, float, float]) -> Frame:
        """The first frame of a camera that came from there."""
        found: list[Frame] = []

        def look() -> bool:
            at = (f for f in self.painter.frames if f.camera_name == camera and f.index >= FIRST_STILL)
            found.extend(f for f in at if np.allclose(f.camera.world_from_camera[:3, 3], position_m, atol=1e-5))
            return bool(found)

        with self.painter.came:
            assert self.painter.came.wait_for(look, 300)
        return found[0]


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def driven(start: Any, new_painter: Any, free_port: int) -> Iterator[Driven]:
    painter = new_painter()
    size = f"--renderlift-size={WIDTH}x{HEIGHT}"
    endpoint = f"--renderlift-endpoint={painter.endpoint}"
    game = start("exact.tscn", size, endpoint, f"--renderlift-unrealcv={free_port}")
    painter.wait_frames(4 * FIRST_STILL)  # of two cameras
    client = unrealcv.Client(("127.0.0.1", free_port))
    assert client.connect()
    yield Driven(client, painter)
    client.disconnect()
    game.kill()
    assert not game.complaints, game.output


def picture(answer: bytes) -> Array:
    """(H, W, 3) in red, green, blue."""
    image = cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image[..., ::-1]


def numbers(answer: str) -> list[float]:
    return [float(word) for word in answer.split()]


def test_a_client_gets_the_pixels_that_the_bridge_gets(driven: Driven, keep_picture: Any) -> None:
    ask = driven.client.request
    assert ask(f"vset /camera/0/pose {POSE}") == "ok"
    answers = ask(
        ["vbatch 4", *(f"vget /camera/0/{what}" for what in ("lit png", "depth npy", "object_mask png", "pose"))]
    )
    lit, mask = picture(answers[1]), picture(answers[3])
    keep_picture("unrealcv_lit", lit)
    keep_picture("unrealcv_mask", mask)
    frame = driven.frame_from("Main", (0.25, 0.30, 0.60))
    assert len(np.unique(frame.channels[Channel.INSTANCE_ID])) > 5  # much is in sight
    np.testing.assert_array_equal(lit, frame.channels[Channel.RGB])
    depth_m = frame.channels[Channel.DEPTH][..., 0]
    np.testing.assert_allclose(
        np.load(io.BytesIO(answers[2])), np.where(np.isinf(depth_m), 65504, 100 * depth_m), rtol=1e-6
    )
    assert numbers(answers[4]) == pytest.approx(numbers(POSE), abs=2e-3)
    ids = {row.name: row.id for row in frame.names if row.path}
    for name in ("wall", "box_001", "ball", "crowd"):
        assert name in ask("vget /objects").split()
        color = ask(f"vget /object/{name}/color")
        red, green, blue = (int(part[2:]) for part in color.strip("()").split(",")[:3])
        seen = frame.channels[Channel.INSTANCE_ID][..., 0] == ids[name]
        assert seen.any()
        np.testing.assert_array_equal((mask == (red, green, blue)).all(-1), seen)


def test_a_client_finds_moves_widens_and_lets_go_of_cameras(driven: Driven) -> None:
    ask = driven.client.request
    assert ask("vget /scene/name") == "Exact"
    assert ask("vget /cameras").split() == ["Main", "Side"]
    assert numbers(ask("vget /camera/1/pose")) == pytest.approx([300, 0, 100, 0, -90, 0], abs=2e-3)
    assert numbers(ask("vget /camera/1/size")) == [WIDTH, HEIGHT]
    assert ask("vset /camera/0/location 10 0 500") == "ok"
    assert ask("vset /camera/0/fov 100") == "ok"
    ask("vget /camera/0/lit png")  # waits until it is there
    assert numbers(ask("vget /camera/0/location")) == pytest.approx([10, 0, 500], abs=1e-3)
    assert numbers(ask("vget /camera/0/fov")) == pytest.approx([100], abs=2e-3)
    held = len(driven.painter.frames)
    driven.painter.wait_frames(held + 8)  # the game moves this camera in every step, and it stays
    late = [frame for frame in driven.painter.frames[held:] if frame.camera_name == "Main"]
    assert {round(float(frame.camera.world_from_camera[2, 3]), 4) for frame in late} == {5.0}
    driven.painter.frames.clear()
    driven.client.disconnect()
    # The last frames from there may be on their way; then the game has its camera again.
    assert driven.frame_from("Main", (0.15, 0.0, 0.15))


def test_a_port_that_is_taken_is_told_and_the_game_goes_on(start: Any, new_painter: Any) -> None:
    painter = new_painter()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = f"--renderlift-unrealcv={taken.getsockname()[1]}"
        game = start("level.tscn", port, f"--renderlift-endpoint={painter.endpoint}")
        game.wait_for("cannot be listened on")
        painter.wait_frames(2)
        game.kill()
