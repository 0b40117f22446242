"""An IC-LoRA on a base: attach it for training, save it with what its users must know, load it.

peft and diffusers do the work. What they leave out is kept here: which layers, that the
adapter's own alpha is saved (without metadata it is silently taken as the rank), and the
packing facts that go into the file beside the weights.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from diffusers import LTX2InContextPipeline
from peft import LoraConfig
from peft.utils.save_and_load import get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from renderlift.bridge.errors import SetupError

# A pattern, not suffixes: "to_q" alone would also hit the audio and cross-modal attentions. VACE's own blocks
# (vace_blocks) stay as they are: in ComfyUI's spelling they are read here, but by no other user of diffusers.
TARGETS = (
    r"transformer_blocks\.\d+\.(attn1|attn2)\.(to_q|to_k|to_v|to_out\.0)"
    r"|transformer_blocks\.\d+\.ff\.net\.(0\.proj|2)"
    # Wan's names.
    r"|blocks\.\d+\.(attn1|attn2)\.(to_q|to_k|to_v|to_out\.0)"
    r"|blocks\.\d+\.ffn\.net\.(0\.proj|2)"
)
FILE_NAME = "pytorch_lora_weights.safetensors"
# Ours and ltx-trainer's; ltx-trainer's newer one; kohya's trainers'.
DOWNSCALE_SPELLINGS = (
    "reference_downscale_factor",
    "reference_spatial_scale_factor",
    "ss_reference_downscale_factor",
)


@dataclass(frozen=True)
class AdapterFacts:
    """What a renderer must know to use an adapter; stored in the file's metadata."""

    task: str  # "lift", "forward", "inverse"
    base: str  # name of the base it was trained on
    references: tuple[str, ...] = ("rgb",)  # in the order they are packed
    reference_downscale_factor: int = 1
    target: str = "photo"  # what it paints; a name of references.CHANNELS_OF
    control: str = ""  # what steered its base, of bridge.controls.CONTROLS; empty = none, or it is not said
    base_version: str = ""  # bases.facts.BaseFacts.version of that base; empty = it is not said
    names_references: bool = True  # or its file does not say what it reads, as others than ours do not


def attach(
    transformer: nn.Module,
    *,
    rank: int,
    alpha: int | None = None,
    name: str = "lift",
) -> None:
    """Freeze a transformer of LTX-2 or Wan and add a trainable adapter of `rank` (alpha = rank, unless said)."""
    transformer.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=alpha or rank, init_lora_weights="gaussian", target_modules=TARGETS)
    cast(Any, transformer).add_adapter(config, adapter_name=name)


def parameters_of(transformer: nn.Module, rank: int) -> int:
    """How many parameters an adapter of `rank` on it has; a skeleton without weights will do."""
    linears = [module for name, module in transformer.named_modules() if re.fullmatch(TARGETS, name)]
    return sum(rank * (linear.in_features + linear.out_features) for linear in cast(list[nn.Linear], linears))


def save(
    transformer: nn.Module,
    folder: Path,
    facts: AdapterFacts,
    *,
    name: str = "lift",
    file_name: str = FILE_NAME,
) -> None:
    """Write the adapter to `folder`, in the form every diffusers user can load."""
    state = cast(dict[str, Any], get_peft_model_state_dict(cast(Any, transformer), adapter_name=name))
    config = cast(Any, transformer).peft_config[name].to_dict()
    # Wan's own function would write the very same.
    LTX2InContextPipeline.save_lora_weights(
        str(folder),
        weight_name=file_name,
        transformer_lora_layers={key: value.contiguous() for key, value in state.items()},
        transformer_lora_adapter_metadata=config,
    )
    path = folder / file_name
    with safe_open(path, "pt") as file:
        metadata = dict(cast(dict[str, str], file.metadata()))
    told = {"renderlift_control": facts.control, "renderlift_base_version": facts.base_version}
    metadata |= {
        "reference_downscale_factor": str(facts.reference_downscale_factor),
        "renderlift_task": facts.task,
        "renderlift_base": facts.base,
        "renderlift_references": json.dumps(facts.references),
        "renderlift_target": facts.target,
    } | {key: value for key, value in told.items() if value}
    save_file(load_file(path), path, metadata=metadata)


