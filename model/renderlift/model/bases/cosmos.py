"""Cosmos-Transfer 2.5, by the stock `Cosmos2_5_TransferPipeline`: one control video from the engine's buffers.

Inference only: the pipeline takes no LoRA. It goes on from chunk to chunk by itself, so a clip of any
length is one call. Its licence asks that the guardrail runs, so nothing here switches it off.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from diffusers import Cosmos2_5_TransferPipeline
from torch import Tensor

from renderlift.bridge.clip import Clip
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
            num_frames_per_chunk=min(chunk_frames, _longest_chunk(pipeline)),
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            generator=torch.Generator().manual_seed(settings.seed),
            output_type="pt",
        )
        return control.cut_out(cast(Tensor, painted.frames)[0], fit, len(clip))

    return paint


def _longest_chunk(pipeline: Cosmos2_5_TransferPipeline) -> int:
    """As the pipeline itself computes it from the size of its positions."""
    config = cast(Any, pipeline.transformer).config
    return max(size // patch for size, patch in zip(config.max_size, config.patch_size, strict=True))


def _prompt(
    pipeline: Cosmos2_5_TransferPipeline, encoder: PromptEncoder, settings: RenderSettings, clip: Clip
) -> dict[str, Any]:
    guided = settings.guidance > 1
    if encoder.reads_text:
        words, opposite = encoder(*prompts_for(clip, settings), guided)
    else:
        transformer = cast(Any, pipeline.transformer)
        config = transformer.config
        uses_projection = bool(config.use_crossattn_projection)
        channels = config.crossattn_proj_in_channels if uses_projection else config.text_embed_dim
        words = no_words(TEXT_TOKENS, int(channels), pipeline._execution_device, transformer.dtype)
        opposite = words if guided else None
    return {"prompt_embeds": words, "negative_prompt_embeds": opposite}
