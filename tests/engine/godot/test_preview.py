"""A game in preview: it survives its bridge, and shows what comes back."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.frame import Array, Channel, Frame
from renderlift.bridge.receive import Receiver

MAGENTA = (230, 20, 200)


class Painter:
    """A bridge whose every picture is one colour."""

    def __init__(self, endpoint: str = "tcp://127.0.0.1:*") -> None:
        self.receiver = Receiver(endpoint)
        self.endpoint = self.receiver.endpoint
        self.frames: list[Frame] = []
        self.came = threading.Condition()
        self.thread = threading.Thread(target=self._paint, daemon=True)
        self.thread.start()

    def _paint(self) -> None:
        for frame in self.receiver.frames():
            self.receiver.send_result(frame, np.full((frame.height, frame.width, 3), MAGENTA, np.uint8))
            with self.came:
                self.frames.append(frame)
                self.came.notify_all()

    def wait_frames(self, count: int, timeout_s: float = 120.0) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.frames) >= count, timeout_s), len(self.frames)

    def close(self) -> None:
        self.receiver.close()
        self.thread.join()


@pytest.fixture
def painter() -> Any:
    painter = Painter()
    yield painter
    painter.close()


def share_of_magenta(picture: Array) -> float:
    return float((np.abs(picture.astype(int) - MAGENTA).max(-1) < 12).mean())


def shown(screen: Any, wanted: Callable[[Array], bool], timeout_s: float = 60.0) -> Array:
    """The screen's picture once it is as wanted; looks ten times a second."""
    never = threading.Event()
    for _ in range(int(timeout_s * 10)):
        picture = screen.picture()
        if wanted(picture):
            return picture
        never.wait(0.1)
    return picture


def test_the_returned_picture_fills_the_window_and_is_never_captured(
    start: Any, screen: Any, painter: Painter
) -> None:
    game = start("level.tscn", "--renderlift-show=on", f"--renderlift-endpoint={painter.endpoint}")
    painter.wait_frames(1)
    window = np.s_[:180, :320]
    picture = shown(screen, lambda picture: share_of_magenta(picture[window]) > 0.8)
    assert share_of_magenta(picture[window]) > 0.8  # the badge covers the rest
    before = len(painter.frames)
    painter.wait_frames(before + 3)
    assert share_of_magenta(painter.frames[-1].channels[Channel.RGB]) == 0.0
    game.kill()


def test_a_bridge_that_comes_again_is_found_again(start: Any) -> None:
    first = Painter()
    game = start("level.tscn", f"--renderlift-endpoint={first.endpoint}")
    first.wait_frames(2)
    first.close()
    second = Painter(first.endpoint)
    second.wait_frames(2)
    session = {frame.session for frame in first.frames + second.frames}
    assert len(session) == 1
    assert second.frames[0].index > first.frames[-1].index
    game.kill()
    second.close()


def test_a_game_that_was_killed_goes_on_where_the_bridge_needs_it(start: Any) -> None:
    frames: list[Frame] = []
    arguments = ["level.tscn", "--renderlift-mode=capture", "--renderlift-session=take1", "--renderlift-frames=24"]
    arguments += ["--renderlift-quit-when-finished=true", "--renderlift-size=96x54"]
    with Receiver("tcp://127.0.0.1:*") as receiver:
        arguments.append(f"--renderlift-endpoint={receiver.endpoint}")
        game = start(*arguments, engine=("--fixed-fps", "24"))
        for frame in receiver.frames(timeout_s=120, until_bye=True):
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
