"""Two lines in somebody's own game. What its window shows is in test_window.py."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.frame import Channel, Frame
from renderlift.bridge.receive import Receiver


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """What a game in capture mode sends; the bridge takes its time over each frame."""
    script = Path(__file__).with_name("lockstep_game.py")
    received: list[Frame] = []
    with Receiver("tcp://127.0.0.1:*", credits=1) as receiver:
        game = subprocess.Popen([sys.executable, script, receiver.endpoint], stderr=subprocess.PIPE)
        for frame in receiver.frames(timeout_s=30, until_bye=True):
            received.append(frame)
            receiver.acknowledge(frame)
        _, said = game.communicate(timeout=30)
    assert game.returncode == 0, said.decode()
    return received


def test_capture_mode_sends_every_frame_of_the_game(frames: list[Frame]) -> None:
    assert [frame.index for frame in frames] == list(range(20))


def test_capture_mode_steps_the_games_clock_evenly_however_long_a_frame_takes(frames: list[Frame]) -> None:
    times_ms = [frame.engine_time_ns / 1e6 for frame in frames]
    assert np.allclose(np.diff(times_ms), 50, atol=1e-3)


def test_the_game_moves_by_its_own_clock(frames: list[Frame]) -> None:
    for frame in frames[1:]:
        on_ball = frame.channels[Channel.INSTANCE_ID][..., 0] == 1
        focal, depth = frame.camera.image_from_camera[0, 0], frame.channels[Channel.DEPTH][on_ball]
        # One unit a second, a twentieth of a second a frame, to the right: it was further left.
        assert np.allclose(frame.channels[Channel.FLOW][on_ball], [-focal * 0.05, 0] / depth, atol=0.05)
    assert frames[0].names[0].class_name == "smiley"
