"""Plants in pots and trees, standing at the origin on z = 0."""

import numpy as np

from renderlift.engine.scene import Mesh, SceneObject
from renderlift.engine.scenes import (
    meshes,
    textures,
)
from renderlift.engine.scenes.colours import Rng, any_colour
from renderlift.engine.scenes.meshes import lathe, merged, moved
from renderlift.engine.scenes.textures import Colour
from renderlift.engine.scenes.things import Thing, solid


def pot(radius: float = 0.22, height: float = 0.36) -> Mesh:
    """A flower pot with a rim, filled with earth to just under it."""
    r, h = radius, height
    profile = [
        (0, 0),
        (0.66 * r, 0),
        (0.92 * r, 0.8 * h),
        (1.02 * r, 0.81 * h),
        (1.06 * r, 0.83 * h),
        (1.08 * r, 0.97 * h),
    ]
    return lathe([*profile, (1.04 * r, h), (0.93 * r, h), (0.9 * r, 0.9 * h), (0, 0.92 * h)], 32)


def potted_plant(rng: Rng, height: float = 1.0, *, kind: int | None = None) -> Thing:
    """A shrub, an agave, a cypress or a ball tree in a pot."""
    kind = int(rng.integers(4)) if kind is None else kind
    r = height * float(rng.uniform(0.17, 0.23))
    pot_height = r * float(rng.uniform(1.4, 1.8))
    clay: Colour = (0.46, 0.19, 0.1) if rng.random() < 0.6 else any_colour(rng)
    clay_texture = textures.shaded(
        textures.mix(clay, clay, np.zeros((64, 64))), 0.75 + 0.4 * textures.noise(rng, 64)
    )
    stand = solid("pot", "pot", pot(r, pot_height), clay_texture, metres=0.5, roughness=0.75)
    up = height - pot_height
    if kind == 0:
        plant = moved(meshes.foliage(rng, up * 0.55, 170, 0.13 + 0.06 * height), 0, 0, pot_height + up * 0.42)
    elif kind == 1:
        plant = moved(meshes.fronds(rng, int(rng.integers(16, 26)), up * 0.95), 0, 0, pot_height * 0.9)
    elif kind == 2:
        plant = cypress(rng, up, r)
        plant = moved(plant, 0, 0, pot_height * 0.92)
    else:
        crown = moved(meshes.foliage(rng, up * 0.33, 240, 0.09 + 0.04 * height), 0, 0, pot_height + up * 0.68)
        stem = moved(
            lathe([(0, 0), (0.02 * height, 0), (0.014 * height, up * 0.6), (0, up * 0.62)], 10),
            0,
            0,
            pot_height * 0.9,
        )
        bark = solid("stem", "plant", stem, textures.plain((0.11, 0.07, 0.04)), roughness=0.9)
        return (stand, bark, greenery(rng, crown))
    return (stand, greenery(rng, plant))


def greenery(rng: Rng, mesh: Mesh) -> SceneObject:
    green = (float(rng.uniform(0.05, 0.2)), float(rng.uniform(0.16, 0.34)), float(rng.uniform(0.03, 0.1)))
    dark = textures.times(green, 0.45)
    leaf = textures.mix(green, dark, textures.noise(rng, 64, detail=1.2))
    return solid("plant", "plant", mesh, leaf, metres=0.15, roughness=float(rng.uniform(0.45, 0.75)))


def cypress(rng: Rng, height: float, radius: float, *, count: int = 420, leaf: float = 0.16) -> Mesh:
    """A slim flame of upright leaves that stands on z = 0."""
    t = rng.random(count) ** 0.8
    turn = rng.uniform(0, 2 * np.pi, count)
    around = np.stack([np.cos(turn), np.sin(turn), np.zeros(count)], -1)
    width = radius * np.clip(np.sin(np.pi * (0.12 + 0.86 * t)), 0, 1) * rng.uniform(0.5, 1.0, count)
    centres = around * width[:, None] + np.stack([0 * t, 0 * t, 0.04 * height + 0.92 * t * height], -1)
    lean = around * 0.5 + (0, 0, 1) + rng.normal(size=(count, 3)) * 0.2
    return meshes.leaves(rng, centres.astype(np.float32), lean.astype(np.float32), leaf, leaf * 0.4)


def tree(rng: Rng, height: float = 4.0) -> Thing:
    """A trunk with a few boughs under a crown of leaf clumps."""
    trunk_top = height * float(rng.uniform(0.4, 0.55))
    r = height * 0.03
    trunk = [lathe([(0, 0), (r * 1.5, 0), (r, height * 0.1), (r * 0.75, trunk_top), (0, trunk_top + 0.1)], 12)]
    clumps: list[Mesh] = []
    for i in range(7):
        turn = 2 * np.pi * (i / 7) + float(rng.uniform(-0.3, 0.3))
        out = height * float(rng.uniform(0.08, 0.2)) * (i > 0)
        at = (out * np.cos(turn), out * np.sin(turn), trunk_top + height * float(rng.uniform(0.12, 0.38)))
        clumps.append(moved(meshes.foliage(rng, height * 0.15, 150, height * 0.06), *at))
    bark = textures.ground(rng, (0.12, 0.08, 0.05), (0.2, 0.15, 0.1), 64)
    return (solid("trunk", "tree", merged(trunk), bark, metres=0.4, roughness=0.95), greenery(rng, merged(clumps)))
