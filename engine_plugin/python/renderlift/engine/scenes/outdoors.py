"""Courtyards with arcades and streets with houses, by chance."""

from collections.abc import Callable

import numpy as np

from renderlift.engine.scene import Scene, SceneObject
from renderlift.engine.scenes import light, meshes, motions, staging, textures, things
from renderlift.engine.scenes.camera_paths import Points, bounding_boxes, free_path
from renderlift.engine.scenes.meshes import block, pose
from renderlift.engine.scenes.things import Rng, any_colour, placed, solid

FPS = 24.0


def courtyard(rng: Rng, name: str, frames: int) -> Scene:
    """A paved yard between walls, some with arcades; a centre piece, pots, furniture."""
    w, d = float(rng.uniform(8, 13)), float(rng.uniform(8, 13))
    h = float(rng.uniform(3.0, 4.6))
    objects: list[SceneObject] = [_land(rng), _paving(rng, 24.0)]
    paint = things.wall_colour(rng)
    if rng.random() < 0.35:
        walls = textures.brick(rng, things.brick_colour(rng))
    else:
        walls = textures.plaster(rng, paint)
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
    centre: list[things.Thing] = [
        things.fountain(rng) if rng.random() < 0.5 else things.tree(rng, float(rng.uniform(3, 4.5)))
    ]
    objects += staging.scattered(rng, centre, (-2.5, 2.5, -2.5, 2.5), objects, tries=3)
    for number in range(int(rng.integers(1, 3))):
        objects += things.named(
            tuple(
                staging.scattered(rng, [_table_group(rng)], (-w / 2 + 1, w / 2 - 1, -d / 2 + 1, d / 2 - 1), objects)
            ),
            f"group {number} ",
        )
    clutter = [_yard_thing(rng) for _ in range(int(rng.integers(8, 18)))]
    objects += staging.scattered(rng, clutter, (-w / 2 + 0.1, w / 2 - 0.1, -d / 2 + 0.1, d / 2 - 0.1), objects)

    def propose() -> tuple[Points, Points]:
        eye = np.array([rng.uniform(-0.44, 0.44) * w, rng.uniform(-0.44, 0.44) * d, rng.uniform(1.0, 2.6)])
        target = np.array([rng.uniform(-0.25, 0.25) * w, rng.uniform(-0.25, 0.25) * d, rng.uniform(0.4, 1.4)])
        if np.linalg.norm(eye - target) < 2.5:
            target = target + (target - eye) / np.linalg.norm(target - eye) * 2
        return eye, target

    return _outdoor_scene(rng, name, frames, objects, propose, "courtyard")


def _land(rng: Rng) -> SceneObject:
    """Open country as far as one sees, just below the pavement."""
    base = textures.ground(rng, (0.2, 0.17, 0.11), (0.13, 0.16, 0.07), 128)
    return solid("land", "land", block((-90, -90, -0.5), (90, 90, -0.03)), base, metres=3.0, roughness=0.95)


