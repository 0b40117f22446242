"""A LoRA is as strong as its file, or what lies beside it, says: in every spelling, worn and merged."""

import gc
import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor

from renderlift.bridge.errors import SetupError
from renderlift.model import shared_base
from renderlift.model.bases.adapters import distil, load_adapter, peft_name
from renderlift.model.bases.facts import WAN, facts_of
from renderlift.model.render import load, load_base
from renderlift.model.shared_base import SharedBase
from tests.model.bases.test_adapters import RANK, layers, spelled
from tests.model.bases.test_spellings import down_and_up, every_other, named_by_peft, without_prefix

ALPHA = 4 * RANK
Factors = dict[str, tuple[Tensor, Tensor]]


def told(factors: Factors, **more: Any) -> dict[str, str]:
    """What diffusers writes into a file of that alpha."""
    config = {"r": RANK, "lora_alpha": ALPHA, "target_modules": list(factors), **more}
    return {"lora_adapter_metadata": json.dumps({f"transformer.{word}": config[word] for word in config})}


def with_silent_biases(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    ups = {key.removesuffix(".lora_B.weight"): up for key, up in weights.items() if key.endswith(".lora_B.weight")}
    return weights | {f"{layer}.diff_b": torch.zeros(len(up)) for layer, up in ups.items()}


def spellings(factors: Factors) -> dict[str, dict[str, Tensor]]:
    """All that can do without alphas of their own."""
    ours, theirs = spelled(factors, "diffusers"), spelled(factors, "comfy")
    return {
        "diffusers'": ours,
        "ComfyUI's": theirs,
        "with biases": with_silent_biases(theirs),
        "bare": without_prefix(theirs),
        "DiffSynth's": without_prefix(named_by_peft(theirs)),
        "named by peft": named_by_peft(ours),
        "down and up": down_and_up(ours),
        "half bare": every_other(ours, without_prefix(ours)),
    }


def check_strength(base: Path, pipeline: Any, file: Path, factors: Factors, strength: float) -> None:
    """Worn and merged, each layer changes by `strength` times its factors' product. It leaves no trace."""
    before = {name: values.clone() for name, values in pipeline.transformer.state_dict().items()}
    facts = load_adapter(pipeline, facts_of(base), file, 1.0)
    modules = dict(pipeline.transformer.named_modules())
    worn = {name: modules[name].get_delta_weight(peft_name(facts.task)) for name in factors}
    pipeline.unload_lora_weights()
    distil(pipeline, [file])
    merged = pipeline.transformer.state_dict()
    for name, (down, up) in factors.items():
        wanted = strength * (up @ down)
        assert torch.allclose(worn[name], wanted, atol=1e-4), file.stem
        assert torch.allclose(merged[f"{name}.weight"] - before[f"{name}.weight"], wanted, atol=1e-4), file.stem
    pipeline.transformer.load_state_dict(before)


@pytest.mark.parametrize("base", ["wan_vace", "ltx2"])
def test_an_alpha_in_the_metadata_is_heeded_in_every_spelling(
    base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    pipeline = load_base(str(folder), torch.float32)
    factors = layers(pipeline)
    for said, weights in spellings(factors).items():
        if base == "ltx2" and said == "with biases":  # which only Wan's LoRAs have
            continue
        file = tmp_path / f"{said}.safetensors"
        save_file(weights, file, metadata=told(factors))
        check_strength(folder, pipeline, file, factors, ALPHA / RANK)


def test_biases_in_diffusers_spelling_are_as_strong_as_the_factors(wan: Path, tmp_path: Path) -> None:
    factors = layers(load_base(str(wan), torch.float32))
    biases = {f"transformer.{name}.lora_B.bias": torch.ones(len(up)) for name, (_, up) in factors.items()}
    own = spelled(factors, "diffusers") | biases
    metadata = told(factors, lora_bias=True)
    save_file(own, tmp_path / "own.safetensors", metadata=metadata)
    save_file(named_by_peft(own), tmp_path / "named.safetensors", metadata=metadata)
    own_merged, merged, plain = (load_base(str(wan), torch.float32) for _ in range(3))
    distil(own_merged, [tmp_path / "own.safetensors"])
    distil(merged, [tmp_path / "named.safetensors"])
    name = "blocks.0.ffn.net.2.bias"
    before = plain.transformer.state_dict()[name]
    for one in (own_merged, merged):
        assert torch.allclose(one.transformer.state_dict()[name], before + ALPHA / RANK)


@pytest.mark.parametrize(
    ("spelling", "more", "reason"),
    [
        ("comfy", {"alpha_pattern": {"to_q": 1}}, "its metadata says more than one alpha"),
        ("comfy", {"use_rslora": True}, "its metadata says more than one alpha"),
        ("comfy with alphas", {}, "its metadata names the alpha 8, and its layer .* one of its own"),
        ("kohya", {}, "its metadata names the alpha 8, and its layer .* one of its own"),
    ],
)
def test_a_strength_that_is_not_one_alpha_is_refused(
    spelling: str, more: dict[str, Any], reason: str, wan: Path, tmp_path: Path
) -> None:
    pipeline, file = load_base(str(wan), torch.float32), tmp_path / "lora.safetensors"
    factors = layers(pipeline)
    save_file(spelled(factors, spelling), file, metadata=told(factors, **more))
    with pytest.raises(SetupError, match=f"does not fit this base: {reason}"):
        load_adapter(pipeline, WAN, file, 1.0)


def of_peft(base: Path, folder: Path, **config: Any) -> Factors:
    """Saved by peft itself to `folder`; gives the factors."""
    transformer: Any = load_base(str(base), torch.float32).transformer
    targets = r"blocks\.\d+\.attn1\.to_[qk]"
    how = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets, init_lora_weights=False, **config)
    get_peft_model(transformer, how).save_pretrained(str(folder))
    saved = load_file(folder / "adapter_model.safetensors")
    names = {key.removeprefix("base_model.model.").rpartition(".lora_")[0] for key in saved}
    factor = "base_model.model.{}.lora_{}.weight"
    return {name: (saved[factor.format(name, "A")], saved[factor.format(name, "B")]) for name in names}


def test_what_peft_itself_saves_is_as_strong_as_its_config_says(wan: Path, tmp_path: Path) -> None:
    factors = of_peft(wan, tmp_path)
    assert len(factors) == 4
    pipeline = load_base(str(wan), torch.float32)
    check_strength(wan, pipeline, tmp_path / "adapter_model.safetensors", factors, ALPHA / RANK)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "whose alpha stands in adapter_config.json beside it, which is missing"),
        ({"rank_pattern": {"to_q": 4}}, "adapter_config.json says rank_pattern"),
        ({"alpha_pattern": {"to_q": 4}}, "adapter_config.json says alpha_pattern"),
        ({"use_rslora": True}, "adapter_config.json says use_rslora"),
        ({"use_dora": True}, "adapter_config.json says use_dora"),
        ({"lora_alpha": None}, "lora_alpha = None and r = 2"),
        ({"r": 16}, "has layers of rank 2, and adapter_config.json beside it says r = 16"),
    ],
)
def test_what_peft_itself_saves_is_refused_where_its_strength_cannot_be_told(
    change: dict[str, Any] | None, reason: str, wan: Path, tmp_path: Path
) -> None:
    of_peft(wan, tmp_path)
    config = tmp_path / "adapter_config.json"
    saved = json.loads(config.read_text())
    config.unlink()
    if change is not None:
        config.write_text(json.dumps(saved | change))
    with pytest.raises(SetupError, match=reason) as refused:
        load_adapter(load_base(str(wan), torch.float32), WAN, tmp_path, 1.0)
    assert refused.value.fix


