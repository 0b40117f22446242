"""Scenes built in code: random ones to train and test on, and the courtyard of the demo."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from renderlift.engine.scene import Scene, SceneObject
from renderlift.engine.scenes.courtyard import demo_courtyard, demo_truth
from renderlift.engine.scenes.rooms import room
from renderlift.engine.scenes.streets import street
from renderlift.engine.scenes.workshops import workshop
from renderlift.engine.scenes.yards import courtyard

__all__ = ["GENERATOR", "KINDS", "UNSEEN_KINDS", "demo_courtyard", "demo_truth", "random_scene"]

# Goes up when a seed begins to look different, for pairs of two generators do not belong in one dataset.
GENERATOR = 2
RELIEF_STRENGTHS = (0.4, 1.4)  # from new and painted over to weathered
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
        objects = _weathered(scene.objects, np.random.default_rng([seed, 0x8E11EF]))
        return replace(scene, objects=objects, tags={"kind": chosen, "seed": str(seed)})
    raise ValueError(f"seed {seed} gives no {kind or 'scene'} with room for a camera")


def _weathered(objects: Sequence[SceneObject], rng: np.random.Generator) -> tuple[SceneObject, ...]:
    """The objects, each relief of its own strength; those that share a texture still share it."""
    strengths: dict[int, float] = {}  # by identity
    result: list[SceneObject] = []
    for item in objects:
        material = item.material
        if material.relief is not None:
            if id(material.relief) not in strengths:
                strengths[id(material.relief)] = float(rng.uniform(*RELIEF_STRENGTHS))
            relief_m = material.relief_m * strengths[id(material.relief)]
            item = replace(item, material=replace(material, relief_m=relief_m))
        result.append(item)
    return tuple(result)
