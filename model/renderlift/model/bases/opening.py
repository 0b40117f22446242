"""Opening a base from its folder: the right class, safetensors only, no code of its own."""

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

# Set before diffusers is imported: no base or adapter ever brings code of its own.
os.environ["DIFFUSERS_DISABLE_REMOTE_CODE"] = "1"

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline
from diffusers.utils import logging

from renderlift.bridge.errors import SetupError
from renderlift.model.bases import cosmos, ltx2, wan, wan_vace
from renderlift.model.bases.facts import COSMOS, EMBEDDED, LTX2, WAN, WAN_VACE, BaseFacts, has_part
from renderlift.model.bases.settings import Painter, RenderSettings

UPSAMPLER = "latent_upsampler"
# Parts that a base can do without: the engine is silent, and a prompt can be empty.
OPTIONAL_PARTS = ("text_encoder", "tokenizer", "transformer_2")
# LTX-2.5 brings a language model that rewrites prompts. Ours say what the engine knows already.
UNUSED_PARTS = ("prompt_enhancer", "processor")


def open_pipeline(
    folder: Path, facts: BaseFacts, dtype: torch.dtype, *, controls: Iterable[str] = ("edge",), **quantised: Any
) -> DiffusionPipeline:
    """Load a base from its folder.

    Args:
        controls: for Cosmos, which has a net for each.
        quantised: what `presets` adds to `from_pretrained`.

    Raises:
        SetupError: weights are missing, or are not safetensors, or need a package that is not there.
    """
    nets: list[Any] = []
    parts: dict[str, Any] = {name: None for name in OPTIONAL_PARTS if _is_optional(facts, folder, name)}
    if facts.name == LTX2.name:
        parts |= dict.fromkeys(UNUSED_PARTS)
    if facts is COSMOS:
        require_torchvision()
        parts["safety_checker"] = guardrail()
        nets = cosmos.open_control_nets(folder, list(controls), dtype)
        if nets:
            parts[cosmos.NET] = nets[0]
    # Wan's autoencoder in float32, as its publishers load it: each window goes through it again, and errors add up.
    exact_decoder = facts.name in (WAN.name, WAN_VACE.name)
    precision = {"default": dtype, "vae": torch.float32} if exact_decoder else dtype
    pipeline_class = getattr(diffusers, facts.loads_as)
    for library in (logging, transformers.utils.logging):
        library.disable_progress_bar()  # the caller shows how far it is
    try:
        pipeline = pipeline_class.from_pretrained(
            str(folder), dtype=precision, use_safetensors=True, local_files_only=True, **parts, **quantised
        )
    except (OSError, ValueError, AttributeError, TypeError) as problem:
        raise SetupError(
            f"the base in {folder} cannot be loaded: {str(problem).splitlines()[0]}",
            fix=f"Name a folder that {facts.loads_as}.save_pretrained wrote, with safetensors weights.",
        ) from problem
    if len(nets) > 1:
        pipeline.controlnet = cosmos.ControlNets(nets)
    pipeline.set_progress_bar_config(disable=True)
    return cast(DiffusionPipeline, pipeline)


def check_stages(folder: Path, facts: BaseFacts) -> None:
    """Refuse two stages where they cannot be.

    Raises:
        SetupError: it is no LTX-2, its weights are not distilled, or its folder has no upsampler.
    """
    if facts.name != LTX2.name:
        raise SetupError(f"{facts.title} paints in one stage", fix="Leave --two-stages out; it is for LTX-2.")
    if not facts.is_distilled:
        raise SetupError(
            "two stages need distilled weights, and these are not",
            fix="Name the base's distilled LoRA with --distilled, or put it (*distilled-lora*.safetensors) into "
            "its folder, or use one stage.",
        )
    if not (folder / UPSAMPLER / "config.json").is_file():
        raise SetupError(
            f"two stages need {folder / UPSAMPLER}, which is missing",
            fix="Download that folder of the base as well, or paint in one stage.",
        )


def open_upsampler(folder: Path, dtype: torch.dtype) -> object:
    """The latent upsampler that lies in an LTX-2 folder."""
    from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel

    return LTX2LatentUpsamplerModel.from_pretrained(str(folder / UPSAMPLER), dtype=dtype, use_safetensors=True)


def open_painter(facts: BaseFacts, pipeline: DiffusionPipeline, settings: RenderSettings, folder: Path) -> Painter:
    """How this base paints clips."""
    opened = cast(Any, pipeline)
    if facts.name in (EMBEDDED.name, LTX2.name):
        upsampler: Any = open_upsampler(folder, opened.dtype) if settings.two_stages else None
        if upsampler is not None:
            upsampler.to(opened._execution_device)  # where others compute: their weights may wait on the CPU
        return ltx2.painter(opened, facts, settings, upsampler)
    if facts.name == WAN.name:
        return wan.painter(opened, facts, settings)
    if facts.name == WAN_VACE.name:
        return wan_vace.painter(opened, facts, settings)
    return cosmos.painter(opened, facts, settings)


def require_torchvision() -> None:
    """Cosmos alone calls it.

    Raises:
        SetupError: it is not installed.
    """
    if importlib.util.find_spec("torchvision") is None:
        raise SetupError(
            "Cosmos needs torchvision, which is not installed",
            fix="pip install torchvision, in the version that belongs to your torch.",
        )


def guardrail() -> object:
    """The safety checker that the licence of Cosmos asks for.

    Raises:
        SetupError: its package is not installed.
    """
    from diffusers.utils import is_cosmos_guardrail_available

    if not is_cosmos_guardrail_available():
        raise SetupError(
            "Cosmos may only be used with its guardrail, and cosmos_guardrail is not installed",
            fix="pip install cosmos_guardrail, and let it download its weights once.",
        )
    from cosmos_guardrail import CosmosSafetyChecker  # type: ignore[import-not-found]

    return cast(object, CosmosSafetyChecker())


def _is_optional(facts: BaseFacts, folder: Path, name: str) -> bool:
    """Whether to tell diffusers to do without a part. Wan's second expert it leaves out by itself."""
    if has_part(folder, name):
        return False
    return name != "transformer_2" or facts.name in (WAN.name, WAN_VACE.name)
