"""How strong a LoRA is meant, where that does not stand beside its factors.

It is in its file's metadata, which diffusers heeds in files that it reads itself, but not with weights that are
handed to it; or, in peft's own form, in `adapter_config.json` beside the file, which diffusers never reads.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.spellings import ALPHA, OF_CONNECTORS, PEFT
from renderlift.model.lora import plain_alpha

PEFT_CONFIG = "adapter_config.json"
BEYOND_ONE_ALPHA = ("rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "lora_bias")


def with_alphas_apart(path: Path, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An adapter's weights with the alpha that its file names apart from them worked into its factors.

    Args:
        weights: of the file `path`, with plain factors.

    Raises:
        SetupError: it is in peft's own form, and no alpha, or more than one, stands beside it.
        ValueError: its metadata does not say its strength by one alpha, or says it besides the layers' own.
    """
    if any(key.startswith(PEFT) for key in weights):
        return _scaled(weights, _alpha_of_peft(path, weights))
    parts = {
        "connectors": {key: values for key, values in weights.items() if key.startswith(OF_CONNECTORS)},
        "transformer": {key: values for key, values in weights.items() if not key.startswith(OF_CONNECTORS)},
    }
    done: dict[str, Tensor] = {}
    for part, its_weights in parts.items():
        alpha = plain_alpha(path, part, with_biases=True)
        if alpha is None:
            raise ValueError("its metadata says more than one alpha, which is read in diffusers' spelling alone")
        done |= _scaled(its_weights, alpha)
    return done


def _scaled(weights: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Factors that mean alpha = rank; 0: they do already."""
    done = dict(weights)
    for key, values in weights.items():
        layer, _, factor = key.rpartition(".lora_")
        if not alpha or not layer or not factor.startswith(("A", "down")):
            continue
        if layer + ALPHA in weights:
            raise ValueError(f"its metadata names the alpha {alpha:g}, and its layer {layer} one of its own")
        if alpha == len(values):
            continue
        done[key] = values * (alpha / len(values))
        bias = f"{layer}.lora_B.bias"
        if bias in weights:  # which peft scales as well
            done[bias] = weights[bias] * (alpha / len(values))
    return done


def _alpha_of_peft(path: Path, weights: Mapping[str, Tensor]) -> float:
    config = _peft_config(path)
    if beyond := [word for word in BEYOND_ONE_ALPHA if config.get(word)]:
        raise SetupError(
            f"{path.with_name(PEFT_CONFIG)} says {beyond[0]}, so the adapter beside it has no strength that is the "
            "same for all layers, which is all that is read of peft's own form",
            fix="Load it with peft, and save it with diffusers' save_lora_weights.",
        )
    alpha, rank = config.get("lora_alpha"), config.get("r")
    if not isinstance(alpha, int | float) or not isinstance(rank, int) or alpha <= 0:
        raise SetupError(
            f"{path.with_name(PEFT_CONFIG)} says lora_alpha = {alpha} and r = {rank}, which are no strength",
            fix="Copy or download the adapter's folder again.",
        )
    ranks = {len(values) for key, values in weights.items() if key.endswith(("lora_A.weight", "lora_down.weight"))}
    if ranks - {rank}:
        raise SetupError(
            f"the adapter {path} has layers of rank {', '.join(map(str, sorted(ranks)))}, and {PEFT_CONFIG} beside "
            f"it says r = {rank}",
            fix="Put the file beside it that was saved with it.",
        )
    return float(alpha)


def _peft_config(path: Path) -> dict[str, Any]:
    beside = path.with_name(PEFT_CONFIG)
    if not beside.is_file():
        raise SetupError(
            f"the adapter {path} is in peft's own form, whose alpha stands in {PEFT_CONFIG} beside it, which is "
            "missing",
            fix=f"Copy {PEFT_CONFIG} there as well.",
        )
    try:
        config = json.loads(beside.read_text())
    except ValueError as problem:
        raise SetupError(f"{beside} is not JSON: {problem}", fix="Copy it again.") from problem
    return cast(dict[str, Any], config) if isinstance(config, dict) else {}
