"""What a training has left already: whether its budget is spent, and whether what it leaves is all there."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

from renderlift.bridge.errors import SetupError
from renderlift.model.training.fit import checkpoint_facts
from renderlift.model.training.recipe import Recipe, changed_fields, read_recipe
from renderlift.model.training.stage import checkpoint_in

RECIPE_FILE = "recipe.toml"
RESULT_FILE = "result.json"
CARD_FILE = "README.md"
PICTURES = "strip.jpg"


@dataclass(frozen=True)
class Before:
    """Where an output stands before anything is done."""

    step: int = 0
    spent_s: float = 0.0
    recipe: Recipe | None = None  # that it was last trained by

    def has_spent(self, recipe: Recipe) -> bool:
        """Whether nothing of the budget is left."""
        return self.step > 0 and (
            self.step >= recipe.steps if recipe.steps else self.spent_s >= 60 * recipe.minutes
        )

    def at_least_this(self, recipe: Recipe) -> Recipe:
        """The recipe with a budget that is no smaller than what was trained, for a card that agrees with itself."""
        if recipe.steps:
            return replace(recipe, steps=max(recipe.steps, self.step))
        spent = math.floor(self.spent_s / 60 * 1000) / 1000  # never more than was spent, or training would go on
        return replace(recipe, minutes=max(recipe.minutes, spent))


def look_at(output: Path, recipe: Recipe, *, restart: bool) -> Before:
    """Where the output stands; nothing of it counts where it is to begin again.

    Raises:
        SetupError: another recipe trained there, or its checkpoint is damaged.
    """
    path = output / "training" / RECIPE_FILE
    if restart:
        return Before()
    before = read_recipe(path) if path.exists() else None
    if before and (changed := changed_fields(before, recipe)):
        raise SetupError(
            f"{output} holds a training with another {', '.join(changed)}",
            fix="Use another output folder, or --restart to begin again in this one.",
        )
    return Before(*checkpoint_facts(checkpoint_in(output)), before)


def is_finished(output: Path, before: Before, recipe: Recipe, held_out: Path | None) -> bool:
    """Whether the budget is spent, and weights, card and result of the last step are there."""
    if not before.has_spent(recipe) or not (output / CARD_FILE).is_file():
        return False
    try:
        result = json.loads((output / RESULT_FILE).read_text())
        written, step = list(result["files"]), int(result["steps"])
        measured = int(result["measured_scenes"]), str(result["held_out"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    same = recipe.measured_scenes <= measured[0] and measured[1] == called(held_out)
    return step == before.step and same and all((output / name).is_file() for name in written)


def called(held_out: Path | None) -> str:
    """How a result names the dataset that it was measured on; empty: the pairs' own held-out scenes."""
    return held_out.name if held_out else ""


def files_of(output: Path) -> list[str]:
    """The weights that a training has left, and its pictures."""
    every = (path.relative_to(output) for path in [*output.rglob("*.safetensors"), output / PICTURES])
    return sorted(str(path) for path in every if path.parts[0] != "training" and (output / path).is_file())
