"""Capture through the real `unrealcv` client, from a stand-in that speaks the real protocol."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.errors import SetupError, TransportError
from renderlift.bridge.frame import Channel, Frame, check_channels
from renderlift.bridge.receive import Receiver

pytest.importorskip("unrealcv")
from renderlift.engine.unrealcv import Capture
from renderlift.engine.unrealcv.axes import world_from_camera
from renderlift.engine.unrealcv.play import main
from renderlift.engine.unrealcv.server import Server, color, numbers, picture, plane

DEPTH, NORMAL, FLOW = Channel.DEPTH, Channel.NORMAL, Channel.FLOW
CLASS_ID, INSTANCE_ID = Channel.CLASS_ID, Channel.INSTANCE_ID
HALF_FLOAT = 2.0**-11  # what a half float rounds off, relatively


@pytest.fixture
def open_capture(unreal: Any) -> Iterator[Callable[..., Capture]]:
    opened: list[Capture] = []

    def build(**options: Any) -> Capture:
        opened.append(Capture(f"127.0.0.1:{unreal.port}", **options))
        return opened[-1]

    yield build
    for capture in opened:
        capture.close()


def named(frame: Frame, name: str) -> Any:
    """Where an object is seen (H, W)."""
    number = next(row.id for row in frame.names if row.path == name)
    return frame.channels[INSTANCE_ID][..., 0] == number


def world_points(frame: Frame) -> Any:
    rows, columns = np.mgrid[0 : frame.height, 0 : frame.width] + 0.5
    pixels = np.stack([columns, rows, np.ones_like(rows)], -1)
    rays = pixels @ np.linalg.inv(frame.camera.image_from_camera).T
    depth = frame.channels[DEPTH].astype(np.float64)
    points = rays * np.where(np.isinf(depth), np.nan, depth)
    return points @ frame.camera.world_from_camera[:3, :3].T + frame.camera.world_from_camera[:3, 3]


# axes, units


@pytest.mark.parametrize("rotation", [(0, 0, 0), (10, 0, 0), (0, 25, 0), (-12, 40, 20)])
def test_points_are_where_they_are_in_metres_and_mirrored(
    unreal: Any, open_capture: Any, rotation: tuple[float, float, float]
) -> None:
    unreal.rotation = list(rotation)
    unreal.location = [80.0, 20.0, 170.0]
    unreal.ball = [700.0, 420.0, 150.0] if rotation[1] else [600.0, 100.0, 150.0]
    (frame,) = open_capture(size=(120, 160)).grab(0)
    check_channels(frame.channels)
    points, floor, ball = world_points(frame), named(frame, "Floor"), named(frame, "Ball_7")
    near = floor & (frame.channels[DEPTH][..., 0] < 20)
    assert np.abs(points[near][:, 2]).max() < 20 * HALF_FLOAT
    x, y, z = unreal.ball
    radius = np.linalg.norm(points[ball] - [x / 100, -y / 100, z / 100], axis=-1)
    assert ball.sum() > 50
    assert np.abs(radius - 0.8).max() < 12 * HALF_FLOAT


def test_a_pose_is_a_rotation_and_looks_where_unreal_does() -> None:
    pose = world_from_camera((100, 200, 300), (0, 90, 0))
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    assert np.allclose(pose[:3, 3], [1, -2, 3])
    assert np.allclose(pose[:3, 2], [0, -1, 0], atol=1e-12)  # Unreal's +Y is our -Y
    assert np.allclose(world_from_camera((0, 0, 0), (30, 0, 0))[:3, 2], [np.cos(np.pi / 6), 0, 0.5])


def test_the_sky_is_infinitely_far_and_unlabelled(unreal: Any, open_capture: Any) -> None:
    (frame,) = open_capture().grab(0)
    sky = np.isposinf(frame.channels[DEPTH][..., 0])
    assert 0.2 < sky.mean() < 0.6
    assert not frame.channels[INSTANCE_ID][sky].any()
    assert not frame.channels[NORMAL][sky].any()


def test_normals_are_in_camera_axes(unreal: Any, open_capture: Any) -> None:
    unreal.rotation = [0.0, 35.0, 0.0]
    (frame,) = open_capture().grab(0)
    assert np.allclose(frame.channels[NORMAL][named(frame, "Floor")], [0, -1, 0], atol=0.01)


def test_old_servers_that_give_metres_are_understood(unreal: Any, open_capture: Any) -> None:
    (frame,) = open_capture(metres_per_depth_unit=1.0).grab(0)
    assert frame.channels[DEPTH][-1, 0, 0] > 100


# ids


def test_ids_and_names_come_from_the_colours_of_the_mask(unreal: Any, open_capture: Any) -> None:
    (frame,) = open_capture(class_ids={"Cart": 9}).grab(0)
    assert [(row.id, row.name, row.class_name) for row in frame.names] == [
        (1, "Ball_7", "Ball"), (2, "Cart_C_2", "Cart"), (3, "Floor", "Floor"),
        (9, "Cart", "Cart"), (10, "Ball", "Ball"), (11, "Floor", "Floor"),
    ]  # fmt: skip
    pairs = np.dstack([frame.channels[INSTANCE_ID], frame.channels[CLASS_ID]]).reshape(-1, 2)
    assert {tuple(pair) for pair in pairs.tolist()} == {(0, 0), (1, 10), (2, 9), (3, 11)}


# flow


def test_flow_is_the_cameras_on_what_rests_and_unknown_on_what_may_move(unreal: Any, open_capture: Any) -> None:
    capture = open_capture()
    (first,) = capture.grab(0)
    capture.place(0, (0, 10, 150), (0, 0, 0))
    (frame,) = capture.grab(1)
    ball, cart = named(frame, "Ball_7"), named(frame, "Cart_C_2")
    assert np.isnan(first.channels[FLOW]).all()
    assert np.isnan(frame.channels[FLOW][cart]).all()
    # The camera went 10 cm to the right, so the ball was further right in the picture before.
    wanted = 0.1 * frame.camera.image_from_camera[0, 0] / frame.channels[DEPTH][..., 0][ball]
    assert np.allclose(frame.channels[FLOW][ball][:, 0], wanted, rtol=1e-3)
    assert np.abs(frame.channels[FLOW][ball][:, 1]).max() < 1e-6


def test_flow_is_known_everywhere_if_only_the_camera_moves(unreal: Any, open_capture: Any) -> None:
    unreal.mobility = False
    capture = open_capture(static=True)
    capture.grab(0)
    (frame,) = capture.grab(1)
    assert np.abs(frame.channels[FLOW]).max() < 1e-9


def test_a_server_that_does_not_know_what_moves_gives_no_flow(unreal: Any, open_capture: Any) -> None:
    unreal.mobility = False
    assert FLOW not in open_capture().channels


# channels that belong together


def test_a_batch_is_one_instant_though_the_scene_moves(unreal: Any, open_capture: Any) -> None:
    unreal.drift_cm, unreal.cart_speed_cm = 3.0, 5.0
    capture = open_capture()
    frames = [capture.grab(i)[0] for i in range(4)]
    assert capture.torn_frames == 0
    assert len({tuple(frame.camera.world_from_camera[:3, 3]) for frame in frames}) == 4


@pytest.mark.parametrize("motion", ["drift_cm", "cart_speed_cm"])
def test_channels_out_of_sync_are_seen_and_reported(
    unreal: Any, open_capture: Any, caplog: pytest.LogCaptureFixture, motion: str
) -> None:
    unreal.batches = False
    setattr(unreal, motion, 3.0)
    capture = open_capture()
    with caplog.at_level(logging.WARNING):
        capture.grab(0)
    assert capture.torn_frames == 1
    assert "the scene moved between its channels" in caplog.text


def test_a_server_without_batches_is_in_sync_while_nothing_moves(unreal: Any, open_capture: Any) -> None:
    unreal.batches = False
    capture = open_capture()
    capture.grab(0)
    assert capture.torn_frames == 0


# servers with less, and none


def test_channels_that_a_server_lacks_are_left_out(unreal: Any, open_capture: Any) -> None:
    unreal.refused = ("depth", "normal", "object_mask")
    (frame,) = open_capture().grab(0)
    assert set(frame.channels) == {Channel.RGB}


def test_a_server_that_cannot_change_its_size_gives_its_own(unreal: Any, open_capture: Any) -> None:
    unreal.refused = ("/size",)
    (frame,) = open_capture(size=(90, 160)).grab(0)
    assert (frame.height, frame.width) == (64, 96)


def test_nobody_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["127.0.0.1:9"]) == TransportError.exit_code
    assert "no UnrealCV server answers at 127.0.0.1:9" in capsys.readouterr().err


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(SetupError, match="no address"):
        Server("9000")


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (lambda a: numbers(a, 3), "1 2"),
        (lambda a: numbers(a, 3), "1 2 nan"),
        (lambda a: numbers(a, 3), b"\x80"),
        (color, "(R=1000,G=0,B=0,A=255)"),
        (color, "red"),
        (picture, b"\x89PNG nothing"),
        (picture, "ok"),
        (plane, b"\x93NUMPY nothing"),
        (plane, b""),
    ],
)
def test_answers_that_are_none_are_refused(read: Callable[[Any], Any], answer: Any) -> None:
    with pytest.raises(TransportError, match="answered"):
        read(answer)


# as a process


def test_a_capture_of_poses_sends_every_frame_and_lets_the_game_go_on(unreal: Any, tmp_path: Path) -> None:
    poses = tmp_path / "poses.txt"
    poses.write_text("\n".join(f"0 {10 * i} 150 0 0 0" for i in range(5)))
    with Receiver("tcp://127.0.0.1:*") as receiver:
        command = [sys.executable, "-m", "renderlift.engine.unrealcv", f"127.0.0.1:{unreal.port}", "--headless"]
        options = ["--mode", "capture", "--size", "64x40", "--poses", str(poses), "--pause", "--fps", "25"]
        with subprocess.Popen([*command, *options, "--endpoint", receiver.endpoint]) as process:
            frames = []
            for frame in receiver.frames(timeout_s=30, until_bye=True):
                frames.append(frame)
                receiver.acknowledge(frame)
    assert process.returncode == 0
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.engine_time_ns for frame in frames] == [i * 40_000_000 for i in range(5)]
    assert [frame.camera.world_from_camera[1, 3] for frame in frames] == pytest.approx([0, -0.1, -0.2, -0.3, -0.4])
    assert "vset /action/game/pause" in unreal.asked
    assert not unreal.paused


def test_poses_that_are_none_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "poses.txt").write_text("1 2 3")
    assert main(["127.0.0.1:9", "--poses", str(tmp_path / "poses.txt")]) == SetupError.exit_code
    assert "x y z pitch yaw roll" in capsys.readouterr().err
