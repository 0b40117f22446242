"""Ground, walls and arcades of the demo's courtyard, and the hills that one sees through its arches.

West is -x, north +y; the yard lies between the four coordinates below.
"""

import numpy as np

from renderlift.engine.scene import Mesh
from renderlift.engine.scenes import meshes, plants, textures
from renderlift.engine.scenes.colours import Rng
from renderlift.engine.scenes.meshes import arch_panel, block, box, lathe, merged, moved, pose
from renderlift.engine.scenes.textures import Colour, Texture
from renderlift.engine.scenes.things import Thing, named, placed, solid

WEST, EAST, SOUTH, NORTH = -6.0, 6.0, -6.5, 5.0
WALL_HEIGHT = 3.35
BAYS = 5  # arches on each side
FOUNTAIN = (0.7, 1.1, 0.0)

OCHRE: Colour = (0.66, 0.43, 0.22)
CREAM: Colour = (0.74, 0.66, 0.53)
STONE: Colour = (0.58, 0.51, 0.41)
CLAY: Colour = (0.5, 0.21, 0.11)
SHUTTER: Colour = (0.08, 0.24, 0.32)
# Beyond the arches: x, y, radius and height of hills; x, y and height of cypresses.
HILLS: tuple[tuple[float, float, float, float], ...] = (
    (-70, 30, 50, 9),
    (-75, -30, 45, 7),
    (-40, 75, 50, 10),
    (60, 60, 50, 10),
    (75, 0, 40, 7),
)
CYPRESSES: tuple[tuple[float, float, float], ...] = (
    (-10, 1.5, 5.5),
    (-12, 4.5, 7.0),
    (-14, 8, 8.5),
    (-11, -3.5, 5.5),
    (-16, 13, 7.0),
    (-19, 2, 8.5),
    (9.5, 9, 5.5),
    (12, 12, 7.0),
    (8.5, 14, 8.5),
)
GRASS: Colour = (0.16, 0.2, 0.07)


def ground(rng: Rng) -> Thing:
    land = block((-80, -80, -0.6), (80, 80, -0.05))
    floor = block((WEST - 4, SOUTH - 1, -0.3), (EAST + 3, NORTH + 3, 0))
    tiles = textures.terracotta(rng, (0.5, 0.27, 0.155), (0.5, 0.44, 0.36))
    ring = lathe([(1.5, 0), (2.5, 0), (2.5, 0.012), (1.5, 0.012)], 72)
    x, y, _ = FOUNTAIN
    soil = textures.ground(rng, (0.17, 0.19, 0.08), (0.26, 0.23, 0.12), 128)
    hills = [
        solid(f"hill {i}", "land", moved(_hill(radius, height), x, y, -0.4), soil, metres=6, roughness=0.95)
        for i, (x, y, radius, height) in enumerate(HILLS)
    ]
    needles = textures.mix((0.06, 0.12, 0.04), (0.025, 0.055, 0.02), textures.noise(rng, 64, detail=1.2))
    trees = [
        solid(f"cypress {i}", "tree", moved(_cypress(rng, height), x, y, -0.3), needles, roughness=0.7)
        for i, (x, y, height) in enumerate(CYPRESSES)
    ]
    return (
        *hills,
        *trees,
        solid("land", "land", land, textures.ground(rng, GRASS, (0.24, 0.2, 0.11)), metres=4, roughness=0.95),
        solid("paving", "floor", floor, tiles, metres=1.5, roughness=0.5),
        solid(
            "stone ring",
            "floor",
            moved(ring, x, y, 0),
            textures.stone(rng, STONE, 256, 50),
            metres=1.4,
            roughness=0.7,
        ),
    )


def _hill(radius: float, height: float) -> Mesh:
    slope = [(1.0, 0.0), (0.7, 0.35), (0.35, 0.8), (0.0, 1.0)]
    return lathe([(0, 0), *((radius * r, height * z) for r, z in slope)], 40)


def _cypress(rng: Rng, height: float) -> Mesh:
    """A dense one for the distance: a dark core under leaves."""
    r = 0.72
    core = lathe(
        [(0, 0), (0.6 * r, 0.05 * height), (0.86 * r, 0.3 * height), (0.55 * r, 0.65 * height), (0, 0.97 * height)],
        14,
    )
    return merged([core, plants.cypress(rng, height, r, count=380, leaf=0.42)])


