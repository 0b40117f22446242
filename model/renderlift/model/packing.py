"""The token sequence of in-context video: the same in training as in the pipeline.

`[target | reference]`: noisy target tokens, then each reference's clean tokens at timestep 0.
References share the target's positions, scaled where they are smaller (RealMaster; IC-LoRA of
LTX-2). `LTX2InContextPipeline` packs so at inference; this packs the same for training, with
the pipeline's own functions, and a test holds the two against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import AutoencoderKLLTX2Video, LTX2InContextPipeline, LTX2VideoTransformer3DModel
from torch import Tensor

TIMESTEPS = 1000  # of the flow-matching scheduler: timestep = sigma * 1000


@dataclass(frozen=True)
class Context:
    """What stands in for a prompt: the connectors' output for an empty one."""

    video: Tensor  # (1, tokens, C)
    audio: Tensor  # (1, tokens, C)


@dataclass(frozen=True)
class Tokens:
    """Normalised latents of one video in the transformer's order."""

    values: Tensor  # (B, frames * height * width, C)
    frames: int
    height: int
    width: int


def empty_context(pipeline: LTX2InContextPipeline) -> Context:
    """The context of no text: an all-zero mask makes the connectors use their own registers."""
    embeds, mask = empty_prompt(pipeline)
    video, audio, _ = pipeline.connectors(embeds, mask, padding_side="left")
    return Context(video, audio)


def empty_prompt(pipeline: LTX2InContextPipeline) -> tuple[Tensor, Tensor]:
    """(prompt_embeds, prompt_attention_mask) of no text for a base without a text encoder."""
    config = cast(Any, pipeline.connectors).config
    tokens = int(config.video_connector_num_learnable_registers)
    channels = int(config.caption_channels) * int(config.text_proj_in_factor)  # all states of a text encoder
    weight = next(pipeline.connectors.parameters())
    embeds = torch.zeros(1, tokens, channels, dtype=weight.dtype, device=weight.device)
    return embeds, torch.zeros(1, tokens, dtype=torch.long, device=weight.device)


def encode(autoencoder: AutoencoderKLLTX2Video, pixels: Tensor) -> Tensor:
    """(B, 3, T, H, W) in [-1, 1] to normalised latents (B, C, t, h, w)."""
    encoded = cast(Any, autoencoder).encode(pixels.to(autoencoder.dtype))
    latents = encoded.latent_dist.mode()
    mean, std = autoencoder.latents_mean, autoencoder.latents_std
    return LTX2InContextPipeline._normalize_latents(latents, mean, std).float()  # pyright: ignore[reportPrivateUsage]


def pack(latents: Tensor) -> Tokens:
    """(B, C, t, h, w) to tokens."""
    packed = LTX2InContextPipeline._pack_latents(latents)  # pyright: ignore[reportPrivateUsage]
    return Tokens(packed, *latents.shape[2:])


def unpack(tokens: Tensor, like: Tensor) -> Tensor:
    """Tokens (B, t * h * w, C) to latents of the shape of `like` (B, C, t, h, w)."""
    return cast(Tensor, LTX2InContextPipeline._unpack_latents(tokens, *like.shape[2:]))  # pyright: ignore[reportPrivateUsage]


def velocity(
    transformer: LTX2VideoTransformer3DModel,
    noisy: Tokens,
    sigma: Tensor,
    references: Sequence[Tokens],
    context: Context,
    *,
    fps: float = 24.0,
) -> Tensor:
    """The transformer's velocity (noise minus clean) for the target tokens only.

    Args:
        noisy: target tokens at noise level `sigma`.
        sigma: (B,), in [0, 1].
        references: clean tokens of each reference; coarser grids are scaled onto the target's.

    Returns:
        (B, target tokens, C).
    """
    batch, count, _ = noisy.values.shape
    timestep = (sigma * TIMESTEPS).view(batch, 1)
    parts, times, coords = [noisy.values], [timestep.expand(batch, count)], [_coords(transformer, noisy, fps)]
    for reference in references:
        position = _coords(transformer, reference, fps).clone()
        position[:, 1:] *= noisy.height / reference.height
        parts.append(reference.values)
        times.append(torch.zeros_like(timestep).expand(batch, reference.values.shape[1]))
        coords.append(position)
    audio = noisy.values.new_zeros(batch, 1, int(cast(Any, transformer).config.audio_in_channels))
    predicted = transformer(
        hidden_states=torch.cat(parts, 1),
        audio_hidden_states=audio,
        encoder_hidden_states=context.video.expand(batch, -1, -1),
        audio_encoder_hidden_states=context.audio.expand(batch, -1, -1),
        timestep=torch.cat(times, 1),
        audio_timestep=sigma * TIMESTEPS,
        sigma=sigma * TIMESTEPS,
        audio_sigma=sigma * TIMESTEPS,
        num_frames=noisy.frames,
        height=noisy.height,
        width=noisy.width,
        fps=fps,
        audio_num_frames=1,
        video_coords=torch.cat(coords, 2),
        isolate_modalities=True,
        use_cross_timestep=True,
        return_dict=False,
    )[0]
    return cast(Tensor, predicted[:, :count])


def _coords(transformer: LTX2VideoTransformer3DModel, tokens: Tokens, fps: float) -> Tensor:
    batch, device = tokens.values.shape[0], tokens.values.device
    return cast(
        Tensor,
        transformer.rope.prepare_video_coords(batch, tokens.frames, tokens.height, tokens.width, device, fps=fps),
    )
