"""Furniture, pots, plants and other things, each standing at the origin on z = 0.

A thing is a tuple of `SceneObject`s; `placed` puts it somewhere, `travelling` makes it move.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import FloatArray, Material, Mesh, SceneObject
from renderlift.engine.scenes import meshes, textures
from renderlift.engine.scenes.meshes import block, box, cylinder, lathe, merged, moved, rounded_box, scaled_uvs
from renderlift.engine.scenes.textures import Colour

Thing = tuple[SceneObject, ...]
Rng = np.random.Generator


def solid(
    name: str,
    class_name: str,
    mesh: Mesh,
    base: FloatArray,
    *,
    metres: float = 1.0,
    roughness: float = 0.6,
    metallic: float = 0.0,
    emission: Colour = (0.0, 0.0, 0.0),
    opacity: float = 1.0,
) -> SceneObject:
    """One object at the origin; `metres` is what one repeat of its texture spans."""
    material = Material(base, roughness, metallic, emission, opacity)
    return SceneObject(name, class_name, scaled_uvs(mesh, metres), material, np.eye(4))


def placed(things: Thing, world_from_thing: NDArray[np.float64]) -> Thing:
    """`things` moved by a (4, 4) transform, or along one, (T, 4, 4)."""
    return tuple(replace(item, world_from_object=world_from_thing @ item.world_from_object) for item in things)


def named(things: Thing, prefix: str) -> Thing:
    """`things` with a prefix before each name, so that names stay unique in a scene."""
    return tuple(replace(item, name=f"{prefix}{item.name}") for item in things)


def any_colour(rng: Rng, low: float = 0.08, high: float = 0.75) -> Colour:
    """A random linear colour of moderate saturation, its brightest part between `low` and `high`."""
    hue = rng.random(3)
    grey = rng.uniform(0.15, 0.85)
    colour = grey + (hue - grey) * rng.uniform(0.15, 0.8)
    colour = np.clip(colour, 0.03, 1) / max(float(colour.max()), 0.1) * rng.uniform(low, high)
    return (float(colour[0]), float(colour[1]), float(colour[2]))


WALL_PAINTS: tuple[Colour, ...] = (
    (0.74, 0.72, 0.68), (0.68, 0.6, 0.48), (0.66, 0.5, 0.3), (0.6, 0.36, 0.22), (0.5, 0.52, 0.5), (0.4, 0.46, 0.36),
    (0.36, 0.44, 0.52), (0.6, 0.48, 0.44), (0.2, 0.26, 0.3), (0.45, 0.17, 0.11), (0.7, 0.62, 0.36),
)  # fmt: skip


def wall_colour(rng: Rng) -> Colour:
    """Mostly the colours that walls are painted in, now and then any other."""
    if rng.random() < 0.2:
        return any_colour(rng, 0.3, 0.75)
    r, g, b = np.asarray(WALL_PAINTS[int(rng.integers(len(WALL_PAINTS)))]) * rng.uniform(0.85, 1.08, 3)
    return (float(r), float(g), float(b))


BRICKS: tuple[Colour, ...] = (
    (0.36, 0.14, 0.09),
    (0.46, 0.24, 0.14),
    (0.5, 0.4, 0.28),
    (0.26, 0.16, 0.13),
    (0.6, 0.57, 0.52),
)


def brick_colour(rng: Rng) -> Colour:
    """From red and yellow to whitewashed."""
    r, g, b = np.asarray(BRICKS[int(rng.integers(len(BRICKS)))]) * rng.uniform(0.85, 1.15, 3)
    return (float(r), float(g), float(b))


def wood_colour(rng: Rng) -> Colour:
    """From pale ash to dark walnut."""
    light = float(rng.uniform(0.08, 0.5))
    return (light, light * float(rng.uniform(0.5, 0.72)), light * float(rng.uniform(0.2, 0.45)))


def surface(rng: Rng, colour: Colour) -> FloatArray:
    """Any texture in about that colour."""
    dark = tuple(c * 0.35 for c in colour)
    pale = tuple(0.5 * c + 0.35 for c in colour)
    kind = int(rng.integers(9))
    if kind == 0:
        return textures.checker(colour, pale, int(rng.integers(2, 6)) * 2)
    if kind == 1:
        return textures.stripes(colour, pale, int(rng.integers(3, 9)))
    if kind == 2:
        return textures.marble(rng, pale, dark, 128)
    if kind == 3:
        return textures.fabric(rng, colour)
    if kind == 4:
        return textures.wood(rng, wood_colour(rng))
    if kind == 5:
        return textures.brick(rng, colour, n=128)
    if kind == 6:
        return textures.mix(colour, dark, textures.noise(rng, 128, detail=float(rng.uniform(0.8, 2.2))))
    return textures.plain(colour)


def table(rng: Rng, length: float = 1.6, width: float = 0.85, height: float = 0.74) -> Thing:
    """Four legs and a top."""
    top = moved(rounded_box(length, width, 0.045, 0.012), 0, 0, height - 0.045)
    parts = [top, moved(box(length - 0.2, width - 0.2, 0.07), 0, 0, height - 0.115)]
    taper = float(rng.uniform(0.55, 1))
    leg = lathe([(0, 0), (0.032 * taper, 0), (0.036, height - 0.05), (0, height - 0.05)], 12)
    for x in (-1, 1):
        parts += [moved(leg, x * (length / 2 - 0.09), y * (width / 2 - 0.09), 0) for y in (-1, 1)]
    rough = float(rng.uniform(0.25, 0.7))
    return (
        solid("table", "table", merged(parts), textures.wood(rng, wood_colour(rng)), metres=0.9, roughness=rough),
    )


def round_table(rng: Rng, radius: float = 0.5, height: float = 0.72) -> Thing:
    """A top on one turned foot."""
    r = radius
    profile = [(0, 0), (r * 0.55, 0), (r * 0.52, 0.03), (0.07, 0.07), (0.045, 0.2), (0.06, height * 0.55)]
    profile += [(0.04, height * 0.8), (0.09, height - 0.04), (r - 0.015, height - 0.04), (r, height - 0.025)]
    profile += [(r, height - 0.012), (r - 0.012, height), (0, height)]
    base = (
        textures.marble(rng, (0.75, 0.72, 0.68), (0.2, 0.19, 0.2))
        if rng.random() < 0.4
        else textures.wood(rng, wood_colour(rng))
    )
    return (solid("table", "table", lathe(profile, 40), base, metres=0.8, roughness=float(rng.uniform(0.2, 0.6))),)


def chair(rng: Rng) -> Thing:
    """Faces +y: the back rest is at -y."""
    seat = moved(rounded_box(0.44, 0.44, 0.05, 0.02), 0, 0, 0.43)
    legs = [moved(box(0.04, 0.04, 0.44), x * 0.18, y * 0.18, 0) for x in (-1, 1) for y in (-1, 1)]
    posts = [moved(box(0.035, 0.03, 0.5), x * 0.19, -0.2, 0.45) for x in (-1, 1)]
    slats = [moved(rounded_box(0.4, 0.025, 0.07, 0.01), 0, -0.2, 0.58 + 0.12 * i) for i in range(3)]
    wood = textures.wood(rng, wood_colour(rng)) if rng.random() < 0.6 else textures.plain(any_colour(rng))
    frame = solid("chair", "chair", merged([seat, *legs, *posts, *slats]), wood, metres=0.6, roughness=0.5)
    if rng.random() < 0.5:
        return (frame,)
    cushion = moved(rounded_box(0.4, 0.4, 0.05, 0.022), 0, 0.01, 0.478)
    return (
        frame,
        solid("cushion", "cushion", cushion, textures.fabric(rng, any_colour(rng)), metres=0.2, roughness=0.95),
    )


def stool(rng: Rng) -> Thing:
    """A round seat on a turned leg."""
    profile = [
        (0, 0),
        (0.17, 0),
        (0.16, 0.03),
        (0.03, 0.06),
        (0.03, 0.4),
        (0.17, 0.42),
        (0.18, 0.44),
        (0.17, 0.46),
        (0, 0.47),
    ]
    metal = rng.random() < 0.5
    base = textures.plain(any_colour(rng, 0.3, 0.8))
    return (solid("stool", "chair", lathe(profile, 24), base, roughness=0.35, metallic=float(metal)),)


def sofa(rng: Rng, length: float = 1.9) -> Thing:
    """Faces +y."""
    colour = any_colour(rng)
    weave = textures.fabric(rng, colour)
    body = [
        moved(rounded_box(length, 0.85, 0.28, 0.05), 0, 0, 0.1),
        moved(rounded_box(length, 0.22, 0.5, 0.08), 0, -0.32, 0.34),
    ]
    body += [moved(rounded_box(0.2, 0.85, 0.36, 0.07), x * (length / 2 - 0.1), 0, 0.24) for x in (-1, 1)]
    feet = [moved(box(0.06, 0.06, 0.1), x * (length / 2 - 0.1), y * 0.34, 0) for x in (-1, 1) for y in (-1, 1)]
    seat_length = (length - 0.42) / 2
    seats = [moved(rounded_box(seat_length, 0.6, 0.16, 0.06), x * seat_length / 2, 0.08, 0.36) for x in (-1, 1)]
    pillow = meshes.transformed(
        rounded_box(0.42, 0.13, 0.42, 0.06), meshes.pose((0.5, -0.12, 0.5), tilt_deg=18, turn_deg=8)
    )
    return (
        solid("sofa", "sofa", merged([*body, *seats]), weave, metres=0.35, roughness=0.95),
        solid("sofa feet", "sofa", merged(feet), textures.plain((0.05, 0.035, 0.02)), roughness=0.4),
        solid("pillow", "cushion", pillow, surface(rng, any_colour(rng)), metres=0.3, roughness=0.9),
    )


def shelf(rng: Rng, width: float = 1.0, height: float = 1.9, depth: float = 0.3) -> Thing:
    """A bookcase that faces +y, with books and a few other things in it."""
    t = 0.025
    levels = np.linspace(0.06, height - t, 6)
    frame = [block((x - t / 2, -depth / 2, 0), (x + t / 2, depth / 2, height)) for x in (-width / 2, width / 2)]
    frame += [block((-width / 2, -depth / 2, z), (width / 2, depth / 2, z + t)) for z in levels]
    frame.append(block((-width / 2, -depth / 2 - 0.01, 0), (width / 2, -depth / 2, height)))
    result = [
        solid("shelf", "shelf", merged(frame), textures.wood(rng, wood_colour(rng)), metres=0.8, roughness=0.5)
    ]
    for level, z in enumerate(levels[:-1]):
        room = float(levels[level + 1] - z - t - 0.03)
        result += _shelf_row(rng, level, float(z) + t, room, width - 2 * t, depth)
    return tuple(result)


def _shelf_row(rng: Rng, level: int, z: float, room: float, width: float, depth: float) -> list[SceneObject]:
    """Books in three bindings, shared out at random, and here and there a gap with an ornament."""
    bindings: list[list[Mesh]] = [[], [], []]
    ornaments: list[SceneObject] = []
    x = -width / 2 + 0.01
    while x < width / 2 - 0.05:
        if rng.random() < 0.06 and x < width / 2 - 0.2:
            thing = placed(ornament(rng, min(0.16, room)), meshes.pose((x + 0.08, 0.02, z)))
            ornaments += named(thing, f"shelf {level} {x:.2f} ")
            x += 0.18
            continue
        thick, tall, deep = rng.uniform(0.018, 0.05), room * rng.uniform(0.65, 0.98), depth * rng.uniform(0.6, 0.85)
        book = rounded_box(thick, deep, tall, 0.004, 1)
        bindings[int(rng.integers(3))].append(moved(book, x + thick / 2, depth / 2 - deep / 2 - 0.03, z))
        x += thick + 0.002
    books = [
        solid(
            f"books {level} {i}",
            "book",
            merged(row),
            textures.stripes(any_colour(rng), any_colour(rng), 3),
            metres=0.35,
            roughness=0.6,
        )
        for i, row in enumerate(bindings)
        if row
    ]
    return books + ornaments


def ornament(rng: Rng, height: float) -> Thing:
    """A small thing for a table or a shelf: vase, bowl, ball, cup, box, candlestick."""
    kind = int(rng.integers(7))
    base = textures.plain(any_colour(rng)) if rng.random() < 0.6 else surface(rng, any_colour(rng))
    metallic = float(rng.random() < 0.3)
    rough = float(rng.uniform(0.12, 0.6))
    if metallic:
        base = textures.plain(
            [(0.9, 0.6, 0.25), (0.85, 0.85, 0.86), (0.8, 0.42, 0.26), (0.6, 0.58, 0.55)][int(rng.integers(4))]
        )
    if kind <= 1:
        return (solid("vase", "vase", vase(rng, height), base, metres=0.2, roughness=rough, metallic=metallic),)
    if kind == 2:
        r = height * 0.8
        bowl = [
            (0, 0),
            (r * 0.4, 0),
            (r * 0.75, r * 0.25),
            (r, r * 0.65),
            (r * 0.96, r * 0.66),
            (r * 0.7, r * 0.3),
            (0, r * 0.08),
        ]
        return (solid("bowl", "bowl", lathe(bowl, 32), base, metres=0.2, roughness=rough, metallic=metallic),)
    if kind == 3:
        ball = moved(meshes.sphere(height / 2), 0, 0, height / 2)
        return (solid("ball", "ball", ball, base, metres=0.25, roughness=rough, metallic=metallic),)
    if kind == 4:
        r = min(0.045, height / 2)
        cup = [
            (0, 0),
            (r * 0.7, 0),
            (r, r * 0.3),
            (r * 1.05, r * 2),
            (r * 0.95, r * 2),
            (r * 0.85, r * 0.4),
            (0, r * 0.25),
        ]
        ring = meshes.transformed(
            meshes.torus(r * 0.55, r * 0.12, 20), meshes.pose((r * 1.2, 0, r * 1.1), tilt_deg=90)
        )
        return (solid("cup", "cup", merged([lathe(cup, 28), ring]), base, metres=0.1, roughness=0.2),)
    if kind == 5:
        size = rng.uniform(0.5, 1, 3) * height
        return (
            solid(
                "case", "box", rounded_box(*size, radius=0.01), base, metres=0.2, roughness=rough, metallic=metallic
            ),
        )
    h = height
    stick = [
        (0, 0),
        (0.35 * h, 0),
        (0.33 * h, 0.06 * h),
        (0.06 * h, 0.12 * h),
        (0.05 * h, 0.4 * h),
        (0.1 * h, 0.45 * h),
    ]
    stick += [
        (0.05 * h, 0.5 * h),
        (0.05 * h, 0.8 * h),
        (0.16 * h, 0.85 * h),
        (0.16 * h, 0.88 * h),
        (0.07 * h, 0.88 * h),
        (0.07 * h, h),
        (0, h),
    ]
    return (solid("candlestick", "candlestick", lathe(stick, 24), base, roughness=rough, metallic=metallic),)


def vase(rng: Rng, height: float) -> Mesh:
    """A belly, a neck and a lip, each by chance; hollow at the top."""
    h = height
    belly, neck, lip = h * rng.uniform(0.22, 0.38), h * rng.uniform(0.07, 0.16), h * rng.uniform(0.1, 0.24)
    at = rng.uniform(0.25, 0.55)
    heights = np.array([0.0, at, 0.8, 1.0])
    radii = np.array([h * rng.uniform(0.12, 0.2), belly, neck, lip])
    z = np.linspace(0, 1, 18)
    outside = _smooth(z, heights, radii)
    profile = [(0.0, 0.0), *((float(r), float(t * h)) for r, t in zip(outside, z, strict=True))]
    profile += [(float(outside[-1]) * 0.88, h), (float(outside[-4]) * 0.85, h * 0.82), (0.0, h * 0.8)]
    return lathe(profile, 32)


def _smooth(x: NDArray[np.float64], at: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values at x, eased between knots."""
    i = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
    t = (x - at[i]) / (at[i + 1] - at[i])
    ease = t * t * (3 - 2 * t)
    result: NDArray[np.float64] = values[i] + (values[i + 1] - values[i]) * ease
    return result


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
        plant = _cypress(rng, up, r)
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
        return (stand, bark, _greenery(rng, crown))
    return (stand, _greenery(rng, plant))


