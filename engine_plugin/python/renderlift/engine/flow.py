"""Where each pixel's surface point was one frame ago, from poses: exact for rigid things."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import CameraPose

Matrix = NDArray[np.float64]


def backward_flow(
    depth_m: NDArray[np.float32],
    now: CameraPose,
    before: CameraPose,
    moving: Mapping[int, Matrix | None],
    things: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Flow (H, W, 2) in pixels as docs/conventions.md has it.

    Args:
        depth_m: (H, W), +inf for sky.
        moving: of each thing that moved, its pose a frame ago times the inverse of its pose now
            (4, 4), in the world; None if its motion is not known. Others rest.
        things: which of them each pixel shows (H, W).
    """
    height, width = depth_m.shape
    u: Matrix = np.arange(width, dtype=np.float64) + 0.5
    v: Matrix = np.arange(height, dtype=np.float64)[:, None] + 0.5
    # A point and its multiples fall on one pixel, so nearness may stand for depth: sky needs no case of its own.
    nearness: Matrix = 1 / depth_m.astype(np.float64)
    flow = np.empty((height, width, 2), np.float32)

    def fill(rows: slice, columns: slice, moved_back: Matrix, only: NDArray[np.bool_] | None) -> None:
        turn, shift = _image_before_from_image(now, before, moved_back)
        here_u, here_v, near = u[None, columns], v[rows], nearness[rows, columns]
        x, y, z = (turn[i, 0] * here_u + turn[i, 1] * here_v + turn[i, 2] + shift[i] * near for i in range(3))
        z = np.where(z > 0, z, np.nan)  # it was behind the camera
        found = np.stack([x / z - here_u, y / z - here_v], axis=-1)
        flow[rows, columns] = found if only is None else np.where(only[..., None], found, flow[rows, columns])

    fill(slice(None), slice(None), np.eye(4), None)
    for thing, moved_back in moving.items():
        shown = things == thing
        rows, columns = _extent(shown)
        if moved_back is None:
            flow[shown] = np.nan
        elif shown.any():
            fill(rows, columns, moved_back, shown[rows, columns])
    return flow


def _image_before_from_image(now: CameraPose, before: CameraPose, moved_back: Matrix) -> tuple[Matrix, Matrix]:
    """(3, 3) and (3,) of: image before = turn @ (u, v, 1) + shift / depth."""
    moved = np.linalg.inv(before.world_from_camera) @ moved_back @ now.world_from_camera
    turn = before.image_from_camera @ moved[:3, :3] @ np.linalg.inv(now.image_from_camera)
    return turn, before.image_from_camera @ moved[:3, 3]


def _extent(shown: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that hold all that is shown."""
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
