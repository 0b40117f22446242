"""Paved yards between walls and arcades."""

import numpy as np

from renderlift.engine.scene import FloatArray, Scene, SceneObject
from renderlift.engine.scenes import (
    colours,
    furniture,
    meshes,
    open_air,
    outdoor_things,
    plants,
    staging,
    textures,
    things,
)
from renderlift.engine.scenes.camera_paths import Points
from renderlift.engine.scenes.colours import Rng, any_colour
from renderlift.engine.scenes.meshes import block, pose
from renderlift.engine.scenes.textures import Texture
from renderlift.engine.scenes.things import placed, solid


def courtyard(rng: Rng, name: str, frames: int) -> Scene:
    """A paved yard between walls, some with arcades; a centre piece, pots, furniture."""
    w, d = float(rng.uniform(8, 13)), float(rng.uniform(8, 13))
    h = float(rng.uniform(3.0, 4.6))
    objects: list[SceneObject] = [open_air.land(rng), _paving(rng, 24.0)]
    paint = colours.wall_colour(rng)
    bricked = rng.random() < 0.35
    walls = textures.brick(rng, colours.brick_colour(rng)) if bricked else textures.plaster(rng, paint)
    for side in range(4):
        kind = "none" if side == 0 and rng.random() < 0.5 else str(rng.choice(["wall", "arcade", "arcade"]))
        length, reach = (w, d)[side % 2], (d, w)[side % 2] / 2
        turn = pose(turn_deg=90.0 * side) @ pose((0, reach, 0))
        if kind == "arcade":
            objects += things.named(placed(arcade(rng, length, h, walls), turn), f"side {side} ")
        elif kind == "wall":
            wall = solid(
                "wall", "wall", block((-length / 2, 0, 0), (length / 2, 0.35, h)), walls, metres=1.5, roughness=0.85
            )
            cap = solid(
                "wall cap",
                "wall",
                block((-length / 2, -0.06, h), (length / 2, 0.41, h + 0.12)),
                textures.plain((0.55, 0.4, 0.3)),
                roughness=0.8,
            )
            objects += things.named(placed((wall, cap), turn), f"side {side} ")
    objects += _corners(w, d, h, walls)
    watered = rng.random() < 0.5
    centre = outdoor_things.fountain(rng) if watered else plants.tree(rng, float(rng.uniform(3, 4.5)))
    objects += staging.all_fitting(staging.on_floor(rng, 5, 5), [centre], objects, prefix="centre")
    groups = [_table_group(rng) for _ in range(int(rng.integers(1, 3)))]
    objects += staging.all_fitting(staging.on_floor(rng, w - 1, d - 1), groups, objects, prefix="group")
    clutter = [open_air.yard_thing(rng) for _ in range(int(rng.integers(8, 18)))]
    objects += staging.all_fitting(staging.on_floor(rng, w, d), clutter, objects, prefix="yard")

    def propose() -> tuple[Points, Points]:
        eye = np.array([rng.uniform(-0.44, 0.44) * w, rng.uniform(-0.44, 0.44) * d, rng.uniform(1.0, 2.6)])
        target = np.array([rng.uniform(-0.25, 0.25) * w, rng.uniform(-0.25, 0.25) * d, rng.uniform(0.4, 1.4)])
        if np.linalg.norm(eye - target) < 2.5:
            target = target + (target - eye) / np.linalg.norm(target - eye) * 2
        return eye, target

    return open_air.outdoor_scene(rng, name, frames, objects, propose)


def _corners(w: float, d: float, h: float, wall: FloatArray | Texture) -> things.Thing:
    """Blocks that close the corners behind the arcades."""
    t = 2.1
    result: list[SceneObject] = []
    for number, (x, y) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        near = np.array([x * w / 2, y * d / 2])
        far = near + np.array([x * t, y * t])
        low, high = np.minimum(near, far), np.maximum(near, far)
        corner = block((*low, 0), (*high, h))
        result.append(solid(f"corner {number}", "wall", corner, wall, metres=1.5, roughness=0.85))
    return tuple(result)


