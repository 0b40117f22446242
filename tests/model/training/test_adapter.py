"""What must hold for every step of training an adapter."""

from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import calculate_shift, retrieve_timesteps

from renderlift.model import lora
from renderlift.model.render import load_base
from renderlift.model.training.adapter import Bench, make_bench, save_adapter
from renderlift.model.training.flow import drop_references, flow_loss, noise_levels, sample
from renderlift.model.training.recipe import read_recipe

RECIPE = read_recipe(None, task="forward", steps=1, references=["albedo", "depth"], rank=4, reference_downscale=2)


@pytest.fixture
def bench(tiny_base: Path) -> Bench:
    return make_bench(load_base(str(tiny_base), torch.float32), RECIPE, torch.device("cpu"))


def latents(height: int = 4, width: int = 4, *, seed: int = 0, count: int = 1) -> torch.Tensor:
    return torch.randn(count, 8, 2, height, width, generator=torch.Generator().manual_seed(seed))


def awaken(bench: Bench) -> None:
    """A new LoRA does nothing; give it something to do."""
    torch.manual_seed(5)
    for name, parameter in bench.transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)


def test_gradients_reach_the_lora_and_nothing_else(bench: Bench) -> None:
    awaken(bench)
    loss = flow_loss(
        bench.transformer, bench.context, latents(), [latents(2, 2)], torch.tensor([0.5]), bfloat16=False
    )
    loss.backward()
    reached = {name for name, p in bench.transformer.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached
    assert all("lora_" in name for name in reached)
    assert all("attn1" in name or "attn2" in name or ".ff." in name for name in reached)


def test_checkpointing_gradients_changes_none_of_them(tiny_base: Path) -> None:
    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        recipe = read_recipe(None, steps=1, rank=4, gradient_checkpointing=checkpointing)
        bench = make_bench(load_base(str(tiny_base), torch.float32), recipe, torch.device("cpu"))
        awaken(bench)
        torch.manual_seed(0)
        sigma = torch.tensor([0.5])
        flow_loss(bench.transformer, bench.context, latents(), [latents()], sigma, bfloat16=False).backward()
        return [p.grad for p in bench.transformer.parameters() if p.grad is not None]

    for plain, again in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(plain, again)


def test_what_is_painted_has_the_targets_tokens_however_many_references_there_are(bench: Bench) -> None:
    awaken(bench)
    for references in ([], [latents(2, 2)], [latents(2, 2, seed=1), latents(2, 2, seed=2)]):
        painted = sample(
            bench.transformer, torch.tensor([1.0, 0.5]), bench.context, references, latents(), bfloat16=False
        )
        assert painted.shape == (1, 2 * 4 * 4, 8)


def test_dropping_or_changing_any_reference_changes_the_picture(bench: Bench) -> None:
    awaken(bench)

    def painted(*references: torch.Tensor) -> torch.Tensor:
        return sample(bench.transformer, torch.tensor([1.0]), bench.context, references, latents(), bfloat16=False)

    albedo, depth, other = (latents(2, 2, seed=seed) for seed in (1, 2, 3))
    both = painted(albedo, depth)
    for fewer_or_others in (painted(albedo), painted(depth), painted(), painted(albedo, other)):
        assert (both - fewer_or_others).abs().max() > 1e-4


def test_the_order_of_references_does_not_matter(bench: Bench) -> None:
    # They share positions, so an adapter tells them apart by their looks, and a missing one shifts nothing.
    awaken(bench)
    levels = torch.tensor([1.0])
    albedo, depth = latents(2, 2, seed=1), latents(2, 2, seed=2)
    first, second = (
        sample(bench.transformer, levels, bench.context, references, latents(), bfloat16=False)
        for references in ([albedo, depth], [depth, albedo])
    )
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def test_every_reference_is_left_out_at_times_and_shown_mostly() -> None:
    torch.manual_seed(0)
    shown = [drop_references(["rgb", "albedo", "depth"], 0.2) for _ in range(600)]
    for name in ("rgb", "albedo", "depth"):
        assert 0.7 < sum(name in names for names in shown) / len(shown) < 0.9
    assert any(not names for names in shown)
    assert drop_references(["rgb"], 0.0) == ["rgb"]


LTX_2 = {
    "use_dynamic_shifting": True,
    "base_image_seq_len": 1024,
    "max_image_seq_len": 4096,
    "base_shift": 0.95,
    "max_shift": 2.05,
    "shift_terminal": 0.1,
}


@pytest.mark.parametrize("settings", [{"shift": 1.0}, {"shift": 3.0}, LTX_2])
def test_training_visits_the_noise_levels_that_sampling_does(settings: dict[str, object]) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(**settings)
    tokens, steps = 2000, 4
    levels = noise_levels(scheduler, tokens, sampled_steps=steps, sampled_share=0.5)
    mu = calculate_shift(tokens, 1024, 4096, 0.95, 2.05)
    equal = [1 - i / steps for i in range(steps)]
    mu_if_dynamic = {"mu": mu} if settings.get("use_dynamic_shifting") else {}
    retrieve_timesteps(scheduler, steps, "cpu", sigmas=equal, **mu_if_dynamic)
    torch.testing.assert_close(levels.sampled, scheduler.sigmas[:-1], atol=1e-5, rtol=0)
    drawn = levels.draw(2000)
    assert drawn.min() > 0
    assert drawn.max() <= 1
    visited = (drawn[:, None] - levels.sampled).abs().min(1).values < 1e-6
    assert 0.45 < visited.float().mean() < 0.55


def test_the_file_says_how_to_pack_what_the_adapter_reads(bench: Bench, tmp_path: Path) -> None:
    path = save_adapter(bench, tmp_path, RECIPE)
    assert path.parent == tmp_path
    assert lora.read_facts(tmp_path) == lora.AdapterFacts(
        task="forward",
        base="embedded",
        references=("albedo", "depth"),
        reference_downscale_factor=2,
        target="photo",
    )
    assert {p.name for p in tmp_path.iterdir()} == {lora.FILE_NAME, "training"}
