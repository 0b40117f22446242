"""LTX-2 and the embedded base, by the stock `LTX2InContextPipeline`.

References enter as clean tokens that share the target's positions; pictures that are known already (the end
of the window before, anchors) as the pipeline's own conditions. No attention mask is ever asked for: with
one, the pipeline would build a dense one of tokens x tokens. The sound that the model makes along the way is
dropped: nobody asked for it, and an engine's recording has none.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTX2InContextPipeline, LTX2LatentUpsamplePipeline
from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition
from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import LTX2ReferenceCondition
from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES, STAGE_2_DISTILLED_SIGMA_VALUES
from torch import Tensor

from renderlift.bridge.clip import Clip, Video
from renderlift.model import control
from renderlift.model.bases.facts import BaseFacts
from renderlift.model.bases.prompts import PromptEncoder, prompts_for
from renderlift.model.bases.settings import Painter, Picture, RenderSettings
from renderlift.model.control import Fit
from renderlift.model.packing import empty_prompt
from renderlift.model.references import reference_videos

# Every guidance pass costs a forward; an adapter that was trained without guidance needs none.
NO_GUIDANCE = {
    f"{kind}{name}": value
    for kind in ("", "audio_")
    for name, value in (
        ("guidance_scale", 1.0),
        ("stg_scale", 0.0),
        ("modality_scale", 1.0),
        ("guidance_rescale", 0.0),
    )
}
GUIDED_RESCALE = 0.7  # the pipeline's own: guidance alone would oversaturate


def painter(
    pipeline: LTX2InContextPipeline, facts: BaseFacts, settings: RenderSettings, upsampler: object = None
) -> Painter:
    """The function that paints clips with this pipeline.

    Args:
        upsampler: an `LTX2LatentUpsamplerModel`, for two stages, which only distilled weights can.
    """
    encoder = PromptEncoder(pipeline)
    if facts.is_distilled:
        _take_levels_as_they_are(pipeline)
    second = (
        LTX2LatentUpsamplePipeline(vae=pipeline.vae, latent_upsampler=cast(Any, upsampler))
        if settings.two_stages
        else None
    )
    if second is not None:
        second.set_progress_bar_config(disable=True)

    def sizes(clip: Clip) -> tuple[Fit, int]:
        fit = _fit(pipeline, facts, settings, clip)
        return fit, control.padded_length(len(clip), int(pipeline.vae_temporal_compression_ratio))

    def show(clip: Clip) -> list[Video]:
        fit, frames = sizes(clip)
        # Shrunk here by area, as in training: the pipeline would take every n-th pixel.
        small = control.shrunk(_first_fit(fit, settings), settings.reference_downscale_factor)
        videos = reference_videos(settings.references, clip.channels, (small.height, small.width))
        return [control.lengthened(control.laid_in(video, small), frames) for video in videos]

    def paint(shown: Sequence[Video], clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        cast(Any, pipeline.transformer)._reset_stateful_cache()  # of a clip that memory did not suffice for
        fit, frames = sizes(clip)
        call = (
            _prompt(pipeline, encoder, settings, clip)
            | _guidance(settings)
            | {
                "frame_rate": facts.fps,
                "num_frames": frames,
                "generator": torch.Generator().manual_seed(settings.seed),
            }
        )
        call |= _schedule(settings.steps, facts)
        if second is None:
            call |= _conditions(pipeline, known, fit)
            painted = _first_stage(pipeline, settings, shown, fit, call, output="pt")
        else:
            painted = _two_stages(pipeline, second, settings, shown, fit, known, call)
        return control.cut_out(cast(Tensor, painted.frames)[0], fit, len(clip))

    return Painter(show, paint)


def _first_stage(
    pipeline: LTX2InContextPipeline,
    settings: RenderSettings,
    shown: Sequence[Video],
    fit: Fit,
    call: dict[str, Any],
    *,
    output: str,
) -> Any:
    references = [
        LTX2ReferenceCondition(
            frames=control.to_pixels(video, cast(Any, pipeline.vae).device), strength=settings.reference_strength
        )
        for video in shown
    ]
    return cast(Any, pipeline)(
        **call,
        reference_conditions=references,
        reference_downscale_factor=settings.reference_downscale_factor,
        height=fit.padded_height,
        width=fit.padded_width,
        output_type=output,
    )


def _two_stages(
    pipeline: LTX2InContextPipeline,
    upsample: LTX2LatentUpsamplePipeline,
    settings: RenderSettings,
    shown: Sequence[Video],
    fit: Fit,
    known: Mapping[int, Picture],
    call: dict[str, Any],
) -> Any:
    """Half the size with the references, then twice the latents and three steps without them.

    Lightricks' own recipe: the adapter has done its work after the first stage, and would copy the
    reference's coarse detail in the second.
    """
    half = _first_fit(fit, settings)
    first = _first_stage(
        pipeline, settings, shown, half, call | _conditions(pipeline, known, half), output="latent"
    )
    with torch.no_grad():
        large = cast(Any, upsample)(latents=first.frames, output_type="latent", return_dict=False)[0]
    again = {
        "sigmas": STAGE_2_DISTILLED_SIGMA_VALUES,
        "num_inference_steps": len(STAGE_2_DISTILLED_SIGMA_VALUES),
        "noise_scale": STAGE_2_DISTILLED_SIGMA_VALUES[0],
        **NO_GUIDANCE,
    }
    with _without_adapters(pipeline):
        return cast(Any, pipeline)(
            **call | _conditions(pipeline, known, fit) | again,
            latents=large.float(),  # as they are: the pipeline normalises what it is given
            audio_latents=first.audio,  # picture and sound attend to each other, so both go on
            height=fit.padded_height,
            width=fit.padded_width,
            output_type="pt",
        )


@contextmanager
def _without_adapters(pipeline: LTX2InContextPipeline) -> Generator[None]:
    """Adapters off inside, as they were outside."""
    transformer = cast(Any, pipeline.transformer)
    if not getattr(transformer, "peft_config", None):
        yield
        return
    transformer.disable_adapters()
    try:
        yield
    finally:
        transformer.enable_adapters()


def _take_levels_as_they_are(pipeline: LTX2InContextPipeline) -> None:
    """Noise levels of distilled weights are given; a scheduler of the full weights would shift them."""
    config = cast(Any, pipeline.scheduler).config
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler.from_config(
        config, use_dynamic_shifting=False, shift_terminal=None, shift=1.0
    )


def _fit(pipeline: LTX2InContextPipeline, facts: BaseFacts, settings: RenderSettings, clip: Clip) -> Fit:
    if facts.name == "embedded":
        return control.stretched(clip.height, clip.width, settings.working_pixels)
    multiple = max(control.SIZE_MULTIPLE, int(pipeline.vae_spatial_compression_ratio))
    multiple *= settings.reference_downscale_factor * (2 if settings.two_stages else 1)
    return control.fitted(clip.height, clip.width, settings.working_pixels, multiple)


def _first_fit(fit: Fit, settings: RenderSettings) -> Fit:
    """The size of the first stage of two, or of the only one."""
    if not settings.two_stages:
        return fit
    return Fit(fit.height // 2, fit.width // 2, fit.padded_height // 2, fit.padded_width // 2)


def _schedule(steps: int, facts: BaseFacts) -> dict[str, Any]:
    given = distilled_levels(steps) if facts.is_distilled else []
    return {"num_inference_steps": steps} | ({"sigmas": given} if given else {})


def distilled_levels(steps: int) -> list[float]:
    """Noise levels that distilled weights were distilled on: of fewer steps, some of them, spread evenly.

    Of more steps there are none.
    """
    most = len(DISTILLED_SIGMA_VALUES)
    if steps > most:
        return []
    return [DISTILLED_SIGMA_VALUES[place] for place in np.linspace(0, most - 1, steps).round().astype(int)]


def _guidance(settings: RenderSettings) -> dict[str, Any]:
    guided: dict[str, Any] = {"spatio_temporal_guidance_blocks": None}
    if settings.guidance > 1:
        guided |= {"guidance_scale": settings.guidance, "guidance_rescale": GUIDED_RESCALE}
    return {**NO_GUIDANCE, **guided}


def _prompt(
    pipeline: LTX2InContextPipeline, encoder: PromptEncoder, settings: RenderSettings, clip: Clip
) -> dict[str, Any]:
    if not encoder.reads_text:
        embeds, mask = empty_prompt(pipeline)
        return {"prompt_embeds": embeds, "prompt_attention_mask": mask}
    guided = settings.guidance > 1
    names = ("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask")
    return dict(zip(names, encoder(*prompts_for(clip, settings), guided), strict=True))


def _conditions(pipeline: LTX2InContextPipeline, known: Mapping[int, Picture], fit: Fit) -> dict[str, Any]:
    """The known pictures as the pipeline's conditions: an unbroken beginning as video, others one by one.

    The pipeline counts in latent frames, of which the first holds one picture and each later one `ratio`. A
    place between two of them is given as a fraction, so that any frame can be an anchor.
    """
    if not known:
        return {}
    ratio = int(pipeline.vae_temporal_compression_ratio)
    beginning = next(n for n in range(len(known) + 1) if n not in known)
    beginning = (beginning - 1) // ratio * ratio + 1 if beginning else 0
    conditions: list[LTX2VideoCondition] = []
    if beginning:
        # One by one: anchors may have another size than the pictures of the window before.
        video = np.concatenate([control.laid_in(known[t][None], fit) for t in range(beginning)])
        conditions.append(LTX2VideoCondition(frames=video, index=0, crf=0))
    for place in sorted(place for place in known if place >= beginning):
        frames = control.laid_in(known[place][None], fit)
        index: Any = (place - 1) / ratio + 1
        conditions.append(LTX2VideoCondition(frames=frames, index=index, crf=0))
    return {"conditions": conditions}
