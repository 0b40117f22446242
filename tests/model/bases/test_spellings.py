"""Whatever a trainer calls the layers of an adapter, they are those that diffusers calls by its own names."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import SetupError
from renderlift.model.bases.spellings import translated, with_plain_factors
from renderlift.model.lora import FILE_NAME
from renderlift.model.render import load, load_base
from tests.model.bases.test_adapters import layers, spelled, video

Shot = Callable[..., Clip]
Weights = dict[str, Tensor]


def without_prefix(weights: Weights) -> Weights:
    return {key.removeprefix("transformer.").removeprefix("diffusion_model."): weights[key] for key in weights}


def named_by_peft(weights: Weights) -> Weights:
    return {re.sub(r"(lora_[AB])\.", r"\1.default.", key): values for key, values in weights.items()}


def down_and_up(weights: Weights) -> Weights:
    return {key.replace("lora_A", "lora_down").replace("lora_B", "lora_up"): weights[key] for key in weights}


def every_other(one: Weights, other: Weights) -> Weights:
    """Layers of one, and between them layers of the other."""
    pairs = zip(one.items(), other.items(), strict=True)
    return dict(first if index % 4 < 2 else second for index, (first, second) in enumerate(pairs))


def written(factors: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Weights]:
    ours, theirs = spelled(factors, "diffusers"), spelled(factors, "comfy")
    with_alphas = spelled(factors, "comfy with alphas")
    return {
        "bare": without_prefix(theirs),
        "bare with alphas": without_prefix(down_and_up(with_alphas)),
        "DiffSynth's": without_prefix(named_by_peft(theirs)),
        "diffusers' names, bare": without_prefix(ours),
        "peft's": {f"base_model.model.{key}": values for key, values in without_prefix(ours).items()},
        "diffusers', down and up": down_and_up(ours),
        "half bare": every_other(ours, without_prefix(ours)),
        "two prefixes": every_other(ours, theirs),
    }


@pytest.mark.parametrize("base", ["wan", "wan_vace", "ltx2", "ltx2_3"])
def test_layers_are_known_by_any_name(base: str, request: pytest.FixtureRequest) -> None:
    pipeline: Any = load_base(str(request.getfixturevalue(base)), torch.float32)
    factors = layers(pipeline)
    wanted = spelled(factors, "diffusers")
    for name, weights in written(factors).items():
        read = translated(pipeline, pipeline.transformer, with_plain_factors(weights))
        assert read is not None, name
        assert read.keys() == wanted.keys(), name
        assert all(torch.allclose(read[key], wanted[key]) for key in wanted), name


@pytest.mark.parametrize(
    ("base", "prefix"), [("wan_vace", ""), ("ltx2", "transformer."), ("wan", "diffusion_model.")]
)
def test_what_diffsynth_studio_writes_paints_as_in_diffusers_spelling(
    base: str, prefix: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    factors, clip = layers(load_base(str(folder), torch.float32)), shot(5)
    save_file(spelled(factors, "diffusers"), tmp_path / FILE_NAME)
    wanted = video(folder, tmp_path, clip).astype(int)
    theirs = named_by_peft(without_prefix(spelled(factors, "diffusers" if base == "ltx2" else "comfy")))
    save_file({f"{prefix}{key}": values for key, values in theirs.items()}, tmp_path / FILE_NAME)
    assert abs(video(folder, tmp_path, clip).astype(int) - wanted).max() <= 1
    assert abs(video(folder, "none", clip).astype(int) - wanted).mean() > 0.3


@pytest.mark.parametrize(
    ("strange", "named"),
    [
        (["blocks.7.self_attn.q"], "a layer blocks.7.self_attn.q,"),
        (["blocks.7.ffn.0", "blocks.8.ffn.0"], "layers blocks.7.ffn.0, blocks.8.ffn.0,"),
        (
            [f"blocks.{n}.ffn.0" for n in (5, 6, 7, 8, 9)],
            "layers blocks.5.ffn.0, blocks.6.ffn.0, blocks.7.ffn.0 and 2 more,",
        ),
        (["text_encoder.layers.0.q"], "a layer text_encoder.layers.0.q,"),
    ],
)
def test_an_adapter_of_which_some_layers_fit_is_refused_with_the_names_of_the_others(
    strange: list[str], named: str, wan: Path, tmp_path: Path
) -> None:
    weights = without_prefix(spelled(layers(load_base(str(wan), torch.float32)), "comfy"))
    for layer in strange:
        weights |= {f"{layer}.lora_A.weight": torch.zeros(2, 24), f"{layer}.lora_B.weight": torch.zeros(24, 2)}
    save_file(weights, tmp_path / FILE_NAME)
    with pytest.raises(SetupError, match=f"does not fit this base: it has {named} which this base has not"):
        load(base=str(wan), adapter=str(tmp_path), device="cpu")


def test_layers_outside_the_blocks_of_wan_are_known_by_their_publishers_names(wan: Path) -> None:
    pipeline: Any = load_base(str(wan), torch.float32)
    theirs = (
        "time_projection.1",
        "time_embedding.0",
        "time_embedding.2",
        "text_embedding.0",
        "text_embedding.2",
        "head.head",
    )
    weights = {f"{name}.lora_{factor}.weight": torch.zeros(2, 2) for name in theirs for factor in "AB"}
    bare = translated(pipeline, pipeline.transformer, weights)
    # diffusers reads them behind a prefix, where the file has blocks too.
    block = {f"diffusion_model.blocks.0.ffn.0.lora_{factor}.weight": torch.zeros(2, 2) for factor in "AB"}
    by_diffusers = pipeline.lora_state_dict({f"diffusion_model.{key}": weights[key] for key in weights} | block)
    assert bare is not None
    assert bare.keys() == {key for key in by_diffusers if ".blocks." not in key}
