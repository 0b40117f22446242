"""What must hold for every step of training an adapter."""

from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import calculate_shift, retrieve_timesteps

from renderlift.model import lora
from renderlift.model.bases.facts import EMBEDDED
from renderlift.model.render import load_base
from renderlift.model.training.bench import Bench, expert_of_step, open_bench, save_adapter
from renderlift.model.training.flow import drop_references, flow_loss, noise_levels, sample
from renderlift.model.training.in_context import OF_LTX2, Words, ltx2_words
from renderlift.model.training.recipe import Recipe, read_recipe

RECIPE = read_recipe(None, task="forward", steps=1, references=["albedo", "depth"], rank=4, reference_downscale=2)


CPU = (torch.device("cpu"), torch.float32)


def opened(folder: Path, recipe: Recipe = RECIPE) -> Bench:
    return open_bench(folder, OF_LTX2, recipe, load_base(str(folder), torch.float32).vae, CPU)


@pytest.fixture
def bench(tiny_base: Path) -> Bench:
    return opened(tiny_base)


@pytest.fixture
def words(tiny_base: Path) -> Words:
    with torch.no_grad():
        return ltx2_words(load_base(str(tiny_base), torch.float32), None, "")


def painted(
    bench: Bench, words: Words, *references: torch.Tensor, levels: tuple[float, ...] = (1.0,)
) -> torch.Tensor:
    return sample(
        lambda _level: bench.velocity(0, words), torch.tensor(levels), references, latents(), bfloat16=False
    )


def latents(height: int = 4, width: int = 4, *, seed: int = 0, count: int = 1) -> torch.Tensor:
    return torch.randn(count, 8, 2, height, width, generator=torch.Generator().manual_seed(seed))


def awaken(bench: Bench) -> None:
    """A new LoRA does nothing; give it something to do."""
    torch.manual_seed(5)
    for name, parameter in bench.module.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)


def test_gradients_reach_the_lora_and_nothing_else(bench: Bench, words: Words) -> None:
    awaken(bench)
    velocity = bench.velocity(0, words)
    loss = flow_loss(velocity, latents(), [latents(2, 2)], torch.tensor([0.5]), bfloat16=False)
    loss.backward()
    reached = {name for name, p in bench.module.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached
    assert all("lora_" in name for name in reached)
    assert all("attn1" in name or "attn2" in name or ".ff." in name for name in reached)


def test_checkpointing_gradients_changes_none_of_them(tiny_base: Path, words: Words) -> None:
    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        recipe = read_recipe(None, steps=1, rank=4, gradient_checkpointing=checkpointing)
        bench = opened(tiny_base, recipe)
        awaken(bench)
        torch.manual_seed(0)
        sigma = torch.tensor([0.5])
        flow_loss(bench.velocity(0, words), latents(), [latents()], sigma, bfloat16=False).backward()
        return [p.grad for p in bench.module.parameters() if p.grad is not None]

    for plain, again in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(plain, again)


def test_what_is_painted_has_the_targets_shape_however_many_references_there_are(
    bench: Bench, words: Words
) -> None:
    awaken(bench)
    for references in ([], [latents(2, 2)], [latents(2, 2, seed=1), latents(2, 2, seed=2)]):
        assert painted(bench, words, *references, levels=(1.0, 0.5)).shape == latents().shape


def test_dropping_or_changing_any_reference_changes_the_picture(bench: Bench, words: Words) -> None:
    awaken(bench)
    albedo, depth, other = (latents(2, 2, seed=seed) for seed in (1, 2, 3))
    both = painted(bench, words, albedo, depth)
    for fewer_or_others in ([albedo], [depth], [], [albedo, other]):
        assert (both - painted(bench, words, *fewer_or_others)).abs().max() > 1e-4


def test_the_order_of_references_does_not_matter(bench: Bench, words: Words) -> None:
    # They share positions, so an adapter tells them apart by their looks, and a missing one shifts nothing.
    awaken(bench)
    albedo, depth = latents(2, 2, seed=1), latents(2, 2, seed=2)
    first, second = painted(bench, words, albedo, depth), painted(bench, words, depth, albedo)
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
    path = save_adapter(bench, tmp_path, RECIPE, EMBEDDED)
    assert path.parent == tmp_path
    assert lora.read_facts(tmp_path) == lora.AdapterFacts(
        task="forward",
        base="embedded",
        references=("albedo", "depth"),
        reference_downscale_factor=2,
        target="photo",
    )
    assert {p.name for p in tmp_path.iterdir()} == {lora.FILE_NAME, "training"}


@pytest.mark.parametrize("share", [0.1, 0.4, 0.75])
def test_two_experts_take_turns_as_often_as_their_noise_levels_come(share: float) -> None:
    steps = [expert_of_step(step, [share, 1 - share]) for step in range(4000)]
    assert steps.count(0) / len(steps) == pytest.approx(share, abs=0.01)
    assert all(len(set(steps[turn : turn + 4])) == 1 for turn in range(0, 4000, 4))
    assert expert_of_step(7, [1.0]) == 0
