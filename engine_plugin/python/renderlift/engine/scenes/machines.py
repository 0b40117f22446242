"""What stands in workshops, at the origin on z = 0, its back to -y."""

import numpy as np

from renderlift.engine.scene import Mesh, SceneObject
from renderlift.engine.scenes import meshes, outdoor_things, textures, things
from renderlift.engine.scenes.colours import Rng, any_colour, wood_colour
from renderlift.engine.scenes.meshes import (
    block,
    box,
    cylinder,
    lathe,
    merged,
    moved,
    pose,
    rounded_box,
    transformed,
)
from renderlift.engine.scenes.textures import Colour
from renderlift.engine.scenes.things import Thing, named, placed, solid

STEEL: Colour = (0.52, 0.52, 0.53)
MACHINE_PAINTS: tuple[Colour, ...] = ((0.1, 0.26, 0.2), (0.12, 0.2, 0.36), (0.42, 0.44, 0.42), (0.5, 0.3, 0.06))


def steel(rng: Rng, name: str, class_name: str, mesh: Mesh) -> SceneObject:
    """A part of bare steel, from brushed to polished."""
    shade = float(rng.uniform(0.75, 1.1))
    base = textures.plain(textures.times(STEEL, shade))
    return solid(name, class_name, mesh, base, roughness=float(rng.uniform(0.2, 0.5)), metallic=1.0)


def painted(rng: Rng, name: str, class_name: str, mesh: Mesh) -> SceneObject:
    """A part in a machine's enamel, slightly worn."""
    colour = MACHINE_PAINTS[int(rng.integers(len(MACHINE_PAINTS)))]
    worn = textures.mix(colour, textures.times(colour, 0.6), textures.noise(rng, 64, detail=1.8))
    return solid(name, class_name, mesh, worn, metres=0.8, roughness=float(rng.uniform(0.3, 0.55)))


def _lying(mesh: Mesh, at: tuple[float, float, float]) -> Mesh:
    """A mesh that stands along +z, laid along +x."""
    return transformed(mesh, pose(at, turn_deg=90.0, tilt_deg=90.0))


def lathe_machine(rng: Rng) -> Thing:
    """Bed on two feet, headstock, a turning workpiece, tailstock and hand wheels."""
    length, high = float(rng.uniform(1.3, 1.9)), 0.8
    feet = [moved(rounded_box(0.3, 0.42, high, 0.02), x * (length / 2 - 0.2), 0, 0) for x in (-1, 1)]
    head = moved(rounded_box(0.42, 0.4, 0.45, 0.03), -length / 2 + 0.22, 0, high + 0.1)
    tail = moved(rounded_box(0.2, 0.26, 0.28, 0.03), length / 2 - 0.25, 0, high + 0.1)
    bed = moved(rounded_box(length, 0.36, 0.1, 0.01, 1), 0, 0, high)
    axis = high + 0.32
    steps = [(0.0, 0.0), (0.09, 0.0), (0.09, 0.1), (0.05, 0.1), (0.05, 0.4), (0.03, 0.4), (0.03, 0.6), (0.0, 0.6)]
    piece = _lying(lathe(steps, 28), (-length / 2 + 0.43, 0, axis))
    wheels = [
        transformed(meshes.torus(0.09, 0.012, 24), pose((x, 0.26, high - 0.05), tilt_deg=90)) for x in (0.1, 0.4)
    ]
    return (
        painted(rng, "lathe body", "machine", merged([*feet, head, tail])),
        steel(rng, "lathe bed", "machine", bed),
        steel(rng, "workpiece", "machine", piece),
        steel(rng, "hand wheels", "machine", merged(wheels)),
    )