def adapter_file(adapter: Path) -> Path:
    """The file of an adapter that is named by its file or its folder.

    Raises:
        SetupError: no adapter there, or several.
    """
    if adapter.is_file() and adapter.suffix == ".safetensors":
        return adapter
    if (adapter / FILE_NAME).is_file():
        return adapter / FILE_NAME
    found = sorted(adapter.glob("*.safetensors")) if adapter.is_dir() else []
    if len(found) == 1:
        return found[0]
    reason = f"it holds {len(found)} safetensors files" if found else f"it has no {FILE_NAME}"
    if not adapter.is_dir():
        reason = "it is no .safetensors file" if adapter.exists() else "there is no such file or folder"
    raise SetupError(
        f"no adapter at {adapter}: {reason}",
        fix="Name a .safetensors file or a folder that holds an IC-LoRA. Without --adapter, the embedded base has "
        "its own, and others have none.",
    )


def read_facts(adapter: Path) -> AdapterFacts:
    """Facts from the metadata of an adapter's file, in any trainer's spelling.

    Raises:
        SetupError: no adapter there, or one that packs references in a way that no base here can.
    """
    path = adapter_file(adapter)
    metadata = _metadata(path)
    if _number(path, metadata, "reference_temporal_scale_factor") != 1:
        raise SetupError(
            f"the adapter {path} reads its references at another frame rate, which no base here can",
            fix="Use one that was trained with references of the video's own rate.",
        )
    named = metadata.get("renderlift_references")
    return AdapterFacts(
        task=metadata.get("renderlift_task", "lift"),
        base=metadata.get("renderlift_base", ""),
        references=AdapterFacts.references if named is None else tuple(json.loads(named)),
        names_references=named is not None,
        reference_downscale_factor=_number(path, metadata, *DOWNSCALE_SPELLINGS),
        target=metadata.get("renderlift_target", "photo"),
        control=metadata.get("renderlift_control", ""),
        base_version=metadata.get("renderlift_base_version", ""),
    )


def names_task(path: Path) -> bool:
    """Whether a file says what it was trained for, as adapters do that `save` wrote.

    Raises:
        SetupError: it cannot be read.
    """
    return "renderlift_task" in _metadata(path)


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, "pt") as file:
            return cast(dict[str, str], file.metadata() or {})
    except (OSError, SafetensorError) as problem:
        raise SetupError(
            f"{path} cannot be read: {problem}", fix="Copy or download the adapter again."
        ) from problem


def plain_alpha(path: Path, part: str = "transformer", *, with_biases: bool = False) -> float | None:
    """The alpha of an adapter's file; 0: each layer's rank; None: layers differ, or it is more than a LoRA.

    Args:
        with_biases: a bias beside the factors does not make it None.
    """
    told = _metadata(path).get("lora_adapter_metadata")
    if told is None:
        return 0.0
    config = cast(dict[str, Any], json.loads(told))
    beyond = ("alpha_pattern", "use_rslora", "use_dora", *(() if with_biases else ("lora_bias",)))
    if any(config.get(f"{part}.{word}") for word in beyond):
        return None
    return float(config.get(f"{part}.lora_alpha", 0))


def _number(path: Path, metadata: dict[str, str], *names: str) -> int:
    """A whole number of the metadata under the first name that is there; 1 if none is."""
    text = next((metadata[name] for name in names if name in metadata), "1")
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if number < 1 or number != int(number):
        raise SetupError(
            f"the adapter {path} says {names[0]} = {text!r}, which is not a whole number",
            fix="Ask whoever trained it.",
        )
    return int(number)
