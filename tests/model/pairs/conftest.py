"""A world so simple that its truth is known: coloured boards that slide over a wall, lit by a moving lamp."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Video, stack
from renderlift.bridge.frame import CameraPose, Channel, Frame

HEIGHT, WIDTH = 64, 112
SPEED_PX = 3


def sliding_frame(index: int, *, session: str = "slide") -> Frame:
    """A textured wall that moves left by SPEED_PX per frame, a board that stands still before it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    on_wall = x + SPEED_PX * index
    wall = 90 + 50 * np.sin(on_wall / 5) * np.cos(y / 7)
    board = (abs(y - 30) < 14) & (abs(x - 50) < 12)
    rgb = np.where(board[..., None], (180, 60, 40), np.stack([wall, wall * 0.9, wall * 0.7], -1))
    flow = np.where(board[..., None], 0.0, (SPEED_PX, 0.0))
    channels = {
        Channel.RGB: rgb.clip(0, 255).astype(np.uint8),
        Channel.DEPTH: np.where(board, 2.0, 4.0)[..., None].astype(np.float32),
        Channel.INSTANCE_ID: np.where(board, 2, 1)[..., None].astype(np.uint32),
        Channel.FLOW: flow.astype(np.float32),
        Channel.ALBEDO: np.where(board[..., None], (90, 20, 10), rgb / 3).clip(0, 255).astype(np.uint8),
    }
    camera = CameraPose(np.eye(4), np.array([[100.0, 0, WIDTH / 2], [0, 100.0, HEIGHT / 2], [0, 0, 1]]))
    return Frame(index, index * 41_666_667, 0, camera, channels, session=session)


@pytest.fixture
def sliding() -> Callable[[int], Clip]:
    """sliding(frames): the clip."""
    return lambda frames: stack([sliding_frame(index) for index in range(frames)], last=True)


@pytest.fixture
def photos() -> Callable[[Clip], Video]:
    """What a camera would have seen of it: another light on the wall, painted on it, and a warmer board."""
    return lambda clip: np.stack([_photo(frame) for frame in clip.frames])


def _photo(frame: Frame) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    light = 30 + 25 * np.sin((x + SPEED_PX * frame.index) / 17 + y / 23)
    wall = frame.channels[Channel.INSTANCE_ID] == 1
    change = np.where(wall, light[..., None] * (1.0, 0.9, 0.6), (20, 12, -10))
    return (frame.channels[Channel.RGB] + change).clip(0, 255).round().astype(np.uint8)