def _paving(rng: Rng, size: float) -> SceneObject:
    kind = int(rng.integers(5))
    makers = [
        lambda: textures.terracotta(rng, (0.45, 0.24, 0.14), (0.4, 0.36, 0.3)),
        lambda: textures.stone(rng, any_colour(rng, 0.3, 0.55), 192),
        lambda: textures.tiles(rng, any_colour(rng, 0.35, 0.7), any_colour(rng, 0.1, 0.5)),
        lambda: textures.brick(rng, things.brick_colour(rng)),
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


def arcade(rng: Rng, length: float, height: float, wall: things.FloatArray, depth: float = 1.8) -> things.Thing:
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
    table = things.round_table(rng, reach)
    seat = things.chair(rng) if rng.random() < 0.6 else things.stool(rng)
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


def _yard_thing(rng: Rng) -> things.Thing:
    kind = int(rng.choice(9, p=[0.34, 0.1, 0.1, 0.1, 0.08, 0.08, 0.1, 0.05, 0.05]))
    if kind == 0:
        return things.potted_plant(rng, float(rng.uniform(0.5, 2.0)))
    if kind == 1:
        return things.crate(rng, float(rng.uniform(0.3, 0.7)))
    if kind == 2:
        return things.barrel(rng, float(rng.uniform(0.6, 1.0)))
    if kind == 3:
        return things.bench(rng)
    if kind == 4:
        return (
            solid(
                "pillar",
                "column",
                meshes.turned_column(float(rng.uniform(0.7, 2.4)), float(rng.uniform(0.13, 0.2))),
                textures.marble(rng, (0.7, 0.68, 0.64), (0.35, 0.33, 0.32), 128),
                metres=0.9,
                roughness=0.5,
            ),
        )
    if kind == 5:
        return things.ornament(rng, float(rng.uniform(0.5, 1.1)))
    if kind == 6:
        radius = float(rng.uniform(0.15, 0.45))
        return placed(things.ball(rng, radius), pose((0, 0, radius)))
    if kind == 7:
        return things.cart(rng)
    size = rng.uniform(0.3, 1.0, 3)
    mesh = meshes.rounded_box(*size, radius=float(rng.uniform(0.01, 0.12)))
    return (
        solid(
            "block",
            "box",
            mesh,
            things.surface(rng, any_colour(rng)),
            metres=0.6,
            roughness=float(rng.uniform(0.2, 0.9)),
        ),
    )


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
        _land(rng),
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
    for number in range(int(rng.integers(1, 4))):
        lane = float(rng.choice([-1, 1]))
        start = pose((rng.uniform(-12, 12), -lane * road * 0.25, 0.002), turn_deg=0 if lane > 0 else 180)
        drive = motions.gliding(start, np.array([lane * rng.uniform(3, 12), 0, 0]), times)
        vehicle = placed(things.car(rng) if rng.random() < 0.8 else things.cart(rng), drive)
        if staging.fits(vehicle, objects, 0.0):
            objects += things.named(vehicle, f"driving {number} ")

    def propose() -> tuple[Points, Points]:
        eye = np.array([rng.uniform(-8, 8), rng.uniform(-0.5, 0.5) * (road + walk), rng.uniform(1.2, 3.2)])
        reach = rng.uniform(5, 12) * rng.choice([-1, 1])
        target = np.array([eye[0] + reach, rng.uniform(-0.5, 0.5) * (road + 2 * walk), rng.uniform(0.6, 2.0)])
        return eye, target

    return _outdoor_scene(rng, name, frames, objects, propose, "street")


def _houses(rng: Rng, length: float, front: float) -> things.Thing:
    """A row of house fronts along x, their faces at y = `front`, looking to -y."""
    result: list[SceneObject] = []
    x, number = -length / 2, 0
    while x < length / 2 - 2:
        width, height = float(rng.uniform(4.5, 8.5)), float(rng.uniform(4.5, 9))
        back = front + float(rng.uniform(0, 0.4))
        wall = (
            textures.brick(rng, things.brick_colour(rng), n=192)
            if rng.random() < 0.45
            else textures.plaster(rng, things.wall_colour(rng), 128)
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
    frames: list[meshes.Mesh] = []
    panes: list[meshes.Mesh] = []
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
    """Lamps and trees along the kerb, parked cars, and clutter by the walls."""
    turn = pose(turn_deg=180.0 * side)
    result: list[SceneObject] = []
    for number, x in enumerate(np.arange(-length / 2 + 3, length / 2 - 2, float(rng.uniform(4.5, 7)))):
        thing = things.street_lamp(rng) if rng.random() < 0.4 else things.tree(rng, float(rng.uniform(3.2, 4.6)))
        result += things.named(placed(thing, turn @ pose((x, kerb + 0.45, 0.132))), f"side {side} kerb {number} ")
    for number in range(int(rng.integers(4, 12))):
        thing = _yard_thing(rng)
        spot = turn @ pose(
            (rng.uniform(-14, 14), kerb + rng.uniform(0.9, max(1.0, walk - 0.4)), 0.132),
            turn_deg=float(rng.uniform(0, 360)),
        )
        candidate = placed(thing, spot)
        if staging.fits(candidate, [*others, *result], 0.05):
            result += things.named(candidate, f"side {side} clutter {number} ")
    return result


def _outdoor_scene(
    rng: Rng,
    name: str,
    frames: int,
    objects: list[SceneObject],
    propose: Callable[[], tuple[Points, Points]],
    kind: str,
) -> Scene:
    camera = free_path(rng, propose, bounding_boxes(objects), frames=frames, fps=FPS)
    fov = float(rng.uniform(40, 60))
    half_width = float(np.tan(np.radians(fov) / 2)) * 1.75
    for number in range(int(rng.integers(1, 4))):
        thing, radius = staging.throwable(rng)
        thrown = staging.crossing(rng, thing, camera, FPS, objects, half_width=half_width, radius=radius)
        objects += things.named(thrown, f"thrown {number} ")
    sun, sky = light.weather(rng)
    return Scene(
        name=name,
        objects=tuple(objects),
        world_from_camera=camera,
        vertical_fov_deg=fov,
        sky=sky,
        sun=sun,
        exposure=0.85 * light.exposure_for(rng, light.outdoor_light(sun, sky)),
        fps=FPS,
        tags={"kind": kind},
    )
