"""A game in preview: it survives its bridge, and shows what comes back."""

from typing import Any

import numpy as np

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
