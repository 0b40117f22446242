"""Renderers that know no more than the picture: rgb and the camera, and nothing made up."""

from typing import Any

import numpy as np
import pytest

from renderlift.bridge.frame import Channel
from renderlift.bridge.receive import Receiver

BALL_COLOR = (51, 102, 204)


@pytest.mark.parametrize("renderer", ["gl_compatibility", "mobile"])
def test_other_renderers_send_rgb_alone_of_every_step(start: Any, renderer: str) -> None:
    with Receiver("tcp://127.0.0.1:*") as receiver:
        game = start(
            "exact.tscn",
            "--renderlift-mode=capture",
            "--renderlift-frames=4",
            "--renderlift-size=161x91",
            f"--renderlift-endpoint={receiver.endpoint}",
            engine=("--rendering-method", renderer, "--fixed-fps", "24"),
        )
        frames = []
        for frame in receiver.frames(timeout_s=300, until_bye=True):
            receiver.acknowledge(frame)
            frames.append(frame)
    assert game.end() == 0, game.output
    assert not game.complaints, game.output
    main = [frame for frame in frames if frame.camera_name == "Main"]
    assert [frame.index for frame in main] == [0, 1, 2, 3]
    assert all(set(frame.channels) == {Channel.RGB} for frame in frames)
    ball = main[0].camera.image_from_camera @ (1.5, -0.4, 5.0)  # camera axes: it stands right, above, ahead
    column, row = (ball[:2] / ball[2]).astype(int)
    assert main[0].channels[Channel.RGB][row, column] == pytest.approx(np.array(BALL_COLOR), abs=3)
