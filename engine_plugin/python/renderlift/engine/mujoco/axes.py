"""MuJoCo's axes to ours, here and nowhere else. docs/conventions.md spells ours out.

MuJoCo: world right-handed with Z up, metres, as ours; a camera looks along its -Z with Y up. What is
drawn comes from a pair of eyes in the scene (`mjvGLCamera`), whose mean is the view if stereo is off.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import CameraPose

Matrix = NDArray[np.float64]


def camera_pose(eyes: tuple[Any, Any], height: int, width: int) -> CameraPose:
    """Pose and intrinsics of the view that a scene is drawn from.

    Args:
        eyes: `scene.camera`, after the scene was updated.

    Raises:
        SetupError: the camera is orthographic.
    """
    if eyes[0].orthographic:
        raise SetupError(
            "this camera is orthographic, Renderlift needs one that projects in perspective",
            fix='Remove projection="orthographic" from the camera.',
        )
    return CameraPose(_world_from_camera(eyes), _image_from_camera(eyes, height, width))


def world_from_object(position: Matrix, rotation: Matrix) -> Matrix:
    """Positions (N, 3) and rotations (N, 9) of MuJoCo's objects as poses (N, 4, 4)."""
    poses = np.zeros((len(position), 4, 4))
    poses[:, :3, :3] = rotation.reshape(-1, 3, 3)
    poses[:, :3, 3] = position
    poses[:, 3, 3] = 1
    return poses


def _mean(eyes: tuple[Any, Any], name: str) -> Matrix:
    return (np.asarray(getattr(eyes[0], name), np.float64) + np.asarray(getattr(eyes[1], name), np.float64)) / 2


def _world_from_camera(eyes: tuple[Any, Any]) -> Matrix:
    forward = _mean(eyes, "forward")
    up = _mean(eyes, "up")
    z = forward / np.linalg.norm(forward)
    down = -(up - (up @ z) * z)
    y = down / np.linalg.norm(down)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(y, z), y, z], axis=1)
    pose[:3, 3] = _mean(eyes, "pos")
    return pose


def _image_from_camera(eyes: tuple[Any, Any], height: int, width: int) -> Matrix:
    near, center, half_width, bottom, top = (
        float(_mean(eyes, f"frustum_{name}")) for name in ("near", "center", "width", "bottom", "top")
    )
    half_width = half_width or 0.5 * width / height * (top - bottom)  # as MuJoCo does for cameras given by fovy
    return np.array(
        [
            [width / 2 * near / half_width, 0, width / 2 * (1 - center / half_width)],
            [0, height * near / (top - bottom), height / 2 * (1 + (top + bottom) / (top - bottom))],
            [0, 0, 1],
        ]
    )
