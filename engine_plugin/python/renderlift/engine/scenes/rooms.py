"""Furnished rooms: walls with windows, furniture, plants, lamps."""

from collections.abc import Callable

import numpy as np

from renderlift.engine.scene import FloatArray, Lamp, Scene, SceneObject
from renderlift.engine.scenes import (
    colours,
    furniture,
    light,
    meshes,
    motions,
    outdoor_things,
    plants,
    staging,
    textures,
    things,
)
from renderlift.engine.scenes.camera_paths import FPS, Points
from renderlift.engine.scenes.colours import Rng, any_colour
from renderlift.engine.scenes.meshes import block, pose
from renderlift.engine.scenes.textures import Texture
from renderlift.engine.scenes.things import placed, solid

REFLECTANCE = 0.45  # of a furnished room, on average


def room(rng: Rng, name: str, frames: int) -> Scene:
    """A room of random size, furniture, windows and light."""
    size = np.array([rng.uniform(4.2, 7.5), rng.uniform(4.2, 7.0), rng.uniform(2.5, 3.5)])
    w, d, h = (float(s) for s in size)
    sun, sky = light.weather(rng)
    shell, window_area = _shell(rng, w, d, h)
    lamps, fixtures = _ceiling_lamps(rng, w, d, h)
    objects = [*shell, *fixtures]
    objects += _furniture(rng, w, d, h)
    clutter = [_clutter(rng) for _ in range(int(rng.integers(3, 9)))]
    objects += staging.all_fitting(staging.on_floor(rng, w, d), clutter, objects, prefix="floor")
    objects += _pendulum(rng, h, frames)

    def propose() -> tuple[Points, Points]:
        eye = np.array(
            [rng.uniform(-0.46, 0.46) * w, rng.uniform(-0.46, 0.46) * d, rng.uniform(0.9, min(2.0, h - 0.5))]
        )
        target = np.array([rng.uniform(-0.25, 0.25) * w, rng.uniform(-0.25, 0.25) * d, rng.uniform(0.4, 1.2)])
        if np.linalg.norm(eye - target) < 1.8:
            target = target + (target - eye) / np.linalg.norm(target - eye) * 1.5
        return eye, target

    camera, vertical_fov_deg, flying = staging.filmed(rng, objects, propose, frames)
    bounced = light.bounced_radiance(
        light.flux_into(lamps, sun, sky, window_area), 2 * (w * d + w * h + d * h), REFLECTANCE
    )
    return Scene(
        name=name,
        objects=(*objects, *flying),
        world_from_camera=camera,
        vertical_fov_deg=vertical_fov_deg,
        sky=sky,
        sun=sun,
        lamps=tuple(lamps),
        exposure=light.exposure_for(rng, float(bounced.mean()) / REFLECTANCE),
        ambient=light.share(bounced, 0.7),
        fps=FPS,
    )


def _shell(rng: Rng, w: float, d: float, h: float) -> tuple[list[SceneObject], float]:
    """Floor, ceiling and four walls, and the area of their windows in square metres."""
    t = 0.2
    wood = colours.wood_colour(rng)
    floors: list[Callable[[], FloatArray | Texture]] = [
        lambda: textures.planks(rng, wood),
        lambda: textures.tiles(rng, any_colour(rng, 0.3, 0.75), any_colour(rng, 0.1, 0.7)),
        lambda: textures.terrazzo(rng, any_colour(rng, 0.4, 0.7), any_colour(rng), 128),
        lambda: textures.marble(rng, any_colour(rng, 0.4, 0.75), any_colour(rng, 0.1, 0.3)),
        lambda: textures.fabric(rng, any_colour(rng)),
    ]
    kind = int(rng.integers(len(floors)))
    ground = solid(
        "floor",
        "floor",
        block((-w / 2 - t, -d / 2 - t, -t), (w / 2 + t, d / 2 + t, 0)),
        floors[kind](),
        metres=float(rng.uniform(1.0, 2.0)),
        roughness=float(rng.uniform(0.15, 0.7)) if kind < 4 else 0.95,
    )
    ceiling = solid(
        "ceiling",
        "ceiling",
        block((-w / 2 - t, -d / 2 - t, h), (w / 2 + t, d / 2 + t, h + t)),
        textures.plain((0.78, 0.77, 0.74)),
        roughness=0.9,
    )
    result, area = [ground, ceiling], 0.0
    paint = colours.wall_colour(rng)
    covering = textures.plaster(rng, paint)
    other = (
        textures.brick(rng, colours.brick_colour(rng))
        if rng.random() < 0.3
        else textures.plaster(rng, colours.wall_colour(rng))
    )
    windows = set(rng.choice(4, size=int(rng.integers(1, 4)), replace=False).tolist())
    for side in range(4):
        length = (w, d)[side % 2]
        reach = (d, w)[side % 2] / 2 + t / 2
        turn = pose(turn_deg=90.0 * side) @ pose((0, reach, 0))
        texture = other if side == 2 else covering
        if side in windows:
            parts, hole = _window_wall(rng, length, h, t, texture)
            area += hole
        else:
            parts = (
                solid(
                    "wall",
                    "wall",
                    block((-length / 2, -t / 2, 0), (length / 2, t / 2, h)),
                    texture,
                    metres=1.3,
                    roughness=0.85,
                ),
            )
        skirting = solid(
            "skirting",
            "skirting",
            block((-length / 2, -t / 2 - 0.015, 0), (length / 2, -t / 2, 0.09)),
            textures.plain((0.7, 0.68, 0.64)),
            roughness=0.5,
        )
        result += things.named(placed((*parts, skirting), turn), f"side {side} ")
    return result, area


