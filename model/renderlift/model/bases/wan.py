"""Wan 2.1 and 2.2 in context. Experimental: no pipeline of diffusers does this, so the denoising loop is ours.

Both experts of A14B are used, switched where the pipeline's own `boundary_ratio` says.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from diffusers import WanPipeline, WanTransformer3DModel
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from renderlift.bridge.clip import Clip, Video
from renderlift.model import control
from renderlift.model.bases.facts import BaseFacts
from renderlift.model.bases.few_steps import take_published_levels
from renderlift.model.bases.prompts import PromptEncoder, no_words, prompts_for
from renderlift.model.bases.settings import Painter, Picture, RenderSettings
from renderlift.model.bases.wan_packing import decode, encode, velocity
from renderlift.model.control import Fit
from renderlift.model.packing import TIMESTEPS
from renderlift.model.references import reference_videos

TEXT_TOKENS = 226  # the pipeline's own default


def painter(pipeline: WanPipeline, facts: BaseFacts, settings: RenderSettings) -> Painter:
    """The function that paints clips with this pipeline."""
    encoder = PromptEncoder(pipeline)
    if facts.is_distilled:
        take_published_levels(pipeline)

    def sizes(clip: Clip) -> tuple[Fit, int]:
        fit = control.fitted(clip.height, clip.width, settings.working_pixels, size_multiple(pipeline))
        return fit, control.padded_length(len(clip), int(pipeline.vae_scale_factor_temporal))

    def show(clip: Clip) -> list[Video]:
        fit, frames = sizes(clip)
        videos = reference_videos(settings.references, clip.channels, (fit.height, fit.width))
        return [control.lengthened(control.laid_in(video, fit), frames) for video in videos]

    def paint(shown: Sequence[Video], clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        fit, frames = sizes(clip)
        references = [_encoded(pipeline, video) for video in shown]
        beginning = _beginning(pipeline, known, fit)
        shape = _latent_shape(pipeline, frames, fit)
        text = text_of(pipeline, encoder, settings, clip)
        latents = _denoised(pipeline, settings, shape, references, beginning, text)
        with torch.no_grad():
            pixels = decode(pipeline.vae, latents)[0].permute(1, 0, 2, 3)
        return control.cut_out(pixels.float() / 2 + 0.5, fit, len(clip)).clamp(0, 1)

    return Painter(show, paint)


def size_multiple(pipeline: object) -> int:
    """Heights and widths are multiples of this: the autoencoder's ratio times the transformer's patch."""
    wan = cast(Any, pipeline)
    transformer = wan.transformer if wan.transformer is not None else wan.transformer_2
    return int(wan.vae_scale_factor_spatial) * int(transformer.config.patch_size[1])


def text_of(
    pipeline: object, encoder: PromptEncoder, settings: RenderSettings, clip: Clip
) -> tuple[Tensor, Tensor | None]:
    """(1, tokens, C) of the prompt, and of the negative prompt where there is guidance."""
    wan = cast(Any, pipeline)
    transformer = wan.transformer if wan.transformer is not None else wan.transformer_2
    guided = settings.guidance > 1
    # Its weights may wait on the CPU until they are called.
    device, dtype = wan._execution_device, transformer.dtype
    if not encoder.reads_text:
        nothing = no_words(TEXT_TOKENS, int(transformer.config.text_dim), device, dtype)
        return nothing, nothing if guided else None
    words, opposite = encoder(*prompts_for(clip, settings), guided)
    as_read = [None if t is None else t.to(device, dtype) for t in (words, opposite)]
    return cast(Tensor, as_read[0]), as_read[1]


def _denoised(
    pipeline: WanPipeline,
    settings: RenderSettings,
    shape: tuple[int, ...],
    references: list[Tensor],
    beginning: Tensor | None,
    text: tuple[Tensor, Tensor | None],
) -> Tensor:
    """From noise to latents (1, C, t, h, w), with the first frames held at `beginning`."""
    device = pipeline._execution_device
    generator = torch.Generator().manual_seed(settings.seed)
    latents = randn_tensor(shape, generator=generator, device=device, dtype=torch.float32)
    softened = 1 - settings.reference_strength
    shown = [
        softened * randn_tensor(shape, generator=generator, device=device, dtype=torch.float32)
        + (1 - softened) * reference
        for reference in references
    ]
    known = 0 if beginning is None else beginning.shape[2]
    scheduler = cast(Any, pipeline.scheduler)
    scheduler.set_timesteps(settings.steps, device=device)
    forget_last_clip(pipeline)
    with torch.no_grad(), cast(Any, pipeline).progress_bar(total=len(scheduler.timesteps)) as progress:
        for timestep in scheduler.timesteps:
            if beginning is not None:
                latents[:, :, :known] = beginning
            transformer = _expert(pipeline, float(timestep))
            sigma = (timestep / TIMESTEPS).view(1).float()
            own = settings.low_noise_guidance if transformer is pipeline.transformer_2 else 0.0
            guidance = own or settings.guidance
            predicted = _guided(transformer, latents, sigma, shown, text, settings, known, guidance)
            latents = scheduler.step(predicted, timestep, latents, return_dict=False)[0]
            progress.update()
    if beginning is not None:
        latents[:, :, :known] = beginning
    return latents


def forget_last_clip(pipeline: object) -> None:
    """Empty the experts' caches; a clip that memory did not suffice for left its own there."""
    wan = cast(Any, pipeline)
    for expert in (wan.transformer, wan.transformer_2):
        if expert is not None:
            expert._reset_stateful_cache()


