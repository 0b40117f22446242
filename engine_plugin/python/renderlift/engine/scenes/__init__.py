"""Scenes built in code: random ones to train and test on, and the courtyard of the demo."""

from dataclasses import replace

import numpy as np

from renderlift.engine.scene import Scene
from renderlift.engine.scenes.courtyard import demo_courtyard, demo_truth
from renderlift.engine.scenes.rooms import room
from renderlift.engine.scenes.streets import street
from renderlift.engine.scenes.workshops import workshop
from renderlift.engine.scenes.yards import courtyard

__all__ = ["GENERATOR", "KINDS", "UNSEEN_KINDS", "demo_courtyard", "demo_truth", "random_scene"]

# Goes up when a seed begins to look different, for pairs of two generators do not belong in one dataset.
GENERATOR = 1
KINDS = {"room": room, "courtyard": courtyard, "street": street}
# Made for tests alone, so that a model can be measured on a kind of place that it never saw.
UNSEEN_KINDS = {"workshop": workshop}


def random_scene(seed: int, *, frames: int = 17, kind: str | None = None) -> Scene:
    """A scene of `frames` frames at 24 fps that depends on nothing but its arguments.

    Args:
        kind: one of KINDS or UNSEEN_KINDS; one of KINDS by chance if left out.
    """
    kinds = KINDS | UNSEEN_KINDS
    for attempt in range(8):
        rng = np.random.default_rng([seed, attempt])
        chosen = kind or str(rng.choice(list(KINDS), p=[0.44, 0.34, 0.22]))
        try:
            scene = kinds[chosen](rng, f"{chosen} {seed}", frames)
        except ValueError:  # too crowded for a camera path; furnish it anew
            continue
        return replace(scene, tags={"kind": chosen, "seed": str(seed)})
    raise ValueError(f"seed {seed} gives no {kind or 'scene'} with room for a camera")
