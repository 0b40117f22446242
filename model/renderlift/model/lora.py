"""An IC-LoRA on a base: attach it for training, save it with what its users must know, load it.

peft and diffusers do the work. What they leave out is kept here: which layers, that the
adapter's own alpha is saved (without metadata it is silently taken as the rank), and the
packing facts that go into the file beside the weights.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from diffusers import LTX2InContextPipeline, LTX2VideoTransformer3DModel
from peft import LoraConfig
from peft.utils.save_and_load import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from renderlift.bridge.errors import SetupError

# A pattern, not suffixes: "to_q" alone would also hit the audio and cross-modal attentions.
TARGETS = (
    r"transformer_blocks\.\d+\.(attn1|attn2)\.(to_q|to_k|to_v|to_out\.0)"
    r"|transformer_blocks\.\d+\.ff\.net\.(0\.proj|2)"
)
FILE_NAME = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True)
class AdapterFacts:
    """What a renderer must know to use an adapter; stored in the file's metadata."""

    task: str  # "lift", "forward", "inverse"
    base: str  # name of the base it was trained on
    references: tuple[str, ...] = ("rgb",)  # in the order they are packed
    reference_downscale_factor: int = 1
    target: str = "photo"  # what it paints; a name of references.CHANNEL_OF


def attach(
    transformer: LTX2VideoTransformer3DModel, *, rank: int, alpha: int | None = None, name: str = "lift"
) -> None:
    """Freeze the transformer and add a trainable adapter of `rank` (alpha = rank, unless said)."""
    transformer.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=alpha or rank, init_lora_weights="gaussian", target_modules=TARGETS)
    transformer.add_adapter(config, adapter_name=name)


def save(
    transformer: LTX2VideoTransformer3DModel, folder: Path, facts: AdapterFacts, *, name: str = "lift"
) -> None:
    """Write the adapter to `folder`, in the form every diffusers user can load."""
    state = cast(dict[str, Any], get_peft_model_state_dict(cast(Any, transformer), adapter_name=name))
    config = cast(Any, transformer).peft_config[name].to_dict()
    LTX2InContextPipeline.save_lora_weights(
        str(folder),
        transformer_lora_layers={key: value.contiguous() for key, value in state.items()},
        transformer_lora_adapter_metadata=config,
    )
    path = folder / FILE_NAME
    with safe_open(path, "pt") as file:
        metadata = dict(cast(dict[str, str], file.metadata()))
    metadata |= {
        "reference_downscale_factor": str(facts.reference_downscale_factor),
        "renderlift_task": facts.task,
        "renderlift_base": facts.base,
        "renderlift_references": json.dumps(facts.references),
        "renderlift_target": facts.target,
    }
    save_file(load_file(path), path, metadata=metadata)


def read_facts(folder: Path) -> AdapterFacts:
    """Facts from the metadata of an adapter file.

    Raises:
        SetupError: no adapter there.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise SetupError(
            f"no adapter at {folder}: it has no {FILE_NAME}",
            fix="Name a folder that holds an IC-LoRA, or leave --adapter out to use the embedded one.",
        )
    with safe_open(path, "pt") as file:
        metadata = cast(dict[str, str], file.metadata() or {})
    return AdapterFacts(
        task=metadata.get("renderlift_task", "lift"),
        base=metadata.get("renderlift_base", ""),
        references=tuple(json.loads(metadata.get("renderlift_references", '["rgb"]'))),
        # ltx-trainer writes the first spelling, kohya's trainers the second.
        reference_downscale_factor=int(
            metadata.get("reference_downscale_factor", metadata.get("ss_reference_downscale_factor", "1"))
        ),
        target=metadata.get("renderlift_target", "photo"),
    )
