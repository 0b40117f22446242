"""`python -m renderlift.engine.mujoco MODEL`, as `renderlift capture` starts it, and one's own loop."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Array, Channel, Frame
from renderlift.bridge.receive import Receiver
from renderlift.bridge.wire import Mode

mujoco = pytest.importorskip("mujoco")
from renderlift.engine.mujoco import attach  # noqa: E402
from renderlift.engine.mujoco.play import main  # noqa: E402
from renderlift.engine.mujoco.simulation import load_simulation  # noqa: E402

Run = Callable[..., "subprocess.Popen[str]"]
MODEL = """<mujoco>
  <visual><quality shadowsize="0"/></visual>
  <worldbody>
    <light pos="0 0 3"/>
    <geom type="plane" size="3 3 .1"/>
    <body name="ball" pos="0 0 1"><freejoint/><geom size=".2"/></body>
    <camera name="left" pos="-1 -3 1" xyaxes="1 0 0 0 .1 1" fovy="75"/>
    <camera name="right" pos="1 -3 1" xyaxes="1 0 0 0 .2 1"/>
  </worldbody>
  <keyframe><key name="high" qpos="0 0 2 1 0 0 0"/></keyframe>
</mujoco>"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "ball.xml").write_text(MODEL)
    return tmp_path / "ball.xml"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver("tcp://127.0.0.1:*") as opened:
        yield opened


@pytest.fixture
def play(receiver: Receiver, model: Path) -> Iterator[Run]:
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "renderlift.engine.mujoco", str(model), "--size", "64x36"]
        arguments = [*command, "--endpoint", receiver.endpoint, *options]
        started.append(subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def received(receiver: Receiver, *, count: int | None = None) -> list[Frame]:
    frames: list[Frame] = []
    for frame in receiver.frames(timeout_s=30, until_bye=True):
        frames.append(frame)
        receiver.acknowledge(frame)
        if len(frames) == count:
            break
    return frames


def indices(frames: list[Frame], camera: str) -> list[int]:
    return [frame.index for frame in frames if frame.camera_name == camera]


def test_capture_sends_every_frame_of_every_camera_once_and_ends(play: Run, receiver: Receiver) -> None:
    process = play("--mode", "capture", "--frames", "5", "--fps", "25")
    frames = received(receiver)
    assert process.wait(20) == 0
    assert indices(frames, "left") == indices(frames, "right") == [0, 1, 2, 3, 4]
    assert {frame.engine_time_ns for frame in frames} == {0, 40_000_000, 80_000_000, 120_000_000, 160_000_000}
    assert [row.name for row in frames[0].names] == ["plane.0", "ball", "plane", "ball"]


def test_the_simulation_falls_in_its_own_time(play: Run, receiver: Receiver) -> None:
    play("--mode", "capture", "--frames", "11", "--fps", "20", "--camera", "left", "--keyframe", "high")
    frames = received(receiver)
    assert {frame.camera_name for frame in frames} == {"left"}
    fallen_m = _height_of_ball(frames[0]) - _height_of_ball(frames[-1])
    assert fallen_m == pytest.approx(9.81 / 2 * 0.5**2, rel=0.1)


def _height_of_ball(frame: Frame) -> float:
    """Metres, from the mean row of its pixels."""
    rows, columns = np.nonzero(frame.channels[Channel.INSTANCE_ID][..., 0] == 2)
    depth = frame.channels[Channel.DEPTH][..., 0][rows, columns]
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    points = np.linalg.inv(frame.camera.image_from_camera) @ (pixels * depth)
    pose = frame.camera.world_from_camera
    return float((pose[:3, :3] @ points).mean(axis=1)[2] + pose[2, 3])


def test_a_capture_that_was_killed_goes_on_where_it_stopped(play: Run, receiver: Receiver) -> None:
    options = ("--mode", "capture", "--frames", "20", "--session", "ab" * 16)
    process = play(*options)
    frames = received(receiver, count=7)
    process.kill()
    process.wait()
    play(*options)
    frames += received(receiver)
    assert indices(frames, "left") == indices(frames, "right") == list(range(20))
    assert all(np.isfinite(frame.channels[Channel.FLOW]).any() for frame in frames if frame.index)


def test_a_preview_that_is_asked_to_end_says_goodbye(play: Run, receiver: Receiver) -> None:
    process = play("--mode", "preview")
    assert len(received(receiver, count=4)) == 4
    process.terminate()
    received(receiver)
    assert process.wait(20) == 0
    assert not receiver.streams[0].connected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.xml"], "there is no model nowhere.xml"),
        (["nowhere"], "there is no simulation 'nowhere'"),
        (["arm", "--keyframe", "up"], "no keyframe 'up'"),
    ],
)
def test_what_is_not_there_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == SetupError.exit_code
    assert said in capsys.readouterr().err


def test_a_model_that_mujoco_refuses_is_said_in_its_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.xml").write_text("<mujoco><worldbody><geom/></worldbody></mujoco>")
    assert main([str(tmp_path / "bad.xml")]) == SetupError.exit_code
    assert "size" in capsys.readouterr().err


def test_ones_own_loop_sends_a_frame_for_each_interval_of_the_simulation(receiver: Receiver, model: Path) -> None:
    simulation = load_simulation(str(model))
    with attach(
        simulation.model,
        simulation.data,
        cameras=["left"],
        endpoint=receiver.endpoint,
        mode=Mode.CAPTURE,
        size=(36, 64),
        fps=25,
    ) as lift:
        sent = 0
        while simulation.data.time < 0.18:
            mujoco.mj_step(simulation.model, simulation.data)
            sent += lift.sync()
            if lift.publisher.status.connected:
                for frame in receiver.frames(timeout_s=0):
                    receiver.acknowledge(frame)
        assert sent == 5


class Viewer:
    """As much of MuJoCo's passive viewer as is used, but for its window."""

    def __init__(self) -> None:
        self.cam = mujoco.MjvCamera()
        self.viewport = mujoco.MjrRect(270, 10, 320, 240)  # beside the viewer's own panels
        self.shown: list[tuple[Any, Array]] = []

    def set_images(self, place_and_picture: tuple[Any, Array]) -> None:
        self.shown.append(place_and_picture)


def test_what_comes_back_is_shown_in_the_corner_of_the_viewer(receiver: Receiver, model: Path) -> None:
    simulation, viewer = load_simulation(str(model)), Viewer()
    mujoco.mjv_defaultFreeCamera(simulation.model, viewer.cam)
    options: dict[str, Any] = {"endpoint": receiver.endpoint, "viewer": viewer, "size": (36, 64)}
    with attach(simulation.model, simulation.data, **options) as lift:
        assert lift.publisher.wait_connected(20)
        assert lift.sync()
        frame = next(receiver.frames(timeout_s=20))
        assert frame.camera_name == "viewer"
        receiver.send_result(frame, np.full((36, 64, 3), 200, np.uint8))
        assert lift.publisher.wait_results(1, 20)
        lift.sync()
    place, picture = viewer.shown[0]
    assert (place.left, place.bottom, place.width, place.height) == (270, 10, 160, 90)
    assert picture.shape == (90, 160, 3)
    assert (picture == 200).all()


def test_the_arm_clears_the_bench() -> None:
    simulation = load_simulation("arm")
    tray = simulation.data.body("tray").xpos.copy()
    simulation.run_until(12.6)
    for cube in ("cube.1", "cube.2", "cube.3"):
        away = np.abs(simulation.data.body(cube).xpos - tray)
        assert away[0] < 0.17, cube
        assert away[1] < 0.13, cube
        assert away[2] < 0.10, cube
