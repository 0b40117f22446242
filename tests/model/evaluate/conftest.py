"""A striped wall that a box drives past, as an engine would record it, and brighter as the truth."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.record import Recorder

HEIGHT, WIDTH, STEP_PX = 48, 64, 4
CAMERA = CameraPose(np.eye(4), np.eye(3))


def frame(index: int, *, enters_at: int = 0, fps: float = 24) -> Frame:
    """The box (id 2) drives 4 pixels a frame to the right, and is not there before frame `enters_at`."""
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    rgb[::8] = 150
    albedo = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    ids = np.ones((HEIGHT, WIDTH, 1), np.uint32)
    depth_m = np.full((HEIGHT, WIDTH, 1), 5, np.float32)
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    if index >= enters_at:
        at = np.s_[12:36, 8 + STEP_PX * index : 28 + STEP_PX * index]
        rgb[at], albedo[at], ids[at], depth_m[at], flow[at] = (200, 40, 40), (160, 10, 10), 2, 3, (-STEP_PX, 0)
    channels = {
        Channel.RGB: rgb,
        Channel.DEPTH: depth_m,
        Channel.INSTANCE_ID: ids,
        Channel.FLOW: flow,
        Channel.ALBEDO: albedo,
    }
    return Frame(index, round(index * 1_000_000_000 / fps), 0, CAMERA, channels, engine="test", session="run1")


def photo(shown: Frame) -> np.ndarray:
    """What a camera would have seen of a frame."""
    return np.clip(shown.channels[Channel.RGB].astype(int) + 25, 0, 255).astype(np.uint8)


def write_scene(folder: Path, frames: list[Frame], *, truth: bool = True) -> None:
    """One scene of a dataset of pairs."""
    with Recorder(folder / "render") as recorder:
        for shown in frames:
            recorder.write(shown)
    if truth:
        (folder / "truth").mkdir()
        for shown in frames:
            cv2.imwrite(str(folder / "truth" / f"{shown.index:06d}.png"), photo(shown)[..., ::-1])


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """make_dataset(900000, 900001): scenes of three frames."""

    def make(*numbers: int, frames: int = 3, enters_at: int = 0) -> Path:
        for number in numbers:
            scene = [frame(index, enters_at=enters_at) for index in range(frames)]
            write_scene(tmp_path / "pairs" / f"{number:06d}", scene)
        return tmp_path / "pairs"

    return make
