"""Parts of a picture that deserve a look of their own: flat colours, and objects that come into view."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import Array, Channel
from renderlift.model.evaluate.distance import Picture, detail
from renderlift.model.evaluate.edges import Mask

FLAT_STEP = 2  # levels of linear albedo within a 7 x 7 window: more is texture
FEWEST_PX = 64  # of a region that is judged


def flat_regions(channels: Mapping[Channel, Array]) -> Mask | None:
    """Pixels around which albedo and object stay the same; None where a channel or such a place is lacking."""
    if Channel.ALBEDO not in channels or Channel.INSTANCE_ID not in channels:
        return None
    window = np.ones((7, 7), np.uint8)
    albedo = channels[Channel.ALBEDO]
    spread = cv2.dilate(albedo, window).astype(np.int16) - cv2.erode(albedo, window)
    ids = channels[Channel.INSTANCE_ID][..., 0].astype(np.float64)
    same = cv2.dilate(ids, window) == cv2.erode(ids, window)
    flat = (spread.max(-1) <= FLAT_STEP) & same & (ids > 0)
    return flat if flat.sum() >= FEWEST_PX else None


def texture_on(picture: Picture, region: Mask) -> float:
    """Mean detail in a region, in levels: on a flat colour it is invented, or the grain of light."""
    return float(np.abs(detail(picture))[region].mean())


def colour_distance(picture: Picture, reference: Picture, ids: Array, region: Mask) -> float | None:
    """How far the hue and saturation of objects are from the reference's, in Lab units; lightness is free.

    Args:
        ids: (H, W, 1).
        region: where colours are compared; the mean of each object there counts by its area.

    Returns:
        None where no object has enough of the region.
    """
    labels, where = np.unique(ids[..., 0][region], return_inverse=True)
    counts = np.bincount(where, minlength=len(labels))
    means = [_mean_chroma(p, region, where, counts) for p in (picture, reference)]
    judged = counts >= FEWEST_PX
    if not judged.any():
        return None
    distances = np.hypot(*(means[0] - means[1]))
    return float(np.average(distances[judged], weights=counts[judged]))


def newcomers(first_ids: Array, ids: Array) -> Mask | None:
    """Pixels (H, W) of objects that the first frame of the clip did not show; None where there are hardly any."""
    entered = ~np.isin(ids[..., 0], np.unique(first_ids)) & (ids[..., 0] > 0)
    return entered if entered.sum() >= FEWEST_PX else None


def squared_error(picture: Picture, truth: Picture, region: Mask) -> float:
    """Mean square of the difference within a region."""
    return float(np.square(picture.astype(np.float32) - truth.astype(np.float32))[region].mean())


def _mean_chroma(picture: Picture, region: Mask, where: Array, counts: Array) -> NDArray[np.float64]:
    """(2, number of objects): mean a and b of Lab."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[region]
    return np.stack([np.bincount(where, lab[:, c], len(counts)) / np.maximum(counts, 1) for c in (1, 2)])
