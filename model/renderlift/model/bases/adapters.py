"""Adapters of any trainer's spelling, loaded into the base they fit, and refused by the others with a sentence.

diffusers reads its own form, ComfyUI's and ltx-trainer's (`diffusion_model.`), and kohya's (`lora_unet_`) for Wan.
kohya's for LTX-2 is read here, and so are alphas that stand beside dotted names, biases of some layers only, and
VACE's own blocks in any form but its own. A file that names no alpha means alpha = rank, as every reader takes it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.comfyui import WAN_LAYERS, original_name
from renderlift.model.bases.facts import BASES, WAN, WAN_VACE, BaseFacts
from renderlift.model.lora import AdapterFacts, adapter_file, read_facts
from renderlift.model.references import check_names

DISTILLED = "distilled"
LOW_NOISE_FILE = "pytorch_lora_weights_2.safetensors"  # of the second expert of Wan 2.2 A14B
KOHYA = "lora_unet_"
COMFYUI = "diffusion_model."
VACE = "vace_blocks"
ALPHA = ".alpha"
FACTORS = ("A.weight", "B.weight", "down.weight", "up.weight")
BIAS = ".diff_b"  # ComfyUI's spelling of what diffusers calls lora_B.bias
DORA = ("dora_scale", "lora_magnitude_vector")


def load_adapter(pipeline: object, base: BaseFacts, adapter: Path, scale: float) -> AdapterFacts:
    """Load an adapter at `scale`; gives what its file says of itself.

    Raises:
        SetupError: no adapter there, or one for another base.
    """
    facts = fitting_facts(base, adapter)
    opened, name = cast(Any, pipeline), peft_name(facts.task)
    path = adapter_file(adapter)
    _load(opened, path, name)
    second = path.with_name(LOW_NOISE_FILE)
    if base.name in (WAN.name, WAN_VACE.name) and opened.transformer_2 is not None:
        # One file for both experts is a common way to publish; two are better.
        _load(opened, second if second.is_file() else path, name, load_into_transformer_2=True)
    opened.set_adapters(name, scale)
    return facts


def fitting_facts(base: BaseFacts, adapter: Path) -> AdapterFacts:
    """What an adapter's file says of itself.

    Raises:
        SetupError: no adapter there, or one for another base.
    """
    facts = read_facts(adapter)
    _refuse_other_base(base, facts, adapter)
    check_names(facts.references, what=f"the references of {adapter}")
    return facts


def peft_name(task: str) -> str:
    """What peft knows an adapter by. It makes an attribute of it, and modules have one called forward already."""
    return "task_" + re.sub(r"\W", "_", task)


def distil(pipeline: object, loras: Sequence[Path]) -> None:
    """Make full weights distilled ones, for good, by a LoRA that was made for that.

    Args:
        loras: one, or one for each of Wan's two experts, that for high noise first.

    Raises:
        SetupError: it belongs to other weights.
    """
    opened = cast(Any, pipeline)
    _load(opened, loras[0], DISTILLED)
    changed = ["transformer", "connectors"]
    if hasattr(opened, "transformer_2"):
        changed = ["transformer", "transformer_2"]
        if opened.transformer_2 is not None:
            _load(opened, loras[-1], DISTILLED, load_into_transformer_2=True)
    opened.fuse_lora(components=changed, adapter_names=[DISTILLED])
    opened.unload_lora_weights()


def _load(pipeline: Any, path: Path, name: str, **where: bool) -> None:
    denoiser = pipeline.transformer_2 if where else pipeline.transformer
    weights = load_file(path)
    if any(word in key for key in weights for word in DORA):
        raise _unfit(path, "it is a DoRA, of which diffusers would drop a part without a word")
    if halves := _halves(weights):
        raise _unfit(path, f"of its layer {halves[0]} there is one factor alone")
    if any(key.endswith(".lora_B.bias") for key in weights) and (bare := _without(".lora_B.bias", weights)):
        raise _unfit(path, f"its layer {next(iter(bare))} has no bias, and others have one")
    try:
        translated = _translated(pipeline, denoiser, weights, path)
        source: dict[str, Any] = (
            {"pretrained_model_name_or_path_or_dict": translated}
            if translated
            else {"pretrained_model_name_or_path_or_dict": str(path.parent), "weight_name": path.name}
        )
        pipeline.load_lora_weights(
            **source, use_safetensors=True, local_files_only=True, adapter_name=name, **where
        )
    except (ValueError, RuntimeError, KeyError) as problem:
        raise _unfit(path, str(problem).splitlines()[0]) from problem
    if name not in getattr(denoiser, "peft_config", {}):
        raise _unfit(path, "none of its layers are in this base")


def _halves(weights: Mapping[str, Tensor]) -> list[str]:
    """Layers with one factor of two."""
    parts = [key.rpartition(".lora_")[::2] for key in weights if ".lora_" in key]
    first = {layer for layer, factor in parts if factor.startswith(("A", "down"))}
    return sorted(first ^ {layer for layer, factor in parts if factor.startswith(("B", "up"))})


def _without(kind: str, weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Layers with two factors and no tensor of this kind, with how many outputs each has."""
    ups = {key: key.rpartition(".lora_")[::2] for key in weights if ".lora_" in key and not key.endswith(kind)}
    return {
        layer: len(weights[key])
        for key, (layer, factor) in ups.items()
        if factor.startswith(("B", "up")) and layer + kind not in weights
    }


