"""Unreal's axes to ours, here and nowhere else. docs/conventions.md spells ours out.

Unreal: world left-handed, X forward, Y right, Z up, centimetres; rotations as pitch, yaw, roll in
degrees, and a camera that looks along its X with Z up. Mirroring Y makes the world ours.
"""

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

METRES_PER_UNIT = 0.01
MIRROR: Matrix = np.diag([1.0, -1.0, 1.0])  # our world from Unreal's, but for the unit


def world_from_camera(location_cm: tuple[float, float, float], rotation: tuple[float, float, float]) -> Matrix:
    """Pose (4, 4) of a camera, in metres.

    Args:
        rotation: pitch, yaw, roll in degrees, as `vget /camera/0/rotation` gives them.
    """
    forward, right, up = _axes(*(math.radians(angle) for angle in rotation))
    pose = np.eye(4)
    pose[:3, :3] = MIRROR @ np.stack([right, -up, forward], axis=1)
    pose[:3, 3] = METRES_PER_UNIT * (MIRROR @ np.array(location_cm))
    return pose


def image_from_camera(fov_degrees: float, height: int, width: int) -> Matrix:
    """Intrinsics (3, 3) in pixels; Unreal's scene captures measure the field of view along the longer side."""
    focal = max(height, width) / 2 / math.tan(math.radians(fov_degrees) / 2)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def camera_normals(world_normals: NDArray[np.float32], pose: Matrix) -> NDArray[np.float32]:
    """Normals (H, W, 3) in Unreal's world to camera axes."""
    camera_from_unreal = pose[:3, :3].T @ MIRROR
    return (world_normals @ camera_from_unreal.T.astype(np.float32)).astype(np.float32)


def _axes(pitch: float, yaw: float, roll: float) -> tuple[Matrix, Matrix, Matrix]:
    """A rotator's forward, right and up in Unreal's world (Unreal's public documentation of FRotator)."""
    sp, cp, sy, cy, sr, cr = (f(a) for a in (pitch, yaw, roll) for f in (math.sin, math.cos))
    forward = np.array([cp * cy, cp * sy, sp])
    right = np.array([sr * sp * cy - cr * sy, sr * sp * sy + cr * cy, -sr * cp])
    up = np.array([-(cr * sp * cy + sr * sy), cy * sr - cr * sp * sy, cr * cp])
    return forward, right, up
