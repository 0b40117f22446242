"""How a base is fitted to the memory that is there: presets named by what they do, from fast to lean.

Which one fits is computed from the sizes of the weight files, so a base nobody has tried here is fitted too.
"""

import importlib.util
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.facts import EMBEDDED, BaseFacts, has_part, weight_files

if TYPE_CHECKING:  # who only asks what would fit, as `renderlift doctor`, does not wait for it
    import torch

GIGABYTE = 2.0**30  # as GPUs are sold
# Beside the weights: autoencoder tiles, the allocator's slack and the driver's own.
WORKING_BYTES = 3.0e9
# Live at once in a block, per token and channel of it, bf16: input, norms, q, k, v, output and the widened ffn.
ACTIVATION_BYTES = 2 * 14
# A denoiser of few steps changes too much between them to be worth caching.
CACHE_FROM_STEPS = 12
# Relative change of what the first block does to the target, below which others are skipped; above 0.2 it blurs.
CACHE_THRESHOLD = 0.1
MOST_COMPILED = 64  # variants of one kind of block that a process may compile

DENOISERS = ("transformer", "transformer_2")

Offload = Literal["", "parts", "blocks", "layers"]


@dataclass(frozen=True)
class Preset:
    """One way to hold a base in memory."""

    name: str
    does: str
    offload: Offload = ""
    quantised: bool = False  # int8 weights, by torchao
    tiled: bool = True
    compiled: bool = False


PRESETS = (
    Preset("resident-compiled", "all on the GPU, decoded whole, blocks compiled", tiled=False, compiled=True),
    Preset("resident", "all on the GPU, decoded in tiles"),
    Preset("parts", "text encoder, denoiser and decoder on the GPU in turn", "parts"),
    Preset("parts-int8", "the same with int8 weights", "parts", quantised=True),
    Preset("blocks", "weights brought in a few blocks at a time, while others compute", "blocks"),
    Preset("layers", "weights brought in layer by layer", "layers"),
)
PLAIN = Preset("plain", "as it is", tiled=False)


@dataclass(frozen=True)
class Weights:
    """Sizes of a base's parts, read from its folder without loading it."""

    bytes_of: Mapping[str, int]  # on disk, by part; in bf16 as published
    blocks: int  # of the largest denoiser
    width: int  # channels of its tokens

    @property
    def total(self) -> int:
        return sum(self.bytes_of.values())

    @property
    def largest(self) -> int:
        return max(self.bytes_of.values(), default=0)


def read_weights(folder: Path) -> Weights:
    """Sizes of the parts in a base's folder that are ever loaded."""
    sizes: dict[str, int] = {}
    for path in weight_files(folder):
        sizes[path.parent.name] = sizes.get(path.parent.name, 0) + path.stat().st_size
    config_path = folder / "transformer" / "config.json"
    config: dict[str, Any] = json.loads(config_path.read_text()) if config_path.is_file() else {}
    width = int(config.get("num_attention_heads", 0)) * int(config.get("attention_head_dim", 0))
    return Weights(sizes, int(config.get("num_layers", 1)), width)


def needed_bytes(preset: Preset, weights: Weights, tokens: int) -> float:
    """Computed peak of GPU memory, in bytes, for a sequence of `tokens`."""
    block = weights.largest / max(1, weights.blocks)
    held = {
        "": weights.total,
        "parts": weights.largest,
        "blocks": 4 * block,  # two computing, two on their way
        "layers": block,
    }[preset.offload]
    untiled = 0.0 if preset.tiled else 3 * WORKING_BYTES
    activations = tokens * weights.width * ACTIVATION_BYTES
    return held / (2 if preset.quantised else 1) + activations + WORKING_BYTES + untiled


def choose(weights: Weights, memory_bytes: float, tokens: int, *, quantisable: bool | None = None) -> Preset:
    """The fastest preset that fits; the leanest where none does.

    Args:
        quantisable: whether torchao is there; None = look.
    """
    can_quantise = is_quantisable() if quantisable is None else quantisable
    fitting = [
        preset
        for preset in PRESETS
        if needed_bytes(preset, weights, tokens) <= memory_bytes and (can_quantise or not preset.quantised)
    ]
    return fitting[0] if fitting else PRESETS[-1]


