"""Putting things where they do not stand in each other: free floor, and what crosses the picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import SceneObject
from renderlift.engine.scenes import meshes, motions, things
from renderlift.engine.scenes.camera_paths import bounding_boxes, distance_to_boxes
from renderlift.engine.scenes.meshes import pose
from renderlift.engine.scenes.things import Rng, Thing


def footprint(thing: Thing) -> NDArray[np.float64]:
    """Lowest and highest corner (2, 3) around a whole thing."""
    boxes = bounding_boxes(thing)
    return np.stack([boxes[:, 0].min(0), boxes[:, 1].max(0)])


def fits(thing: Thing, others: Sequence[SceneObject], gap: float) -> bool:
    """Whether the thing stays `gap` metres to the side of the boxes of all others; it may stand on them."""
    low, high = footprint(thing) + np.array([[-gap, -gap, 0], [gap, gap, 0]])
    boxes = bounding_boxes(others) if others else np.empty((0, 2, 3))
    apart = (low >= boxes[:, 1]) | (high <= boxes[:, 0])
    return bool(apart.any(-1).all())


def scattered(
    rng: Rng,
    makers: Sequence[Thing],
    area: tuple[float, float, float, float],
    others: Sequence[SceneObject],
    *,
    gap: float = 0.05,
    tries: int = 14,
) -> list[SceneObject]:
    """Each thing turned and put on free floor within x0, x1, y0, y1; what finds no place is left out."""
    done: list[SceneObject] = []
    x0, x1, y0, y1 = area
    for number, thing in enumerate(makers):
        for _ in range(tries):
            # Lifted by a hair, so that standing on the floor does not count as touching it.
            spot = pose((rng.uniform(x0, x1), rng.uniform(y0, y1), 0.002), turn_deg=float(rng.uniform(0, 360)))
            candidate = things.placed(thing, spot)
            low, high = footprint(candidate)
            inside = low[0] >= x0 and high[0] <= x1 and low[1] >= y0 and high[1] <= y1
            if inside and fits(candidate, [*others, *done], gap):
                done += things.named(candidate, f"{number} ")
                break
    return done


def crossing(
    rng: Rng,
    thing: Thing,
    camera: NDArray[np.float64],
    fps: float,
    others: Sequence[SceneObject],
    *,
    half_width: float,
    radius: float,
) -> Thing:
    """A thing thrown across the picture so that it enters or leaves within the sequence.

    Args:
        camera: world_from_camera (T, 4, 4).
        half_width: tangent of half the horizontal field of view.
        radius: how much room the thing needs around its origin, metres.

    Returns:
        the thing on its way, or nothing where every try would have hit something.
    """
    times = np.arange(len(camera)) / fps
    boxes = bounding_boxes(others)
    for _ in range(30):
        moment = int(rng.integers(len(camera) // 4, 3 * len(camera) // 4 + 1))
        eye, right, forward = (camera[moment, :3, k] for k in (3, 0, 2))
        side = float(rng.choice([-1, 1]))
        away = float(rng.uniform(1.6, 4.0))
        edge = eye + away * (forward + right * side * half_width) + np.array([0, 0, rng.uniform(-0.3, 0.3)])
        speed = float(rng.uniform(1.2, 2.6)) * away * float(rng.choice([-1, 1]))
        velocity = right * side * speed + np.array([0, 0, rng.uniform(0, 1.5)])
        start = edge - velocity * times[moment]
        spin = rng.normal(size=3) * 5 + 0.1
        path = motions.thrown(start, velocity, spin, times)
        if distance_to_boxes(path[:, :3, 3], boxes).min() > radius:
            return things.placed(thing, path)
    return ()


def throwable(rng: Rng) -> tuple[Thing, float]:
    """Something to throw, centred at the origin, and its radius."""
    radius = float(rng.uniform(0.07, 0.2))
    if rng.random() < 0.6:
        return things.ball(rng, radius), radius
    size = radius * 1.2
    mesh = meshes.moved(meshes.rounded_box(size, size, size, size * 0.15), 0, 0, -size / 2)
    base = things.surface(rng, things.any_colour(rng))
    return (things.solid("cube", "box", mesh, base, metres=0.3, roughness=float(rng.uniform(0.2, 0.7))),), radius
