"""Carry a few good pictures over the frames between them, by name: `renderlift.model.bases.propagation:load`."""

from typing import Any

import torch

from renderlift.bridge.errors import SetupError
from renderlift.model import presets
from renderlift.model.bases import asked
from renderlift.model.bases.controls import controls_of
from renderlift.model.bases.facts import WAN_VACE
from renderlift.model.bases.opening import open_pipeline
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.bases.wan_vace import Propagate, propagator
from renderlift.model.device import pick_device, pick_dtype
from renderlift.model.whereabouts import find_base


def load(
    *,
    base: str,
    device: str = "auto",
    dtype: str = "auto",
    steps: int = 0,
    seed: int = 0,
    guidance: float = 0.0,
    control: str = "edge",
    reference_strength: float = 1.0,
    prompt: str = "",
    preset: str = "auto",
) -> Propagate:
    """Load a Wan VACE base; gives `propagate(clip, anchors) -> Video`, whose arguments `render.load` explains.

    Raises:
        SetupError: no such base, or one that cannot propagate.
    """
    folder, facts = find_base(base)
    if facts.name != WAN_VACE.name:
        raise SetupError(
            f"{facts.title} cannot carry pictures over a clip",
            fix="Name a folder of Wan VACE: WanVACEPipeline.save_pretrained writes one.",
        )
    asked.words(prompt, "", guidance, folder, facts)
    place = pick_device(device)
    fitting = presets.choose_preset(preset, facts, folder, place)
    precision: torch.dtype = pick_dtype(dtype, place)
    pipeline: Any = open_pipeline(folder, facts, precision, **presets.loading_options(fitting, folder))
    settings = RenderSettings(
        steps=steps or facts.steps,
        seed=seed,
        working_pixels=facts.pixels,
        guidance=asked.guidance(guidance, folder, facts),
        controls=controls_of(control),
        reference_strength=reference_strength,
        prompt=prompt,
    )
    presets.settle(pipeline, fitting, place, steps=settings.steps)
    return propagator(pipeline, facts, settings)