def _greenery(rng: Rng, mesh: Mesh) -> SceneObject:
    green = (float(rng.uniform(0.05, 0.2)), float(rng.uniform(0.16, 0.34)), float(rng.uniform(0.03, 0.1)))
    dark = tuple(0.45 * c for c in green)
    leaf = textures.mix(green, dark, textures.noise(rng, 64, detail=1.2))
    return solid("plant", "plant", mesh, leaf, metres=0.15, roughness=float(rng.uniform(0.45, 0.75)))


def _cypress(rng: Rng, height: float, radius: float) -> Mesh:
    t = rng.random(420) ** 0.8
    turn = rng.uniform(0, 2 * np.pi, 420)
    around = np.stack([np.cos(turn), np.sin(turn), np.zeros(420)], -1)
    width = radius * np.clip(np.sin(np.pi * (0.12 + 0.86 * t)), 0, 1) * rng.uniform(0.5, 1.0, 420)
    centres = around * width[:, None] + np.stack([0 * t, 0 * t, 0.04 * height + 0.92 * t * height], -1)
    lean = around * 0.5 + (0, 0, 1) + rng.normal(size=(420, 3)) * 0.2
    return meshes.leaves(rng, centres.astype(np.float32), lean.astype(np.float32), 0.16, 0.06)


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
    return (solid("trunk", "tree", merged(trunk), bark, metres=0.4, roughness=0.95), _greenery(rng, merged(clumps)))


