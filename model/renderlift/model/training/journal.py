"""What a running training leaves to watch: progress, a table of losses, TensorBoard."""

import csv
import json
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from renderlift.model.training.fit import Moment
from renderlift.model.training.recipe import Recipe
from renderlift.model.training.strip import Picture
from renderlift.model.training.talk import Talk

SMOOTH = 0.97  # of the loss that is shown
NOTE_EVERY_STEPS = 10
LOSSES = "losses.csv"
COLUMNS: tuple[str, ...] = ("step", "loss", "learning_rate", "spent_s", "mean_loss")


class Journal:
    """Open while a training runs. `losses.csv` is appended to; a resumed run goes on in it.

    Args:
        step: that the run goes on from. What was noted of later ones is taken back: they come again.
    """

    def __init__(self, folder: Path, recipe: Recipe, talk: Talk, *, step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._talk, self._recipe = talk, recipe
        self._board = _open_board(folder / "log", talk, step)
        self._mean_loss = _cut_back(folder / LOSSES, step)
        self._file = (folder / LOSSES).open("a", newline="")
        self._rows = csv.writer(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board:
            self._board.close()

    def note(self, moment: Moment) -> None:
        """After every step."""
        before = self._mean_loss if self._mean_loss is not None else moment.loss
        self._mean_loss = SMOOTH * before + (1 - SMOOTH) * moment.loss
        if moment.step % NOTE_EVERY_STEPS == 0 or moment.share >= 1:
            facts = f"{moment.loss:.5f}", f"{moment.learning_rate:.3g}", f"{moment.spent_s:.1f}"
            self._rows.writerow((moment.step, *facts, f"{self._mean_loss:.5f}"))
            self._file.flush()
            if self._board:
                self._board.add_scalar("loss", moment.loss, moment.step)
                self._board.add_scalar("learning_rate", moment.learning_rate, moment.step)
        by_steps = bool(self._recipe.steps)
        done, total = (
            (moment.step, self._recipe.steps)
            if by_steps
            else (min(round(moment.spent_s), round(self._recipe.minutes * 60)), round(self._recipe.minutes * 60))
        )
        self._talk.progress(
            "training" if by_steps else "training, seconds",
            done,
            total,
            text=f"step {moment.step}  loss {self._mean_loss:.4f}",
            step=moment.step,
            loss=moment.loss,
        )

    def picture(self, picture: Picture, step: int) -> None:
        """A picture strip was made."""
        if self._board:
            self._board.add_image("strip", picture, step, dataformats="HWC")


def loss_at_both_ends(folder: Path) -> tuple[float, float] | None:
    """Mean loss of the first and of the last tenth of a training; None if it was too short to say."""
    losses = {int(row["step"]): float(row["loss"]) for row in _rows_of(folder / LOSSES)}
    ordered = [losses[step] for step in sorted(losses)]
    tenth = max(1, len(ordered) // 10)
    return (sum(ordered[:tenth]) / tenth, sum(ordered[-tenth:]) / tenth) if len(ordered) >= 4 else None


def write_json(path: Path, value: object) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value, indent=1) + "\n")
    new.replace(path)


def _rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a table of losses, without one that a kill tore."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["step"].isdecimal() and row.get("spent_s")]


def _cut_back(path: Path, step: int) -> float | None:
    """Leave the rows up to `step`; gives the running mean of the loss there, None where there is none."""
    rows = [row for row in _rows_of(path) if int(row["step"]) <= step]
    new = path.with_suffix(".new")
    with new.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    new.replace(path)
    return float(rows[-1].get("mean_loss") or rows[-1]["loss"]) if rows else None


def _open_board(folder: Path, talk: Talk, step: int) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the packages TensorBoard brings
            from torch.utils.tensorboard import SummaryWriter

            return SummaryWriter(str(folder), purge_step=step + 1)
    except ImportError:
        talk.tell("no_board", "TensorBoard is not installed, so its log is left out (pip install tensorboard).")
        return None
