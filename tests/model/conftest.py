"""A base so small that a test makes it on the spot: the classes of the real one, random weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from renderlift.bridge.clip import Clip, stack
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.engine.scene import image_from_camera
from renderlift.model.embedded import EmbeddedSize, build

TINY = EmbeddedSize(
    latent_channels=8,
    decoder_channels=32,
    heads=2,
    head_dim=16,
    layers=2,
    caption_channels=16,
    caption_tokens=4,
)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base")
    build(TINY).save_pretrained(str(folder))
    return folder


@pytest.fixture
def make_clip() -> Callable[..., Clip]:
    """make_clip(frames, height, width): a moving gradient with depth, normals and ids."""

    def make(frames: int, height: int, width: int, *, seed: int = 0) -> Clip:
        return stack([_frame(t, height, width, seed) for t in range(frames)])

    return make


def _frame(index: int, height: int, width: int, seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    tint = rng.uniform(0.3, 1, 3)
    rgb = (128 + 100 * np.sin((x + 3 * index) / 9)[..., None] * tint + y[..., None] / height * 20).clip(0, 255)
    normal = np.zeros((height, width, 3), np.float32)
    normal[..., 2] = -1
    channels = {
        Channel.RGB: rgb.astype(np.uint8),
        Channel.DEPTH: (2 + y / height)[..., None].astype(np.float32),
        Channel.NORMAL: normal,
        Channel.INSTANCE_ID: ((x + 3 * index) // 28).astype(np.uint32)[..., None],
        Channel.FLOW: np.broadcast_to(np.float32([3, 0]), (height, width, 2)).copy(),
    }
    camera = CameraPose(np.eye(4), image_from_camera(60, height, width))
    return Frame(index, index * 41_666_667, 0, camera, channels, session="test")
