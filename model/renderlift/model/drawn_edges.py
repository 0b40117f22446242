"""Edges as line drawings: silhouettes and creases from depth, normals and ids, the texture's own from the render.

For the control `edge` and for adapters that read the same.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import Array, Channel
from renderlift.model.control import resize_frame

EDGE_CHANNELS = (Channel.RGB, Channel.INSTANCE_ID, Channel.DEPTH, Channel.NORMAL)
Differ = Callable[[Array, Array], NDArray[np.bool_]]
DEPTH_STEP = 0.06  # of the nearer side's inverse depth: a bend that is an edge
NEAREST_M = 1e-3  # an engine's near plane lies beyond
NORMAL_STEP = 0.25  # 1 - cosine between neighbouring normals: about 41 degrees


def drawn_edges(channels: Mapping[Channel, Array], height: int, width: int) -> NDArray[np.bool_]:
    """Where edges are, (height, width), by channels (H, W, C): rgb, and what else is there of `EDGE_CHANNELS`.

    Geometry alone leaves the inside of objects empty, which bases fill with plastic.
    """
    rgb = resize_frame(channels[Channel.RGB], height, width)
    edges = cv2.Canny(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), 80, 160) > 0
    for channel, differs in (
        (Channel.INSTANCE_ID, _ids_differ),
        (Channel.DEPTH, _depths_differ),
        (Channel.NORMAL, _normals_differ),
    ):
        if channel in channels:
            edges |= differs(nearest(channels[channel], height, width))
    return edges


def _ids_differ(ids: Array) -> NDArray[np.bool_]:
    return _along_both(lambda a, b: (a != b)[..., 0], ids)


def _depths_differ(depth_m: Array) -> NDArray[np.bool_]:
    # Inverse depth is linear over the picture of any plane, however steep, so only its bends are edges.
    inverse = 1 / np.maximum(depth_m.astype(np.float32)[..., 0], NEAREST_M)
    found = np.zeros(inverse.shape, bool)
    for axis in (0, 1):
        values, marks = np.moveaxis(inverse, axis, 0), np.moveaxis(found, axis, 0)
        bend = np.abs(values[2:] - 2 * values[1:-1] + values[:-2])
        marks[1:-1] |= bend > DEPTH_STEP * np.maximum(np.maximum(values[2:], values[:-2]), values[1:-1])
    return found


def _normals_differ(normal: Array) -> NDArray[np.bool_]:
    def differs(one: Array, other: Array) -> NDArray[np.bool_]:
        product = one * other
        cosine = product[..., 0] + product[..., 1] + product[..., 2]  # as .sum(-1), in an eighth of the time
        return np.asarray(1 - cosine > NORMAL_STEP)

    return _along_both(differs, normal.astype(np.float32))


def _along_both(differ: Differ, values: Array) -> NDArray[np.bool_]:
    """Where a pixel differs from its right or lower neighbour."""
    found = np.zeros(values.shape[:2], bool)
    found[:, :-1] |= differ(values[:, 1:], values[:, :-1])
    found[:-1] |= differ(values[1:], values[:-1])
    return found


def nearest(values: Array, height: int, width: int) -> Array:
    """Sampled, never mixed: (H, W, C) to (height, width, C)."""
    rows = ((np.arange(height) + 0.5) * values.shape[0] / height).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * values.shape[1] / width).astype(np.intp)
    return values[rows].take(columns, axis=1)