def _arches(length: float, height: float, depth: float = 0.42) -> tuple[Mesh, Mesh]:
    """Arches along x at y = 0, and the columns that carry them."""
    bay = length / BAYS
    spring = 2.05
    panel = arch_panel(bay, height - spring, depth, bay * 0.79, 0.03, 24)
    middles = [-length / 2 + (i + 0.5) * bay for i in range(BAYS)]
    column = meshes.turned_column(spring, 0.16)
    feet = [-length / 2 + i * bay for i in range(BAYS + 1)]
    return merged([moved(panel, x, 0, spring) for x in middles]), merged([moved(column, x, 0, 0) for x in feet])


def _coping(length: float, height: float, depth: float = 0.42) -> Mesh:
    """A moulded ledge on top of a wall along x."""
    steps = [(depth + 0.1, 0.0, 0.08), (depth + 0.22, 0.08, 0.14), (depth + 0.16, 0.14, 0.2)]
    return merged([block((-length / 2, -d / 2, height + a), (length / 2, d / 2, height + b)) for d, a, b in steps])


def _pale_stone(rng: Rng) -> Texture:
    return textures.ground(rng, STONE, (0.68, 0.61, 0.5), 128)


def west(rng: Rng) -> Thing:
    """A free-standing row of arches: the sun shines through it onto the floor."""
    length = NORTH - SOUTH
    arches, columns = _arches(length, WALL_HEIGHT)
    parts = (
        solid("arches", "arch", arches, textures.plaster(rng, OCHRE), metres=1.6, roughness=0.85),
        solid("columns", "column", columns, _pale_stone(rng), metres=0.7, roughness=0.65),
        solid("coping", "wall", _coping(length, WALL_HEIGHT), _pale_stone(rng), metres=0.8, roughness=0.7),
    )
    return named(placed(parts, pose((WEST, (NORTH + SOUTH) / 2, 0), turn_deg=90)), "west ")


def north(rng: Rng) -> Thing:
    """A house front: a shady arcade below, a terrace and shuttered windows above."""
    length, depth = EAST - WEST, 2.2
    arches, columns = _arches(length, 3.5)
    plaster = textures.plaster(rng, CREAM)
    back = block((-length / 2, depth, 0), (length / 2, depth + 0.3, 7.2))
    ceiling = block((-length / 2, -0.1, 3.36), (length / 2, depth, 3.5))
    roof = merged([moved(_roof(length + 0.8), 0, depth - 0.1, 7.2)])
    parts = (
        solid("arches", "arch", arches, plaster, metres=1.6, roughness=0.85),
        solid("columns", "column", columns, _pale_stone(rng), metres=0.7, roughness=0.65),
        solid("coping", "wall", _coping(length, 3.5), _pale_stone(rng), metres=0.8, roughness=0.7),
        solid("house", "building", back, plaster, metres=1.8, roughness=0.85),
        solid(
            "arcade ceiling", "ceiling", ceiling, textures.planks(rng, (0.3, 0.19, 0.1)), metres=1.4, roughness=0.8
        ),
        solid(
            "balustrade",
            "railing",
            moved(_balustrade(length), 0, 0, 3.7),
            _pale_stone(rng),
            metres=0.7,
            roughness=0.65,
        ),
        solid("roof tiles", "roof", roof, textures.brick(rng, CLAY, (0.2, 0.1, 0.06)), metres=1.1, roughness=0.85),
        *_openings(rng, length, depth),
    )
    return named(placed(parts, pose((0, NORTH, 0))), "north ")


def _roof(length: float) -> Mesh:
    """Eaves that slope to the south."""
    return meshes.transformed(block((-length / 2, -0.7, 0), (length / 2, 1.2, 0.09)), pose(tilt_deg=20))


def _balustrade(length: float) -> Mesh:
    baluster = lathe(
        [
            (0, 0),
            (0.06, 0),
            (0.06, 0.06),
            (0.035, 0.1),
            (0.06, 0.26),
            (0.03, 0.5),
            (0.055, 0.56),
            (0.055, 0.62),
            (0, 0.62),
        ],
        12,
    )
    count = int(length / 0.24)
    row = [moved(baluster, -length / 2 + (i + 0.5) * length / count, 0, 0) for i in range(count)]
    posts = [
        moved(box(0.26, 0.26, 0.82), x, 0, 0) for x in np.linspace(-length / 2 + 0.13, length / 2 - 0.13, BAYS + 1)
    ]
    return merged([*row, *posts, block((-length / 2, -0.1, 0.62), (length / 2, 0.1, 0.71))])