def with_all_biases(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Where some layers have a bias, zeros for the others, which peft would leave without values."""
    some = next(values for key, values in weights.items() if key.endswith(BIAS))
    return weights | {layer + BIAS: some.new_zeros(size) for layer, size in _without(BIAS, weights).items()}


def _translated(
    pipeline: Any, denoiser: object, weights: dict[str, Tensor], path: Path
) -> dict[str, Tensor] | None:
    """What diffusers does not read by itself, as it reads it; None: it does."""
    has_biases = any(key.endswith(BIAS) for key in weights)
    if has_biases:
        weights = with_all_biases(weights)
    is_kohya = any(key.startswith(KOHYA) for key in weights)
    if any(VACE in key and key.startswith((COMFYUI, KOHYA)) for key in weights):
        return with_vace(pipeline, denoiser, weights, path)
    if is_kohya and hasattr(denoiser, "transformer_blocks"):
        return from_kohya(weights, denoiser, path)
    if any(key.endswith(ALPHA) for key in weights) and not is_kohya:
        return with_alphas_in(weights)
    return weights if has_biases else None


def with_alphas_in(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Dotted names with an alpha apart (`diffusion_model.blocks.0.self_attn.q.alpha`), as factors alone.

    diffusers takes alphas for some models, and for LTX-2 refuses the file.

    Raises:
        ValueError: there is something beside factors, which would be lost.
    """
    done: dict[str, Tensor] = {}
    for key, values in weights.items():
        layer, separator, factor = key.rpartition(".lora_")
        if not separator:
            if not key.endswith(ALPHA):
                done[key] = values
            continue
        if factor not in FACTORS:
            raise ValueError(f"its layer {layer} has a lora_{factor}, which is more than a LoRA")
        is_down = factor.startswith(("A", "down"))
        alpha = weights.get(layer + ALPHA)
        scale = float(alpha) / len(values) if is_down and alpha is not None else 1.0
        done[f"{layer}.lora_{'A' if is_down else 'B'}.weight"] = values * scale
    return done


def from_kohya(weights: dict[str, Tensor], denoiser: object, path: Path) -> dict[str, Tensor]:
    """kohya's spelling (`lora_unet_transformer_blocks_0_attn1_to_q.lora_down.weight`, alphas apart) in diffusers'.

    Raises:
        SetupError: a layer that this base does not have.
    """
    names = cast(torch.nn.Module, denoiser).named_modules()
    return _renamed(weights, {KOHYA + name.replace(".", "_"): name for name, _ in names}, path)


def with_vace(pipeline: object, denoiser: object, weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """ComfyUI's or kohya's spelling in diffusers', whose own converters read all but VACE's own blocks.

    Raises:
        SetupError: a layer that this base does not have.
        ValueError, KeyError: of diffusers, about the rest.
    """
    own = {key: values for key, values in weights.items() if VACE in key}
    rest = {key: values for key, values in weights.items() if VACE not in key}
    names: dict[str, str] = {}
    for name, _ in cast(torch.nn.Module, denoiser).named_modules():
        if name.startswith(VACE) and name.split(".", 2)[-1] in WAN_LAYERS:
            original = original_name(name)
            names |= {COMFYUI + original: name, KOHYA + original.replace(".", "_"): name}
    if any(key.startswith(COMFYUI) for key in rest):
        rest = with_alphas_in(rest)
    done = cast(Any, pipeline).lora_state_dict(rest) if rest else {}
    return done | _renamed(own, names, path)


def _renamed(weights: dict[str, Tensor], names: Mapping[str, str], path: Path) -> dict[str, Tensor]:
    """Factors in diffusers' spelling, by its names of the layers, which are as those in the file."""
    done: dict[str, Tensor] = {}
    for key, values in with_alphas_in(weights).items():
        layer, _, factor = key.rpartition(".lora_")
        if key.endswith(BIAS):
            layer, factor = key.removesuffix(BIAS), "B.bias"
        if layer not in names:
            theirs = (layer or key).removeprefix(KOHYA).removeprefix(COMFYUI)
            raise _unfit(path, f"it has a layer {theirs}, which this base has not")
        done[f"transformer.{names[layer]}.lora_{factor}"] = values
    return done


def _refuse_other_base(base: BaseFacts, facts: AdapterFacts, adapter: Path) -> None:
    if not base.takes_adapters:
        raise SetupError(
            f"{base.title} takes no adapters, and {adapter} is one",
            fix="Leave --adapter out; steer it with its control and its strength instead.",
        )
    if facts.base in {other.name for other in BASES} - {base.name}:
        raise SetupError(
            f"the adapter {adapter} was trained on {facts.base}, and this base is {base.name} ({base.title})",
            fix=f"Name a {facts.base} base with --base, or an adapter for {base.name}.",
        )
    if base.name in (WAN.name, WAN_VACE.name) and facts.reference_downscale_factor != 1:
        raise SetupError(
            f"the adapter {adapter} wants references at 1/{facts.reference_downscale_factor} of the size, and "
            "Wan's frames all have one size",
            fix="Use an adapter that was trained with references of full size.",
        )


def _unfit(path: Path, reason: str) -> SetupError:
    return SetupError(
        f"the adapter {path} does not fit this base: {reason}",
        fix="Name the base that it was trained on with --base; LoRAs do not carry over between versions.",
    )
