"""One clip in, one photoreal video of the same length and size out.

`load` gives a `Render`. A render keeps nothing between clips: every clip starts from the same
seeded noise, so its picture depends on the clip alone, a resumed job repeats it to the bit, and
neighbouring clips agree where they overlap.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

# Set before diffusers is imported: no base or adapter ever brings code of its own.
os.environ["DIFFUSERS_DISABLE_REMOTE_CODE"] = "1"

import torch
from diffusers import LTX2InContextPipeline
from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import LTX2ReferenceCondition
from diffusers.utils import logging
from torch import Tensor

from renderlift.bridge.clip import Clip, Render, Video
from renderlift.bridge.errors import RenderError, SetupError
from renderlift.bridge.frame import Channel
from renderlift.model import control, lora
from renderlift.model.device import pick_device, pick_dtype
from renderlift.model.lock import GeometryLock, apply_lock, load_lock
from renderlift.model.packing import empty_prompt

WEIGHTS = Path(__file__).parent / "weights"
EMBEDDED = "embedded"
# Measured on held-out scenes: two steps at this area score as four at twice the area
# (docs/log.md), at a fifth of the time.
EMBEDDED_STEPS = 2
EMBEDDED_PIXELS = 96 * 160
# Positions in time are those the embedded base was trained with, whatever the clip's own rate.
FRAME_RATE = 24.0
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


@dataclass(frozen=True)
class RenderSettings:
    """How to paint a clip."""

    steps: int = EMBEDDED_STEPS
    seed: int = 0
    working_pixels: int = EMBEDDED_PIXELS  # area at which the base paints
    prompt: str = ""  # for bases with a text encoder
    reference_downscale_factor: int = 1


def load(
    *,
    base: str = EMBEDDED,
    adapter: str = EMBEDDED,
    lock: bool = True,
    device: str = "auto",
    dtype: str = "auto",
    steps: int = EMBEDDED_STEPS,
    seed: int = 0,
    adapter_scale: float = 1.0,
    working_pixels: int = EMBEDDED_PIXELS,
    prompt: str = "",
) -> Render:
    """Load a base, an adapter and the lock, and give the function that renders clips.

    Args:
        base: "embedded", or a folder saved by an `LTX2InContextPipeline`.
        adapter: "embedded", "none", or a folder with an IC-LoRA for that base.
        lock: bring the painted picture to the engine's resolution with the geometry lock;
            without it, by plain interpolation.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        dtype: "auto", "float32" or "bfloat16".
        steps: denoising steps.
        seed: of the noise.
        adapter_scale: strength of the adapter: 0 leaves the base alone, 1 is the trained look.
        working_pixels: area at which the base paints.
        prompt: for bases that have a text encoder.

    Raises:
        SetupError: weights, adapter or device are not there.
    """
    place = pick_device(device)
    precision = pick_dtype(dtype, place)
    pipeline = load_base(base, precision).to(place)
    factor = load_adapter(pipeline, adapter, adapter_scale) if adapter != "none" else 1
    settings = RenderSettings(steps, seed, working_pixels, prompt, factor)
    locker = load_lock(_present(WEIGHTS / "lock.safetensors")).to(place, precision) if lock else None
    return lambda clip: finish(locker, clip, paint(pipeline, settings, clip))


def load_base(base: str, dtype: torch.dtype) -> LTX2InContextPipeline:
    """Load "embedded" or a folder.

    Raises:
        SetupError: nothing there that an `LTX2InContextPipeline` can load.
    """
    folder = WEIGHTS / "base" if base == EMBEDDED else Path(base)
    if base != EMBEDDED and not (folder / "model_index.json").is_file():
        raise SetupError(
            f"no base at {folder}: model_index.json is missing",
            fix="Name a folder that LTX2InContextPipeline.save_pretrained wrote, or leave --base out.",
        )
    _present(folder / "model_index.json")
    optional: dict[str, Any] = (
        {} if (folder / "text_encoder").is_dir() else {"text_encoder": None, "tokenizer": None}
    )
    logging.disable_progress_bar()  # the caller shows how far it is
    try:
        pipeline = LTX2InContextPipeline.from_pretrained(
            str(folder), dtype=dtype, use_safetensors=True, local_files_only=True, **optional
        )
    except (OSError, ValueError, AttributeError) as problem:
        raise SetupError(
            f"the base in {folder} cannot be loaded: {problem}",
            fix="Name a folder that LTX2InContextPipeline.save_pretrained wrote, with safetensors weights.",
        ) from problem
    pipeline.set_progress_bar_config(disable=True)
    return cast(LTX2InContextPipeline, pipeline)


def load_adapter(pipeline: LTX2InContextPipeline, adapter: str, scale: float) -> int:
    """Load "embedded" or a folder's IC-LoRA at `scale`; gives its reference down-scaling factor.

    Raises:
        SetupError: no adapter there, or one for another base.
    """
    folder = WEIGHTS / "lift" if adapter == EMBEDDED else Path(adapter)
    facts = lora.read_facts(folder)
    try:
        pipeline.load_lora_weights(str(folder), adapter_name=facts.task)
    except (ValueError, RuntimeError) as problem:
        raise SetupError(
            f"the adapter in {folder} does not fit this base: {str(problem).splitlines()[0]}",
            fix=f"It was trained on {facts.base or 'another base'}: name that one with --base.",
        ) from problem
    pipeline.set_adapters(facts.task, scale)
    return facts.reference_downscale_factor


def paint(pipeline: LTX2InContextPipeline, settings: RenderSettings, clip: Clip) -> Tensor:
    """The base's own picture of a clip: (T, 3, h, w), 0..1, at the working size.

    Raises:
        RenderError: the device ran out of memory, or the picture is not finite.
    """
    height, width = control.working_size(clip.height, clip.width, settings.working_pixels)
    frames = control.padded_length(len(clip), int(pipeline.vae_temporal_compression_ratio))
    reference = control.reference_pixels(clip.channels[Channel.RGB], height, width, frames)
    try:
        with torch.inference_mode():
            painted = cast(Any, pipeline)(
                **_prompt(pipeline, settings.prompt),
                **NO_GUIDANCE,
                spatio_temporal_guidance_blocks=None,
                reference_conditions=LTX2ReferenceCondition(frames=reference),
                reference_downscale_factor=settings.reference_downscale_factor,
                height=height,
                width=width,
                num_frames=frames,
                frame_rate=FRAME_RATE,
                num_inference_steps=settings.steps,
                generator=torch.Generator().manual_seed(settings.seed),
                output_type="pt",
            )
    except torch.OutOfMemoryError as problem:
        raise RenderError(
            f"out of memory on a clip of {len(clip)} frames at {width}x{height}",
            fix="Use shorter clips (--length) or a smaller working size (--working-pixels).",
        ) from problem
    video = cast(Tensor, cast(Any, painted).frames)[0, : len(clip)].float().cpu()
    if not torch.isfinite(video).all():
        raise RenderError(
            f"the model gave NaN for frames {clip.frames[0].index} to {clip.frames[-1].index}",
            fix="Load it with dtype=float32: renderlift.model.render.load.",
        )
    return video


def finish(lock: GeometryLock | None, clip: Clip, painted: Tensor) -> Video:
    """Bring a painted clip (T, 3, h, w) to the engine's resolution."""
    if lock is None:
        return control.resize(control.to_video(painted), clip.height, clip.width)
    return control.to_video(apply_lock(lock, control.lock_buffers(clip), painted))


def _prompt(pipeline: LTX2InContextPipeline, prompt: str) -> dict[str, Any]:
    if cast(Any, pipeline).text_encoder is not None:
        return {"prompt": prompt}
    embeds, mask = empty_prompt(pipeline)
    return {"prompt_embeds": embeds, "prompt_attention_mask": mask}


def _present(path: Path) -> Path:
    if not path.is_file():
        raise SetupError(
            f"no weights at {path.parent}: {path.name} is missing",
            fix="Reinstall renderlift, which brings its weights, or name a folder with --base.",
        )
    return path
