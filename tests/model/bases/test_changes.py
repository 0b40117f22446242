"""What a LoRA changes beside factors is merged whole, or left out of adapters alike in every spelling."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.adapters import DISTILLED, distil, load_adapter, peft_name
from renderlift.model.bases.facts import WAN, WAN_A14B
from renderlift.model.render import load_base

from .few_steps_lora import CHANGES, few_steps_lora

HEAD = ("head.head.diff", "head.head.diff_b")


def respelled(file: Path, prefix: str) -> Path:
    """With another prefix, beside it."""
    weights = load_file(file)
    path = file.with_stem(f"{file.stem}_{prefix}")
    save_file({prefix + key.removeprefix("diffusion_model."): weights[key] for key in weights}, path)
    return path


def state(pipeline: Any) -> dict[str, Tensor]:
    return {name: values.clone() for name, values in pipeline.transformer.state_dict().items()}


@pytest.mark.parametrize("prefix", ["diffusion_model.", ""])
@pytest.mark.parametrize("base", ["wan", "wan_vace"])
def test_all_that_a_lora_changes_is_merged(
    base: str, prefix: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    file = few_steps_lora(folder, tmp_path / "few.safetensors")
    changes, pipeline = load_file(file), load_base(str(folder), torch.float32)
    before = state(pipeline)
    distil(pipeline, [respelled(file, prefix)])
    after = state(pipeline)
    assert after.keys() == before.keys()
    for theirs, ours in CHANGES.items():
        assert torch.allclose(after[ours] - before[ours], changes[f"diffusion_model.{theirs}"], atol=1e-6), theirs
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same.isdisjoint(CHANGES.values())
    assert {"blocks.1.norm2.weight", "blocks.0.scale_shift_table"} <= same


def test_changes_are_merged_in_half_precision_and_in_diffusers_names_too(wan: Path, tmp_path: Path) -> None:
    pipeline = load_base(str(wan), torch.bfloat16)
    before = state(pipeline)["blocks.0.norm2.weight"].float()
    lora = {f"transformer.blocks.0.attn1.to_q.lora_{factor}.weight": torch.ones(2, 24) for factor in "AB"}
    lora["transformer.blocks.0.attn1.to_q.lora_B.weight"] = torch.ones(24, 2)
    save_file(lora | {"transformer.blocks.0.norm2.diff": torch.full((24,), 0.5)}, tmp_path / "few.safetensors")
    distil(pipeline, [tmp_path / "few.safetensors"])
    after = state(pipeline)["blocks.0.norm2.weight"]
    assert torch.allclose(after.float(), before + 0.5, atol=0.01)


def test_an_adapter_leaves_out_the_same_in_every_spelling(
    wan: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = few_steps_lora(wan, tmp_path / "few.safetensors")
    change = load_file(file)["diffusion_model.head.head.diff"]
    deltas = []
    for prefix in ("diffusion_model.", ""):
        caplog.clear()
        pipeline: Any = load_base(str(wan), torch.float32)
        before = state(pipeline)
        name = peft_name(load_adapter(pipeline, WAN, respelled(file, prefix), 1.0).task)
        worn = {key.replace(".base_layer", ""): values for key, values in state(pipeline).items()}
        assert all(torch.equal(worn[key], before[key]) for key in before)
        assert torch.allclose(pipeline.transformer.proj_out.get_delta_weight(name), change)
        modules = pipeline.transformer.named_modules()
        deltas.append({key: layer.get_delta_weight(name) for key, layer in modules if hasattr(layer, "lora_A")})
        told = f"changes {len(CHANGES) - len(HEAD)} weights or biases"
        assert caplog.text.count(told) == 1 and "--distilled merges them" in caplog.text
    assert deltas[0].keys() == deltas[1].keys()
    assert all(torch.allclose(deltas[0][key], deltas[1][key]) for key in deltas[0])


def test_what_is_left_out_is_told_once_and_not_where_it_changes_nothing(
    wan_a14b: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = few_steps_lora(wan_a14b, tmp_path / "few.safetensors")
    load_adapter(load_base(str(wan_a14b), torch.float32), WAN_A14B, file, 1.0)
    load_adapter(load_base(str(wan_a14b), torch.float32), WAN_A14B, file, 0.5)
    assert caplog.text.count("are left out") == 1
    silent = {key: values * ("lora" in key or "alpha" in key) for key, values in load_file(file).items()}
    save_file(silent, tmp_path / "silent.safetensors")
    load_adapter(load_base(str(wan_a14b), torch.float32), WAN_A14B, tmp_path / "silent.safetensors", 1.0)
    assert caplog.text.count("are left out") == 1


def test_the_heads_change_is_worn_without_a_bias_too(wan: Path, tmp_path: Path) -> None:
    file = few_steps_lora(wan, tmp_path / "few.safetensors", changes=False)
    weights = {key: values for key, values in load_file(file).items() if not key.endswith("diff_b")}
    change = torch.randn(64, 24)
    save_file(weights | {"diffusion_model.head.head.diff": change}, file)
    pipeline: Any = load_base(str(wan), torch.float32)
    name = peft_name(load_adapter(pipeline, WAN, file, 1.0).task)
    assert torch.allclose(pipeline.transformer.proj_out.get_delta_weight(name), change)


@pytest.mark.parametrize(
    ("key", "shape", "reason"),
    [
        (
            "diffusion_model.blocks.7.norm3.diff",
            (24,),
            r"it has a layer blocks\.7\.norm3\.diff, which",
        ),
        ("img_emb.proj.0.diff_b", (24,), r"it has a layer img_emb\.proj\.0\.diff_b, which this base has not"),
        ("diffusion_model.blocks.0.norm3.diff", (5,), r"norm3\.diff has the shape \(5,\), here it is \(24,\)"),
    ],
)
def test_a_change_without_a_place_is_not_merged(
    key: str, shape: tuple[int, ...], reason: str, wan: Path, tmp_path: Path
) -> None:
    file = few_steps_lora(wan, tmp_path / "few.safetensors", changes=False)
    save_file(load_file(file) | {key: torch.ones(shape)}, file)
    pipeline = load_base(str(wan), torch.float32)
    with pytest.raises(SetupError, match=f"does not fit this base: .*{reason}"):
        distil(pipeline, [file])
    assert DISTILLED not in getattr(pipeline.transformer, "peft_config", {})
