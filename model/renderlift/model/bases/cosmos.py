"""Cosmos-Transfer 2.5, by the stock `Cosmos2_5_TransferPipeline`: one control video from the engine's buffers.

Inference only: the pipeline takes no LoRA. Within one call it goes on from chunk to chunk by itself. Its licence
asks that the guardrail runs, so nothing here switches it off.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from diffusers import Cosmos2_5_TransferPipeline
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import RenderError
from renderlift.model import control
from renderlift.model.bases.controls import control_video
from renderlift.model.bases.facts import BaseFacts
from renderlift.model.bases.prompts import PromptEncoder, no_words, prompts_for
from renderlift.model.bases.settings import Paint, Picture, RenderSettings

CHUNK_FRAMES = 93
SIZE_MULTIPLE = 16
TEXT_TOKENS = 512


def painter(
    pipeline: Cosmos2_5_TransferPipeline,
    facts: BaseFacts,
    settings: RenderSettings,
    chunk_frames: int = CHUNK_FRAMES,
) -> Paint:
    """The function that paints clips with this pipeline; it can use no known pictures."""
    encoder = PromptEncoder(pipeline)

    def paint(clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        fit = control.fitted(clip.height, clip.width, settings.working_pixels, SIZE_MULTIPLE)
        video = control_video(settings.control, clip, fit.height, fit.width)
        # The pipeline pads a last chunk itself, but must be given two frames to find a chunk at all.
        video = control.lengthened(control.laid_in(video, fit), max(2, len(clip)))
        painted = cast(Any, pipeline)(
            controls=control.to_pixels(video),
            controls_conditioning_scale=settings.reference_strength,
            **_prompt(pipeline, encoder, settings, clip),
            height=fit.padded_height,
            width=fit.padded_width,
            num_frames=len(video),
            num_frames_per_chunk=_chunk(pipeline, chunk_frames),
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            generator=torch.Generator().manual_seed(settings.seed),
            output_type="pt",
        )
        return control.cut_out(cast(Tensor, painted.frames)[0], fit, len(clip))

    return paint


def _chunk(pipeline: Cosmos2_5_TransferPipeline, wanted: int) -> int:
    """The longest chunk up to `wanted` that the positions reach and the autoencoder gives back whole.

    From another length the pipeline would lose frames at the end of each chunk, and run ahead of its control.
    """
    config = cast(Any, pipeline.transformer).config
    longest = max(size // patch for size, patch in zip(config.max_size, config.patch_size, strict=True))
    ratio = int(pipeline.vae_scale_factor_temporal)
    return (min(wanted, longest) - 1) // ratio * ratio + 1


def _prompt(
    pipeline: Cosmos2_5_TransferPipeline, encoder: PromptEncoder, settings: RenderSettings, clip: Clip
) -> dict[str, Any]:
    guided = settings.guidance > 1
    if encoder.reads_text:
        told = prompts_for(clip, settings)
        _refuse_unsafe(pipeline, told[0])
        words, opposite = encoder(*told, guided)
    else:
        transformer = cast(Any, pipeline.transformer)
        config = transformer.config
        uses_projection = bool(config.use_crossattn_projection)
        channels = config.crossattn_proj_in_channels if uses_projection else config.text_embed_dim
        words = no_words(TEXT_TOKENS, int(channels), pipeline._execution_device, transformer.dtype)
        opposite = words if guided else None
    return {"prompt_embeds": words, "negative_prompt_embeds": opposite}


def _refuse_unsafe(pipeline: Cosmos2_5_TransferPipeline, prompt: str) -> None:
    """What the pipeline does with words; it is given them encoded, and could not."""
    if not cast(Any, pipeline).safety_checker.check_text_safety(prompt):
        raise RenderError(f"the guardrail of Cosmos refuses the prompt {prompt!r}", fix="Describe it otherwise.")