def drill_press(rng: Rng) -> Thing:
    """Foot, column, table, head with a motor, spindle."""
    tall = float(rng.uniform(1.5, 1.9))
    foot = rounded_box(0.4, 0.55, 0.08, 0.02)
    column = moved(cylinder(0.05, tall - 0.1, 24), 0, -0.15, 0.08)
    shelf = moved(rounded_box(0.36, 0.36, 0.05, 0.01, 1), 0, 0.08, float(rng.uniform(0.7, 0.95)))
    head = moved(rounded_box(0.26, 0.55, 0.3, 0.05), 0, 0.02, tall - 0.3)
    motor = moved(cylinder(0.11, 0.26, 28), 0, -0.2, tall)
    spindle = moved(
        lathe([(0, 0), (0.008, 0), (0.01, 0.12), (0.03, 0.16), (0.035, 0.3), (0, 0.3)], 20), 0, 0.16, tall - 0.58
    )
    return (
        painted(rng, "press body", "machine", merged([foot, head, motor])),
        steel(rng, "press column", "machine", column),
        steel(rng, "press table", "machine", shelf),
        steel(rng, "spindle", "machine", spindle),
    )


def workbench(rng: Rng) -> Thing:
    """A heavy wooden bench with a vice, a tool board and clutter on top."""
    length, deep, high = float(rng.uniform(1.4, 2.2)), 0.65, 0.88
    top = moved(box(length, deep, 0.07), 0, 0, high - 0.07)
    legs = [
        block(
            (x * (length / 2 - 0.08) - 0.05, y * 0.25 - 0.05, 0),
            (x * (length / 2 - 0.08) + 0.05, y * 0.25 + 0.05, high - 0.07),
        )
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    shelf = block((-length / 2 + 0.1, -0.25, 0.25), (length / 2 - 0.1, 0.25, 0.29))
    jaws = [block((-0.06, 0.2 + 0.1 * k, high), (0.06, 0.25 + 0.1 * k, high + 0.13)) for k in (0, 1)]
    vice = moved(
        merged([*jaws, block((-0.035, 0.1, high), (0.035, 0.36, high + 0.05))]),
        float(rng.uniform(-0.3, 0.3)) * length,
        0,
        0,
    )
    parts: list[SceneObject] = [
        solid(
            "bench",
            "workbench",
            merged([top, *legs, shelf]),
            textures.planks(rng, wood_colour(rng), 128),
            metres=0.8,
            roughness=0.7,
        ),
        steel(rng, "vice", "tool", vice),
    ]
    if rng.random() < 0.7:
        parts += _tool_board(rng, length, high)
    for number in range(int(rng.integers(2, 6))):
        at = pose((float(rng.uniform(-0.42, 0.42)) * length, float(rng.uniform(-0.22, 0.0)), high))
        parts += named(placed(bench_thing(rng), at), f"on bench {number} ")
    return tuple(parts)


def _tool_board(rng: Rng, length: float, high: float) -> Thing:
    """Tools that hang in a row on a board behind the bench."""
    board = block((-length / 2, -0.325, high + 0.25), (length / 2, -0.3, high + 1.0))
    tools: list[Mesh] = []
    for x in np.arange(-length / 2 + 0.12, length / 2 - 0.1, 0.14):
        reach = float(rng.uniform(0.16, 0.4))
        tools.append(block((x - 0.012, -0.298, high + 0.9 - reach), (x + 0.012, -0.275, high + 0.9)))
        if rng.random() < 0.5:
            tools.append(block((x - 0.05, -0.3, high + 0.84), (x + 0.05, -0.265, high + 0.9)))
    return (
        solid("tool board", "board", board, textures.plain(any_colour(rng, 0.2, 0.6)), roughness=0.8),
        steel(rng, "tools", "tool", merged(tools)),
    )


def bench_thing(rng: Rng) -> Thing:
    """A tin, a tool box, a spool or a piece of steel."""
    kind = int(rng.integers(4))
    if kind == 0:
        tin = lathe([(0, 0), (0.05, 0), (0.05, 0.13), (0.046, 0.13), (0.046, 0.01), (0, 0.01)], 24)
        return (solid("tin", "tin", tin, things.surface(rng, any_colour(rng)), metres=0.2, roughness=0.35),)
    if kind == 1:
        return (
            painted(
                rng,
                "tool box",
                "box",
                merged([rounded_box(0.36, 0.18, 0.16, 0.015), moved(box(0.2, 0.02, 0.03), 0, 0, 0.16)]),
            ),
        )
    if kind == 2:
        spool = lathe(
            [(0, 0), (0.07, 0), (0.07, 0.012), (0.03, 0.012), (0.03, 0.1), (0.07, 0.1), (0.07, 0.112), (0, 0.112)],
            28,
        )
        return (solid("spool", "spool", spool, textures.plain(any_colour(rng, 0.3, 0.8)), roughness=0.6),)
    return (
        steel(rng, "billet", "billet", cylinder(float(rng.uniform(0.03, 0.06)), float(rng.uniform(0.06, 0.2)), 24)),
    )


def pallet_rack(rng: Rng) -> Thing:
    """Painted steel uprights and beams, loaded with crates, barrels and cartons."""
    width, deep, levels = float(rng.uniform(2.0, 2.7)), 0.9, int(rng.integers(2, 4))
    tall = levels * 1.15 + 0.2
    uprights = [
        block((x * width / 2 - 0.04, y * deep / 2 - 0.04, 0), (x * width / 2 + 0.04, y * deep / 2 + 0.04, tall))
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    heights = [0.12 + 1.15 * level for level in range(levels)]
    beams = [
        block((-width / 2, y * deep / 2 - 0.025, z - 0.1), (width / 2, y * deep / 2 + 0.025, z))
        for z in heights
        for y in (-1, 1)
    ]
    boards = [block((-width / 2 + 0.05, -deep / 2, z), (width / 2 - 0.05, deep / 2, z + 0.03)) for z in heights]
    parts = [
        painted(rng, "uprights", "rack", merged(uprights)),
        solid("beams", "rack", merged(beams), textures.plain((0.55, 0.2, 0.04)), roughness=0.4),
        solid(
            "boards", "rack", merged(boards), textures.planks(rng, wood_colour(rng), 128), metres=1.0, roughness=0.8
        ),
    ]
    for level, z in enumerate(heights):
        x = -width / 2 + 0.4
        while x < width / 2 - 0.3:
            if rng.random() < 0.8:
                load = placed(
                    _load(rng),
                    pose((x, float(rng.uniform(-0.08, 0.08)), z + 0.032), turn_deg=float(rng.normal(0, 4))),
                )
                parts += named(load, f"level {level} at {x:.2f} ")
            x += 0.72
    return tuple(parts)


def _load(rng: Rng) -> Thing:
    kind = int(rng.integers(3))
    if kind == 0:
        return outdoor_things.crate(rng, float(rng.uniform(0.4, 0.58)))
    if kind == 1:
        return outdoor_things.barrel(rng, float(rng.uniform(0.6, 0.8)))
    size = rng.uniform(0.3, 0.6, 3)
    base = textures.mix((0.42, 0.27, 0.14), (0.36, 0.22, 0.11), textures.noise(rng, 64))
    return (solid("carton", "box", box(*(float(s) for s in size)), base, metres=0.6, roughness=0.85),)


def gas_bottles(rng: Rng) -> Thing:
    """Two or three tall bottles side by side."""
    parts: list[SceneObject] = []
    for number in range(int(rng.integers(2, 4))):
        r, h = 0.115, 1.3
        shape = lathe(
            [(0, 0), (r, 0), (r, h * 0.8), (r * 0.8, h * 0.88), (r * 0.3, h * 0.93), (r * 0.3, h), (0, h)], 32
        )
        base = textures.plain(any_colour(rng, 0.15, 0.6))
        parts.append(
            solid(f"bottle {number}", "bottle", moved(shape, number * 0.26 - 0.26, 0, 0), base, roughness=0.35)
        )
    return tuple(parts)
