"""The courtyard of the demo: late sun through open arches, a fountain, a laid table, plants in pots.

West is -x, where the sun stands; the camera flies an arc along the south side, past the table
and around the fountain. A ball rolls in through an arch, doves cross the yard.
"""

from dataclasses import replace
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import Mesh, Scene, SceneObject, Sky
from renderlift.engine.scenes import courtyard_walls as walls
from renderlift.engine.scenes import (
    furniture,
    light,
    meshes,
    motions,
    outdoor_things,
    plants,
    textures,
    things,
)
from renderlift.engine.scenes.camera_paths import FPS, look_at, spline
from renderlift.engine.scenes.colours import Rng
from renderlift.engine.scenes.courtyard_walls import BAYS, CLAY, EAST, FOUNTAIN, NORTH, WEST
from renderlift.engine.scenes.meshes import box, lathe, merged, moved, pose, rounded_box
from renderlift.engine.scenes.textures import Colour
from renderlift.engine.scenes.things import Thing, named, placed, solid

TAKE_S = 95 / FPS
TABLE = (-2.5, -2.1, 0.0)


def demo_courtyard(frames: int = 96) -> Scene:
    """The scene of the demo and of the README, at 24 frames per second.

    The take is 96 frames long; fewer are its beginning, more go back and forth.
    """
    rng = np.random.default_rng(2)
    times = TAKE_S - np.abs(TAKE_S - np.arange(frames) / FPS % (2 * TAKE_S))
    objects: list[SceneObject] = [*walls.ground(rng), *walls.west(rng), *walls.north(rng)]
    objects += [*walls.east(rng), *walls.south(rng)]
    objects += placed(outdoor_things.fountain(rng), pose(FOUNTAIN))
    objects += _table(rng)
    objects += _plants(rng)
    objects += _corner_things(rng)
    objects += _lanterns(rng, times)
    objects += _ball(rng, times)
    objects += _doves(frames)
    sun = light.sun_at(26, 201, 8.5)
    sky = Sky(zenith=(0.1, 0.26, 0.68), horizon=(0.62, 0.64, 0.64), ground=(0.26, 0.22, 0.15))
    return Scene(
        name="courtyard",
        # Smooth, as its path-traced stills and the checkpoints that were trained on it know it.
        objects=tuple(replace(item, material=replace(item.material, relief=None)) for item in objects),
        world_from_camera=_flight(times),
        vertical_fov_deg=47.0,
        sky=sky,
        sun=sun,
        exposure=0.56,
        fps=FPS,
        tags={"kind": "demo"},
    )


def _flight(times: motions.Times) -> NDArray[np.float64]:
    eyes = np.array(
        [(-4.3, -5.2, 1.45), (-2.9, -5.0, 1.5), (-0.6, -4.6, 1.58), (1.9, -3.8, 1.72), (3.8, -2.3, 1.95)]
    )
    targets = np.array([(-0.6, -0.5, 1.05), (-0.3, 0, 1.1), (0.3, 1, 1.25), (0.1, 1.6, 1.3), (-0.9, 1.9, 1.25)])
    return look_at(spline(eyes, times / TAKE_S), spline(targets, times / TAKE_S))


def _table(rng: Rng) -> Thing:
    """A round marble table with a still life, and two chairs."""
    top = 0.732
    parts = list(furniture.round_table(np.random.default_rng(5), 0.58))
    parts[0] = solid(
        "table",
        "table",
        parts[0].mesh,
        textures.marble(rng, (0.78, 0.75, 0.7), (0.32, 0.3, 0.31)),
        metres=0.8,
        roughness=0.25,
    )
    for number, turn in enumerate((82.0, -58.0)):
        seat = furniture.chair(np.random.default_rng(11))
        spot = pose(turn_deg=turn) @ pose((0, -0.8, 0), turn_deg=-6 + 10.0 * number)
        parts += named(placed(seat, spot), f"seat {number} ")
    parts += placed(_fruit_bowl(), pose((0.05, 0.12, top - 0.01)))
    parts += placed(_jug(), pose((-0.27, -0.08, top - 0.01), turn_deg=200))
    glaze: Colour = (0.1, 0.3, 0.42)
    cup = lathe([(0, 0), (0.03, 0), (0.042, 0.02), (0.045, 0.085), (0.041, 0.085), (0.037, 0.02), (0, 0.015)], 28)
    parts.append(solid("cup", "cup", moved(cup, 0.25, -0.2, top - 0.01), textures.plain(glaze), roughness=0.15))
    parts.append(
        solid(
            "second cup",
            "cup",
            moved(cup, 0.36, 0.02, top - 0.01),
            textures.plain((0.72, 0.68, 0.6)),
            roughness=0.15,
        )
    )
    book = meshes.transformed(
        rounded_box(0.2, 0.28, 0.035, 0.006, 1), pose((-0.05, -0.33, top - 0.01), turn_deg=24)
    )
    parts.append(
        solid(
            "book",
            "book",
            book,
            textures.stripes((0.45, 0.06, 0.05), (0.6, 0.5, 0.3), 2),
            metres=0.3,
            roughness=0.6,
        )
    )
    return named(placed(tuple(parts), pose(TABLE)), "table ")


