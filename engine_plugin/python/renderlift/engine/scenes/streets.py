"""Streets between two rows of houses."""

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import Mesh, Scene, SceneObject
from renderlift.engine.scenes import (
    colours,
    meshes,
    motions,
    open_air,
    outdoor_things,
    plants,
    staging,
    textures,
    things,
)
from renderlift.engine.scenes.camera_paths import FPS, Points
from renderlift.engine.scenes.colours import Rng, any_colour
from renderlift.engine.scenes.meshes import block, pose
from renderlift.engine.scenes.things import placed, solid

PAVEMENT_M = 0.132  # how high things on the pavement stand


def street(rng: Rng, name: str, frames: int) -> Scene:
    """A road along x between two rows of houses, with cars, trees and lamps."""
    road, walk, length = float(rng.uniform(5, 7)), float(rng.uniform(1.8, 3)), 44.0
    asphalt = textures.ground(rng, (0.09, 0.09, 0.095), (0.14, 0.135, 0.13), 192)
    slabs = (
        textures.tiles(rng, (0.42, 0.4, 0.37), (0.36, 0.345, 0.32), n=128)
        if rng.random() < 0.5
        else textures.stone(rng, (0.4, 0.38, 0.34), 192)
    )
    marks = [block((x, -0.06, -0.01), (x + 1.6, 0.06, 0.004)) for x in np.arange(-length / 2, length / 2, 3.2)]
    objects = [
        open_air.land(rng),
        solid(
            "road",
            "road",
            block((-length / 2, -road / 2, -0.3), (length / 2, road / 2, 0)),
            asphalt,
            metres=2.0,
            roughness=0.85,
        ),
        solid("markings", "road", meshes.merged(marks), textures.plain((0.7, 0.68, 0.62)), roughness=0.7),
    ]
    for side in (0, 1):
        turn = pose(turn_deg=180.0 * side)
        edge = block((-length / 2, road / 2, -0.3), (length / 2, road / 2 + walk, 0.13))
        pavement = solid("pavement", "pavement", edge, slabs, metres=1.8, roughness=0.8)
        objects += things.named(placed((pavement,), turn), f"side {side} ")
        objects += things.named(placed(_houses(rng, length, road / 2 + walk), turn), f"side {side} ")
        objects += _pavement_things(rng, side, road / 2, walk, length, objects)
    times = np.arange(frames) / FPS
    vehicles = [
        outdoor_things.car(rng) if rng.random() < 0.8 else outdoor_things.cart(rng)
        for _ in range(int(rng.integers(1, 4)))
    ]

    def drive(_: things.Thing) -> NDArray[np.float64]:
        lane = float(rng.choice([-1, 1]))
        start = pose((rng.uniform(-12, 12), -lane * road * 0.25, 0.006), turn_deg=0 if lane > 0 else 180)
        return motions.gliding(start, np.array([lane * rng.uniform(3, 12), 0, 0]), times)

    objects += staging.all_fitting(drive, vehicles, objects, prefix="driving", tries=2)

    def propose() -> tuple[Points, Points]:
        eye = np.array([rng.uniform(-8, 8), rng.uniform(-0.5, 0.5) * (road + walk), rng.uniform(1.2, 3.2)])
        reach = rng.uniform(5, 12) * rng.choice([-1, 1])
        target = np.array([eye[0] + reach, rng.uniform(-0.5, 0.5) * (road + 2 * walk), rng.uniform(0.6, 2.0)])
        return eye, target

    return open_air.outdoor_scene(rng, name, frames, objects, propose)


def _houses(rng: Rng, length: float, front: float) -> things.Thing:
    """A row of house fronts along x, their faces at y = `front`, looking to -y."""
    result: list[SceneObject] = []
    x, number = -length / 2, 0
    while x < length / 2 - 2:
        width, height = float(rng.uniform(4.5, 8.5)), float(rng.uniform(4.5, 9))
        back = front + float(rng.uniform(0, 0.4))
        wall = (
            textures.brick(rng, colours.brick_colour(rng), n=192)
            if rng.random() < 0.45
            else textures.plaster(rng, colours.wall_colour(rng), 128)
        )
        body = block((x, back, 0), (x + width, back + 5, height))
        house = [solid("house", "building", body, wall, metres=1.4, roughness=0.85)]
        ledge = block((x - 0.02, back - 0.2, height - 0.1), (x + width + 0.02, back + 5, height + 0.15))
        house.append(solid("cornice", "building", ledge, textures.plain(any_colour(rng, 0.3, 0.7)), roughness=0.8))
        house += _openings(rng, x, width, height, back)
        result += things.named(tuple(house), f"house {number} ")
        x, number = x + width, number + 1
    return tuple(result)


