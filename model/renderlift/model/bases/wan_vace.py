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
from diffusers import WanVACEPipeline, WanVACETransformer3DModel
from torch import Tensor

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.errors import SetupError
from renderlift.model import control
from renderlift.model.bases.controls import control_video, one_control
from renderlift.model.bases.facts import BaseFacts
from renderlift.model.bases.few_steps import take_published_levels
from renderlift.model.bases.prompts import PromptEncoder
from renderlift.model.bases.settings import Painter, Picture, RenderSettings
from renderlift.model.bases.wan import forget_last_clip, size_multiple, text_of
from renderlift.model.control import Fit
from renderlift.model.packing import TIMESTEPS

Propagate = Callable[[Clip, Mapping[int, Picture]], Video]


def painter(pipeline: WanVACEPipeline, facts: BaseFacts, settings: RenderSettings) -> Painter:
    """The function that paints clips with this pipeline.

    Raises:
        SetupError: several controls.
    """
    control_name, weight = one_control(settings.controls, facts)
    encoder = PromptEncoder(pipeline)
    if facts.is_distilled:
        take_published_levels(pipeline)
    looks = [PIL.Image.fromarray(picture) for picture in settings.reference_images] or None

    def sizes(clip: Clip) -> tuple[Fit, int]:
        fit = control.fitted(clip.height, clip.width, settings.working_pixels, size_multiple(pipeline))
        return fit, control.padded_length(len(clip), int(pipeline.vae_scale_factor_temporal))

    def show(clip: Clip) -> list[Video]:
        return [laid_control(control_name, clip, *sizes(clip))]

    def paint(shown: Sequence[Video], clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        fit, frames = sizes(clip)
        video, mask = with_known(shown[0], known, fit)
        words, opposite = text_of(pipeline, encoder, settings, clip)
        forget_last_clip(pipeline)
        painted = cast(Any, pipeline)(
            prompt_embeds=words,
            negative_prompt_embeds=opposite,
            video=control.to_pixels(video, cast(Any, pipeline.vae).device)[None],
            mask=control.to_pixels(mask, cast(Any, pipeline.vae).device)[None],
            reference_images=looks,
            conditioning_scale=weight * settings.reference_strength,
            height=fit.padded_height,
            width=fit.padded_width,
            num_frames=frames,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            guidance_scale_2=settings.low_noise_guidance or None,
            generator=torch.Generator().manual_seed(settings.seed),
            output_type="pt",
        )
        return control.cut_out(cast(Tensor, painted.frames)[0], fit, len(clip))

    return Painter(show, paint)


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


def laid_control(name: str, clip: Clip, fit: Fit, frames: int) -> Video:
    """A control as VACE was trained on it: (frames, padded height, padded width, 3) uint8.

    Raises:
        ChannelError: the clip lacks what it is made from.
    """
    return control.lengthened(control.laid_in(shown_control(name, clip, fit.height, fit.width), fit), frames)


def with_known(shown: Video, known: Mapping[int, Picture], fit: Fit) -> tuple[Video, Video]:
    """A `laid_control` with the known pictures in their places, and its mask: 0 = keep, 255 = paint."""
    video = shown.copy()
    mask = np.full_like(video, 255)
    for place, picture in known.items():
        video[place] = control.laid_in(picture[None], fit)[0]
        mask[place] = 0
    return video, mask


def shown_control(name: str, clip: Clip, height: int, width: int) -> Video:
    """A control as VACE was trained on it: (T, height, width, 3) uint8.

    Raises:
        ChannelError: the clip lacks what it is made from.
    """
    plain = control_video(name, clip, height, width)
    # VACE was trained on dark lines on white. Light lines on black it takes for a picture to be kept
    # (its authors: github.com/ali-vilab/VACE/issues/100).
    return 255 - plain if name == "edge" else plain


def velocity(
    transformer: WanVACETransformer3DModel,
    noisy: Tensor,
    sigma: Tensor,
    shown: Tensor,
    blank: Tensor,
    text: Tensor,
) -> Tensor:
    """The transformer's velocity (noise minus clean), steered at full strength, with no picture known.

    What it is shown is what `WanVACEPipeline` makes of a video whose mask says "paint" everywhere.

    Args:
        noisy: latents (B, C, t, h, w) at noise level `sigma`.
        sigma: (B,), in [0, 1].
        shown: latents (B, C, t, h, w) of the control video.
        blank: those of a video of mid-grey, which stands where pictures would be known.
        text: (B, tokens, C).

    Returns:
        (B, C, t, h, w).
    """
    masks = int(cast(Any, transformer).config.vace_in_channels) - 2 * shown.shape[1]
    paint = torch.ones_like(shown[:, :1]).expand(-1, masks, -1, -1, -1)
    predicted = transformer(
        hidden_states=noisy,
        timestep=cast(Any, sigma * TIMESTEPS),
        encoder_hidden_states=text,
        control_hidden_states=torch.cat([blank, shown, paint], 1),
        return_dict=False,
    )[0]
    return cast(Tensor, predicted)