def _paving(rng: Rng, size: float) -> SceneObject:
    kind = int(rng.integers(5))
    makers = [
        lambda: textures.terracotta(rng, (0.45, 0.24, 0.14), (0.4, 0.36, 0.3)),
        lambda: textures.stone(rng, any_colour(rng, 0.3, 0.55), 192),
        lambda: textures.tiles(rng, any_colour(rng, 0.35, 0.7), any_colour(rng, 0.1, 0.5)),
        lambda: textures.brick(rng, colours.brick_colour(rng)),
        lambda: textures.ground(rng, any_colour(rng, 0.2, 0.5), any_colour(rng, 0.2, 0.5)),
    ]
    mesh = block((-size / 2, -size / 2, -0.3), (size / 2, size / 2, 0))
    return solid(
        "paving",
        "floor",
        mesh,
        makers[kind](),
        metres=float(rng.uniform(1.2, 2.4)),
        roughness=float(rng.uniform(0.4, 0.9)),
    )


def arcade(rng: Rng, length: float, height: float, wall: FloatArray | Texture, depth: float = 1.8) -> things.Thing:
    """Arches on columns along x at y = 0, with a back wall, a ceiling and a roof edge behind."""
    count = max(2, round(length / 2.3))
    bay = length / count
    opening = bay * 0.76
    spring = min(height - opening / 2 - 0.45, 2.1)
    arches = [
        meshes.moved(
            meshes.arch_panel(bay, height - spring, 0.35, opening, 0.02, 16),
            -length / 2 + (i + 0.5) * bay,
            0.2,
            spring,
        )
        for i in range(count)
    ]
    column = meshes.turned_column(spring, 0.15)
    columns = [meshes.moved(column, -length / 2 + i * bay, 0.2, 0) for i in range(count + 1)]
    back = block((-length / 2, depth, 0), (length / 2, depth + 0.3, height))
    roof = block((-length / 2 - 0.1, -0.15, height), (length / 2 + 0.1, depth + 0.4, height + 0.16))
    pale = textures.ground(rng, (0.55, 0.5, 0.42), (0.66, 0.62, 0.54), 64)
    doors = [
        block(
            (-length / 2 + (i + 0.5) * bay - 0.45, depth - 0.04, 0),
            (-length / 2 + (i + 0.5) * bay + 0.45, depth, 2.0),
        )
        for i in range(count)
        if rng.random() < 0.4
    ]
    result = [
        solid("arches", "arch", meshes.merged(arches), wall, metres=1.5, roughness=0.85),
        solid("columns", "column", meshes.merged(columns), pale, metres=0.7, roughness=0.7),
        solid("back wall", "wall", back, wall, metres=1.5, roughness=0.85),
        solid("roof", "roof", roof, textures.plain((0.42, 0.2, 0.12)), roughness=0.8),
    ]
    if doors:
        result.append(
            solid(
                "doors",
                "door",
                meshes.merged(doors),
                textures.planks(rng, any_colour(rng, 0.1, 0.5), 128),
                metres=0.9,
                roughness=0.6,
            )
        )
    return tuple(result)


def _table_group(rng: Rng) -> things.Thing:
    """A round table with stools or chairs and things on it."""
    reach = float(rng.uniform(0.4, 0.6))
    table = furniture.round_table(rng, reach)
    seat = furniture.chair(rng) if rng.random() < 0.6 else furniture.stool(rng)
    parts = list(table)
    start = float(rng.uniform(0, 360))
    for number in range(int(rng.integers(2, 4))):
        spot = pose(turn_deg=start + 120.0 * number) @ pose(
            (0, -reach - 0.25, 0), turn_deg=float(rng.normal(0, 10))
        )
        parts += things.named(placed(seat, spot), f"seat {number} ")
    for number, turn in enumerate((0, 120, 240)):
        spot = pose(turn_deg=turn) @ pose((0, reach * 0.5, 0.722))
        parts += things.named(
            placed(things.ornament(rng, float(rng.uniform(0.1, 0.3))), spot), f"on table {number} "
        )
    return tuple(parts)
