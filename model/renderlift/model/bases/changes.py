"""Changes of whole tensors that LoRAs bring beside their factors: of norms, modulation, projections, the head.

lightx2v's for Wan have them, as ComfyUI calls them: `.diff` of a weight, `.diff_b` of a bias. No adapter can wear
those of norms. diffusers drops all but the head's, in one spelling without a word, in others with the whole file.
"""

import logging
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import cast

import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from torch import Tensor, nn

from renderlift.model.bases.spellings import BIAS, COMFYUI, DIFFUSERS, not_of_this_base

WEIGHT = ".diff"
HEAD = ("head.head", f"{COMFYUI}head.head")
_log = logging.getLogger(__name__)


def apart(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A LoRA's factors, with the biases that belong to them, and its changes of whole tensors."""
    layers = {key.rpartition(".lora_")[0] for key in weights if ".lora_" in key}
    changes = {
        key: values
        for key, values in weights.items()
        if key.endswith(WEIGHT) or (key.endswith(BIAS) and key.removesuffix(BIAS) not in layers)
    }
    return {key: values for key, values in weights.items() if key not in changes}, changes


def wearable(weights: Mapping[str, Tensor], changes: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The factors of the LoRA in the file `path`, its head's change among them; tells of what is left out."""
    done, left_out = dict(weights), dict(changes)
    down, up = ("lora_A", "lora_B") if any(".lora_A." in key for key in weights) else ("lora_down", "lora_up")
    for layer in HEAD:
        # As diffusers does it, and where another spelling, or a head without a bias, keeps it from that.
        if layer + WEIGHT in left_out and f"{layer}.{down}.weight" not in weights:
            done[f"{layer}.{down}.weight"] = change = left_out.pop(layer + WEIGHT)
            done[f"{layer}.{up}.weight"] = torch.eye(len(change), dtype=change.dtype)
            if layer + BIAS in left_out:
                done[layer + BIAS] = left_out.pop(layer + BIAS)
    if changed := sum(bool(values.any()) for values in left_out.values()):
        _tell_left_out(path, changed)
    return done


@cache  # an adapter is loaded anew for a second expert, and after another one
def _tell_left_out(path: Path, changed: int) -> None:
    _log.warning(
        "%s changes %d weights or biases (norms, modulation and the like) in ways that an adapter cannot: they are "
        "left out; --distilled merges them",
        path,
        changed,
    )


@torch.no_grad()
def add(denoiser: object, changes: Mapping[str, Tensor]) -> None:
    """Add changes to the parameters that they belong to, for good.

    Raises:
        ValueError: one has no place in this base.
    """
    parameters = dict(cast(nn.Module, denoiser).named_parameters())
    places = {key: _place(key, parameters, is_wan=hasattr(denoiser, "blocks")) for key in changes}
    if unknown := [key.removeprefix(COMFYUI) for key, name in places.items() if name is None]:
        raise not_of_this_base(unknown)
    found = [(key, parameters[cast(str, name)], changes[key]) for key, name in places.items()]
    for key, parameter, change in found:  # all of them before any is changed
        if parameter.shape != change.shape:
            raise ValueError(f"its {key} has the shape {tuple(change.shape)}, here it is {tuple(parameter.shape)}")
    for _, parameter, change in found:
        parameter.copy_(parameter.float() + change.to(parameter.device, torch.float32))


def _place(key: str, parameters: Collection[str], *, is_wan: bool) -> str | None:
    """The parameter that a change belongs to; None: there is none."""
    kind = BIAS if key.endswith(BIAS) else WEIGHT
    name = key.removesuffix(kind).removeprefix(DIFFUSERS).removeprefix(COMFYUI)
    named = [f"{name}.bias"] if kind == BIAS else [f"{name}.weight", name]  # modulation is no layer's weight
    if is_wan and not key.startswith(DIFFUSERS):
        # First, since diffusers' norm2 is the publishers' norm3.
        unread = torch.empty(1, 1, 1, 1)
        renamed = convert_wan_transformer_to_diffusers(dict.fromkeys(named, unread))
        named = [*cast(dict[str, Tensor], renamed), *named]
    return next((parameter for parameter in named if parameter in parameters), None)
