"""Adapters of any trainer's spelling, loaded into the base they fit, and refused by the others with a sentence."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from safetensors.torch import load_file
from torch import Tensor

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.alphas import with_alphas_apart
from renderlift.model.bases.changes import add, apart, wearable
from renderlift.model.bases.facts import BASES, NEAR_VERSIONS, WAN, WAN_VACE, BaseFacts
from renderlift.model.bases.spellings import is_diffusers, layers_without, translated, with_plain_factors
from renderlift.model.lora import AdapterFacts, adapter_file, read_facts
from renderlift.model.references import check_names

DISTILLED = "distilled"
LOW_NOISE_FILE = "pytorch_lora_weights_2.safetensors"  # of the second expert of Wan 2.2 A14B
NOTHING_FITS = "none of its layers are in this base"
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
    """Make full weights distilled ones, for good, by a LoRA that was made for that, with all that it changes.

    Args:
        loras: one, or one for each of Wan's two experts, that for high noise first.

    Raises:
        SetupError: it belongs to other weights.
    """
    opened = cast(Any, pipeline)
    _load(opened, loras[0], DISTILLED, merges=True)
    changed = ["transformer", "connectors"]
    if hasattr(opened, "transformer_2"):
        changed = ["transformer", "transformer_2"]
        if opened.transformer_2 is not None:
            _load(opened, loras[-1], DISTILLED, merges=True, load_into_transformer_2=True)
    opened.fuse_lora(components=changed, adapter_names=[DISTILLED])
    opened.unload_lora_weights()


def _load(pipeline: Any, path: Path, name: str, *, merges: bool = False, **where: bool) -> None:
    denoiser = pipeline.transformer_2 if where else pipeline.transformer
    written = load_file(path)
    weights = with_plain_factors(written)
    if any(word in key for key in weights for word in DORA):
        raise _unfit(path, "it is a DoRA, of which diffusers would drop a part without a word")
    if halves := _halves(weights):
        raise _unfit(path, f"of its layer {halves[0]} there is one factor alone")
    if any(key.endswith(".lora_B.bias") for key in weights) and (bare := layers_without(".lora_B.bias", weights)):
        raise _unfit(path, f"its layer {next(iter(bare))} has no bias, and others have one")
    source: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "adapter_name": name}
    try:
        if is_diffusers(written):
            source |= {"pretrained_model_name_or_path_or_dict": str(path.parent), "weight_name": path.name}
        else:
            weights, changes = apart(with_alphas_apart(path, weights))
            if merges:
                add(denoiser, changes)
            else:
                weights = wearable(weights, changes, path)
            read = translated(pipeline, denoiser, weights)
            source |= {"pretrained_model_name_or_path_or_dict": weights if read is None else read}
        pipeline.load_lora_weights(**source, **where)
    except (ValueError, RuntimeError, KeyError) as problem:
        reason = str(problem).splitlines()[0]
        # diffusers numbers the blocks of a file that has none.
        raise _unfit(path, NOTHING_FITS if "empty sequence" in reason else reason) from problem
    if name not in getattr(denoiser, "peft_config", {}):
        raise _unfit(path, NOTHING_FITS)


def _halves(weights: Mapping[str, Tensor]) -> list[str]:
    """Layers with one factor of two."""
    parts = [key.rpartition(".lora_")[::2] for key in weights if ".lora_" in key]
    first = {layer for layer, factor in parts if factor.startswith(("A", "down"))}
    return sorted(first ^ {layer for layer, factor in parts if factor.startswith(("B", "up"))})


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
    if _is_of_another_version(base, facts) and not is_carried_over(base, facts):
        theirs, ours = f"{base.name} {facts.base_version}", f"{base.name} {base.version}"
        raise SetupError(
            f"the adapter {adapter} was trained on {theirs}, and this base is {ours}",
            fix=f"Name a {theirs} base with --base, or an adapter for {ours}; LoRAs do not carry over.",
        )
    if base.name in (WAN.name, WAN_VACE.name) and facts.reference_downscale_factor != 1:
        raise SetupError(
            f"the adapter {adapter} wants references at 1/{facts.reference_downscale_factor} of the size, and "
            "Wan's frames all have one size",
            fix="Use an adapter that was trained with references of full size.",
        )


def is_carried_over(base: BaseFacts, facts: AdapterFacts) -> bool:
    """Whether an adapter was trained on another version, of which this base takes adapters all the same."""
    return _is_of_another_version(base, facts) and {base.version, facts.base_version} <= NEAR_VERSIONS


def _is_of_another_version(base: BaseFacts, facts: AdapterFacts) -> bool:
    """False as well where one of the two is not known: other trainers write none, and ours did not always."""
    versions = base.version, facts.base_version
    return facts.base == base.name and all(versions) and len(set(versions)) > 1


def _unfit(path: Path, reason: str) -> SetupError:
    return SetupError(
        f"the adapter {path} does not fit this base: {reason}",
        fix="Name the base that it was trained on with --base; LoRAs do not carry over between versions.",
    )
