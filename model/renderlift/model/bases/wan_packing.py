"""Wan in context: references as extra frames at timestep 0 that share the target's positions.

RealMaster's recipe (arXiv 2603.23462) on diffusers' `WanTransformer3DModel`, which computes positions from
the shape alone. `share_positions` makes it repeat the first frames' positions for the frames that follow. The
state dict stays as it was, so checkpoints and LoRAs fit. Used by training and inference alike.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from torch import Tensor, nn

from renderlift.model.packing import TIMESTEPS


class SharedPositions(nn.Module):
    """Wraps a Wan transformer's rotary embedding: `copies` stretches of frames, one set of positions."""

    def __init__(self, rope: nn.Module) -> None:
        super().__init__()
        self.rope = rope
        self.copies = 1

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        cosine, sine = self.rope(hidden_states[:, :, : hidden_states.shape[2] // self.copies])
        return cosine.repeat(1, self.copies, 1, 1), sine.repeat(1, self.copies, 1, 1)


def share_positions(transformer: WanTransformer3DModel, copies: int) -> None:
    """Let the transformer's input hold `copies` stretches of frames at the same positions."""
    module = cast(Any, transformer)
    if not isinstance(module.rope, SharedPositions):
        module.rope = SharedPositions(module.rope)
    module.rope.copies = copies


def velocity(
    transformer: WanTransformer3DModel,
    noisy: Tensor,
    sigma: Tensor,
    references: Sequence[Tensor],
    text: Tensor,
    *,
    known_frames: int = 0,
    reference_strength: float = 1.0,
) -> Tensor:
    """The transformer's velocity (noise minus clean) for the target's latents.

    Args:
        noisy: (B, C, t, h, w) at noise level `sigma`, but clean in its first `known_frames` frames.
        sigma: (B,), in [0, 1].
        references: latents (B, C, t, h, w) each, at noise level 1 - `reference_strength`.
        text: (B, tokens, C).
        reference_strength: 1 = clean references, 0 = nothing but noise, at every step.

    Returns:
        (B, C, t, h, w).
    """
    share_positions(transformer, 1 + len(references))
    patch = cast(Any, transformer).config.patch_size
    frames, height, width = (size // step for size, step in zip(noisy.shape[2:], patch, strict=True))
    per_frame, shown_at = height * width, TIMESTEPS * (1 - reference_strength)
    level = (sigma * TIMESTEPS).view(-1, 1)
    times = [
        torch.zeros_like(level).expand(-1, known_frames * per_frame),
        level.expand(-1, (frames - known_frames) * per_frame),
        *[torch.full_like(level, shown_at).expand(-1, frames * per_frame) for _ in references],
    ]
    predicted = transformer(
        hidden_states=torch.cat([noisy, *references], 2),
        timestep=torch.cat(times, 1),
        encoder_hidden_states=text,
        return_dict=False,
    )[0]
    return cast(Tensor, predicted[:, :, : noisy.shape[2]])


def encode(autoencoder: AutoencoderKLWan, pixels: Tensor) -> Tensor:
    """(B, 3, T, H, W) in [-1, 1] to normalised latents (B, C, t, h, w), float32."""
    latents = cast(Any, autoencoder).encode(pixels.to(autoencoder.dtype)).latent_dist.mode().float()
    mean, std = _statistics(autoencoder, latents)
    return (latents - mean) / std


def decode(autoencoder: AutoencoderKLWan, latents: Tensor) -> Tensor:
    """The way back: (B, C, t, h, w) to (B, 3, T, H, W) in [-1, 1]."""
    mean, std = _statistics(autoencoder, latents)
    plain = (latents.float() * std + mean).to(autoencoder.dtype)
    return cast(Tensor, cast(Any, autoencoder).decode(plain, return_dict=False)[0])


def _statistics(autoencoder: AutoencoderKLWan, like: Tensor) -> tuple[Tensor, Tensor]:
    config = cast(Any, autoencoder).config
    mean, std = (torch.tensor(values, device=like.device) for values in (config.latents_mean, config.latents_std))
    return mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)
