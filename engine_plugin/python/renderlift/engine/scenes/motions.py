"""How things move: poses (T, 4, 4) over times in seconds."""

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]  # (T,) seconds


def turning_about(axis: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations (T, 3, 3) about a unit axis (3,) by angles (T,) in radians."""
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sine, cosine = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    result: NDArray[np.float64] = np.eye(3) + sine * skew + (1 - cosine) * (skew @ skew)
    return result


def gliding(start: NDArray[np.float64], velocity: NDArray[np.float64], times_s: Times) -> NDArray[np.float64]:
    """From a pose (4, 4), straight on at a velocity (3,) in metres per second."""
    poses = np.tile(start, (len(times_s), 1, 1))
    poses[:, :3, 3] += times_s[:, None] * velocity
    return poses


def following(curve: NDArray[np.float64], ahead: NDArray[np.float64]) -> NDArray[np.float64]:
    """At points (T, 3), with +x along `ahead` (T, 3) and upright."""
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    left = np.cross((0.0, 0.0, 1.0), ahead)
    left /= np.linalg.norm(left, axis=-1, keepdims=True)
    poses = np.tile(np.eye(4), (len(curve), 1, 1))
    poses[:, :3, 0], poses[:, :3, 1], poses[:, :3, 2] = ahead, left, np.cross(ahead, left)
    poses[:, :3, 3] = curve
    return poses


def rolling(
    start: NDArray[np.float64], velocity: NDArray[np.float64], radius: float, times_s: Times
) -> NDArray[np.float64]:
    """A ball that rolls on the ground without slipping; `start` (3,) is its centre."""
    speed = float(np.linalg.norm(velocity))
    axis = np.cross((0.0, 0.0, 1.0), velocity / speed)
    poses = np.tile(np.eye(4), (len(times_s), 1, 1))
    poses[:, :3, :3] = turning_about(axis, times_s * speed / radius)
    poses[:, :3, 3] = start + times_s[:, None] * velocity
    return poses


def thrown(
    start: NDArray[np.float64], velocity: NDArray[np.float64], spin: NDArray[np.float64], times_s: Times
) -> NDArray[np.float64]:
    """Free fall from `start` (3,) at a velocity (3,), spinning about `spin` (3,) radians per second."""
    rate = float(np.linalg.norm(spin))
    poses = np.tile(np.eye(4), (len(times_s), 1, 1))
    poses[:, :3, :3] = turning_about(spin / rate, times_s * rate)
    fall = np.array([0, 0, -9.81]) / 2 * times_s[:, None] ** 2
    poses[:, :3, 3] = start + times_s[:, None] * velocity + fall
    return poses


def spinning(start: NDArray[np.float64], rate: float, times_s: Times) -> NDArray[np.float64]:
    """Turning on the spot about Z, `rate` in radians per second."""
    poses = np.tile(start, (len(times_s), 1, 1))
    poses[:, :3, :3] = start[:3, :3] @ turning_about(np.array([0.0, 0.0, 1.0]), rate * times_s)
    return poses


def swinging(
    pivot: NDArray[np.float64], axis: NDArray[np.float64], amplitude: float, period_s: float, times_s: Times
) -> NDArray[np.float64]:
    """A pendulum whose object hangs below its origin at `pivot` (3,); amplitude in radians."""
    poses = np.tile(np.eye(4), (len(times_s), 1, 1))
    poses[:, :3, :3] = turning_about(axis, amplitude * np.sin(2 * np.pi * times_s / period_s + 0.7))
    poses[:, :3, 3] = pivot
    return poses
