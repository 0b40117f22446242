"""What trainers call an adapter's layers and factors, in diffusers' own spelling.

diffusers reads its own form, ComfyUI's and ltx-trainer's (`diffusion_model.`), and kohya's (`lora_unet_`) for Wan.
kohya's for LTX-2 is read here, and so are alphas that stand beside dotted names, biases of some layers only, VACE's
own blocks in any form but its own, factors that carry peft's name of the adapter (`lora_A.default`), and names
without a prefix, which DiffSynth-Studio writes and diffusers passes over without a word.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from torch import Tensor, nn

from renderlift.model.bases.comfyui import WAN_LAYERS, original_name

KOHYA = "lora_unet_"
COMFYUI = "diffusion_model."
DIFFUSERS = "transformer."
OF_CONNECTORS = ("connectors.", "text_embedding_projection.")  # LTX-2's, in diffusers' and its publishers' spelling
PEFT = "base_model.model."
VACE = "vace_blocks"
ALPHA = ".alpha"
FACTORS = ("A.weight", "B.weight", "down.weight", "up.weight")
BIAS = ".diff_b"  # ComfyUI's spelling of what diffusers calls lora_B.bias
# Layers of diffusers' Wan outside its blocks, as their publishers call them.
WAN_ENDS = {
    "condition_embedder.time_proj": "time_projection.1",
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "proj_out": "head.head",
}
# What diffusers reads by itself, with what the file's metadata says of it.
_OWN = re.compile(r"(?:transformer|connectors)\..+\.lora_[AB]\.(?:weight|bias)")
_NAMED_FACTOR = re.compile(r"(\.lora_(?:A|B|down|up))\.[^.]+(\.(?:weight|bias))")
MOST_NAMED = 3  # layers in one sentence


def is_diffusers(weights: Mapping[str, Tensor]) -> bool:
    """Whether all of a file is in diffusers' own spelling."""
    return all(_OWN.fullmatch(key) for key in weights)


def translated(pipeline: object, denoiser: object, weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """What diffusers does not read by itself, as it reads it; None: it does.

    Args:
        weights: with plain factors.

    Raises:
        ValueError, KeyError: a layer that this base does not have, or more than a LoRA.
    """
    has_biases = any(key.endswith(BIAS) for key in weights)
    if has_biases:
        weights = with_all_biases(weights)
    spelled = {_prefix(key) for key in weights if not key.startswith(OF_CONNECTORS)}
    is_kohya = KOHYA in spelled
    # Of what has no prefix, or one of several, diffusers leaves out some or all without a word.
    if "" in spelled or len(spelled) > 1 or (is_kohya and hasattr(denoiser, "transformer_blocks")):
        return _renamed(weights, names_of(denoiser))
    if any(VACE in key for key in weights) and DIFFUSERS not in spelled:
        return with_vace(pipeline, denoiser, weights)
    if any(key.endswith((ALPHA, ".lora_down.weight")) for key in weights) and not is_kohya:
        return with_alphas_in(weights)
    return weights if has_biases else None


def _prefix(key: str) -> str:
    return next((prefix for prefix in (DIFFUSERS, COMFYUI, KOHYA) if key.startswith(prefix)), "")


def with_plain_factors(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without peft's name of the adapter in every factor: `lora_A.default.weight` is `lora_A.weight`."""
    return {_NAMED_FACTOR.sub(r"\1\2", key): values for key, values in weights.items()}


def layers_without(kind: str, weights: Mapping[str, Tensor]) -> dict[str, int]:
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
    return weights | {layer + BIAS: some.new_zeros(size) for layer, size in layers_without(BIAS, weights).items()}


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


def with_vace(pipeline: object, denoiser: object, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """ComfyUI's or kohya's spelling in diffusers', whose own converters read all but VACE's own blocks.

    Raises:
        ValueError, KeyError: a layer that this base does not have; of diffusers, about the rest.
    """
    own = {key: values for key, values in weights.items() if VACE in key}
    rest = {key: values for key, values in weights.items() if VACE not in key}
    if any(key.startswith(COMFYUI) for key in rest):
        rest = with_alphas_in(rest)
    done = cast(Any, pipeline).lora_state_dict(rest) if rest else {}
    return done | _renamed(own, names_of(denoiser))


def names_of(denoiser: object) -> dict[str, str]:
    """What diffusers calls each layer of a base, by all that trainers call it."""
    names: dict[str, str] = {}
    layers = (name for name, _ in cast(nn.Module, denoiser).named_modules() if name)
    for name in layers:
        for theirs in {name, _original(name)}:
            spelled = (
                *(prefix + theirs for prefix in ("", DIFFUSERS, COMFYUI, PEFT)),
                KOHYA + theirs.replace(".", "_"),
            )
            names |= dict.fromkeys(spelled, name)
    return names


def _original(name: str) -> str:
    in_block = name.split(".", 2)[-1] in WAN_LAYERS and name.startswith((VACE, "blocks."))
    return original_name(name) if in_block else WAN_ENDS.get(name, name)


def _renamed(weights: dict[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Factors in diffusers' spelling, by its names of the layers, which are as those in the file."""
    done: dict[str, Tensor] = {}
    unknown: dict[str, None] = {}
    for key, values in with_alphas_in(weights).items():
        layer, _, factor = key.rpartition(".lora_")
        if key.endswith(BIAS):
            layer, factor = key.removesuffix(BIAS), "B.bias"
        if layer in names:
            done[f"{DIFFUSERS}{names[layer]}.lora_{factor}"] = values
        else:
            unknown[(layer or key).removeprefix(KOHYA).removeprefix(COMFYUI)] = None
    if unknown:
        raise not_of_this_base(unknown)
    return done


def not_of_this_base(layers: Collection[str]) -> ValueError:
    """What to raise about layers of a file that have no place."""
    more = f" and {len(layers) - MOST_NAMED} more" if len(layers) > MOST_NAMED else ""
    named = f"{'' if len(layers) > 1 else 'a '}layer{'s' if len(layers) > 1 else ''}"
    return ValueError(f"it has {named} {', '.join([*layers][:MOST_NAMED])}{more}, which this base has not")
