"""A training of seconds: one pair of render and photo, and what to tell `train`."""

from pathlib import Path
from typing import Any

import numpy as np

from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import Channel
from renderlift.model.pairs.scene_folder import write_scene

SMALL: dict[str, Any] = {
    "device": "cpu",
    "variants": 2,
    "rank": 2,
    "batch": 2,
    "warmup_steps": 1,
    "learning_rate": 0.3,
    "precision": "float32",
}


def write_pair(folder: Path, clip: Clip, **facts: str) -> None:
    photos = (clip.channels[Channel.RGB] * 0.5).astype(np.uint8)
    write_scene(folder, clip.frames, enumerate(photos), facts)
