"""Panda3D's axes to ours, here and nowhere else. docs/conventions.md spells ours out.

Panda3D: row vectors (point @ matrix), world right-handed with Z up, camera looking along
+Y with Z up. Ours: column vectors, the same world, camera looking along +Z with Y down.
GLSL sees a third frame, OpenGL's eye space: looking along -Z with Y up.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import CameraPose
from renderlift.engine.panda3d.panda import NodePath, core

Matrix = NDArray[np.float64]

PANDA_FROM_CAMERA: Matrix = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
CAMERA_FROM_EYE: Matrix = np.diag([1.0, -1.0, -1.0, 1.0])


def matrix(panda_matrix: Any) -> Matrix:
    """A Panda3D matrix, which multiplies rows, as one that multiplies columns."""
    rows: Matrix = np.array(panda_matrix, np.float64)
    return rows.T


def panda_matrix(columns: Matrix) -> Any:
    """A matrix that multiplies columns as Panda3D's, which multiplies rows."""
    return core.LMatrix4f(*columns.T.ravel())


def world_from_camera(camera: NodePath) -> Matrix:
    """Pose (4, 4) of a Panda3D camera, OpenCV axes, in scene units."""
    return matrix(camera.getMat(camera.getTop())) @ PANDA_FROM_CAMERA


def set_world_from_camera(camera: NodePath, world_from_camera: Matrix) -> None:
    """Place a Panda3D camera at an OpenCV pose (4, 4), in scene units."""
    camera.setMat(camera.getTop(), panda_matrix(world_from_camera @ PANDA_FROM_CAMERA.T))


def image_from_camera(lens: Any, height: int, width: int) -> Matrix:
    """Intrinsics (3, 3) in pixels of a perspective lens, off-centre ones included.

    Raises:
        SetupError: the lens does not project in perspective, e.g. an OrthographicLens.
    """
    clip_from_panda = matrix(lens.getProjectionMat())
    if not np.allclose(clip_from_panda[3], [0, clip_from_panda[3, 1], 0, 0]) or clip_from_panda[3, 1] == 0:
        raise SetupError(
            f"the camera has a {type(lens).__name__}, Renderlift needs one that projects in perspective",
            fix="Give the camera a PerspectiveLens.",
        )
    clip = clip_from_panda @ PANDA_FROM_CAMERA / clip_from_panda[3, 1]
    return np.array(
        [
            [width / 2 * clip[0, 0], width / 2 * clip[0, 1], width / 2 * (1 + clip[0, 2])],
            [-height / 2 * clip[1, 0], -height / 2 * clip[1, 1], height / 2 * (1 - clip[1, 2])],
            [0, 0, 1],
        ]
    )


def previous_image_from_eye(before: CameraPose, now: CameraPose) -> Matrix:
    """Eye space of this frame to pixels of the previous one (4, 4): (u z, v z, z, 1) of a static point."""
    projection = np.eye(4)
    projection[:3, :3] = before.image_from_camera
    return projection @ np.linalg.inv(before.world_from_camera) @ now.world_from_camera @ CAMERA_FROM_EYE


def motion_in_eye(now: CameraPose, world_from_object: Matrix, world_from_object_before: Matrix) -> Matrix:
    """Eye space to where the object's points stood one frame earlier, in the same eye space (4, 4)."""
    world_from_eye = now.world_from_camera @ CAMERA_FROM_EYE
    moved_back = world_from_object_before @ np.linalg.inv(world_from_object)
    return np.linalg.inv(world_from_eye) @ moved_back @ world_from_eye


def eye_from_ndc(image_from_camera: Matrix, height: int, width: int) -> Matrix:
    """Normalised device coordinates (x, y, 1, 0) to a direction in eye space (4, 4)."""
    image_from_ndc = np.array([[width / 2, 0, width / 2], [0, -height / 2, height / 2], [0, 0, 1]])
    result = np.eye(4)
    result[:3, :3] = CAMERA_FROM_EYE[:3, :3] @ np.linalg.inv(image_from_camera) @ image_from_ndc
    return result
