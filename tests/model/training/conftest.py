"""Datasets of a few tiny scenes, written as engines and path tracers write them."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder

WriteScene = Callable[..., Path]


@pytest.fixture
def write_scene(make_clip: Callable[..., Clip]) -> WriteScene:
    """write_scene(dataset, number, frames=5): the truth is the render, darker."""

    def write(
        dataset: Path,
        number: int,
        *,
        frames: int = 5,
        height: int = 64,
        width: int = 96,
        truth: range | None = None,
    ) -> Path:
        folder = dataset / f"{number:06d}"
        clip = make_clip(frames, height, width, seed=number)
        with Recorder(folder / "render") as recorder:
            for frame in clip.frames:
                recorder.write(frame)
        (folder / "truth").mkdir()
        for index in truth if truth is not None else range(frames):
            photo = (clip.channels[Channel.RGB][index] * 0.6).astype(np.uint8)
            cv2.imwrite(str(folder / "truth" / f"{index:06d}.png"), photo[..., ::-1])
        return folder

    return write