def crate(rng: Rng, size: float) -> Thing:
    """A slatted wooden box."""
    s, t = size, size * 0.06
    rails = [moved(box(s, t, t * 2), 0, y * (s - t) / 2, z) for y in (-1, 1) for z in (0, s - 2 * t)]
    rails += [moved(box(t, s, t * 2), x * (s - t) / 2, 0, z) for x in (-1, 1) for z in (0, s - 2 * t)]
    rails += [moved(box(2 * t, t, s), x * (s / 2 - t), y * (s - t) / 2, 0) for x in (-1, 1) for y in (-1, 1)]
    core = moved(box(s - 2 * t, s - 2 * t, s - 0.4 * t), 0, 0, 0.2 * t)
    return (
        solid(
            "crate",
            "crate",
            merged([core, *rails]),
            textures.planks(rng, wood_colour(rng), 128),
            metres=size * 0.8,
            roughness=0.8,
        ),
    )


def barrel(rng: Rng, height: float = 0.9) -> Thing:
    """Staves and three hoops."""
    z = np.linspace(0, 1, 9)
    r = height * (0.29 + 0.07 * np.sin(np.pi * z))
    staves = lathe(
        [
            (0, 0),
            *((float(a), float(b * height)) for a, b in zip(r, z, strict=True)),
            (float(r[-1]) * 0.9, height),
            (0, height - 0.03),
        ],
        32,
    )
    hoops = [
        moved(meshes.torus(height * (0.295 + 0.07 * float(np.sin(np.pi * t))), 0.012, 32), 0, 0, height * t)
        for t in (0.12, 0.5, 0.88)
    ]
    return (
        solid("barrel", "barrel", staves, textures.planks(rng, wood_colour(rng), 128), metres=0.6, roughness=0.7),
        solid("hoops", "barrel", merged(hoops), textures.plain((0.25, 0.23, 0.22)), roughness=0.45, metallic=1.0),
    )


