"""One training step of an adapter on Wan in context: noise on the target, references clean, loss on the target.

The same packing as inference (`wan_packing.velocity`). Wan 2.2 A14B has two experts, each for its own noise levels:
each gets an adapter of its own, and a step trains the one that its level belongs to.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import WanPipeline, WanTransformer3DModel
from torch import Tensor

from renderlift.model import lora
from renderlift.model.bases.adapters import LOW_NOISE_FILE
from renderlift.model.bases.wan_packing import velocity
from renderlift.model.lora import FILE_NAME, AdapterFacts

LEAST_SIGMA = 0.02


def experts(pipeline: WanPipeline) -> list[WanTransformer3DModel]:
    """The pipeline's denoisers: for high noise first."""
    found = (cast(Any, pipeline).transformer, cast(Any, pipeline).transformer_2)
    return [cast(WanTransformer3DModel, expert) for expert in found if expert is not None]


def attach(pipeline: WanPipeline, *, rank: int, alpha: int | None = None, name: str = "lift") -> None:
    """Freeze the experts and give each a trainable adapter."""
    for expert in experts(pipeline):
        lora.attach(expert, rank=rank, alpha=alpha, name=name)


def draw_sigma(pipeline: WanPipeline, expert: int, count: int) -> Tensor:
    """(count,) noise levels of one expert, uniform before the scheduler's own shift."""
    config = cast(Any, pipeline.scheduler).config
    shift = float(config.get("flow_shift") or config.get("shift") or 1.0)
    boundary = cast(Any, pipeline).config.boundary_ratio if len(experts(pipeline)) == 2 else None
    low, high = LEAST_SIGMA, 1.0
    if boundary is not None:
        low, high = (float(boundary), 1.0) if expert == 0 else (LEAST_SIGMA, float(boundary))
    before = [level / (shift - (shift - 1) * level) for level in (low, high)]  # the shift undone
    plain = before[0] + (before[1] - before[0]) * torch.rand(count)
    return shift * plain / (1 + (shift - 1) * plain)


def flow_loss(
    transformer: WanTransformer3DModel, target: Tensor, references: Sequence[Tensor], sigma: Tensor, text: Tensor
) -> Tensor:
    """Mean squared error of the predicted velocity, on the target alone.

    Args:
        target: clean normalised latents (B, C, t, h, w); `wan_packing.encode` makes them.
        references: clean latents of the same shape each.
        sigma: (B,) noise levels in (0, 1].
        text: (B, tokens, C).
    """
    noise = torch.randn_like(target)
    level = sigma.to(target).view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * target + level * noise
    predicted = velocity(transformer, noisy, sigma.to(target.device), references, text)
    return (predicted.float() - (noise - target)).square().mean()


def save(pipeline: WanPipeline, folder: Path, facts: AdapterFacts, *, name: str = "lift") -> None:
    """Write the adapters of all experts, as `adapters.load_adapter` finds them."""
    for expert, file_name in zip(experts(pipeline), (FILE_NAME, LOW_NOISE_FILE), strict=False):
        lora.save(expert, folder, facts, name=name, file_name=file_name)
