"""What each byte of the null engine's frames must be: engine_plugin/core/null_engine/engine.cpp, said in numpy."""

import math

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import Array, Channel


def engine_time_ns(index: int) -> int:
    """24 frames a second."""
    return index * 1_000_000_000 // 24


def pixels(index: int, height: int, width: int) -> dict[Channel, Array]:
    """The channels (H, W, C) of frame `index`."""
    y, x = np.mgrid[:height, :width]
    sky = y < height // 4
    depth_cm = np.where(sky, np.inf, 100 + 25 * ((x + 2 * y + index) % 64)).astype(np.float32)
    flow = np.stack([0.25 * (x % 8), -0.5 * (y % 4)], -1).astype(np.float32)
    class_id = np.where(sky, 0, 1 + (x // 16 + y // 16) % 3).astype(np.uint32)[..., None]
    return {
        Channel.RGB: np.stack([5 * index + 3 * x, 3 * index + 2 * y, 7 * index + x + y], -1).astype(np.uint8),
        Channel.DEPTH: (depth_cm * np.float32(0.01))[..., None],
        Channel.NORMAL: np.stack([0 * x, 0 * x, np.where(sky, 0, -1)], -1).astype(np.float16),
        Channel.CLASS_ID: class_id,
        Channel.INSTANCE_ID: 10 * class_id,
        Channel.FLOW: flow if index else np.full_like(flow, np.nan),
    }


def world_from_camera(index: int) -> NDArray[np.float64]:
    """(4, 4): the engine stands at (10 t, 150, 170) cm, left-handed, and turns by 0.01 t from x towards y."""
    forward = np.array([math.cos(0.01 * index), -math.sin(0.01 * index), 0])
    down = np.array([0, 0, -1.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(down, forward), down, forward], -1)
    pose[:3, 3] = [0.1 * index, -1.5, 1.7]
    return pose