def _fruit_bowl() -> Thing:
    bowl = [(0, 0), (0.08, 0), (0.085, 0.015), (0.17, 0.075), (0.19, 0.11), (0.182, 0.112), (0.16, 0.08), (0, 0.03)]
    spots = [(0.09, 0.0), (-0.04, 0.085), (-0.05, -0.08), (0.03, 0.02)]
    fruit = [moved(meshes.sphere(0.048, 20), x, y, 0.085 + 0.062 * (i == 3)) for i, (x, y) in enumerate(spots)]
    lemons = [
        meshes.transformed(meshes.sphere(0.036, 18), pose((0.055 - 0.12 * i, 0.095 - 0.09 * i, 0.1)))
        for i in range(2)
    ]
    return (
        solid("bowl", "bowl", lathe(bowl, 40), textures.plain((0.16, 0.36, 0.46)), roughness=0.18),
        solid("oranges", "fruit", merged(fruit), textures.plain((0.82, 0.3, 0.03)), roughness=0.42),
        solid("lemons", "fruit", merged(lemons), textures.plain((0.85, 0.66, 0.08)), roughness=0.4),
    )


def _jug() -> Thing:
    """A copper jug with a handle along +x."""
    profile = [
        (0, 0),
        (0.07, 0),
        (0.075, 0.01),
        (0.1, 0.06),
        (0.108, 0.11),
        (0.095, 0.17),
        (0.06, 0.23),
        (0.05, 0.27),
    ]
    profile += [(0.062, 0.32), (0.07, 0.34), (0.064, 0.34), (0.045, 0.28), (0.05, 0.2), (0, 0.18)]
    handle = meshes.transformed(meshes.torus(0.085, 0.011, 28), pose((0.09, 0, 0.215), tilt_deg=90))
    return (
        solid(
            "jug",
            "jug",
            merged([lathe(profile, 40), handle]),
            textures.plain((0.86, 0.43, 0.25)),
            roughness=0.24,
            metallic=1.0,
        ),
    )


def _fruit_tree(rng: Rng, height: float) -> Thing:
    """A clipped orange tree in a large pot."""
    r = 0.3
    crown_at, crown = height - 0.5, 0.52
    clay = textures.shaded(textures.mix(CLAY, CLAY, np.zeros((64, 64))), 0.75 + 0.4 * textures.noise(rng, 64))
    leaf = textures.mix((0.1, 0.24, 0.05), (0.04, 0.1, 0.02), textures.noise(rng, 64, detail=1.2))
    stem = lathe([(0, 0.4), (0.035, 0.4), (0.028, crown_at), (0, crown_at)], 12)
    directions = rng.normal(size=(16, 3)) + np.array([0, 0, -0.2])
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    fruit = [moved(meshes.sphere(0.045, 14), *(d * crown * 0.93 + (0, 0, crown_at)).tolist()) for d in directions]
    return (
        solid("pot", "pot", plants.pot(r, 0.52), clay, metres=0.5, roughness=0.75),
        solid("stem", "plant", stem, textures.plain((0.13, 0.09, 0.05)), roughness=0.9),
        solid(
            "crown",
            "plant",
            moved(meshes.foliage(rng, crown, 620, 0.13), 0, 0, crown_at),
            leaf,
            metres=0.15,
            roughness=0.5,
        ),
        solid("oranges", "fruit", merged(fruit), textures.plain((0.82, 0.3, 0.03)), roughness=0.45),
    )