def ball(rng: Rng, radius: float) -> Thing:
    """A ball with its centre at the origin, patterned so that one sees it roll."""
    a, b = any_colour(rng, 0.4, 0.8), any_colour(rng, 0.1, 0.8)
    base = textures.stripes(a, b, 4) if rng.random() < 0.5 else textures.checker(a, b, 6)
    mesh = meshes.with_unit_uvs(meshes.sphere(radius))
    return (solid("ball", "ball", mesh, base, roughness=float(rng.uniform(0.15, 0.6))),)


def cart(rng: Rng) -> Thing:
    """A hand cart that rolls along +x, loaded with sacks and fruit boxes."""
    bed = [moved(rounded_box(1.1, 0.6, 0.06, 0.01, 1), 0, 0, 0.42)]
    bed += [moved(box(1.1, 0.03, 0.2), 0, y * 0.285, 0.46) for y in (-1, 1)]
    bed += [moved(box(0.03, 0.57, 0.2), x * 0.535, 0, 0.46) for x in (-1, 1)]
    bed += [
        meshes.transformed(box(0.8, 0.035, 0.035), meshes.pose((-0.85, y * 0.22, 0.55), turn_deg=0))
        for y in (-1, 1)
    ]
    wheel = meshes.transformed(meshes.torus(0.26, 0.03, 28), meshes.pose(tilt_deg=90))
    spokes = [meshes.transformed(box(0.025, 0.025, 0.5), _spoke(a)) for a in (0, 45, 90, 135)]
    wheels = [moved(merged([wheel, *spokes]), 0.1, y * 0.36, 0.29) for y in (-1, 1)]
    sacks = [moved(rounded_box(0.36, 0.4, 0.3, 0.12), -0.28 + 0.4 * i, 0.02 * i, 0.48) for i in range(2)]
    return (
        solid("cart", "cart", merged(bed), textures.planks(rng, wood_colour(rng), 128), metres=0.7, roughness=0.75),
        solid(
            "cart wheels", "cart", merged(wheels), textures.wood(rng, (0.1, 0.06, 0.03)), metres=0.4, roughness=0.6
        ),
        solid(
            "sacks", "sack", merged(sacks), textures.fabric(rng, (0.42, 0.34, 0.22)), metres=0.15, roughness=0.95
        ),
    )


