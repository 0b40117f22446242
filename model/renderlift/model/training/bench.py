"""A base made ready to train an adapter on: its denoisers frozen, each with an adapter that learns.

Wan 2.2 A14B has two denoisers, experts for high and for low noise. Each gets an adapter of its own, and a step
trains the one that its noise levels belong to.
"""

import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from renderlift.model import lora
from renderlift.model.bases import comfyui
from renderlift.model.bases.adapters import LOW_NOISE_FILE
from renderlift.model.bases.facts import EMBEDDED, BaseFacts, has_part
from renderlift.model.presets import is_quantisable
from renderlift.model.training.flow import NoiseLevels, Velocity
from renderlift.model.training.in_context import Constants, InContext
from renderlift.model.training.parts import load_part, setting
from renderlift.model.training.plan import Counts, Memory
from renderlift.model.training.recipe import Recipe

ADAPTER = "in_context"  # its name inside the running model; the file does not keep it
FILES = (lora.FILE_NAME, LOW_NOISE_FILE)
TURN = 4  # steps that an expert trains in a row, since changing it may mean moving it
DRAWN = 4096  # levels that the experts' shares are told from


@dataclass(frozen=True)
class Bench:
    """What trains, and what it takes to train it."""

    kind: InContext
    autoencoder: Any
    denoisers: Mapping[str, nn.Module]  # part to denoiser: for high noise first
    floors: tuple[float, ...]  # the lowest noise level of each
    scheduler: Any
    device: torch.device
    bfloat16: bool
    saves_memory: bool
    constants: Constants = field(default_factory=dict[str, Tensor])

    @property
    def module(self) -> nn.Module:
        """What learns, under the names that its checkpoint has."""
        every = dict(self.denoisers)
        return nn.ModuleDict(every) if len(every) > 1 else next(iter(every.values()))

    def expert_at(self, level: float) -> int:
        """Which denoiser belongs to a noise level."""
        return next(number for number, floor in enumerate(self.floors) if level >= floor)

    def levels_of(self, expert: int) -> tuple[float, float]:
        """The noise levels of one, from and to."""
        return self.floors[expert], 1.0 if expert == 0 else self.floors[expert - 1]

    def velocity(self, expert: int, words: Mapping[str, Tensor]) -> Velocity:
        """What one predicts; the others make room where memory is short."""
        every = list(self.denoisers.values())
        if self.saves_memory:
            for number, denoiser in enumerate(every):
                if number != expert:
                    _move_frozen(denoiser, torch.device("cpu"))
            _move_frozen(every[expert], self.device)
        return self.kind.velocity(every[expert], words, self.constants)

    def decode(self, latents: Tensor) -> Any:
        """(1, C, t, h, w) to (T, H, W, 3) uint8.

        Where memory is short, the autoencoder is on the device only meanwhile.
        """
        self.autoencoder.to(self.device)
        video = self.kind.decode(self.autoencoder, latents)
        if self.saves_memory:
            self.autoencoder.to("cpu")
        return video


def denoisers_of(folder: Path) -> dict[str, float]:
    """Part to the lowest noise level that it belongs to: for high noise first."""
    there = [part for part in ("transformer", "transformer_2") if has_part(folder, part)]
    boundary = setting(folder, "boundary_ratio")
    if len(there) == 2 and boundary is not None:
        return {there[0]: float(boundary), there[1]: 0.0}
    return {there[0]: 0.0}


def counts_of(denoisers: Sequence[nn.Module], autoencoder: nn.Module, rank: int, dtype: torch.dtype) -> Counts:
    """What an adapter of this rank would come to, from skeletons."""
    sizes = [sum(p.numel() for p in denoiser.parameters()) for denoiser in denoisers]
    trained = sum(lora.parameters_of(denoiser, rank) for denoiser in denoisers)
    weights = sum(sizes) + sum(p.numel() for p in autoencoder.parameters())
    return Counts(sum(sizes) + trained, trained, weights * dtype.itemsize, max(sizes))


