"""A LoRA that was distilled for few steps is merged beneath the adapter, and painted with as its publishers do."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanTransformer3DModel, WanVACETransformer3DModel
from safetensors.torch import load_file, save_file

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import SetupError
from renderlift.model import presets, render, shared_base
from renderlift.model.bases import asked
from renderlift.model.bases.adapters import LOW_NOISE_FILE, distil, load_adapter
from renderlift.model.bases.facts import WAN, WAN_A14B, facts_of, in_few_steps
from renderlift.model.bases.few_steps import SHIFT, FewSteps
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.lora import FILE_NAME
from renderlift.model.render import finish, load, load_base, paint

from .few_steps_lora import few_steps_lora
from .random_adapter import random_adapter

Shot = Callable[..., Clip]
PLAIN: dict[str, Any] = {"device": "cpu", "dtype": "float32"}
# github.com/ModelTC/LightX2V-Wan2.2-Lightning/issues/3, by one of its authors.
PUBLISHED = {
    4: [1000.0, 937.5, 833.3333, 625.0],
    8: [1000.0, 972.2224, 937.5001, 892.8571, 833.3333, 750.0001, 625.0, 416.6667],
}


@pytest.fixture
def not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "open_pipeline", lambda *how, **more: pytest.fail("it was loaded"))


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Which Wan transformer was called, and at which noise level, in thousandths."""
    seen: list[tuple[int, float]] = []
    for kind in (WanTransformer3DModel, WanVACETransformer3DModel):
        forward = kind.forward

        def spying(self: Any, *args: Any, _forward: Any = forward, **inputs: Any) -> Any:
            seen.append((id(self), float(inputs["timestep"].max())))
            return _forward(self, *args, **inputs)

        monkeypatch.setattr(kind, "forward", spying)
    return seen