def _openings(rng: Rng, x: float, width: float, height: float, front: float) -> things.Thing:
    """Windows in rows, a door, and sometimes an awning, on the front of one house."""
    columns, storeys = max(2, int(width / 1.9)), max(1, int((height - 0.6) / 2.7))
    step = width / columns
    door_at = int(rng.integers(columns))
    frames: list[Mesh] = []
    panes: list[Mesh] = []
    wide, tall = float(rng.uniform(0.8, 1.15)), float(rng.uniform(1.2, 1.6))
    for storey in range(storeys):
        for column in range(columns):
            middle = x + (column + 0.5) * step
            if storey == 0 and column == door_at:
                continue
            low = 0.9 + 2.7 * storey
            panes.append(
                block((middle - wide / 2, front - 0.02, low), (middle + wide / 2, front + 0.1, low + tall))
            )
            for a in (-1, 1):
                edge = middle + a * wide / 2
                frames.append(block((edge - 0.05, front - 0.07, low), (edge + 0.05, front, low + tall)))
            frames.append(block((middle - 0.025, front - 0.045, low), (middle + 0.025, front, low + tall)))
            frames.append(
                block((middle - wide / 2 - 0.12, front - 0.16, low - 0.08), (middle + wide / 2 + 0.12, front, low))
            )
            frames.append(
                block(
                    (middle - wide / 2 - 0.08, front - 0.09, low + tall),
                    (middle + wide / 2 + 0.08, front, low + tall + 0.12),
                )
            )
    middle = x + (door_at + 0.5) * step
    door = block((middle - 0.5, front - 0.04, 0), (middle + 0.5, front + 0.1, 2.15))
    result = [
        solid("windows", "window", meshes.merged(panes), textures.plain((0.04, 0.05, 0.06)), roughness=0.12),
        solid(
            "window frames",
            "window",
            meshes.merged(frames),
            textures.plain(any_colour(rng, 0.3, 0.8)),
            roughness=0.6,
        ),
        solid(
            "door", "door", door, textures.planks(rng, any_colour(rng, 0.1, 0.5), 128), metres=0.8, roughness=0.5
        ),
    ]
    if rng.random() < 0.4:
        awning = meshes.transformed(
            meshes.box(min(width * 0.6, 3.2), 1.2, 0.03), pose((middle, front - 0.55, 2.45), tilt_deg=18)
        )
        result.append(
            solid(
                "awning",
                "awning",
                awning,
                textures.stripes(any_colour(rng, 0.4, 0.8), (0.75, 0.73, 0.68), 6),
                metres=1.2,
                roughness=0.9,
            )
        )
    return tuple(result)


def _pavement_things(
    rng: Rng, side: int, kerb: float, walk: float, length: float, others: list[SceneObject]
) -> list[SceneObject]:
    """Lamps and trees along the kerb, and clutter by the walls."""
    turn = pose(turn_deg=180.0 * side)
    result: list[SceneObject] = []
    for number, x in enumerate(np.arange(-length / 2 + 3, length / 2 - 2, float(rng.uniform(4.5, 7)))):
        lit = rng.random() < 0.4
        thing = outdoor_things.street_lamp(rng) if lit else plants.tree(rng, float(rng.uniform(3.2, 4.6)))
        stands = placed(thing, turn @ pose((x, kerb + 0.45, PAVEMENT_M)))
        result += things.named(stands, f"side {side} kerb {number} ")
    clutter = [open_air.yard_thing(rng) for _ in range(int(rng.integers(4, 12)))]

    def spot(_: things.Thing) -> NDArray[np.float64]:
        y = kerb + rng.uniform(0.9, max(1.0, walk - 0.4))
        return turn @ pose((rng.uniform(-14, 14), y, PAVEMENT_M), turn_deg=float(rng.uniform(0, 360)))

    prefix = f"side {side} clutter"
    result += staging.all_fitting(spot, clutter, [*others, *result], prefix=prefix, tries=2)
    return result
