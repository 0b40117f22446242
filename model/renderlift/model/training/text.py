"""What a base is told of each scene, encoded once and kept beside the latents.

A text encoder is as heavy as the base itself. Its output is a few megabytes a prompt, so it is loaded only while
some prompt is new, and never together with the transformer.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from renderlift.bridge.frame import Channel, IdName
from renderlift.bridge.record import read_frames
from renderlift.model.bases.facts import BaseFacts, has_part
from renderlift.model.bases.opening import open_pipeline
from renderlift.model.bases.prompts import LOOK, scene_in_words
from renderlift.model.pairs import caption_of
from renderlift.model.presets import gpu_memory_bytes, read_weights
from renderlift.model.training.in_context import InContext, Words
from renderlift.model.training.parts import fingerprint
from renderlift.model.training.recipe import Recipe

FORMAT = 1  # of the cache; a change makes old ones invisible
TEXT_PARTS = ("text_encoder", "tokenizer", "connectors")
# What no prompt needs; left out where a pipeline is opened to read text.
OTHER_PARTS = ("transformer", "transformer_2", "vae", "audio_vae", "vocoder")


@dataclass(frozen=True)
class Texts:
    """The words of every scene, on disk."""

    files: Mapping[str, Path]  # by the scene's name

    def of(self, scenes: Sequence[str], device: torch.device) -> Words:
        """Name to (B, tokens, C), for the scenes of a batch."""
        told = [self._read(scene) for scene in scenes]
        return {name: torch.cat([words[name] for words in told]).to(device) for name in told[0]}

    def _read(self, scene: str) -> dict[str, Tensor]:
        return load_file(self.files[scene])


def prompt_of(folder: Path, recipe: Recipe) -> str:
    """The scene's own caption, else the recipe's prompt, else the task's default: as a renderer would be told."""
    words = caption_of(folder) or recipe.prompt or LOOK.get(recipe.task, LOOK["lift"])
    return words.replace("{scene}", scene_in_words(_names(folder))) if "{scene}" in words else words


def encode_texts(
    scenes: Iterable[Path],
    recipe: Recipe,
    base: tuple[Path, BaseFacts],
    kind: InContext,
    denoiser: Any,
    cache: Path,
    place: tuple[torch.device, torch.dtype],
    *,
    tell: Callable[[str], None] = lambda text: None,
) -> Texts:
    """Encode the prompts that are not in the cache yet.

    Args:
        base: its folder and facts.
        denoiser: a skeleton of it.
        place: where to compute, and in what.
    """
    folder, _ = base
    reads = has_part(folder, "text_encoder")
    prompts = {scene.name: prompt_of(scene, recipe) if reads else "" for scene in scenes}
    kept = cache / f"text-{fingerprint(folder, TEXT_PARTS)}-{str(place[1]).removeprefix('torch.')}-{FORMAT}"
    files = {prompt: kept / f"{_digits(prompt)}.safetensors" for prompt in prompts.values()}
    new = {prompt: path for prompt, path in files.items() if not path.is_file()}
    if new:
        tell(f"  reading {len(new)} prompt{'s' if len(new) > 1 else ''}")
        kept.mkdir(parents=True, exist_ok=True)
        _encode(new, base, kind, denoiser, place)
    return Texts({scene: files[prompt] for scene, prompt in prompts.items()})


@torch.no_grad()
def _encode(
    files: Mapping[str, Path],
    base: tuple[Path, BaseFacts],
    kind: InContext,
    denoiser: Any,
    place: tuple[torch.device, torch.dtype],
) -> None:
    folder, facts = base
    device, dtype = place
    pipeline: Any = open_pipeline(folder, facts, dtype, **_left_out(folder))
    pipeline.to(device if _fits(folder, device) else torch.device("cpu"))
    for prompt, path in files.items():
        words = kind.words(pipeline, denoiser, prompt)
        half_done = path.with_suffix(f".{os.getpid()}.new")
        save_file({name: t.cpu().contiguous() for name, t in words.items()}, half_done, {"prompt": prompt})
        half_done.replace(path)


def _left_out(folder: Path) -> dict[str, Any]:
    return {part: None for part in OTHER_PARTS if has_part(folder, part)}


def _fits(folder: Path, device: torch.device) -> bool:
    sizes = read_weights(folder).bytes_of
    return device.type != "cuda" or 1.2 * sum(sizes.get(p, 0) for p in TEXT_PARTS) < gpu_memory_bytes(device)


def _names(folder: Path) -> Sequence[IdName]:
    if not (folder / "render").is_dir():
        return ()
    first = next(read_frames(folder / "render", channels=[Channel.RGB]), None)
    return first.names if first else ()


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