def test_a_strength_that_is_changed_beside_the_file_is_read_again(wan: Path, tmp_path: Path) -> None:
    factors = of_peft(wan, tmp_path)
    base = SharedBase(load_base(str(wan), torch.float32), WAN)
    config = tmp_path / "adapter_config.json"
    name, (down, up) = next(iter(factors.items()))
    for alpha in (ALPHA, RANK):
        config.write_text(json.dumps(json.loads(config.read_text()) | {"lora_alpha": alpha}))
        os.utime(config, ns=(alpha, alpha))
        with base.wearing(tmp_path, 1.0) as facts:
            assert facts is not None
            layer = cast(Any, base.pipeline).transformer.get_submodule(name)
            worn = layer.get_delta_weight(peft_name(facts.task))
        assert torch.allclose(worn, alpha / RANK * (up @ down), atol=1e-4)


def test_a_merged_one_is_not_shared_with_another_strength(wan: Path, tmp_path: Path) -> None:
    of_peft(wan, tmp_path)
    config, how = tmp_path / "adapter_config.json", {"device": "cpu", "dtype": "float32"}
    gc.collect()
    renders = []
    for alpha in (ALPHA, RANK):
        config.write_text(json.dumps(json.loads(config.read_text()) | {"lora_alpha": alpha}))
        os.utime(config, ns=(alpha, alpha))
        renders.append(load(base=str(wan), distilled=str(tmp_path), **how))  # type: ignore[arg-type]
    assert len(shared_base._open) == 2