def _window_wall(
    rng: Rng, length: float, h: float, t: float, texture: FloatArray | Texture
) -> tuple[things.Thing, float]:
    """A wall with an open window: no pane, so that the light inside is clean."""
    width = min(float(rng.uniform(1.0, 2.6)), length - 1.2)
    middle = float(rng.uniform(-1, 1)) * (length - width - 1.0) / 2
    sill = float(rng.choice([0.02, 0.5, 0.9]))
    top = min(h - 0.25, sill + float(rng.uniform(1.2, 2.0)))
    x0, x1 = middle - width / 2, middle + width / 2
    wall = solid(
        "wall",
        "wall",
        meshes.wall_with_opening(length, h, t, (x0, x1, sill, top)),
        texture,
        metres=1.3,
        roughness=0.85,
    )
    b = 0.03
    bars = [block((x0, -b, sill), (x0 + 2 * b, b, top)), block((x1 - 2 * b, -b, sill), (x1, b, top))]
    bars += [block((x0, -b, sill), (x1, b, sill + 2 * b)), block((x0, -b, top - 2 * b), (x1, b, top))]
    bars.append(block((middle - b / 2, -b / 2, sill), (middle + b / 2, b / 2, top)))
    if rng.random() < 0.5:
        middle_z = (sill + top) / 2
        bars.append(block((x0, -b / 2, middle_z - b / 2), (x1, b / 2, middle_z + b / 2)))
    frame = solid("window frame", "window", meshes.merged(bars), textures.plain((0.72, 0.7, 0.66)), roughness=0.45)
    return (wall, frame), width * (top - sill)


def _ceiling_lamps(rng: Rng, w: float, d: float, h: float) -> tuple[list[Lamp], list[SceneObject]]:
    lamps: list[Lamp] = []
    fixtures: list[SceneObject] = []
    for number in range(int(rng.integers(1, 3))):
        x, y = float(rng.uniform(-0.25, 0.25)) * w, float(rng.uniform(-0.25, 0.25)) * d
        lamp = light.ceiling_lamp(rng, x, y, h - 0.045)
        a, b = lamp.size[0] / 2 + 0.03, lamp.size[1] / 2 + 0.03
        case = block((x - a, y - b, h - 0.04), (x + a, y + b, h))
        lamps.append(lamp)
        fixtures.append(solid(f"lamp case {number}", "lamp", case, textures.plain((0.6, 0.6, 0.6)), roughness=0.4))
    return lamps, fixtures


