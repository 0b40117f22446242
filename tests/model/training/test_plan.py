"""What a training says it will do, and how it fits itself into the memory that is there."""

from pathlib import Path

import pytest

from renderlift.model.training.dataset import Scene, Survey
from renderlift.model.training.latents import Sizes
from renderlift.model.training.plan import Counts, Grid, Plan, choose_sizes, make_plan, near, plan_text
from renderlift.model.training.recipe import Recipe, read_recipe

LTX_2 = Grid(8, 32, 4096, 48, 32)
WAN = Grid(4, 16, 5120, 40, 16)
# LTX-2's transformer in bf16, with an adapter of rank 32.
COUNTS = Counts(19_000_000_000, 160_000_000, 40_000_000_000, largest=18_900_000_000)
GB = 1e9


def found(height: int = 704, width: int = 1216) -> Survey:
    return Survey((Scene(Path("data/000000"), height, width, 3, ""),), (), ())


def recipe(**given: object) -> Recipe:
    return read_recipe(None, steps=1, frames=121, base="folder", **given)


def sized(survey: Survey, asked: Recipe, grid: Grid = LTX_2, pixels: int = 704 * 1216) -> Sizes:
    return choose_sizes(survey, asked, grid, pixels, stretches=False)


def planned(available_bytes: float, **given: object) -> Plan:
    asked = recipe(**given)
    return make_plan(
        found(), asked, choose_sizes(found(), asked, LTX_2, 704 * 1216), LTX_2, COUNTS, available_bytes
    )


def test_memory_is_saved_where_the_gpu_is_too_small_and_the_plan_says_why() -> None:
    assert planned(2000 * GB).memory == "full"
    small = planned(80 * GB)
    assert small.memory == "low"
    assert small.memory_bytes < 80 * GB < small.full_bytes
    text = plan_text(small, recipe())
    assert "memory = low (full needs" in text
    assert "the GPU has 80.0 GB" in text


def test_the_recipe_has_the_last_word() -> None:
    assert planned(80 * GB, memory="full").memory == "full"
    assert planned(2000 * GB, memory="low").memory == "low"
    assert "as the recipe says" in plan_text(planned(0, memory="low"), recipe(memory="low"))


def test_what_does_not_fit_all_the_same_is_said() -> None:
    assert "may not fit" in plan_text(planned(8 * GB), recipe())
    assert "may not fit" not in plan_text(planned(80 * GB), recipe())


def test_without_a_gpu_nothing_is_saved_and_the_plan_says_what_one_would_need() -> None:
    plan = planned(0)
    assert plan.memory == "full"
    text = plan_text(plan, recipe())
    assert "there is no CUDA GPU in use here" in text
    assert f"one would need {plan.full_bytes / 0.9e9:.1f} GB for memory = full" in text
    assert f"{plan.low_bytes / 0.9e9:.1f} GB for memory = low" in text
    assert "CUDA" not in plan_text(planned(80 * GB), recipe())


def test_a_stage_whose_clips_are_not_estimated_says_what_it_needs_at_least() -> None:
    asked = recipe()
    plan = make_plan(found(), asked, Sizes(96, 160, 1), Grid(1, 1, 1, 0), Counts(1_000_000, 1_000_000, 4_000_000))
    text = plan_text(plan, asked)
    assert "24 MB for weights" in text
    assert "there is no CUDA GPU in use here" in text


def test_clips_that_are_larger_than_their_pairs_say_why() -> None:
    asked, small = recipe(), found(64, 128)
    enlarged = make_plan(small, asked, choose_sizes(small, asked, WAN, 96 * 160), WAN, COUNTS)
    text = plan_text(enlarged, asked)
    assert "the pairs are 128x64: they are enlarged to the area that the base paints at" in text
    plain = make_plan(small, asked, sized(small, asked, WAN), WAN, COUNTS)
    assert "enlarged" not in plan_text(plain, asked)


def test_no_clip_is_larger_than_the_pairs_of_a_large_base() -> None:
    sizes = sized(found(360, 640), recipe())
    assert (sizes.height, sizes.width) == (352, 640)
    halved = sized(found(), recipe(reference_downscale=2))
    assert (halved.height % 64, halved.width % 64) == (0, 0)


@pytest.mark.parametrize(("multiple", "size"), [(16, (720, 1280)), (32, (704, 1280))])
def test_sizes_are_multiples_of_what_the_base_packs(multiple: int, size: tuple[int, int]) -> None:
    assert near(1080, 1920, 720 * 1280, multiple) == size


def test_tokens_are_counted_as_the_base_packs_them() -> None:
    asked = recipe()
    plan = make_plan(found(480, 832), asked, sized(found(480, 832), asked, WAN, 480 * 832), WAN, COUNTS)
    assert plan.tokens == 2 * 31 * 30 * 52
