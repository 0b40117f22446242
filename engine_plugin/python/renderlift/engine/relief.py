"""Heights on a surface, as each renderer wants them: both must see the same normals.

A height map (h, w) repeats over the texture coordinates, rows along v, with texel centres at half
numbers, as every texture here.
"""

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import FloatArray, Material

FLAT = np.zeros((1, 1), np.float32)


def heights_m(material: Material) -> FloatArray:
    """Heights (h, w) in metres; one zero where the material has no relief."""
    if material.relief is None:
        return FLAT
    return np.asarray(material.relief * material.relief_m, np.float32)


def slopes(heights: FloatArray) -> FloatArray:
    """(h, w, 2): what the surface of `refined` gains along u and v per repeat of the texture, at texel centres."""
    height, width = heights.shape
    return np.stack([_slope(heights, 1) * (width / 2), _slope(heights, 0) * (height / 2)], -1).astype(np.float32)


def _slope(heights: FloatArray, axis: int) -> FloatArray:
    across = 1 - axis
    smooth = (np.roll(heights, 1, across) + 4 * heights + np.roll(heights, -1, across)) / 6
    return np.asarray(np.roll(smooth, -1, axis) - np.roll(smooth, 1, axis), np.float32)


def refined(heights: FloatArray, size: int) -> FloatArray:
    """The smooth surface (size, size) that the heights stand for: a uniform cubic B-spline.

    A path tracer that takes the slope of bilinear heights sees a facet per texel; these are too small to see.
    """
    return _refined(_refined(heights, size).T, size).T


def _refined(heights: FloatArray, size: int) -> FloatArray:
    """Along the first axis."""
    at = (np.arange(size) + 0.5) * (len(heights) / size) - 0.5
    first = np.floor(at).astype(int)
    t = (at - first)[:, None]
    weights: tuple[NDArray[np.float64], ...] = (
        (1 - t) ** 3 / 6,
        (4 + t * t * (3 * t - 6)) / 6,
        (1 + 3 * t * (1 + t * (1 - t))) / 6,
        t**3 / 6,
    )
    parts = (heights[(first + k - 1) % len(heights)] * weight for k, weight in enumerate(weights))
    return np.asarray(sum(parts), np.float32)