def _guided(
    transformer: WanTransformer3DModel,
    latents: Tensor,
    sigma: Tensor,
    references: list[Tensor],
    text: tuple[Tensor, Tensor | None],
    settings: RenderSettings,
    known: int,
    guidance: float,
) -> Tensor:
    dtype = transformer.dtype
    noisy, shown = latents.to(dtype), [reference.to(dtype) for reference in references]

    def predict(words: Tensor, prompt: str) -> Tensor:
        strength = settings.reference_strength
        with transformer.cache_context(prompt):
            return velocity(
                transformer, noisy, sigma, shown, words, known_frames=known, reference_strength=strength
            ).float()

    positive = predict(text[0], "positive")
    if text[1] is None:
        return positive
    negative = predict(text[1], "negative")
    return negative + guidance * (positive - negative)


def _expert(pipeline: WanPipeline, timestep: float) -> WanTransformer3DModel:
    wan = cast(Any, pipeline)
    boundary = wan.config.boundary_ratio
    if wan.transformer is None or wan.transformer_2 is None or boundary is None:
        return cast(WanTransformer3DModel, wan.transformer or wan.transformer_2)
    return cast(WanTransformer3DModel, wan.transformer if timestep >= boundary * TIMESTEPS else wan.transformer_2)


def _latent_shape(pipeline: WanPipeline, frames: int, fit: Fit) -> tuple[int, ...]:
    channels = int(cast(Any, pipeline.vae).config.z_dim)
    temporal, spatial = int(pipeline.vae_scale_factor_temporal), int(pipeline.vae_scale_factor_spatial)
    return 1, channels, (frames - 1) // temporal + 1, fit.padded_height // spatial, fit.padded_width // spatial


def _beginning(pipeline: WanPipeline, known: Mapping[int, Picture], fit: Fit) -> Tensor | None:
    """Latents of the pictures that are known from the first frame on; None if there are none."""
    ratio = int(pipeline.vae_scale_factor_temporal)
    count = next(n for n in range(len(known) + 1) if n not in known)
    if not count:
        return None
    video = np.stack([known[t] for t in range((count - 1) // ratio * ratio + 1)])
    return _encoded(pipeline, control.laid_in(video, fit))


def _encoded(pipeline: WanPipeline, video: Picture) -> Tensor:
    """(T, H, W, 3) to normalised latents (1, C, t, h, w) where the pipeline computes."""
    pixels = control.to_pixels(video, pipeline._execution_device).permute(1, 0, 2, 3)[None] * 2 - 1
    with torch.no_grad():
        return encode(pipeline.vae, pixels)