def _spoke(angle_deg: float) -> NDArray[np.float64]:
    turn = np.eye(4)
    a = np.radians(angle_deg)
    turn[0, 0], turn[0, 2], turn[2, 0], turn[2, 2] = np.cos(a), np.sin(a), -np.sin(a), np.cos(a)
    turn[:3, 3] = turn[:3, :3] @ (0, 0, -0.25)
    return turn


def car(rng: Rng) -> Thing:
    """A small car that drives along +x."""
    paint = any_colour(rng, 0.2, 0.8)
    body = [
        moved(rounded_box(3.7, 1.65, 0.55, 0.16), 0, 0, 0.32),
        moved(rounded_box(1.9, 1.45, 0.62, 0.22), -0.2, 0, 0.78),
    ]
    glass = [
        moved(rounded_box(1.94, 1.3, 0.34, 0.12), -0.2, 0, 0.96),
        moved(rounded_box(1.5, 1.49, 0.34, 0.1), -0.2, 0, 0.96),
    ]
    tyre = meshes.transformed(cylinder(0.31, 0.2, 24), meshes.pose((0, 0.1, 0), tilt_deg=90))
    hub = meshes.transformed(cylinder(0.19, 0.22, 20), meshes.pose((0, 0.11, 0), tilt_deg=90))
    spots = [(x, y) for x in (-1.15, 1.2) for y in (-0.74, 0.74)]
    lights = [moved(rounded_box(0.08, 0.3, 0.12, 0.03), 1.83, y * 0.55, 0.6) for y in (-1, 1)]
    return (
        solid(
            "car", "car", merged(body), textures.plain(paint), roughness=0.28, metallic=float(rng.random() < 0.3)
        ),
        solid("car windows", "car", merged(glass), textures.plain((0.03, 0.035, 0.04)), roughness=0.12),
        solid(
            "tyres",
            "car",
            merged([moved(tyre, x, y, 0.31) for x, y in spots]),
            textures.plain((0.03, 0.03, 0.03)),
            roughness=0.9,
        ),
        solid(
            "hubs",
            "car",
            merged([moved(hub, x, y, 0.31) for x, y in spots]),
            textures.plain((0.7, 0.7, 0.72)),
            roughness=0.3,
            metallic=1.0,
        ),
        solid("headlights", "car", merged(lights), textures.plain((0.85, 0.85, 0.8)), roughness=0.2),
    )


