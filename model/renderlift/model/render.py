"""One clip in, one photoreal video of the same length and size out, with any base.

`load` gives a `Render`. A render keeps nothing between clips: every clip starts from the same
seeded noise, and what it goes on from is part of the clip, so a resumed job repeats it, and
neighbouring clips agree where they overlap.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from renderlift.bridge.clip import Clip, Render, Video
from renderlift.bridge.errors import SetupError
from renderlift.model import presets
from renderlift.model.bases import asked
from renderlift.model.bases.adapters import distil, fitting_facts, is_carried_over
from renderlift.model.bases.facts import COSMOS, LTX2, BaseFacts, distilled_lora, in_few_steps
from renderlift.model.bases.facts import EMBEDDED as EMBEDDED_FACTS
from renderlift.model.bases.ltx2 import NO_GUIDANCE
from renderlift.model.bases.opening import check_stages, open_painter, open_pipeline
from renderlift.model.bases.settings import Paint, Picture, RenderSettings
from renderlift.model.clip_render import clip_render
from renderlift.model.continuity import RenderWindow
from renderlift.model.device import leaves_processor_free, pick_device, pick_dtype
from renderlift.model.endure import Enduring, memory_remedies, nan_remedies
from renderlift.model.lock import load_lock
from renderlift.model.locking import Locking, enlarged, finish
from renderlift.model.lora import AdapterFacts
from renderlift.model.presets import Preset, choose_preset
from renderlift.model.references import PHOTO
from renderlift.model.regions import Regions
from renderlift.model.shared_base import changed_ns, shared
from renderlift.model.steps import StepTeller
from renderlift.model.whereabouts import EMBEDDED, adapter_path, find_base, lock_path

_log = logging.getLogger(__name__)
# Measured on held-out scenes: two steps at this area score as four at twice the area
# (docs/log.md), at a fifth of the time.
EMBEDDED_STEPS = EMBEDDED_FACTS.steps
EMBEDDED_PIXELS = EMBEDDED_FACTS.pixels
# Surfaces then change from frame to frame hardly more than the render's, at a loss of 0.02 dB (docs/results.md).
EMBEDDED_STEADY = 0.6
# Positions in time are those the embedded base was trained with, whatever the clip's own rate.
FRAME_RATE = EMBEDDED_FACTS.fps


def load(
    *,
    base: str = EMBEDDED,
    adapter: str = "",
    distilled: str = "",
    references: str = "",
    lock: bool | None = None,
    lock_weights: str = "",
    steady: float | None = None,
    device: str = "auto",
    dtype: str = "auto",
    steps: int = 0,
    seed: int = 0,
    adapter_scale: float = 1.0,
    working_pixels: int = 0,
    prompt: str = "",
    negative_prompt: str = "",
    guidance: float = 0.0,
    reference_strength: float = 1.0,
    control: str = "",
    keep: Mapping[str, float] | None = None,
    anchors: str | Mapping[int, Picture] = "",
    reference_images: str | Sequence[Picture] = (),
    preset: str = "auto",
    two_stages: bool = False,
    window: int = 0,
) -> Render:
    """Load a base, an adapter and the lock, and give the function that renders clips.

    Args:
        base: "embedded", or a folder saved by a diffusers pipeline that docs/bases.md lists.
        adapter: "embedded", "none", or an IC-LoRA for that base, by folder or file; empty: the embedded one
            for the embedded base, none for others.
        distilled: a LoRA that was distilled for few steps, by folder or file: it is merged into the base for good,
            beneath the adapter, and the base then takes as few, without guidance, unless told otherwise.
        references: what the adapter reads where its file does not say it: names of `references.CHANNELS_OF`, with
            commas between, in the order of its training: "rgb,depth"; empty: as the file says, else rgb.
        lock: bring the painted picture to the engine's resolution with the geometry lock; without it, by plain
            interpolation. None: with the embedded base only, since others paint sharp.
        lock_weights: another lock than the one that ships, by file or folder, as `renderlift train lock` wrote it;
            it is then on, unless `lock` is False.
        steady: how much a frame's change to the engine's picture counts beside that of its neighbours, where both
            show one surface: 0 = each frame is as it was painted, 1 = the mean of all.
            None: 0.6 with the embedded base, where there is flow or depth; 0 with others.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        dtype: "auto", "float32" or "bfloat16".
        steps, working_pixels, guidance: denoising steps, the area at which the base paints at most, and how
            strongly the prompt is followed (1: not at all, at half the cost); 0: as the base is meant to be used,
            with no guidance where it came without its text encoder.
        seed: of the noise.
        adapter_scale: strength of the adapter: 0 leaves the base alone, 1 is the trained look.
        prompt, negative_prompt: for bases that have a text encoder, the negative one with guidance above 1;
            {scene} becomes what the id table names.
        reference_strength: how closely the clip is followed, 0..1.
        control: for bases that read a control video: one of `renderlift.bridge.controls.CONTROLS`; for
            Cosmos also several, with weights: "edge=0.7,depth=0.3"; empty: as the adapter was trained, else edge.
        keep: classes or things to leave as the engine drew them, with how much of it (0..1).
        anchors: pictures that are known, by frame index, or a folder of them, NNNNNN.png.
        reference_images: what things look like, not where, (H, W, 3) each; or a picture or a folder of some.
        preset: how to fit into memory: auto, or a name of `presets.PRESETS`.
        two_stages: LTX-2: paint at half the size, then upsample and refine.
        window: frames to paint at once, at most; 0: as many as the base was trained on.

    Raises:
        SetupError: weights, adapter, anchors, images, control or device are not there, or do not belong together.
    """
    if steady is not None and not 0 <= steady <= 1:
        raise SetupError(f"steady = {steady} cannot be", fix="It is a share, from 0 (none) to 1.")
    place = pick_device(device)
    precision = pick_dtype(dtype, place)
    folder, facts = find_base(base)
    merged = asked.distilled(distilled, folder, facts)
    facts = in_few_steps(facts) if merged else facts
    # What can be refused is refused here: a large base takes minutes to load.
    fitting = choose_preset(preset, facts, folder, place)
    worn = adapter_path(adapter, facts)
    if worn:
        written = fitting_facts(facts, worn)
        if is_carried_over(facts, written):
            _log.warning(
                "%s was trained on %s %s, and this base is %s: where it fits, it may show less here",
                *(worn, written.base, written.base_version, facts.version),
            )
    elif "references" in facts.conditions and facts is not EMBEDDED_FACTS:
        _log.warning(
            "%s without an adapter: nobody has taught it what to do with the engine's picture", facts.title
        )
    shown = asked.references(references, facts, worn)
    controls = asked.controls(control, facts, worn)
    known, looks = asked.anchors(anchors, facts), asked.reference_images(reference_images, facts)
    if two_stages:
        check_stages(folder, facts)
    asked.words(prompt, negative_prompt, guidance, folder, facts)
    asked.adapter_scale(adapter_scale, adapter, facts)
    if facts is COSMOS and window > facts.window:
        raise SetupError(f"{facts.title} paints {facts.window} frames at once", fix="Leave --window out.")
    # Weights on their way to and from the GPU, or quantised, leave no room for another adapter's.
    alone = object() if fitting.offload or fitting.quantised else None
    shared_base = shared(
        (
            facts,
            precision,
            str(place),
            fitting,
            alone,
            fitting.compiled and adapter_scale,
            (steps or facts.steps) >= presets.CACHE_FROM_STEPS,
            tuple(controls) if facts is COSMOS else (),
            tuple((file, changed_ns(file)) for file in merged),
        ),
        folder,
        facts,
        worn,
        lambda: _open_to_render(folder, facts, precision, fitting, controls, merged),
        compiles=fitting.compiled,
    )
    pipeline: Any = shared_base.pipeline
    settings = RenderSettings(
        steps=steps or facts.steps,
        seed=seed,
        working_pixels=working_pixels or facts.pixels,
        guidance=asked.guidance(guidance, folder, facts),
        low_noise_guidance=0.0 if guidance else facts.low_noise_guidance,
        prompt=prompt,
        negative_prompt=negative_prompt,
        reference_strength=reference_strength,
        controls=controls,
        reference_images=looks,
        two_stages=two_stages,
    )
    with shared_base.wearing(worn, adapter_scale) as told:
        settings = _told_by_adapter(settings, told, shown)
        if not shared_base.settled:
            _settle(pipeline, fitting, place, facts, settings)
            shared_base.settled = True
    soft = facts is EMBEDDED_FACTS and settings.target == PHOTO
    locked = soft or bool(lock_weights) if lock is None else lock
    enduring = _enduring(pipeline, facts, settings, folder, place)
    own_lock = load_lock(lock_path(lock_weights)) if locked else None
    to_full_size = Locking(own_lock, place, precision, enduring.remedies) if own_lock else enlarged

    steps_done = StepTeller()

    def window_of(clip: Clip, known: Mapping[int, Picture], paint: Paint = enduring) -> Video:
        with shared_base.wearing(worn, adapter_scale):
            pipeline.progress_bar = steps_done
            painted = paint(clip, known)
        return to_full_size(clip, painted)

    def begin_window(clip: Clip) -> RenderWindow:
        return partial(window_of, paint=enduring.begin(clip))

    render: Any = clip_render(
        window_of,
        facts,
        window=window or facts.window,
        packed_frames=_packed_frames(pipeline),
        anchors=known,
        regions=Regions(keep or {}),
        steady=(EMBEDDED_STEADY if soft else 0.0) if steady is None else steady,
        if_it_can=steady is None,
        begin_window=begin_window if leaves_processor_free(place) else None,
        remedies=enduring.remedies,
    )
    if facts is not EMBEDDED_FACTS:  # which is done before a step is worth a word
        render.tell_steps = steps_done.listen
    return cast(Render, render)


def _open_to_render(
    folder: Path,
    facts: BaseFacts,
    precision: torch.dtype,
    fitting: Preset,
    controls: Iterable[str],
    merged: tuple[Path, ...],
) -> object:
    if not merged and facts.name == LTX2.name and (beside := distilled_lora(folder)):
        merged = (beside,)
    # Merged before they are quantised: peft adds no biases to quantised layers, and would round them twice.
    whole = presets.DENOISERS if merged else ()
    quantised = presets.loading_options(fitting, folder, whole=whole)
    pipeline = open_pipeline(folder, facts, precision, controls=controls, **quantised)
    if merged:
        distil(pipeline, merged)
        if fitting.quantised:
            presets.quantise_denoisers(pipeline)
    return pipeline


def _settle(
    pipeline: object, fitting: Preset, place: torch.device, facts: BaseFacts, settings: RenderSettings
) -> None:
    shown = len(settings.references) if "references" in facts.conditions else 0
    share = shown / settings.reference_downscale_factor**2
    try:
        presets.settle(pipeline, fitting, place, steps=settings.steps, reference_share=share)
    except torch.OutOfMemoryError as problem:
        raise SetupError(
            f"{facts.title} does not fit into the memory of {place} with the preset {fitting.name}",
            fix="Use a leaner one: --preset layers is the leanest.",
        ) from problem


def _packed_frames(pipeline: Any) -> int:
    """Frames that make one latent of a video, after its first frame, which has one to itself."""
    for name in ("vae_temporal_compression_ratio", "vae_scale_factor_temporal"):  # LTX's name, Wan's name
        if packed := getattr(pipeline, name, 0):
            return int(packed)
    return 1


def load_base(base: str, dtype: torch.dtype) -> Any:
    """The pipeline of "embedded" or a folder, on the CPU.

    Raises:
        SetupError: nothing there that can be loaded.
    """
    folder, facts = find_base(base)
    return open_pipeline(folder, facts, dtype)


def paint(pipeline: object, settings: RenderSettings, clip: Clip, facts: BaseFacts = EMBEDDED_FACTS) -> Tensor:
    """The base's own picture of a clip: (T, 3, h, w), 0..1, at the working size.

    Raises:
        RenderError: the device ran out of memory, or the picture is not finite.
    """
    from diffusers import DiffusionPipeline

    assert isinstance(pipeline, DiffusionPipeline)
    enduring = Enduring(open_painter(facts, pipeline, settings, Path()), for_memory=[], for_nan=[])
    return enduring(clip, {})


def _told_by_adapter(
    settings: RenderSettings, loaded: AdapterFacts | None, shown: tuple[str, ...]
) -> RenderSettings:
    """Settle what follows from the adapter, and from what it is said to read."""
    if loaded is None:
        return settings
    return replace(
        settings,
        task=loaded.task,
        references=shown or loaded.references,
        reference_downscale_factor=loaded.reference_downscale_factor,
        target=loaded.target,
    )


def _enduring(
    pipeline: Any, facts: BaseFacts, settings: RenderSettings, folder: Path, device: torch.device
) -> Enduring:
    pixels = [settings.working_pixels]

    def again() -> Paint:
        return open_painter(facts, pipeline, replace(settings, working_pixels=pixels[0]), folder)

    def smaller(clip: Clip) -> Paint:
        pixels[0] = min(pixels[0], clip.height * clip.width) // 2  # nothing is painted larger than it is
        return again()

    return Enduring(
        again(), for_memory=memory_remedies(pipeline, device, smaller), for_nan=nan_remedies(pipeline, again)
    )


__all__ = ["FRAME_RATE", "NO_GUIDANCE", "RenderSettings", "finish", "load", "load_base", "paint"]