def _openings(rng: Rng, length: float, depth: float) -> Thing:
    """Shuttered windows upstairs, doors and niches under the arcade; the wall is at y = depth."""
    bay = length / BAYS
    middles = [-length / 2 + (i + 0.5) * bay for i in range(BAYS)]
    y = depth
    panes = [block((x - 0.42, y - 0.02, 4.45), (x + 0.42, y + 0.02, 6.15)) for x in middles]
    frames = [block((x - 0.55, y - 0.07, 6.15), (x + 0.55, y, 6.32)) for x in middles]
    frames += [block((x - 0.55, y - 0.12, 4.35), (x + 0.55, y, 4.45)) for x in middles]
    frames += [
        block((x + s * 0.45 - 0.05, y - 0.05, 4.45), (x + s * 0.45 + 0.05, y, 6.15))
        for x in middles
        for s in (-1, 1)
    ]
    frames += [block((x - 0.025, y - 0.04, 4.45), (x + 0.025, y, 6.15)) for x in middles]
    shutters = [moved(_shutter(), x + s * 0.78, y - 0.05, 4.45) for x in middles for s in (-1, 1)]
    doors = [block((x - 0.55, y - 0.05, 0), (x + 0.55, y, 2.3)) for x in (middles[1], middles[3])]
    surround = [
        block((x + s * 0.63 - 0.08, y - 0.09, 0), (x + s * 0.63 + 0.08, y, 2.46))
        for x in (middles[1], middles[3])
        for s in (-1, 1)
    ]
    surround += [block((x - 0.55, y - 0.09, 2.3), (x + 0.55, y, 2.46)) for x in (middles[1], middles[3])]
    return (
        solid("windows", "window", merged(panes), textures.plain((0.03, 0.04, 0.05)), roughness=0.1),
        solid("window frames", "window", merged([*frames, *surround]), _pale_stone(rng), metres=0.8, roughness=0.7),
        solid("shutters", "window", merged(shutters), textures.wood(rng, SHUTTER), metres=0.7, roughness=0.55),
        solid(
            "doors", "door", merged(doors), textures.planks(rng, (0.07, 0.19, 0.22), 128), metres=0.9, roughness=0.5
        ),
    )


def _shutter() -> Mesh:
    """A slatted panel, 0.44 by 1.7 metres."""
    frame = [block((x - 0.03, 0, 0), (x + 0.03, 0.045, 1.7)) for x in (-0.2, 0.2)]
    frame += [block((-0.2, 0, z), (0.2, 0.045, z + 0.07)) for z in (0.0, 0.82, 1.63)]
    slat = meshes.transformed(box(0.36, 0.05, 0.008), pose(tilt_deg=-35))
    heights = np.arange(0.1, 1.6, 0.055)
    return merged([*frame, *(moved(slat, 0, 0.022, float(z)) for z in heights)])


def east(rng: Rng) -> Thing:
    """A shady arcade in ochre with a wooden ceiling."""
    length, depth = NORTH - SOUTH, 1.9
    arches, columns = _arches(length, 3.5)
    back = block((-length / 2, depth, 0), (length / 2, depth + 0.3, 3.7))
    ceiling = block((-length / 2, -0.1, 3.36), (length / 2, depth, 3.5))
    parts = (
        solid("arches", "arch", arches, textures.plaster(rng, OCHRE), metres=1.6, roughness=0.85),
        solid("columns", "column", columns, _pale_stone(rng), metres=0.7, roughness=0.65),
        solid("coping", "wall", _coping(length, 3.5), _pale_stone(rng), metres=0.8, roughness=0.7),
        solid("back wall", "wall", back, textures.plaster(rng, (0.6, 0.33, 0.17)), metres=1.6, roughness=0.85),
        solid("ceiling", "ceiling", ceiling, textures.planks(rng, (0.3, 0.19, 0.1)), metres=1.4, roughness=0.8),
    )
    return named(placed(parts, pose((EAST, (NORTH + SOUTH) / 2, 0), turn_deg=-90)), "east ")


def south(rng: Rng) -> Thing:
    wall = block((WEST, SOUTH - 0.4, 0), (EAST, SOUTH, 3.4))
    return (solid("south wall", "wall", wall, textures.plaster(rng, OCHRE), metres=1.6, roughness=0.85),)
