"""The table of losses of a run that was killed says what one that was not says."""

import csv
from pathlib import Path
from typing import Any

import pytest

from renderlift.model.training.fit import Moment
from renderlift.model.training.journal import LOSSES, Journal, loss_at_both_ends
from renderlift.model.training.recipe import read_recipe
from renderlift.model.training.talk import Silence

RECIPE = read_recipe(None, steps=200)


class Shown(Silence):
    """Keeps the line beside the progress."""

    def progress(self, stage: str, done: int, total: int | None = None, *, text: str = "", **facts: object) -> None:
        self.text = text


def noted(folder: Path, steps: range, *, step: int = 0) -> str:
    """Note these steps in a journal that goes on from `step`; gives the last line shown."""
    shown = Shown()
    with Journal(folder, RECIPE, shown, step=step) as journal:
        for number in steps:
            journal.note(Moment(number, 1 / number, 1e-3, float(number), number / RECIPE.steps))
    return shown.text


def rows(folder: Path) -> list[dict[str, Any]]:
    with (folder / LOSSES).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("checkpoint", [130, 0])
def test_steps_that_come_again_stand_in_it_once(tmp_path: Path, checkpoint: int) -> None:
    noted(tmp_path / "killed", range(1, 181))
    last = noted(tmp_path / "killed", range(checkpoint + 1, 201), step=checkpoint)
    assert last == noted(tmp_path / "whole", range(1, 201))
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")


def test_a_row_that_a_kill_tore_is_taken_back(tmp_path: Path) -> None:
    noted(tmp_path, range(1, 41))
    table = (tmp_path / LOSSES).read_text()
    (tmp_path / LOSSES).write_text(table[: table.rindex("40,") + 6])
    noted(tmp_path, range(41, 51), step=40)
    assert [row["step"] for row in rows(tmp_path)] == ["10", "20", "30", "50"]
    assert loss_at_both_ends(tmp_path) is not None
