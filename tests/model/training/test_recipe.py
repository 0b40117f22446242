import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from renderlift.bridge.errors import SetupError
from renderlift.model.training.recipe import TASKS, Recipe, changed_fields, example, read_recipe, to_toml


def test_the_example_is_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(example("forward"))
    recipe = read_recipe(path)
    assert recipe.references == ("albedo", "normal", "depth")
    assert recipe.target == "photo"
    assert set(tomllib.loads(example())) == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_an_example_that_works(tmp_path: Path, task: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(example(task))
    assert read_recipe(path) == read_recipe(None, task=task, minutes=10.0)


def test_a_recipe_survives_its_file(tmp_path: Path) -> None:
    recipe = read_recipe(None, task="inverse", minutes=3.0, prompt='a "sunny" street')
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(recipe))
    assert read_recipe(path) == recipe


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('task = "lift"\nminutes = 60.0\nrank = 8\n')
    recipe = read_recipe(path, steps=5)
    assert (recipe.steps, recipe.minutes, recipe.rank) == (5, 0.0, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("minutes = 1.0\nranks = 8", "Did you mean rank?"),
        ("minutes = 1.0\nrank = 'high'", "rank"),
        ("minutes = 1.0\nrank = 0", "rank = 0"),
        ("minutes = 1.0\nreference_dropout = 1.0", "reference_dropout = 1.0"),
        ("minutes = 1.0\nprecision = 'int4'", "float32"),
        ("minutes = 1.0\nreferences = ['colour']", "albedo"),
        ("minutes = 1.0\nreferences = ['photo']", "nothing to learn"),
        ("minutes = 1.0\ntask = 'toon'", "references ="),
        ("rank = 8", "--minutes 10"),
        ("rank == 8", "TOML"),
    ],
)
def test_a_recipe_that_cannot_be_names_the_fix(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(SetupError) as problem:
        read_recipe(path)
    assert said in str(problem.value)
    assert problem.value.fix


def test_a_missing_file_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="--example"):
        read_recipe(tmp_path / "none.toml", minutes=1.0)


def test_another_budget_is_not_another_training() -> None:
    short, long = read_recipe(None, minutes=1.0), read_recipe(None, steps=500)
    assert not changed_fields(short, long)
    assert changed_fields(short, read_recipe(None, minutes=1.0, rank=8, alpha=8)) == ["rank", "alpha"]
