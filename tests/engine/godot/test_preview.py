"""A game in preview: it survives its bridge, and shows what comes back."""

from pathlib import Path
from typing import Any

import numpy as np
import zmq.auth

from renderlift.bridge.connection import Curve
from renderlift.bridge.frame import Channel, Frame
from renderlift.bridge.receive import Receiver


def test_the_returned_picture_fills_the_window_and_is_never_captured(
    start: Any, screen: Any, new_painter: Any, keep_picture: Any
) -> None:
    painter = new_painter()
    endpoint = f"--renderlift-endpoint={painter.endpoint}"
    game = start("level.tscn", "--renderlift-show=on", endpoint, engine=("--position", "0,0"))
    painter.wait_frames(1)
    window = np.s_[:180, :320]
    picture = screen.picture_once(lambda picture: painter.share_in(picture[window]) > 0.8)
    keep_picture("game", picture)
    assert painter.share_in(picture[window]) > 0.8  # the badge covers the rest
    painter.wait_frames(len(painter.frames) + 3)
    assert painter.share_in(painter.frames[-1].channels[Channel.RGB]) == 0.0
    game.kill()


def test_a_bridge_that_comes_again_is_found_again(start: Any, new_painter: Any) -> None:
    first = new_painter()
    game = start("level.tscn", f"--renderlift-endpoint={first.endpoint}")
    first.wait_frames(2)
    first.close()
    second = new_painter(first.endpoint)
    second.wait_frames(2)
    assert len({frame.session for frame in first.frames + second.frames}) == 1
    assert second.frames[0].index > first.frames[-1].index
    game.kill()


def test_a_game_that_was_killed_and_started_again_is_back_as_soon_as_godot_draws(
    start: Any, new_painter: Any
) -> None:
    """Until it draws its first frame, time is its own; what comes on top is ours: less than two seconds."""
    bare = start("level.tscn", "--without-renderlift")
    bare_used_s = bare.used_s[bare.wait_for("DRAWN")]
    bare.kill()
    painter = new_painter()
    arguments = ("level.tscn", f"--renderlift-endpoint={painter.endpoint}")
    killed = start(*arguments)
    painter.wait_frames(1)
    killed.kill()
    had = len(painter.frames)
    game = start(*arguments)
    drawn = game.wait_for("DRAWN")
    painter.wait_frames(had + 1)
    assert painter.frames[had].session != painter.frames[0].session
    assert painter.arrived_s[had] - game.came_s[drawn] < 2.0
    assert game.used_s[drawn] - bare_used_s < 2.0  # of processor time, which other programs do not lengthen
    game.kill()


def test_a_game_that_was_killed_goes_on_where_the_bridge_needs_it(start: Any) -> None:
    frames: list[Frame] = []
    arguments = ["level.tscn", "--renderlift-mode=capture", "--renderlift-session=take1", "--renderlift-frames=24"]
    arguments += ["--renderlift-quit-when-finished=true", "--renderlift-size=96x54"]
    with Receiver("tcp://127.0.0.1:*") as receiver:
        arguments.append(f"--renderlift-endpoint={receiver.endpoint}")
        game = start(*arguments, engine=("--fixed-fps", "24"))
        for frame in receiver.frames(timeout_s=300, until_bye=True):
            frames.append(frame)
            receiver.acknowledge(frame)
            if frame.index == 9 and game.process.poll() is None:
                game.kill()
                game = start(*arguments, engine=("--fixed-fps", "24"))
    assert [frame.index for frame in frames] == list(range(24))
    assert game.end() == 0, game.output
    times_ns = [frame.engine_time_ns for frame in frames]
    assert np.abs(np.diff(times_ns) - 1e9 / 24).max() < 1000
    flow = frames[10].channels[Channel.FLOW]
    assert np.isfinite(flow).any()  # the frame before it was drawn again, if not sent


def test_capture_without_a_fixed_step_is_refused_with_the_way_out(start: Any) -> None:
    game = start("level.tscn", "--renderlift-mode=capture", "--renderlift-endpoint=tcp://127.0.0.1:1")
    game.wait_for("Start Godot with --fixed-fps 24")
    game.kill()


def test_a_game_reaches_a_bridge_on_another_machine_by_its_keys(
    start: Any, new_painter: Any, tmp_path: Path
) -> None:
    files = {name: zmq.auth.create_certificates(tmp_path, name) for name in ("bridge", "game", "stranger")}
    curve = Curve.load(Path(files["bridge"][1]), Path(files["game"][0]))
    painter = new_painter("tcp://0.0.0.0:*", curve)
    keys = ("--renderlift-bridge-key-file=" + files["bridge"][0], f"--renderlift-endpoint={painter.endpoint}")
    game = start("level.tscn", "--renderlift-own-key-file=" + files["game"][1], *keys)
    painter.wait_frames(2)
    game.kill()
    had = len(painter.frames)
    game = start("level.tscn", "--renderlift-own-key-file=" + files["stranger"][1], *keys)
    game.wait_for("does not accept this engine's CURVE key")
    assert {frame.session for frame in painter.frames[had:]} <= {frame.session for frame in painter.frames[:had]}
    game.kill()
    game = start("level.tscn", "--renderlift-endpoint=tcp://192.0.2.1:5755")
    game.wait_for("frames would travel there unprotected")
    game.kill()
