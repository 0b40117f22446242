"""Scenes built in code: random ones to train and test on, and the courtyard of the demo."""

from dataclasses import replace

import numpy as np

from renderlift.engine.scene import Scene
from renderlift.engine.scenes.courtyard import demo_courtyard, demo_truth
from renderlift.engine.scenes.rooms import room
from renderlift.engine.scenes.streets import street
from renderlift.engine.scenes.yards import courtyard

__all__ = ["KINDS", "demo_courtyard", "demo_truth", "random_scene"]

KINDS = {"room": room, "courtyard": courtyard, "street": street}


def random_scene(seed: int, *, frames: int = 17, kind: str | None = None) -> Scene:
    """A scene of `frames` frames at 24 fps that depends on nothing but its arguments.

    Args:
        kind: "room", "courtyard" or "street"; by chance if left out.
    """
    for attempt in range(8):
        rng = np.random.default_rng([seed, attempt])
        chosen = kind or str(rng.choice(list(KINDS), p=[0.44, 0.34, 0.22]))
        try:
            scene = KINDS[chosen](rng, f"{chosen} {seed}", frames)
        except ValueError:  # too crowded for a camera path; furnish it anew
            continue
        return replace(scene, tags={"kind": chosen, "seed": str(seed)})
    raise ValueError(f"seed {seed} gives no {kind or 'scene'} with room for a camera")