def _plants(rng: Rng) -> list[SceneObject]:
    result: list[SceneObject] = []
    for number, (x, y) in enumerate([(-3.35, 4.3), (3.3, 4.3), (5.2, 1.6), (5.2, -3.0)]):
        result += named(
            placed(_fruit_tree(rng, 2.0), pose((x, y, 0), turn_deg=70.0 * number)), f"orange tree {number} "
        )
    spots = [
        (2, -5.25, 3.7, 2.3), (2, 5.1, 3.6, 2.2), (1, -5.2, 0.0, 0.95), (1, 3.1, -1.3, 0.8), (0, -4.9, -1.0, 0.8),
        (0, 1.2, 4.35, 0.9), (1, -1.3, 4.35, 0.85), (0, 5.1, -0.6, 1.0), (3, -5.2, -3.3, 1.5),
    ]  # fmt: skip
    for number, (kind, x, y, height) in enumerate(spots):
        plant = plants.potted_plant(np.random.default_rng(40 + number), height, kind=kind)
        result += named(placed(plant, pose((x, y, 0), turn_deg=50.0 * number)), f"plant {number} ")
    result += _climber(rng)
    return result


def _climber(rng: Rng) -> Thing:
    """Bougainvillea that hangs over the western wall and over the terrace."""
    anchors = [
        (WEST, 3.1, 3.75),
        (WEST, 2.2, 3.95),
        (WEST + 0.1, 1.5, 3.7),
        (-4.9, NORTH - 0.1, 4.2),
        (-4.1, NORTH - 0.2, 4.1),
        (-3.3, NORTH - 0.15, 4.25),
    ]
    green: list[Mesh] = []
    pink: list[Mesh] = []
    for x, y, z in anchors:
        hang = [
            moved(meshes.foliage(rng, 0.42, 130, 0.12), x, y, z),
            moved(meshes.foliage(rng, 0.3, 70, 0.11), x + 0.15, y - 0.1, z - 0.45),
        ]
        green += hang
        for _ in range(3):
            dx, dy, dz = rng.uniform(-0.35, 0.35, 3)
            pink.append(moved(meshes.foliage(rng, 0.2, 46, 0.07), x + dx + 0.1, y + dy - 0.12, z + dz - 0.1))
    leaf = textures.mix((0.09, 0.2, 0.05), (0.04, 0.1, 0.03), textures.noise(rng, 64, detail=1.2))
    return (
        solid("climber", "plant", merged(green), leaf, metres=0.2, roughness=0.55),
        solid("blossom", "plant", merged(pink), textures.plain((0.62, 0.05, 0.24)), roughness=0.7),
    )


def _corner_things(rng: Rng) -> list[SceneObject]:
    """A bench by the north arcade, barrels and crates in the east, a cart, a rug under the table."""
    result: list[SceneObject] = list(
        named(placed(furniture.bench(np.random.default_rng(3)), pose((-0.1, 4.25, 0), turn_deg=180)), "north ")
    )
    result += placed(_carpet(rng), pose((TABLE[0], TABLE[1], 0), turn_deg=14))
    result += named(placed(outdoor_things.barrel(rng, 0.9), pose((5.0, 0.6, 0))), "first ")
    result += named(placed(outdoor_things.barrel(rng, 0.75), pose((4.4, 0.15, 0))), "second ")
    result += named(placed(outdoor_things.crate(rng, 0.5), pose((4.9, -1.8, 0), turn_deg=20)), "first ")
    result += named(placed(outdoor_things.crate(rng, 0.42), pose((4.85, -1.82, 0.502), turn_deg=52)), "second ")
    result += placed(outdoor_things.cart(np.random.default_rng(8)), pose((3.6, 2.9, 0), turn_deg=-152))
    tall = things.vase(np.random.default_rng(9), 0.9)
    result.append(
        replace(
            solid(
                "amphora", "vase", tall, textures.ground(rng, CLAY, (0.6, 0.32, 0.2), 64), metres=0.5, roughness=0.7
            ),
            world_from_object=pose((-4.6, 2.6, 0)),
        )
    )
    return result


def _carpet(rng: Rng) -> Thing:
    """A red carpet with a cream border."""
    n = 128
    inset = textures.inset(n)
    weave = textures.fabric(rng, (0.42, 0.07, 0.05), n)
    border = ((inset > 7) & (inset < 12)) | ((inset > 15) & (inset < 17))
    y, x = np.mgrid[0:n, 0:n]
    diamonds = (np.abs((x % 24) - 12) + np.abs((y % 24) - 12) < 5) & (inset > 22)
    pattern = textures.mix(weave.colour, (0.68, 0.58, 0.42), (border | diamonds).astype(np.float64) * 0.9)
    return (solid("carpet", "rug", meshes.with_unit_uvs(box(2.7, 2.1, 0.012)), pattern, roughness=0.95),)


def _lanterns(rng: Rng, times: motions.Times) -> list[SceneObject]:
    """Lanterns that hang in the northern arches; they swing a little."""
    result: list[SceneObject] = []
    bay = (EAST - WEST) / BAYS
    for i in range(BAYS):
        pivot = np.array([WEST + (i + 0.5) * bay, NORTH, 2.98])
        swing = motions.swinging(pivot, np.array([1.0, 0, 0]), 0.05, 2.1 + 0.2 * i, times)
        result += named(placed(_lantern(), swing), f"lantern {i} ")
    return result


