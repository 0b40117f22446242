"""What `renderlift pairs` does, told to whoever listens."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from renderlift.model.pairs.describe import CARD_NAME, SHEET_NAME, describe
from renderlift.model.pairs.make import Made, Recipe, make_pairs
from renderlift.model.pairs.scene_folder import Outcome
from renderlift.model.training.talk import Talk

DESCRIBE_EVERY_S = 120.0  # so that one may look before the night is over


def truth_pairs(dataset: Path, seeds: Sequence[int], recipe: Recipe, *, jobs: int, talk: Talk) -> bool:
    """Make scenes, with progress; keep the card and the contact sheet up to date.

    Returns:
        whether every scene is there now.

    Raises:
        SetupError, RecordingError: as `make_pairs`.
    """
    counted: Counter[Outcome] = Counter()
    described_s = time.monotonic()
    talk.progress("scenes", 0, len(seeds))
    for made in make_pairs(dataset, seeds, recipe, jobs=jobs):
        counted[made.outcome] += 1
        _tell(made, talk)
        talk.progress("scenes", counted.total(), len(seeds), text=_counts(counted))
        if counted[Outcome.MADE] and time.monotonic() - described_s > DESCRIBE_EVERY_S:
            describe(dataset)
            described_s = time.monotonic()
    if counted[Outcome.MADE] or counted[Outcome.THERE]:
        describe(dataset)
    files = {"card": dataset / CARD_NAME, "contact_sheet": dataset / SHEET_NAME}
    text = f"{_counts(counted)} in {dataset}; look at {dataset / SHEET_NAME}"
    talk.tell("pairs_made", text, dataset=dataset, counts=dict(counted), files=files)
    return not counted[Outcome.FAILED]


def _tell(made: Made, talk: Talk) -> None:
    if made.outcome is Outcome.FAILED:
        advice = f" {made.fix}" if made.fix else ""
        text = f"scene {made.seed:06d} failed: {made.problem}{advice}"
        talk.tell("scene_failed", text, seed=made.seed, message=made.problem, fix=made.fix)


def _counts(counted: Counter[Outcome]) -> str:
    words = {
        Outcome.MADE: "made",
        Outcome.THERE: "there before",
        Outcome.TAKEN: "at work elsewhere",
        Outcome.FAILED: "failed",
    }
    return ", ".join(f"{counted[outcome]} {word}" for outcome, word in words.items() if counted[outcome]) or "none"
