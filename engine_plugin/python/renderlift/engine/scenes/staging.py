"""Putting things where they do not stand in each other, and filming them."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import SceneObject
from renderlift.engine.scenes import meshes, motions, things
from renderlift.engine.scenes.camera_paths import FPS, Boxes, Points, bounding_boxes, distance_to_boxes, free_path
from renderlift.engine.scenes.colours import Rng, any_colour
from renderlift.engine.scenes.meshes import pose
from renderlift.engine.scenes.things import Thing, named, placed

ASPECT = 1.75  # width over height of the pictures that things shall enter and leave
# Things stand this high above the floor, so that they do not count as touching it.
LIFT_M = 0.002


def footprint(thing: Thing) -> NDArray[np.float64]:
    """Lowest and highest corner (2, 3) around a whole thing."""
    boxes = bounding_boxes(thing)
    return np.stack([boxes[:, 0].min(0), boxes[:, 1].max(0)])


def fits(thing: Thing, taken: Boxes, gap: float) -> bool:
    """Whether the thing stays `gap` metres to the side of the taken boxes; it may stand on them."""
    low, high = footprint(thing) + np.array([[-gap, -gap, 0], [gap, gap, 0]])
    apart = (low >= taken[:, 1]) | (high <= taken[:, 0])
    return bool(apart.any(-1).all())


def first_fit(
    spots: Callable[[Thing], NDArray[np.float64]], thing: Thing, taken: Boxes, gap: float, tries: int
) -> Thing:
    """The thing at the first of `tries` random poses where it is free to stand, or nothing."""
    for _ in range(tries):
        candidate = placed(thing, spots(thing))
        if fits(candidate, taken, gap):
            return candidate
    return ()


def all_fitting(
    spots: Callable[[Thing], NDArray[np.float64]],
    wanted: Sequence[Thing],
    others: Sequence[SceneObject],
    *,
    prefix: str,
    gap: float = 0.05,
    tries: int = 12,
) -> list[SceneObject]:
    """Every thing that finds a free spot beside `others` and beside those before it.

    Args:
        spots: a random pose (4, 4) or motion (T, 4, 4) for a thing, anew at each call.
        prefix: goes before the number that goes before each name.
    """
    done: list[SceneObject] = []
    taken = bounding_boxes(others)
    for number, thing in enumerate(wanted):
        stands = first_fit(spots, thing, taken, gap, tries)
        done += named(stands, f"{prefix} {number} ")
        taken = np.concatenate([taken, bounding_boxes(stands)])
    return done


def on_floor(rng: Rng, width: float, depth: float) -> Callable[[Thing], NDArray[np.float64]]:
    """Spots anywhere on a floor around the origin, turned any way."""

    def spot(thing: Thing) -> NDArray[np.float64]:
        low, high = footprint(thing)
        reach = 0.7 * float(np.linalg.norm((high - low)[:2]))
        x, y = (rng.uniform(-0.5, 0.5) * max(side - reach, 0.1) for side in (width, depth))
        return pose((x, y, LIFT_M), turn_deg=float(rng.uniform(0, 360)))

    return spot


def along_walls(
    rng: Rng, width: float, depth: float, low_z: float = LIFT_M, high_z: float = LIFT_M
) -> Callable[[Thing], NDArray[np.float64]]:
    """Spots with the back to one of four walls around the origin, facing inwards."""

    def spot(thing: Thing) -> NDArray[np.float64]:
        side = int(rng.integers(4))
        length, reach = (width, depth / 2) if side % 2 == 0 else (depth, width / 2)
        low, high = footprint(thing)
        x = rng.uniform(-0.5, 0.5) * (length - (high[0] - low[0]) - 0.1)
        back = -reach - min(low[1], 0.0) + 0.03
        return pose(turn_deg=90.0 * side) @ pose((x, back, rng.uniform(low_z, high_z)))

    return spot


def filmed(
    rng: Rng, objects: Sequence[SceneObject], propose: Callable[[], tuple[Points, Points]], frames: int
) -> tuple[NDArray[np.float64], float, list[SceneObject]]:
    """A camera through free space, and a few things thrown across what it sees.

    Args:
        propose: gives an eye and a target, (3,) each, anew at each call.

    Returns:
        world_from_camera (T, 4, 4), the vertical field of view in degrees, and the thrown things.

    Raises:
        ValueError: the scene is too crowded for a camera.
    """
    boxes = bounding_boxes(objects)
    camera = free_path(rng, propose, boxes, frames=frames)
    vertical_fov_deg = float(rng.uniform(40, 61))
    half_width = float(np.tan(np.radians(vertical_fov_deg) / 2)) * ASPECT
    wanted = int(rng.integers(1, 4))
    throws = (_crossing(rng, camera, boxes, half_width) for _ in range(4 * wanted))
    caught = [thing for thing in throws if thing][:wanted]
    flying = [item for number, thing in enumerate(caught) for item in named(thing, f"thrown {number} ")]
    return camera, vertical_fov_deg, flying


def _crossing(rng: Rng, camera: NDArray[np.float64], boxes: Boxes, half_width: float) -> Thing:
    """Something thrown through the edge of the picture while it is filmed, clear of all boxes; or nothing."""
    thing, radius = _throwable(rng)
    times = np.arange(len(camera)) / FPS
    for _ in range(30):
        moment = int(rng.integers(len(camera) // 4, 3 * len(camera) // 4 + 1))
        eye, right, forward = (camera[moment, :3, k] for k in (3, 0, 2))
        side = float(rng.choice([-1, 1]))
        away = float(rng.uniform(1.6, 4.0))
        edge = eye + away * (forward + right * side * half_width) + np.array([0, 0, rng.uniform(-0.3, 0.3)])
        speed = float(rng.uniform(1.2, 2.6)) * away * float(rng.choice([-1, 1]))
        velocity = right * side * speed + np.array([0, 0, rng.uniform(0, 1.5)])
        path = motions.thrown(edge - velocity * times[moment], velocity, rng.normal(size=3) * 5 + 0.1, times)
        if distance_to_boxes(path[:, :3, 3], boxes).min() > radius:
            return placed(thing, path)
    return ()


def _throwable(rng: Rng) -> tuple[Thing, float]:
    """A ball or a cube, centred at the origin, and the room it needs in metres."""
    radius = float(rng.uniform(0.07, 0.2))
    if rng.random() < 0.6:
        return things.ball(rng, radius), radius
    size = radius * 1.15
    mesh = meshes.moved(meshes.rounded_box(size, size, size, size * 0.15), 0, 0, -size / 2)
    base = things.surface(rng, any_colour(rng))
    return (things.solid("cube", "box", mesh, base, metres=0.3, roughness=float(rng.uniform(0.2, 0.7))),), radius