def fountain(rng: Rng) -> Thing:
    """A round stone basin with water, a foot, an upper bowl and a metal ball on top."""
    basin = [
        (0, 0),
        (1.5, 0),
        (1.52, 0.08),
        (1.4, 0.14),
        (1.38, 0.42),
        (1.5, 0.46),
        (1.52, 0.54),
        (1.3, 0.56),
        (1.24, 0.5),
    ]
    basin += [(1.22, 0.2), (0, 0.2)]
    foot = [(0.32, 0.2), (0.3, 0.4), (0.16, 0.5), (0.13, 0.8), (0.19, 0.95), (0.15, 1.05), (0.3, 1.14), (0.62, 1.3)]
    foot += [(0.68, 1.36), (0.62, 1.38), (0.3, 1.26), (0, 1.24)]
    rock = textures.ground(rng, (0.5, 0.44, 0.36), (0.62, 0.56, 0.47), 128)
    water = moved(cylinder(1.23, 0.2, 48), 0, 0, 0.22)
    pool = moved(cylinder(0.55, 0.02, 32), 0, 0, 1.325)
    return (
        solid("fountain", "fountain", merged([lathe(basin, 56), lathe(foot, 40)]), rock, metres=0.9, roughness=0.7),
        solid("water", "water", merged([water, pool]), textures.plain((0.05, 0.13, 0.14)), roughness=0.1),
        solid(
            "orb",
            "orb",
            moved(meshes.sphere(0.26, 48), 0, 0, 1.56),
            textures.plain((0.93, 0.68, 0.3)),
            roughness=0.14,
            metallic=1.0,
        ),
    )