def open_bench(
    folder: Path,
    kind: InContext,
    recipe: Recipe,
    autoencoder: Any,
    place: tuple[torch.device, torch.dtype],
    memory: Memory = "full",
    constants: Constants | None = None,
) -> Bench:
    """Load the denoisers and put a trainable adapter on each.

    Args:
        autoencoder: with its weights, wherever it is.
        place: where to train, and in what.
        constants: what `kind.constants` gave for the clips that it will see.
    """
    device, dtype = place
    floors = denoisers_of(folder)
    low = memory == "low"
    denoisers: dict[str, nn.Module] = {}
    for part in floors:
        denoiser = owned(load_part(folder, part, dtype))
        if low and is_quantisable():
            _quantise(denoiser)
        denoisers[part] = denoiser if low and len(floors) > 1 else denoiser.to(device)
    torch.manual_seed(recipe.seed)
    for denoiser in denoisers.values():
        _attach(denoiser, recipe, device, checkpointing=recipe.gradient_checkpointing or low)
    scheduler = load_part(folder, "scheduler")
    return Bench(
        kind,
        autoencoder,
        denoisers,
        tuple(floors.values()),
        scheduler,
        device,
        dtype == torch.bfloat16,
        low,
        constants or {},
    )


def owned(module: Any) -> Any:
    """A module just loaded, with its weights copied out of the mapped file: a long training must survive that
    file being replaced."""
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()
    return module


def experts_turns(bench: Bench, levels: NoiseLevels) -> list[float]:
    """The share of steps of each expert: as often as its noise levels are drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = levels.draw(DRAWN)
    spans = [bench.levels_of(expert) for expert in range(len(bench.floors))]
    return [float(((drawn >= low) & ((drawn < high) | (high == 1))).float().mean()) for low, high in spans]


def expert_of_step(step: int, shares: Sequence[float]) -> int:
    """Whose turn a step is: each of two comes as often as its share says, evenly spread; all processes agree."""
    if len(shares) == 1:
        return 0
    turn = step // TURN
    return 0 if int((turn + 1) * shares[0] + 0.5) > int(turn * shares[0] + 0.5) else 1


def save_adapter(bench: Bench, folder: Path, recipe: Recipe, base: BaseFacts) -> Path:
    """Write the adapter as `lora.save` does, one file per expert, each all at once; gives the first one's path.

    Beside it goes a copy for ComfyUI and ltx-trainer, which do not know the embedded base.
    """
    facts = lora.AdapterFacts(
        recipe.task,
        base.name,
        recipe.references,
        recipe.reference_downscale,
        recipe.target,
        recipe.control,
        base.version,
    )
    new = folder / "training" / "new"
    copies = comfyui.EXPERTS if len(bench.denoisers) > 1 else (comfyui.FILE_NAME,)
    for denoiser, name, copy in zip(bench.denoisers.values(), FILES, copies, strict=False):
        lora.save(denoiser, new, facts, name=ADAPTER, file_name=name)
        if base.name != EMBEDDED.name:
            comfyui.write(new / name, new / copy)
    for path in new.iterdir():
        path.chmod(0o644)  # safetensors writes for the owner alone
        path.replace(folder / path.name)
    shutil.rmtree(new)
    return folder / lora.FILE_NAME


def _attach(denoiser: Any, recipe: Recipe, device: torch.device, *, checkpointing: bool) -> None:
    with warnings.catch_warnings():
        # Said of int8 weights: an adapter could not be merged into them, which nobody wants here.
        warnings.filterwarnings("ignore", ".*get_apply_tensor_subclass")
        lora.attach(denoiser, rank=recipe.rank, alpha=recipe.alpha, name=ADAPTER)
    for parameter in denoiser.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(device).float()  # small steps vanish in bf16
    if checkpointing:
        denoiser.enable_gradient_checkpointing()


def _quantise(denoiser: nn.Module) -> None:
    """The blocks' matrices in int8; what stands around them is small, and matters more."""
    from torchao.quantization import (  # type: ignore  # pyright: ignore
        Int8WeightOnlyConfig,  # pyright: ignore[reportMissingImports]
        quantize_,  # pyright: ignore[reportMissingImports]
    )

    def in_blocks(module: nn.Module, name: str) -> bool:
        return isinstance(module, nn.Linear) and "blocks." in name

    quantize_(denoiser, Int8WeightOnlyConfig(), filter_fn=in_blocks)


def _move_frozen(denoiser: nn.Module, device: torch.device) -> None:
    """What learns stays, beside its average and its moments."""
    for module in denoiser.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and not parameter.requires_grad and parameter.device.type != device.type:
                module._parameters[name] = nn.Parameter(parameter.to(device), requires_grad=False)
        for name, values in module._buffers.items():
            module._buffers[name] = values.to(device) if values is not None else None
