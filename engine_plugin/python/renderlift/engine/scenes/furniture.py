"""Furniture, each piece standing at the origin on z = 0; what has a front faces +y."""

import numpy as np

from renderlift.engine.scene import Mesh, SceneObject
from renderlift.engine.scenes import (
    colours,
    furniture,
    meshes,
    staging,
    textures,
    things,
)
from renderlift.engine.scenes.camera_paths import bounding_boxes
from renderlift.engine.scenes.colours import Rng, any_colour, wood_colour
from renderlift.engine.scenes.meshes import block, box, lathe, merged, moved, pose, rounded_box
from renderlift.engine.scenes.things import Thing, named, placed, solid


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
        solid("pillow", "cushion", pillow, things.surface(rng, any_colour(rng)), metres=0.3, roughness=0.9),
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
            thing = placed(things.ornament(rng, min(0.16, room)), meshes.pose((x + 0.08, 0.02, z)))
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


def sideboard(rng: Rng) -> things.Thing:
    """A low cupboard with two doors and something on it; faces +y."""
    length, height, depth = float(rng.uniform(0.9, 1.6)), float(rng.uniform(0.6, 0.95)), 0.42
    wood = textures.wood(rng, colours.wood_colour(rng)) if rng.random() < 0.7 else textures.plain(any_colour(rng))
    body = [meshes.moved(meshes.rounded_box(length, depth, height - 0.1, 0.01, 1), 0, 0, 0.1)]
    body += [
        meshes.moved(meshes.box(0.05, 0.05, 0.1), x * (length / 2 - 0.06), y * 0.15, 0)
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    doors = [
        meshes.moved(
            meshes.rounded_box(length / 2 - 0.04, 0.02, height - 0.18, 0.006, 1),
            x * length / 4,
            depth / 2 + 0.008,
            0.14,
        )
        for x in (-1, 1)
    ]
    knobs = [meshes.moved(meshes.sphere(0.018, 16), x * 0.06, depth / 2 + 0.035, height * 0.55) for x in (-1, 1)]
    on_top = placed(
        things.ornament(rng, float(rng.uniform(0.15, 0.4))), pose((rng.uniform(-0.3, 0.3) * length, 0, height))
    )
    return (
        solid("sideboard", "cupboard", meshes.merged([*body, *doors]), wood, metres=0.8, roughness=0.45),
        solid(
            "knobs",
            "cupboard",
            meshes.merged(knobs),
            textures.plain((0.8, 0.65, 0.35)),
            roughness=0.25,
            metallic=1.0,
        ),
        *things.named(on_top, "on sideboard "),
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


def floor_lamp(rng: Rng) -> Thing:
    """A standing lamp whose shade glows a little."""
    stand = [(0, 0), (0.16, 0), (0.15, 0.025), (0.015, 0.04), (0.013, 1.3), (0, 1.3)]
    shade = [(0.23, 1.18), (0.13, 1.52), (0.125, 1.52), (0.225, 1.18), (0.23, 1.18)]
    colour = any_colour(rng, 0.5, 0.85)
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
            emission=textures.times(colour, 1.2),
        ),
    )


def rug(rng: Rng, length: float, width: float) -> Thing:
    """A woven rug with a border."""
    a, b = any_colour(rng), any_colour(rng)
    weave = textures.fabric(rng, a)
    inset = textures.inset(len(weave.colour))
    bands = ((inset // 6) % 3 == 1) & (inset < 30)
    pattern = textures.Texture(textures.mix(weave.colour, b, bands.astype(np.float64)), weave.height)
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


def dining_group(rng: Rng) -> things.Thing:
    """A table, chairs around it, and a few things on it; one of them may be a lamp."""
    is_round = rng.random() < 0.35
    reach = float(rng.uniform(0.4, 0.6))
    length = float(rng.uniform(1.1, 1.9))
    parts = list(furniture.round_table(rng, reach) if is_round else furniture.table(rng, length, 2 * reach))
    top = float(staging.footprint(tuple(parts))[1, 2])
    seat = furniture.chair(rng) if rng.random() < 0.75 else furniture.stool(rng)
    for number in range(int(rng.integers(1, 5))):
        x = 0.0 if is_round else float(rng.uniform(-0.3, 0.3)) * length
        turn = pose(turn_deg=90.0 * number) if is_round else pose(turn_deg=180.0 * (number % 2))
        offset = (x + (number // 2) * 0.1, -reach - float(rng.uniform(0.02, 0.3)), 0)
        parts += things.named(
            placed(seat, turn @ pose(offset, turn_deg=float(rng.normal(0, 8)))), f"seat {number} "
        )
    taken: list[SceneObject] = []
    for number in range(int(rng.integers(3, 8))):
        thing = things.ornament(rng, float(rng.uniform(0.08, 0.34)))
        half = reach * 0.6 if is_round else length * 0.42
        for _ in range(6):
            spot = pose(
                (rng.uniform(-half, half), rng.uniform(-0.6, 0.6) * reach, top), turn_deg=float(rng.uniform(0, 360))
            )
            candidate = placed(thing, spot)
            if staging.fits(candidate, bounding_boxes(taken), 0.01):
                taken += things.named(candidate, f"on table {number} ")
                break
    return (*parts, *taken)