def bench(rng: Rng) -> Thing:
    """A wooden bench that faces +y."""
    slats = [moved(rounded_box(1.6, 0.09, 0.035, 0.01, 1), 0, y, 0.42) for y in (-0.16, -0.05, 0.06, 0.17)]
    slats += [moved(rounded_box(1.6, 0.03, 0.09, 0.01, 1), 0, -0.24 - 0.02 * i, 0.56 + 0.13 * i) for i in range(3)]
    ends = [
        moved(merged([box(0.06, 0.42, 0.42), moved(box(0.06, 0.05, 0.5), 0, -0.27, 0.4)]), x * 0.7, 0, 0)
        for x in (-1, 1)
    ]
    return (
        solid("bench", "bench", merged(slats), textures.wood(rng, wood_colour(rng)), metres=0.7, roughness=0.6),
        solid(
            "bench ends", "bench", merged(ends), textures.plain((0.06, 0.065, 0.07)), roughness=0.5, metallic=0.0
        ),
    )


def street_lamp(rng: Rng) -> Thing:
    """A cast-iron post with a glowing globe."""
    post = [
        (0, 0),
        (0.16, 0),
        (0.15, 0.25),
        (0.07, 0.4),
        (0.05, 2.9),
        (0.09, 3.0),
        (0.12, 3.05),
        (0.12, 3.08),
        (0, 3.08),
    ]
    glow = 2.0 * float(rng.random() < 0.5)
    return (
        solid("lamp post", "street lamp", lathe(post, 20), textures.plain((0.05, 0.06, 0.055)), roughness=0.5),
        solid(
            "globe",
            "street lamp",
            moved(meshes.sphere(0.2), 0, 0, 3.24),
            textures.plain((0.85, 0.83, 0.78)),
            roughness=0.3,
            emission=(glow, glow * 0.8, glow * 0.5),
        ),
    )


def floor_lamp(rng: Rng) -> Thing:
    """A standing lamp whose shade glows a little."""
    stand = [(0, 0), (0.16, 0), (0.15, 0.025), (0.015, 0.04), (0.013, 1.3), (0, 1.3)]
    shade = [(0.23, 1.18), (0.13, 1.52), (0.125, 1.52), (0.225, 1.18), (0.23, 1.18)]
    colour = any_colour(rng, 0.5, 0.85)
    glow = tuple(1.2 * c for c in colour)
    return (
        solid(
            "lamp stand", "lamp", lathe(stand, 20), textures.plain((0.5, 0.48, 0.44)), roughness=0.3, metallic=1.0
        ),
        solid(
            "lamp shade",
            "lamp",
            lathe(shade, 32),
            textures.plain(colour),
            roughness=0.9,
            emission=(glow[0], glow[1], glow[2]),
        ),
    )


def rug(rng: Rng, length: float, width: float) -> Thing:
    """A woven rug with a border."""
    a, b = any_colour(rng), any_colour(rng)
    weave = textures.fabric(rng, a)
    n = weave.shape[0]
    edge = np.minimum(np.arange(n), np.arange(n)[::-1])
    border = np.minimum(edge[:, None], edge[None])
    bands = ((border // 6) % 3 == 1) & (border < 30)
    pattern = textures.mix(weave, b, bands.astype(np.float64))
    return (solid("rug", "rug", meshes.with_unit_uvs(box(length, width, 0.012)), pattern, roughness=0.95),)


def wall_picture(rng: Rng, width: float, height: float) -> Thing:
    """A framed picture that faces +y, its lower edge at z = 0, its back at y = 0."""
    t = 0.035
    frame = [
        block((-width / 2 - t, 0, -t), (width / 2 + t, 0.03, 0)),
        block((-width / 2 - t, 0, height), (width / 2 + t, 0.03, height + t)),
    ]
    frame += [block((x - t / 2, 0, 0), (x + t / 2, 0.03, height)) for x in (-width / 2 - t / 2, width / 2 + t / 2)]
    canvas = meshes.with_unit_uvs(block((-width / 2, 0, 0), (width / 2, 0.012, height)))
    return (
        solid("picture frame", "picture", merged(frame), textures.plain(wood_colour(rng)), roughness=0.4),
        solid("picture", "picture", canvas, textures.painting(rng), roughness=0.7),
    )