@pytest.mark.parametrize("base", ["wan", "wan_5b", "wan_vace", "wan_a14b"])
def test_what_is_merged_paints_as_if_it_were_worn_at_full_strength(
    base: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    lora, clip, facts = (
        few_steps_lora(folder, tmp_path / "few.safetensors", changes=False),
        shot(5),
        facts_of(folder),
    )
    merged, wearing, alone = (load_base(str(folder), torch.float32) for _ in range(3))
    distil(merged, [lora])
    load_adapter(wearing, facts, lora, 1.0)
    assert not hasattr(merged.transformer.blocks[0].attn1.to_q, "lora_A")
    settings = RenderSettings(steps=4)
    ours, theirs, plain = (paint(one, settings, clip, in_few_steps(facts)) for one in (merged, wearing, alone))
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert (ours - plain).abs().mean() > 10 * (ours - theirs).abs().max()


def test_an_adapter_over_it_is_worn_as_if_the_merged_weights_were_the_bases_own(
    wan_a14b: Path, shot: Shot, tmp_path: Path
) -> None:
    """Each of two experts with its own LoRA beneath one adapter."""
    high = few_steps_lora(wan_a14b, tmp_path / "few" / "high_noise_model.safetensors", 1)
    low = few_steps_lora(wan_a14b, tmp_path / "few" / "low_noise_model.safetensors", 2, biases=False)
    adapter, clip = random_adapter(load_base(str(wan_a14b), torch.float32), tmp_path / "adapter"), shot(5)
    over = load(base=str(wan_a14b), distilled=str(tmp_path / "few"), adapter=str(adapter), **PLAIN)(clip)

    merged = load_base(str(wan_a14b), torch.float32)
    distil(merged, [high, low])
    merged.save_pretrained(str(tmp_path / "merged"))
    own = load_base(str(tmp_path / "merged"), torch.float32)
    load_adapter(own, WAN_A14B, adapter, 1.0)
    painted = paint(own, RenderSettings(steps=4, working_pixels=WAN.pixels), clip, in_few_steps(WAN_A14B))
    assert np.array_equal(over, finish(None, clip, painted))
    beneath = load(base=str(wan_a14b), distilled=str(tmp_path / "few"), **PLAIN)(clip)
    assert abs(over.astype(int) - beneath).mean() > 1


@pytest.mark.parametrize(
    ("high", "low"),
    [
        ("high_noise_model", "low_noise_model"),
        ("wan2.2_t2v_A14b_high_noise_lora_rank64_4step_1217", "wan2.2_t2v_A14b_low_noise_lora_rank64_4step_1217"),
        ("Wan2.2-Lightning_T2V-A14B-4steps-lora_HIGH_fp16", "Wan2.2-Lightning_T2V-A14B-4steps-lora_LOW_fp16"),
        (FILE_NAME, LOW_NOISE_FILE),
    ],
)
def test_the_files_of_two_experts_are_known_by_their_publishers_names(
    high: str, low: str, wan_a14b: Path, tmp_path: Path
) -> None:
    names = [f"{name.removesuffix('.safetensors')}.safetensors" for name in (high, low)]
    ours = ["comfyui_high_noise.safetensors", "comfyui_low_noise.safetensors"] if high == FILE_NAME else []
    for name in names + ours:
        save_file({"a": torch.zeros(1)}, tmp_path / name)
    found = asked.distilled(str(tmp_path), wan_a14b, WAN_A14B)
    assert [file.name for file in found] == names


@pytest.mark.parametrize("base", ["wan", "wan_a14b", "wan_vace_a14b"])
def test_the_noise_levels_are_those_of_the_loras_publishers(
    base: str, shot: Shot, tmp_path: Path, levels: list[tuple[int, float]], request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    lora = few_steps_lora(folder, tmp_path / "few.safetensors")
    load(base=str(folder), distilled=str(lora), **PLAIN)(shot(5))
    assert [level for _, level in levels] == pytest.approx(PUBLISHED[4], abs=0.001)  # each once: no guidance
    if base.endswith("a14b"):  # two steps each, as the publishers' `boundary_step_index` is 2
        first, second, third, last = (expert for expert, _ in levels)
        assert first == second != third == last


@pytest.mark.parametrize("steps", PUBLISHED)
def test_more_steps_have_the_levels_that_their_authors_name(steps: int) -> None:
    scheduler = FewSteps(shift=SHIFT)
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps.tolist() == pytest.approx(PUBLISHED[steps], abs=0.001)


def test_each_step_goes_straight_to_the_next_level() -> None:
    scheduler, noise, clean = FewSteps(shift=SHIFT), torch.randn(2, 3), torch.randn(2, 3)
    scheduler.set_timesteps(4)
    latents = noise
    for timestep, after in zip(scheduler.timesteps, [0.9375, 0.83333, 0.625, 0.0], strict=True):
        latents = scheduler.step(noise - clean, timestep, latents, return_dict=False)[0]
        assert torch.allclose(latents, after * noise + (1 - after) * clean, atol=1e-4)


def test_what_the_user_says_of_steps_and_guidance_wins(
    wan: Path, shot: Shot, tmp_path: Path, levels: list[tuple[int, float]]
) -> None:
    lora = few_steps_lora(wan, tmp_path / "few.safetensors")
    load(base=str(wan), distilled=str(lora), steps=2, guidance=2.0, **PLAIN)(shot(5))
    assert [level for _, level in levels] == pytest.approx([1000, 1000, 833.3333, 833.3333], abs=0.001)


def test_a_base_is_shared_by_renders_with_one_lora_beneath_and_by_no_others(
    wan: Path, shot: Shot, tmp_path: Path
) -> None:
    lora, adapter = few_steps_lora(wan, tmp_path / "few.safetensors"), tmp_path / "adapter"
    random_adapter(load_base(str(wan), torch.float32), adapter)
    gc.collect()
    plain = load(base=str(wan), **PLAIN)
    few, worn = (load(base=str(wan), distilled=str(lora), adapter=name, **PLAIN) for name in ("none", str(adapter)))
    assert len(shared_base._open) == 2
    before = few(shot(5))
    assert not np.array_equal(before, worn(shot(5)))
    assert np.array_equal(before, few(shot(5)))
    save_file({key: values * 2 for key, values in load_file(lora).items()}, lora)
    os.utime(lora, ns=(1, 1))
    changed = load(base=str(wan), distilled=str(lora), **PLAIN)
    assert len(shared_base._open) == 3
    assert not np.array_equal(changed(shot(5)), before)
    del plain, few, worn, changed


@pytest.mark.usefixtures("not_loaded")
@pytest.mark.parametrize(
    ("base", "named", "reason"),
    [
        ("tiny_base", "few.safetensors", "takes 2 steps as it is"),
        ("ltx2", "few.safetensors", "takes 8 steps as it is"),
        ("cosmos", "few.safetensors", "takes no LoRA"),
        ("wan", "nothing", "there is no "),
        ("wan", "several", "several holds 3 files, of which it cannot be told which to take"),
        ("wan", "two", "two holds 2 files, of which it cannot be told which to take"),
        ("wan", "note.txt", "is no LoRA"),
        ("wan", "pair", "holds a LoRA for each of two experts, and the base has one"),
        ("wan_a14b", "pair/high_noise_model.safetensors", "is for the expert for high noise"),
        ("wan", "ltx2.safetensors", "was trained on ltx2"),
        ("wan", "own.safetensors", "own.safetensors is an adapter"),
    ],
)
def test_what_cannot_be_merged_is_refused_before_a_base_is_loaded(
    base: str, named: str, reason: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    several = ["several/one", "several/two", "several/three", "two/one", "two/two"]
    files = ["few", *several, "pair/high_noise_model", "pair/low_noise_model"]
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        save_file({"a": torch.zeros(1)}, tmp_path / f"{file}.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "ltx2.safetensors", metadata={"renderlift_base": "ltx2"})
    save_file({"a": torch.zeros(1)}, tmp_path / "own.safetensors", metadata={"renderlift_task": "lift"})
    (tmp_path / "note.txt").write_text("no LoRA")
    with pytest.raises(SetupError, match=reason) as refused:
        load(base=str(request.getfixturevalue(base)), distilled=str(tmp_path / named), device="cpu")
    assert refused.value.fix


def test_a_lora_for_another_base_is_refused_by_its_layers(wan: Path, ltx2_full: Path, tmp_path: Path) -> None:
    lora = few_steps_lora(wan, tmp_path / "few.safetensors", biases=False)
    with pytest.raises(SetupError, match="does not fit this base"):
        load(base=str(ltx2_full), distilled=str(lora), device="cpu")


@pytest.mark.skipif(not presets.is_quantisable(), reason="torchao is not installed")
@pytest.mark.parametrize("biases", [True, False])
def test_int8_weights_are_made_of_the_merged_ones(wan: Path, biases: bool, shot: Shot, tmp_path: Path) -> None:
    lora, clip = few_steps_lora(wan, tmp_path / "few.safetensors", biases=biases), shot(5)
    adapter = str(random_adapter(load_base(str(wan), torch.float32), tmp_path / "adapter"))
    how = PLAIN | {"dtype": "bfloat16", "steps": 1, "guidance": 1.0}
    merged = load_base(str(wan), torch.bfloat16)
    distil(merged, [lora])
    merged.scheduler = FlowMatchEulerDiscreteScheduler(shift=SHIFT)  # which has that level for one step
    merged.save_pretrained(str(tmp_path / "merged"))
    for worn in ("none", adapter):
        ours = load(base=str(wan), distilled=str(lora), adapter=worn, preset="parts-int8", **how)(clip)
        theirs = load(base=str(tmp_path / "merged"), adapter=worn, preset="parts-int8", **how)(clip)
        assert np.array_equal(ours, theirs)
