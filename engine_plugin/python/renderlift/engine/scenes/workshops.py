"""Halls where things are made: steel, concrete, machines, light from the roof.

No training set holds one (`scenes.UNSEEN_KINDS`): they are there to measure on.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import FloatArray, Lamp, Mesh, Scene, SceneObject
from renderlift.engine.scenes import (
    colours,
    light,
    machines,
    meshes,
    motions,
    outdoor_things,
    staging,
    textures,
    things,
)
from renderlift.engine.scenes.camera_paths import FPS, Points
from renderlift.engine.scenes.colours import Rng
from renderlift.engine.scenes.meshes import block, pose
from renderlift.engine.scenes.textures import Texture
from renderlift.engine.scenes.things import named, placed, solid

REFLECTANCE = 0.3  # of a hall of concrete and steel, on average
THICK_M = 0.2


def workshop(rng: Rng, name: str, frames: int) -> Scene:
    """A hall with strips of sky in its roof, machines along the walls, racks and benches."""
    w, d, h = float(rng.uniform(9, 14)), float(rng.uniform(8, 11)), float(rng.uniform(4.4, 5.6))
    sun, sky = light.weather(rng)
    roof, open_area = _roof(rng, w, d, h)
    lamps, fixtures = _strip_lights(rng, w, d, h)
    objects: list[SceneObject] = [_floor(rng, w, d), *_walls(rng, w, d, h), *roof, *fixtures, *_pipes(rng, w, d, h)]
    # Only against each other: what has its back to a wall all but touches it.
    along = [_wall_thing(rng) for _ in range(int(rng.integers(8, 14)))]
    stood = staging.all_fitting(staging.along_walls(rng, w, d), along, [], prefix="along")
    objects += stood
    middle = [machines.workbench(rng) if rng.random() < 0.5 else machines.lathe_machine(rng) for _ in range(3)]
    objects += staging.all_fitting(staging.on_floor(rng, w - 4, d - 4), middle, objects, prefix="middle")
    clutter = [_clutter(rng) for _ in range(int(rng.integers(5, 10)))]
    objects += staging.all_fitting(staging.on_floor(rng, w - 1, d - 1), clutter, objects, prefix="floor")
    objects += _hoist(rng, w, h, frames)

    def propose() -> tuple[Points, Points]:
        eye = np.array([rng.uniform(-0.45, 0.45) * w, rng.uniform(-0.45, 0.45) * d, rng.uniform(1.0, 2.4)])
        seen = stood[int(rng.integers(len(stood)))].world_from_object[:3, 3]
        target = np.array([*seen[:2], rng.uniform(0.5, 1.3)])
        return eye, (target if np.linalg.norm((eye - target)[:2]) > 2.5 else target * (-1, -1, 1))

    camera, vertical_fov_deg, flying = staging.filmed(rng, objects, propose, frames)
    flux = light.flux_into(lamps, sun, sky, open_area)
    bounced = light.bounced_radiance(flux, 2 * (w * d + w * h + d * h), REFLECTANCE)
    return Scene(
        name=name,
        objects=(*objects, *flying),
        world_from_camera=camera,
        vertical_fov_deg=vertical_fov_deg,
        sky=sky,
        sun=sun,
        lamps=tuple(lamps),
        # Machines stand in the shade of each other: a photographer would open up a little.
        exposure=1.3 * light.exposure_for(rng, float(bounced.mean()) / REFLECTANCE),
        ambient=light.share(bounced, 0.7),
        fps=FPS,
    )


def _floor(rng: Rng, w: float, d: float) -> SceneObject:
    t = THICK_M
    grey = float(rng.uniform(0.16, 0.36))
    concrete = textures.ground(rng, (grey, grey, grey * 0.95), (grey * 0.7, grey * 0.7, grey * 0.68))
    slab = block((-w / 2 - t, -d / 2 - t, -t), (w / 2 + t, d / 2 + t, 0))
    return solid("floor", "floor", slab, concrete, metres=2.5, roughness=float(rng.uniform(0.3, 0.8)))


def _walls(rng: Rng, w: float, d: float, h: float) -> list[SceneObject]:
    """Brick, plaster or sheet metal, with a painted band below."""
    t = THICK_M
    kind = int(rng.integers(3))
    paint = colours.wall_colour(rng)
    covers = (
        lambda: textures.brick(rng, colours.brick_colour(rng)),
        lambda: textures.plaster(rng, paint),
        lambda: textures.stripes(paint, textures.times(paint, 0.8), 8),
    )
    cover: FloatArray | Texture = covers[kind]()
    band = textures.plain(colours.any_colour(rng, 0.1, 0.4))
    result: list[SceneObject] = []
    for side in range(4):
        length, reach = (w, d)[side % 2], (d, w)[side % 2] / 2
        wall = solid(
            "wall", "wall", block((-length / 2 - t, 0, 0), (length / 2 + t, t, h)), cover, metres=1.4, roughness=0.8
        )
        lower = solid("band", "wall", block((-length / 2, -0.012, 0.1), (length / 2, 0, 1.2)), band, roughness=0.5)
        result += named(placed((wall, lower), pose(turn_deg=90.0 * side) @ pose((0, reach, 0))), f"side {side} ")
    return result


def _roof(rng: Rng, w: float, d: float, h: float) -> tuple[list[SceneObject], float]:
    """Slabs with strips of sky between them, on steel girders; and the open area in square metres."""
    t, strips = THICK_M, int(rng.integers(1, 4))
    gap = float(rng.uniform(0.6, 1.3))
    edges = np.linspace(-d / 2 - t, d / 2 + t, strips + 2)
    slabs: list[Mesh] = []
    for number, (low, high) in enumerate(pairwise(edges)):
        y0 = low + (gap / 2 if number > 0 else 0)
        y1 = high - (gap / 2 if number < strips else 0)
        slabs.append(block((-w / 2 - t, y0, h), (w / 2 + t, y1, h + t)))
    grey = float(rng.uniform(0.3, 0.65))
    roof = solid("roof", "ceiling", meshes.merged(slabs), textures.plain((grey, grey, grey)), roughness=0.9)
    return [roof, *_girders(rng, w, d, h)], strips * gap * (w + 2 * t)


def _girders(rng: Rng, w: float, d: float, h: float) -> list[SceneObject]:
    """Trusses across the hall: two chords and a zigzag between."""
    result: list[SceneObject] = []
    paint = textures.plain(colours.any_colour(rng, 0.15, 0.5))
    for number, x in enumerate(np.arange(-w / 2 + 1.2, w / 2 - 0.8, float(rng.uniform(2.2, 3.2)))):
        parts = [block((x - 0.05, -d / 2, z), (x + 0.05, d / 2, z + 0.1)) for z in (h - 0.55, h - 0.1)]
        for k, y in enumerate(np.arange(-d / 2, d / 2 - 0.3, 0.6)):
            bar = meshes.moved(meshes.box(0.04, 0.68, 0.04), 0, 0, -0.02)
            slope = 37.0 if k % 2 else -37.0
            parts.append(meshes.transformed(bar, pose((x, y + 0.3, h - 0.275), tilt_deg=slope)))
        result.append(solid(f"girder {number}", "girder", meshes.merged(parts), paint, roughness=0.5))
    return result


def _strip_lights(rng: Rng, w: float, d: float, h: float) -> tuple[list[Lamp], list[SceneObject]]:
    lamps: list[Lamp] = []
    fixtures: list[SceneObject] = []
    cool = float(rng.uniform(0.85, 1.1))
    for number in range(int(rng.integers(2, 4))):
        x, y, z = float(rng.uniform(-0.35, 0.35)) * w, float(rng.uniform(-0.35, 0.35)) * d, h - 0.75
        size = (float(rng.uniform(1.2, 2.0)), 0.16)
        strength = float(rng.uniform(14, 26))
        lamps.append(Lamp(pose((x, y, z - 0.006)), size, textures.times((1.0, 0.97, 0.9 * cool), strength)))
        case = block((x - size[0] / 2 - 0.03, y - 0.11, z), (x + size[0] / 2 + 0.03, y + 0.11, z + 0.07))
        fixtures.append(solid(f"lamp case {number}", "lamp", case, textures.plain((0.6, 0.6, 0.6)), roughness=0.4))
    return lamps, fixtures


def _pipes(rng: Rng, w: float, d: float, h: float) -> list[SceneObject]:
    """Some pipes that run along the walls."""
    result: list[SceneObject] = []
    for number in range(int(rng.integers(1, 4))):
        side = int(rng.integers(4))
        length, reach = (w, d)[side % 2], (d, w)[side % 2] / 2
        radius, z = float(rng.uniform(0.03, 0.1)), float(rng.uniform(0.55, 0.85)) * h
        run = meshes.transformed(
            meshes.cylinder(radius, length, 20), pose((-length / 2, 0, 0), turn_deg=90, tilt_deg=90)
        )
        pipe = machines.painted(rng, f"pipe {number}", "pipe", run)
        result += placed((pipe,), pose(turn_deg=90.0 * side) @ pose((0, reach - radius - 0.04, z)))
    return result


def _wall_thing(rng: Rng) -> things.Thing:
    makers = (
        machines.workbench, machines.pallet_rack, machines.drill_press, machines.lathe_machine, machines.gas_bottles
    )  # fmt: skip
    return makers[int(rng.choice(5, p=[0.28, 0.26, 0.16, 0.18, 0.12]))](rng)


def _clutter(rng: Rng) -> things.Thing:
    kind = int(rng.integers(4))
    if kind == 0:
        return outdoor_things.crate(rng, float(rng.uniform(0.3, 0.7)))
    if kind == 1:
        return outdoor_things.barrel(rng, float(rng.uniform(0.7, 0.95)))
    if kind == 2:
        return machines.drill_press(rng)
    return outdoor_things.cart(rng)


def _hoist(rng: Rng, w: float, h: float, frames: int) -> list[SceneObject]:
    """A hook block that travels along under the roof."""
    times = np.arange(frames) / FPS
    speed = float(rng.uniform(0.6, 1.6)) * float(rng.choice([-1, 1]))
    start = pose((-np.sign(speed) * rng.uniform(0.0, 0.3) * w, float(rng.uniform(-1.5, 1.5)), 0))
    path: NDArray[np.float64] = motions.gliding(start, np.array([speed, 0, 0]), times)
    drop = float(rng.uniform(1.0, 2.2))
    rope = meshes.moved(meshes.cylinder(0.015, drop, 10), 0, 0, h - 0.6 - drop)
    hook = meshes.transformed(meshes.torus(0.09, 0.025, 24), pose((0, 0, h - 0.75 - drop), tilt_deg=90))
    body = meshes.moved(meshes.rounded_box(0.22, 0.14, 0.3, 0.04), 0, 0, h - 0.6 - drop)
    parts = (
        machines.steel(rng, "rope", "hoist", rope),
        machines.steel(rng, "hook", "hoist", hook),
        machines.painted(rng, "hook block", "hoist", body),
    )
    return list(named(placed(parts, path), "hoist "))
