"""Our adapters as ComfyUI and ltx-trainer read them: the base's original layer names, behind `diffusion_model.`."""

import re
from pathlib import Path
from typing import cast

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from renderlift.model.lora import plain_alpha

FILE_NAME = "comfyui.safetensors"
# ComfyUI loads the two experts of Wan 2.2 A14B, and their LoRAs, one by one, under these words.
EXPERTS = ("comfyui_high_noise.safetensors", "comfyui_low_noise.safetensors")
# A layer of diffusers' Wan block to its original name.
WAN_LAYERS = {
    f"attn{n}.to_{ours}": f"{theirs}.{original}"
    for n, theirs in ((1, "self_attn"), (2, "cross_attn"))
    for ours, original in (("q", "q"), ("k", "k"), ("v", "v"), ("out.0", "o"))
} | {
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
    "proj_in": "before_proj",  # these are at the ends of VACE's own blocks
    "proj_out": "after_proj",
}
_FACTOR = re.compile(r"transformer\.(.+)\.(lora_[AB]\.weight)")
_BLOCK = re.compile(r"((?:vace_)?blocks\.\d+)\.(.+)")


def write(adapter: Path, path: Path) -> None:
    """Write the adapter in the file `adapter`, as `lora.save` made it, to `path` in the other spelling.

    Alphas are worked into the factors: ComfyUI would read one beside each layer, but diffusers refuses those for
    LTX-2, and a file that names none means alpha = rank to every reader.
    """
    alpha = plain_alpha(adapter)
    weights = {}
    for key, values in load_file(adapter).items():
        layer, factor = cast(re.Match[str], _FACTOR.fullmatch(key)).groups()
        scale = alpha / len(values) if alpha and factor.startswith("lora_A") else 1.0
        weights[f"diffusion_model.{original_name(layer)}.{factor}"] = values * scale
    with safe_open(adapter, "pt") as file:
        metadata = dict(cast(dict[str, str], file.metadata()))
    del metadata["lora_adapter_metadata"]  # it tells the alpha once more
    save_file(weights, path, metadata=metadata)


def original_name(layer: str) -> str:
    """A layer of diffusers as its base's publishers call it: Wan's differ, LTX-2's are the same."""
    block = _BLOCK.fullmatch(layer)
    return f"{block[1]}.{WAN_LAYERS[block[2]]}" if block else layer