def _lantern() -> Thing:
    """Hangs below its origin: chain, roof, a glowing body in a cage."""
    chain = moved(meshes.cylinder(0.008, 0.36, 8), 0, 0, -0.36)
    cap = moved(lathe([(0.13, 0), (0.13, 0.01), (0.03, 0.09), (0.02, 0.12), (0, 0.12)], 8), 0, 0, -0.46)
    floor = moved(lathe([(0, -0.02), (0.1, -0.02), (0.1, 0), (0, 0)], 8), 0, 0, -0.72)
    bars = [
        moved(box(0.012, 0.012, 0.26), 0.085 * float(np.cos(a)), 0.085 * float(np.sin(a)), -0.72)
        for a in np.arange(8) * np.pi / 4
    ]
    body = moved(lathe([(0, 0), (0.06, 0), (0.075, 0.12), (0.06, 0.24), (0, 0.24)], 16), 0, 0, -0.71)
    return (
        solid(
            "cage", "lantern", merged([chain, cap, floor, *bars]), textures.plain((0.06, 0.05, 0.04)), roughness=0.5
        ),
        solid("glow", "lantern", body, textures.plain((0.8, 0.6, 0.35)), roughness=0.6, emission=(3.2, 1.75, 0.7)),
    )


def _ball(rng: Rng, times: motions.Times) -> Thing:
    """A striped ball that rolls in through a western arch and on between table and fountain."""
    radius = 0.21
    path = motions.rolling(np.array([-8.6, -0.98, radius + 0.003]), np.array([2.75, 0.05, 0]), radius, times)
    mesh = meshes.with_unit_uvs(meshes.sphere(radius, 40))
    panels = np.repeat(textures.stripes((0.72, 0.06, 0.04), (0.82, 0.78, 0.7), 3, 96).transpose(1, 0, 2), 1, 0)
    return placed((solid("ball", "ball", mesh, panels, roughness=0.3),), path)


def _doves(frames: int) -> list[SceneObject]:
    """Three doves that swoop in over the eastern roof and out over the western arches, once."""
    result: list[SceneObject] = []
    swoop = np.array(
        [(15, 3.4, 9.5), (9, 2.6, 5), (4, 1.8, 3.5), (-0.5, 1, 3.1), (-5, 0.4, 3.9), (-11, 0, 5.5), (-17, 0, 8)]
    )
    step = 1e-3
    along = np.clip(np.arange(frames) / FPS / TAKE_S, step, 1 - step)
    for number, behind in enumerate(([0, 0, 0], [1.3, -0.8, 0.45], [1.7, 0.7, 0.25])):
        way = swoop + behind
        ahead = spline(way, along + step) - spline(way, along - step)
        result += named(placed(_dove(), motions.following(spline(way, along), ahead)), f"dove {number} ")
    return result


def _dove() -> Thing:
    """A gliding bird that flies along +x, 40 cm across its wings."""
    t = np.linspace(0, 1, 12)
    girth = 0.055 * np.sin(np.pi * t**0.75) ** 0.8
    spindle = lathe([(float(r), float(z)) for r, z in zip(girth, t * 0.34 - 0.17, strict=True)], 16)
    forward = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], np.float64)
    body = [meshes.transformed(spindle, forward)]
    for side in (-1, 1):
        wing = meshes.transformed(
            rounded_box(0.11, 0.3, 0.012, 0.005, 1), pose((-0.01, side * 0.17, 0.02), tilt_deg=12.0 * side)
        )
        body.append(wing)
    body.append(moved(rounded_box(0.14, 0.09, 0.01, 0.004, 1), -0.2, 0, 0.0))
    return (solid("dove", "bird", merged(body), textures.plain((0.82, 0.8, 0.77)), roughness=0.8),)


def demo_truth() -> dict[int, NDArray[np.uint8]]:
    """Path-traced stills of `demo_courtyard()` that ship with the package: time index to sRGB (H, W, 3).

    `python -m renderlift.engine.mitsuba demo --out DIR` makes them anew.
    """
    folder = resources.files("renderlift.engine.scenes") / "demo_truth"
    stills: dict[int, NDArray[np.uint8]] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        coded = np.frombuffer(file.read_bytes(), np.uint8)
        bgr = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert bgr is not None
        stills[int(file.name.split(".")[0])] = np.ascontiguousarray(bgr[..., ::-1], np.uint8)
    return stills
