"""Wan 2.1 and 2.2 VACE, by the stock `WanVACEPipeline`: a control video, and pictures that are known already.

A control video from the engine's buffers says where things are; frames whose picture is known stand in it
as they are, masked "keep" (VACE, arXiv 2503.07598). So it works with no adapter at all, and carries two
anchors over the frames between them, which is how RealMaster makes its pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import PIL.Image
import torch
from diffusers import WanVACEPipeline
from torch import Tensor

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.errors import SetupError
from renderlift.model import control
from renderlift.model.bases.controls import control_video
from renderlift.model.bases.facts import BaseFacts
from renderlift.model.bases.prompts import PromptEncoder
from renderlift.model.bases.settings import Paint, Picture, RenderSettings
from renderlift.model.bases.wan import forget_last_clip, size_multiple, text_of
from renderlift.model.control import Fit

Propagate = Callable[[Clip, Mapping[int, Picture]], Video]


def painter(
    pipeline: WanVACEPipeline, facts: BaseFacts, settings: RenderSettings, pictures: Sequence[Picture] = ()
) -> Paint:
    """The function that paints clips with this pipeline.

    Args:
        pictures: what things look like, not where: (H, W, 3) each, for VACE's reference images.

    Raises:
        SetupError: several controls.
    """
    if len(settings.controls) != 1:
        raise SetupError(
            f"{facts.title} takes one control, not {' and '.join(settings.controls)}",
            fix="Name one, such as edge or depth.",
        )
    ((control_name, weight),) = settings.controls.items()
    encoder = PromptEncoder(pipeline)
    shown = [PIL.Image.fromarray(picture) for picture in pictures] or None

    def paint(clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        fit = control.fitted(clip.height, clip.width, settings.working_pixels, size_multiple(pipeline))
        frames = control.padded_length(len(clip), int(pipeline.vae_scale_factor_temporal))
        video, mask = control_and_mask(control_name, clip, known, fit, frames)
        words, opposite = text_of(pipeline, encoder, settings, clip)
        forget_last_clip(pipeline)
        painted = cast(Any, pipeline)(
            prompt_embeds=words,
            negative_prompt_embeds=opposite,
            video=control.to_pixels(video)[None],
            mask=control.to_pixels(mask)[None],
            reference_images=shown,
            conditioning_scale=weight * settings.reference_strength,
            height=fit.padded_height,
            width=fit.padded_width,
            num_frames=frames,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            generator=torch.Generator().manual_seed(settings.seed),
            output_type="pt",
        )
        return control.cut_out(cast(Tensor, painted.frames)[0], fit, len(clip))

    return paint


def propagator(pipeline: WanVACEPipeline, facts: BaseFacts, settings: RenderSettings) -> Propagate:
    """The function that carries anchor pictures over a clip: the way to make pairs from a few good frames.

    The anchors themselves come back untouched, whatever the autoencoder would make of them.
    """
    paint = painter(pipeline, facts, settings)

    def propagate(clip: Clip, anchors: Mapping[int, Picture]) -> Video:
        """`anchors`: place in the clip to picture (H, W, 3). Gives (T, H, W, 3) uint8."""
        outside = [place for place in anchors if not 0 <= place < len(clip)]
        if outside or not anchors:
            raise SetupError(
                f"anchors at {outside or 'no place'} of a clip of {len(clip)} frames",
                fix=f"Give at least one, between 0 and {len(clip) - 1}; the first and the last are best.",
            )
        video = control.resize(control.to_video(paint(clip, anchors)), clip.height, clip.width)
        for place, picture in anchors.items():
            video[place] = control.resize(picture[None], clip.height, clip.width)[0]
        return video

    return propagate


def control_and_mask(
    name: str, clip: Clip, known: Mapping[int, Picture], fit: Fit, frames: int
) -> tuple[Video, Video]:
    """The control video with the known pictures in their places, and its mask: 0 = keep, 255 = paint.

    Both (frames, padded height, padded width, 3) uint8.
    """
    plain = control_video(name, clip, fit.height, fit.width)
    if name == "edge":
        # VACE was trained on dark lines on white. Light lines on black it takes for a picture to be kept
        # (its authors: github.com/ali-vilab/VACE/issues/100).
        plain = 255 - plain
    video = control.lengthened(control.laid_in(plain, fit), frames).copy()
    mask = np.full_like(video, 255)
    for place, picture in known.items():
        video[place] = control.laid_in(picture[None], fit)[0]
        mask[place] = 0
    return video, mask