def _furniture(rng: Rng, w: float, d: float, h: float) -> list[SceneObject]:
    """A table with chairs and things on it in the middle, other furniture along the walls."""
    result: list[SceneObject] = []
    middle = pose(
        (rng.uniform(-0.15, 0.15) * w, rng.uniform(-0.15, 0.15) * d, 0.002),
        turn_deg=float(rng.choice([0, 90, rng.uniform(0, 360)])),
    )
    if rng.random() < 0.6:
        rug = furniture.rug(rng, float(rng.uniform(1.8, 3.0)), float(rng.uniform(1.3, 2.0)))
        result += things.named(placed(rug, middle @ pose((0, 0, -0.001))), "middle ")
    if rng.random() < 0.85:
        result += things.named(placed(furniture.dining_group(rng), middle @ pose((0, 0, 0.012))), "dining ")
    along = [_wall_furniture(rng, h) for _ in range(int(rng.integers(3, 7)))]
    result += staging.all_fitting(staging.along_walls(rng, w, d), along, result, prefix="along", gap=0.04)
    pictures = [
        furniture.wall_picture(rng, float(rng.uniform(0.4, 1.1)), float(rng.uniform(0.35, 0.8)))
        for _ in range(int(rng.integers(0, 4)))
    ]
    hung = staging.along_walls(rng, w, d, 1.25, 1.6)
    result += staging.all_fitting(hung, pictures, result, prefix="hung", gap=0.02, tries=4)
    return result


def _wall_furniture(rng: Rng, h: float) -> things.Thing:
    """Something that stands with its back to a wall of height `h`."""
    kind = int(rng.integers(5))
    if kind == 0:
        return furniture.shelf(rng, float(rng.uniform(0.7, 1.4)), min(h - 0.3, float(rng.uniform(1.2, 2.2))))
    if kind == 1:
        return furniture.sofa(rng, float(rng.uniform(1.4, 2.2)))
    if kind == 2:
        return furniture.sideboard(rng)
    if kind == 3:
        return plants.potted_plant(rng, float(rng.uniform(0.7, 1.8)))
    return furniture.floor_lamp(rng)


def _clutter(rng: Rng) -> things.Thing:
    """Something that stands about on the floor."""
    kind = int(rng.integers(7))
    if kind == 0:
        return outdoor_things.crate(rng, float(rng.uniform(0.25, 0.5)))
    if kind == 1:
        return things.ornament(rng, float(rng.uniform(0.3, 0.7)))
    if kind == 2:
        return furniture.stool(rng)
    if kind == 3:
        return plants.potted_plant(rng, float(rng.uniform(0.4, 1.3)))
    if kind == 4:
        size = rng.uniform(0.25, 0.7, 3)
        base = things.surface(rng, any_colour(rng))
        mesh = meshes.rounded_box(size[0], size[1], size[2], radius=float(rng.uniform(0.01, 0.1)))
        return (solid("ottoman", "box", mesh, base, metres=0.5, roughness=float(rng.uniform(0.2, 0.9))),)
    if kind == 5:
        return placed(things.ball(rng, 0.16), pose((0, 0, 0.16)))
    return (
        solid(
            "column",
            "column",
            meshes.turned_column(float(rng.uniform(0.6, 1.2)), float(rng.uniform(0.1, 0.18))),
            textures.marble(rng, (0.7, 0.68, 0.64), (0.3, 0.28, 0.27)),
            metres=0.8,
            roughness=0.4,
        ),
    )


def _pendulum(rng: Rng, h: float, frames: int) -> list[SceneObject]:
    """Sometimes a glowing ball that swings on a rod from the ceiling."""
    if rng.random() < 0.6:
        return []
    length, radius = float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.08, 0.16))
    glow = float(rng.uniform(0.5, 3.0))
    times = np.arange(frames) / FPS
    pivot = np.array([rng.uniform(-1, 1), rng.uniform(-1, 1), h - 0.01])
    path = motions.swinging(
        pivot, np.array([1.0, 0.0, 0.0]), float(rng.uniform(0.1, 0.4)), float(rng.uniform(1.2, 2)), times
    )
    globe = meshes.moved(meshes.sphere(radius, 28), 0, 0, -length)
    rod = meshes.moved(meshes.cylinder(0.008, length - radius, 8), 0, 0, -length + radius)
    swing = (
        solid(
            "globe",
            "lamp",
            globe,
            textures.plain((0.8, 0.78, 0.72)),
            roughness=0.4,
            emission=(glow, glow * 0.85, glow * 0.6),
        ),
        solid("rod", "lamp", rod, textures.plain((0.2, 0.2, 0.2)), roughness=0.4, metallic=1.0),
    )
    return list(things.named(placed(swing, path), "pendulum "))
