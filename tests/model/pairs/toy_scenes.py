"""Scenes that take no engine and no path tracer, as a user's own maker would give them."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from renderlift.bridge.frame import CameraPose, Channel, Frame


def make(
    seed: int, *, frames: int, height: int, width: int, tint: int = 40, marks: str = "", wrong_size: bool = False
) -> tuple[Iterator[Frame], Iterator[tuple[int, np.ndarray]], Mapping[str, Any]]:
    """Seed 13 cannot be built, 66 kills its process; `marks` is a folder where each call leaves a file."""
    if marks:
        (Path(marks) / f"{seed}.{time.monotonic_ns()}").touch()
    if seed == 13:
        raise ValueError("too crowded")
    if seed == 66:
        os._exit(9)
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 200, (frames, height, width, 3)).astype(np.uint8)
    pose = CameraPose(np.eye(4), np.eye(3))
    recorded = (Frame(i, i * 40_000_000, 0, pose, {Channel.RGB: p}, engine="toy") for i, p in enumerate(pictures))
    photos = ((i, p[: height // 2] if wrong_size else p + np.uint8(tint)) for i, p in enumerate(pictures))
    return recorded, photos, {"kind": "toy"}
