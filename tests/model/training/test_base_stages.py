"""From pairs to a base: each stage on tiny data leaves what the next one and the renderer load."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import SetupError
from renderlift.model.lock import load_lock
from renderlift.model.render import load
from renderlift.model.training.run import train
from renderlift.model.whereabouts import WEIGHTS

WriteScene = Callable[..., Path]


@pytest.fixture
def dataset(tmp_path: Path, write_scene: WriteScene) -> Path:
    for number in (0, 1, 900_000):
        write_scene(tmp_path / "data", number)
    return tmp_path / "data"


def small(tmp_path: Path, *lines: str) -> dict[str, Any]:
    path = tmp_path / "small.toml"
    path.write_text("\n".join(["working_pixels = 6144", "variants = 1", "batch = 1", "steps = 2", *lines]))
    return {"config": path, "device": "cpu"}


def test_an_autoencoder_and_a_transformer_on_it_make_a_base_that_renders(
    tmp_path: Path, dataset: Path, make_clip: Callable[..., Clip]
) -> None:
    autoencoder, base = tmp_path / "vae", tmp_path / "base"
    assert train(autoencoder, dataset, task="autoencoder", **small(tmp_path))
    figures = json.loads((autoencoder / "result.json").read_text())["figures"]
    # It starts as the best linear code of its clips, so two steps are enough to tell it from noise.
    assert figures[0][1] > 15

    given = small(tmp_path, f'autoencoder = "{autoencoder}"', "weigh_channels = false")
    assert train(base, dataset, task="transformer", **given)
    video = load(base=str(base), adapter="none", lock=False, steps=1, device="cpu", working_pixels=6144)(
        make_clip(5, 64, 96)
    )
    assert video.shape == (5, 64, 96, 3)
    assert (base / "README.md").exists()


def test_a_base_can_be_trained_further(tmp_path: Path, dataset: Path, tiny_base: Path) -> None:
    given = {**small(tmp_path), "base": str(tiny_base)}
    assert train(tmp_path / "vae", dataset, task="autoencoder", **given)
    assert train(tmp_path / "base", dataset, task="transformer", **given)
    assert (tmp_path / "base" / "model_index.json").exists()


def test_a_lock_is_trained_on_what_the_base_paints(tmp_path: Path, dataset: Path, tiny_base: Path) -> None:
    given = {**small(tmp_path), "base": str(tiny_base)}
    assert train(tmp_path / "lock", dataset, task="lock", **given)
    lock = load_lock(tmp_path / "lock" / "lock.safetensors")
    with torch.no_grad():
        locked = lock(torch.rand(1, 12, 64, 96), torch.rand(1, 3, 32, 48))
    assert locked.shape == (1, 3, 64, 96)
    painted = tmp_path / "lock" / "training" / "painted" / "000000.npz"
    with np.load(painted) as videos:
        assert videos["0"].shape == (5, 64, 96, 3)
    names = [row["name"] for row in json.loads((tmp_path / "lock" / "result.json").read_text())["rows"]]
    assert names == ["render", "painted", "painted, through this lock"]


def test_a_lock_goes_on_from_another(tmp_path: Path, dataset: Path, tiny_base: Path) -> None:
    given = {**small(tmp_path, 'lock = "embedded"', "learning_rate = 1e-9"), "base": str(tiny_base)}
    assert train(tmp_path / "lock", dataset, task="lock", **given)
    shipped, further = load_lock(WEIGHTS / "lock.safetensors"), load_lock(tmp_path / "lock" / "lock.safetensors")
    for name, tensor in shipped.state_dict().items():
        torch.testing.assert_close(further.state_dict()[name], tensor)


def test_a_lock_to_go_on_from_must_be_there(tmp_path: Path, dataset: Path, tiny_base: Path) -> None:
    given = {**small(tmp_path, 'lock = "nowhere.safetensors"'), "base": str(tiny_base)}
    with pytest.raises(SetupError, match="no lock at nowhere"):
        train(tmp_path / "lock", dataset, task="lock", **given)


def test_a_transformer_needs_an_autoencoder(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(SetupError, match="renderlift train autoencoder"):
        train(tmp_path / "base", dataset, task="transformer", **small(tmp_path))
