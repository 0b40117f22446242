"""Camera paths, and the free space they keep to."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import SceneObject

FPS = 24.0  # of every scene made here

Points = NDArray[np.float64]  # (T, 3) metres
Boxes = NDArray[np.float64]  # (N, 2, 3): lowest and highest corner


def look_at(eyes: Points, targets: Points) -> NDArray[np.float64]:
    """world_from_camera (T, 4, 4) with OpenCV axes and an upright horizon."""
    forward = targets - eyes
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    poses = np.tile(np.eye(4), (len(eyes), 1, 1))
    poses[:, :3, 0], poses[:, :3, 1], poses[:, :3, 2] = right, np.cross(forward, right), forward
    poses[:, :3, 3] = eyes
    return poses


def spline(knots: Points, along: NDArray[np.float64]) -> Points:
    """Points (T, 3) of a smooth curve through knots (K, 3), at shares `along` (T,) of its way in [0, 1].

    Catmull-Rom; every knot is reached after an equal share.
    """
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    s = along * (len(knots) - 1)
    i = np.clip(s.astype(int), 0, len(knots) - 2)
    t = (s - i)[:, None]
    a, b, c, d = (padded[i + j] for j in range(4))
    result: Points = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return result


def orbit(rng: np.random.Generator, eye: Points, target: Points, times_s: Points) -> tuple[Points, Points]:
    """Circle around the target, rising or sinking slowly."""
    arm = eye - target
    angle = np.radians(rng.choice([-1, 1]) * rng.uniform(8, 35)) * times_s
    c, s = np.cos(angle), np.sin(angle)
    around = np.stack(
        [c * arm[0] - s * arm[1], s * arm[0] + c * arm[1], arm[2] + rng.uniform(-0.3, 0.3) * times_s], -1
    )
    return target + around, np.broadcast_to(target, around.shape)


def dolly(rng: np.random.Generator, eye: Points, target: Points, times_s: Points) -> tuple[Points, Points]:
    """Move straight, forwards, backwards or sideways, the view following a little."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    side = np.cross(forward, (0.0, 0.0, 1.0))
    velocity = forward * rng.uniform(-0.8, 1.2) + side * rng.uniform(-0.9, 0.9)
    path = times_s[:, None] * velocity
    return eye + path, target + path * rng.uniform(0, 0.8)


def pan(rng: np.random.Generator, eye: Points, target: Points, times_s: Points) -> tuple[Points, Points]:
    """Turn on the spot with a slow drift."""
    arm = target - eye
    angle = np.radians(rng.choice([-1, 1]) * rng.uniform(6, 28)) * times_s
    c, s = np.cos(angle), np.sin(angle)
    turned = np.stack([c * arm[0] - s * arm[1], s * arm[0] + c * arm[1], np.full_like(c, arm[2])], -1)
    eyes = eye + times_s[:, None] * rng.uniform(-0.25, 0.25, 3) * (1, 1, 0.3)
    return eyes, eyes + turned


def shake(rng: np.random.Generator, times_s: Points, metres: float) -> Points:
    """Hand-held drift (T, 3) of about that amplitude."""
    waves = [
        rng.normal(size=3) * np.sin(2 * np.pi * (rng.uniform(0.6, 3.5) * times_s[:, None] + rng.random(3)))
        for _ in range(3)
    ]
    result: Points = metres * np.sum(waves, 0) / 3
    return result


def bounding_boxes(objects: Sequence[SceneObject]) -> Boxes:
    """World-space box of each object, over its whole motion, (N, 2, 3)."""
    boxes = np.empty((len(objects), 2, 3))
    for row, item in zip(boxes, objects, strict=True):
        low, high = item.mesh.positions.min(0), item.mesh.positions.max(0)
        poses = item.world_from_object.reshape(-1, 4, 4)
        middle = poses[:, :3, :3] @ ((low + high) / 2) + poses[:, :3, 3]
        reach = np.abs(poses[:, :3, :3]) @ ((high - low) / 2)
        row[0], row[1] = (middle - reach).min(0), (middle + reach).max(0)
    return boxes


def distance_to_boxes(points: Points, boxes: Boxes) -> NDArray[np.float64]:
    """From each point (N, 3) to the nearest box, metres, (N,); 0 inside one."""
    gap = np.maximum(boxes[None, :, 0] - points[:, None], points[:, None] - boxes[None, :, 1])
    result: NDArray[np.float64] = np.linalg.norm(np.maximum(gap, 0), axis=-1).min(-1)
    return result


def is_free(poses: NDArray[np.float64], boxes: Boxes, *, clearance: float, view: float) -> bool:
    """Whether the cameras (T, 4, 4) keep `clearance` metres from all boxes and see `view` metres ahead."""
    eyes, forward = poses[:, :3, 3], poses[:, :3, 2]
    if distance_to_boxes(eyes, boxes).min() < clearance:
        return False
    ahead = eyes[:, None] + forward[:, None] * np.linspace(0.15, 1, 8)[:, None] * view
    return bool(distance_to_boxes(ahead.reshape(-1, 3), boxes).min() > 0.02)


def free_path(
    rng: np.random.Generator, propose: Callable[[], tuple[Points, Points]], boxes: Boxes, *, frames: int
) -> NDArray[np.float64]:
    """world_from_camera (T, 4, 4): the first random path that stays in free space.

    Args:
        propose: gives an eye and a target, (3,) each, anew at each call.

    Raises:
        ValueError: no free path in 400 tries; the scene is too crowded.
    """
    times_s = np.arange(frames) / FPS
    for attempt in range(400):
        eye, target = propose()
        move = (orbit, dolly, pan)[int(rng.integers(3))]
        eyes, targets = move(rng, eye, target, times_s)
        eyes = eyes + shake(rng, times_s, float(rng.choice([0, 0.004, 0.015])))
        poses = look_at(eyes, targets)
        ease = 1 - attempt / 600
        if is_free(poses, boxes, clearance=0.35 * ease, view=1.6 * ease):
            return poses
    raise ValueError("no free camera path in 400 tries")
