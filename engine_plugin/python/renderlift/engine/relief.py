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
    """(h, w, 2): what the heights gain along u and along v per repeat of the texture, at texel centres."""
    height, width = heights.shape
    along_u = (np.roll(heights, -1, 1) - np.roll(heights, 1, 1)) * (width / 2)
    along_v = (np.roll(heights, -1, 0) - np.roll(heights, 1, 0)) * (height / 2)
    return np.stack([along_u, along_v], -1).astype(np.float32)


def refined(heights: FloatArray, size: int) -> FloatArray:
    """The same heights on (size, size) texels, through Catmull and Rom's curve, whose slopes are those of `slopes`.

    A path tracer that takes the slope of bilinear heights sees a facet per texel; these are too small to see.
    """
    return _refined(_refined(heights, size).T, size).T


def _refined(heights: FloatArray, size: int) -> FloatArray:
    """Along the first axis."""
    at = (np.arange(size) + 0.5) * (len(heights) / size) - 0.5
    first = np.floor(at).astype(int)
    t = (at - first)[:, None]
    weights: tuple[NDArray[np.float64], ...] = (
        t * (-0.5 + t * (1 - 0.5 * t)),
        1 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    )
    parts = (heights[(first + k - 1) % len(heights)] * weight for k, weight in enumerate(weights))
    return np.asarray(sum(parts), np.float32)