def named(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        SetupError: there is none; says which there are.
    """
    for preset in (*PRESETS, PLAIN):
        if preset.name == name:
            return preset
    described = "; ".join(f"{preset.name}: {preset.does}" for preset in PRESETS)
    raise SetupError(f"there is no preset {name!r}", fix=f"Use auto, or one of these. {described}.")


def choose_preset(name: str, facts: BaseFacts, folder: Path, device: "torch.device") -> Preset:
    """The preset called `name`; "auto": the fastest that fits the GPU that is there."""
    if name != "auto":
        return named(name)
    if facts is EMBEDDED or device.type != "cuda":
        return PLAIN
    weights = read_weights(folder)
    return choose(weights, gpu_memory_bytes(device), usual_tokens(facts))


def is_quantisable() -> bool:
    return importlib.util.find_spec("torchao") is not None


def loading_options(preset: Preset, folder: Path, *, whole: Collection[str] = ()) -> dict[str, Any]:
    """What `from_pretrained` is told for this preset.

    Args:
        whole: parts that are not quantised yet, since a LoRA is merged into them first.

    Raises:
        SetupError: torchao is not installed.
    """
    if not preset.quantised:
        return {}
    if not is_quantisable():
        raise SetupError(f"the preset {preset.name} needs torchao", fix="pip install torchao")
    from diffusers import PipelineQuantizationConfig
    from transformers import TorchAoConfig as EncoderConfig

    denoiser, int8 = _int8()
    how: dict[str, Any] = {**dict.fromkeys(DENOISERS, denoiser), "text_encoder": EncoderConfig(int8)}
    there = {part: config for part, config in how.items() if part not in whole and has_part(folder, part)}
    return {"quantization_config": PipelineQuantizationConfig(quant_mapping=there)} if there else {}


def quantise_denoisers(pipeline: object) -> None:
    """int8 weights for denoisers that were loaded whole, as `from_pretrained` would have made them."""
    from diffusers.quantizers import DiffusersAutoQuantizer

    for denoiser in _denoisers(pipeline):
        quantiser: Any = DiffusersAutoQuantizer.from_config(_int8()[0], pre_quantized=False)
        kept = list(denoiser._keep_in_fp32_modules or ())
        quantiser.preprocess_model(model=denoiser, device_map=None, keep_in_fp32_modules=kept)
        for name in [name for name, _ in denoiser.named_parameters()]:
            values = denoiser.get_parameter(name)  # one at a time: each is let go of once its int8 is there
            if quantiser.check_if_quantized_param(denoiser, values, name, {}):
                quantiser.create_quantized_param(denoiser, values, name, values.device, {}, [])
        denoiser.hf_quantizer = quantiser


def _int8() -> tuple[Any, Any]:
    """For diffusers, and by itself."""
    from diffusers import TorchAoConfig
    from torchao.quantization import (  # type: ignore  # pyright: ignore
        Int8WeightOnlyConfig,  # pyright: ignore[reportMissingImports]
    )

    int8: Any = Int8WeightOnlyConfig()
    return TorchAoConfig(int8), int8


def settle(
    pipeline: object, preset: Preset, device: "torch.device", *, steps: int = 0, reference_share: float = 0.0
) -> None:
    """Put a loaded pipeline where the preset wants it, once its adapters are in.

    Args:
        reference_share: tokens of references for each token of the target.
    """
    from renderlift.model.attention import use_fast_kernel
    from renderlift.model.block_cache import cache_blocks
    from renderlift.model.offload import bring_in_groups
    from renderlift.model.tiles import use_tiles

    opened = cast(Any, pipeline)
    if preset.tiled:
        use_tiles(opened.vae)
    for denoiser in _denoisers(opened):
        if preset.compiled and getattr(denoiser, "_repeated_blocks", None):  # Cosmos names none
            _allow_variants()
            denoiser.compile_repeated_blocks(fullgraph=True)
        elif preset.offload and steps >= CACHE_FROM_STEPS:  # the cache's hooks do not compile in one graph
            cache_blocks(denoiser, CACHE_THRESHOLD / (1 + reference_share))
        if device.type == "cuda":
            use_fast_kernel(denoiser)
    match preset.offload:
        case "":
            opened.to(device)
        case "parts":
            opened.enable_model_cpu_offload(device=device)
        case "blocks":
            bring_in_groups(opened, device, blocks=_denoisers(opened))
        case "layers":
            bring_in_groups(opened, device)


def gpu_memory_bytes(device: "torch.device") -> float:
    """Of the whole card; 0 where there is none."""
    import torch

    return float(torch.cuda.get_device_properties(device).total_memory) if device.type == "cuda" else 0.0


def _denoisers(pipeline: Any) -> list[Any]:
    found = (getattr(pipeline, name, None) for name in DENOISERS)
    return [denoiser for denoiser in found if denoiser is not None]


def _allow_variants() -> None:
    """All bases of a class share one count of variants, and each kind of layer that an adapter brings is one."""
    from torch import _dynamo

    _dynamo.config.recompile_limit = max(_dynamo.config.recompile_limit, MOST_COMPILED)


def usual_tokens(facts: BaseFacts, *, window: int = 0, pixels: int = 0) -> int:
    """Tokens of one window at the base's own size, with one reference.

    Args:
        window, pixels: of another length, or area; 0 = the base's own.
    """
    frames, side = facts.token
    return 2 * round((pixels or facts.pixels) / side**2) * (1 + (window or facts.window) // frames)
