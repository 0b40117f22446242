"""Latents of a dataset on disk: every clip goes through the autoencoder once, for all trainings.

One file per scene, in a folder whose name is a hash of everything that the latents depend on:
the autoencoder's weights, sizes, crops. Another autoencoder has another folder; a scene whose
files changed is encoded again; a kill costs the scene it was at.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from renderlift.bridge.clip import Video
from renderlift.bridge.errors import SetupError
from renderlift.model.control import to_pixels
from renderlift.model.packing import encode
from renderlift.model.training.dataset import Scene, Variant, variants
from renderlift.model.training.recipe import Recipe

FORMAT = 1  # of the cache; a change makes old ones invisible
ENCODED_AT_ONCE = 4  # clips ...
ENCODED_PIXELS = 8 << 20  # ... unless they have more pixels in all: then one by one


@dataclass(frozen=True)
class Sizes:
    """What the base paints: the target's size in pixels, and that of the references."""

    height: int
    width: int
    downscale: int

    def of(self, names: Sequence[str], target: str) -> dict[str, tuple[int, int]]:
        """Name of each picture to its (height, width)."""
        small = (self.height // self.downscale, self.width // self.downscale)
        return {name: (self.height, self.width) if name == target else small for name in names}


@dataclass(frozen=True)
class Latents:
    """Every clip of a training, on disk."""

    clips: tuple[tuple[Path, str], ...]  # file of its scene, key in it

    def __len__(self) -> int:
        return len(self.clips)

    def clip(self, number: int) -> dict[str, Tensor]:
        """Name of each picture to its latents (C, t, h, w), float32."""
        path, key = self.clips[number]
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(f"{key}/")]  # noqa: SIM118
            return {name.removeprefix(f"{key}/"): file.get_tensor(name).float() for name in names}

    def scenes(self, numbers: Sequence[int]) -> list[str]:
        """Names of the scenes that these clips are of."""
        return [self.clips[number][0].stem for number in numbers]

    def batch(self, numbers: Sequence[int], device: torch.device) -> dict[str, Tensor]:
        """Name to (B, C, t, h, w), of the pictures that all these clips have."""
        clips = [self.clip(number) for number in numbers]
        common = [name for name in clips[0] if all(name in clip for clip in clips)]
        return {name: torch.stack([clip[name] for clip in clips]).to(device) for name in common}


def cache_folder(root: Path, autoencoder: Any, recipe: Recipe, sizes: Sizes) -> Path:
    """Where the latents of this autoencoder and this recipe stand under `root`."""
    facts = {
        "format": FORMAT,
        "autoencoder": _weights_hash(autoencoder),
        "pictures": sorted({*recipe.shown, recipe.target}),
        "target": recipe.target,
        "frames": recipe.frames,
        "variants": recipe.variants,
        "recolour": recipe.recolour,
        "seed": recipe.seed,
        "sizes": asdict(sizes),
    }
    text = json.dumps(facts, indent=1)
    folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "about.json").write_text(text)
    except OSError as problem:
        raise SetupError(
            f"latents cannot be kept in {root}: {problem.strerror}",
            fix="Name a folder you may write: --cache FOLDER",
        ) from problem
    return folder


def encode_dataset(
    scenes: Sequence[Scene],
    autoencoder: Any,
    recipe: Recipe,
    sizes: Sizes,
    folder: Path,
    *,
    encode: Callable[[Any, Tensor], Tensor] = encode,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Encode the scenes that are not in `folder` yet.

    Args:
        encode: autoencoder and pixels (B, 3, T, H, W) in [-1, 1] to normalised latents.
    """
    folder.mkdir(exist_ok=True)

    def encoded(pixels: Tensor) -> Tensor:
        return encode(autoencoder, pixels.to(autoencoder.device))

    for done, scene in enumerate(scenes):
        progress(done, len(scenes))
        if stop():
            return
        if not _is_current(folder / f"{scene.folder.name}.safetensors", scene):
            _encode_scene(scene, encoded, recipe, sizes, folder)
    progress(len(scenes), len(scenes))


def open_latents(scenes: Sequence[Scene], folder: Path) -> Latents:
    """The clips of all scenes, which `encode_dataset` must have seen."""
    clips: list[tuple[Path, str]] = []
    for scene in scenes:
        path = folder / f"{scene.folder.name}.safetensors"
        with safe_open(path, "pt") as file:
            keys = {name.partition("/")[0] for name in file.keys()}  # noqa: SIM118
        clips += [(path, key) for key in sorted(keys)]
    return Latents(tuple(clips))


def _encode_scene(
    scene: Scene, encode: Callable[[Tensor], Tensor], recipe: Recipe, sizes: Sizes, folder: Path
) -> None:
    tensors: dict[str, Tensor] = {}
    wanted = sizes.of([*recipe.shown, recipe.target], recipe.target)
    pending: list[tuple[str, Video]] = []

    def flush() -> None:
        if not pending:
            return
        pixels = torch.stack([to_pixels(video).permute(1, 0, 2, 3) * 2 - 1 for _, video in pending])
        with torch.inference_mode():
            latents = encode(pixels)
        # Half floats: their steps are a thousandth of the noise that training adds.
        tensors.update(
            {name: values.half().cpu().contiguous() for (name, _), values in zip(pending, latents, strict=True)}
        )
        pending.clear()

    for variant in variants(scene, recipe, wanted):
        for name, video in _named(variant):
            at_once = ENCODED_AT_ONCE if ENCODED_AT_ONCE * video.size <= 3 * ENCODED_PIXELS else 1
            if (pending and pending[0][1].shape != video.shape) or len(pending) >= at_once:
                flush()
            pending.append((name, video))
    flush()
    path = folder / f"{scene.folder.name}.safetensors"
    new = path.with_suffix(f".{os.getpid()}.new")
    save_file(tensors, new, metadata={"fingerprint": scene.fingerprint})
    new.replace(path)


def _named(variant: Variant) -> list[tuple[str, Video]]:
    """Largest pictures first, so that neighbours can be encoded together."""
    pairs = [(f"{variant.key}/{name}", video) for name, video in variant.pictures.items()]
    return sorted(pairs, key=lambda pair: -pair[1].shape[1])


def _is_current(path: Path, scene: Scene) -> bool:
    if not path.exists():
        return False
    try:
        with safe_open(path, "pt") as file:
            facts: Mapping[str, str] = cast(Any, file).metadata() or {}
    except SafetensorError:
        return False
    return facts.get("fingerprint") == scene.fingerprint


def _weights_hash(autoencoder: Any) -> str:
    digest = hashlib.sha256(repr(autoencoder.dtype).encode())
    for name, tensor in sorted(autoencoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
