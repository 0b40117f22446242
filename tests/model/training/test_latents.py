from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from renderlift.model.packing import encode
from renderlift.model.render import load_base
from renderlift.model.training.dataset import Scene, survey_scene, variants
from renderlift.model.training.latents import Sizes, cache_folder, encode_dataset, open_latents
from renderlift.model.training.recipe import read_recipe

WriteScene = Callable[..., Path]
RECIPE = read_recipe(None, steps=1, variants=2)
SIZES = Sizes(64, 96, 1)


def surveyed(folder: Path) -> Scene:
    scene = survey_scene(folder, RECIPE)
    assert isinstance(scene, Scene)
    return scene


def test_clips_are_encoded_once_and_again_when_their_files_change(
    tmp_path: Path, write_scene: WriteScene, tiny_base: Path
) -> None:
    autoencoder = load_base(str(tiny_base), torch.float32).vae
    folder = write_scene(tmp_path / "data", 0)
    cache = cache_folder(tmp_path / "cache", autoencoder, RECIPE, SIZES)
    encode_dataset([surveyed(folder)], autoencoder, RECIPE, SIZES, cache)
    written = (cache / "000000.safetensors").stat()
    before = open_latents([surveyed(folder)], cache).clip(0)
    encode_dataset([surveyed(folder)], autoencoder, RECIPE, SIZES, cache)
    assert (cache / "000000.safetensors").stat().st_mtime_ns == written.st_mtime_ns

    cv2.imwrite(str(folder / "truth" / "000000.png"), np.full((64, 96, 3), 200, np.uint8))
    encode_dataset([surveyed(folder)], autoencoder, RECIPE, SIZES, cache)
    after = open_latents([surveyed(folder)], cache).clip(0)
    assert not torch.equal(before["photo"], after["photo"])
    assert torch.equal(before["rgb"], after["rgb"])


def test_a_cached_latent_is_what_the_autoencoder_gives(
    tmp_path: Path, write_scene: WriteScene, tiny_base: Path
) -> None:
    autoencoder = load_base(str(tiny_base), torch.float32).vae
    scene = surveyed(write_scene(tmp_path / "data", 0))
    cache = cache_folder(tmp_path / "cache", autoencoder, RECIPE, SIZES)
    encode_dataset([scene], autoencoder, RECIPE, SIZES, cache)
    latents = open_latents([scene], cache)
    assert len(latents) == 2
    first = next(iter(variants(scene, RECIPE, SIZES.of(["rgb", "photo"], "photo"))))
    pixels = torch.from_numpy(first.pictures["rgb"].copy()).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    with torch.inference_mode():
        wanted = encode(autoencoder, pixels)[0]
    torch.testing.assert_close(latents.clip(0)["rgb"], wanted, atol=4e-3, rtol=2e-3)


def test_another_autoencoder_another_cut_or_another_seed_has_a_folder_of_its_own(
    tmp_path: Path, tiny_base: Path
) -> None:
    autoencoder = load_base(str(tiny_base), torch.float32).vae
    folders = {
        cache_folder(tmp_path, autoencoder, RECIPE, SIZES),
        cache_folder(tmp_path, autoencoder, RECIPE, Sizes(64, 96, 2)),
        cache_folder(tmp_path, autoencoder, read_recipe(None, steps=1, variants=2, seed=1), SIZES),
    }
    with torch.no_grad():
        next(iter(autoencoder.parameters())).mul_(1.01)
    folders.add(cache_folder(tmp_path, autoencoder, RECIPE, SIZES))
    assert len(folders) == 4
    # The budget and the LoRA do not change a latent.
    assert cache_folder(tmp_path, autoencoder, read_recipe(None, minutes=9.0, variants=2, rank=4), SIZES) in folders
