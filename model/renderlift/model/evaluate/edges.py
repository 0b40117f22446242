"""Whether things still are where the engine put them: edges, and the borders of its labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import Array, Channel
from renderlift.model.evaluate.distance import Picture

Mask = NDArray[np.bool_]  # (H, W)
EDGE_TOLERANCE_PX = 2
DEPTH_STEP = 0.15  # of the logarithm: a border is where the depth changes by this share
VISIBLE_STEP = 16  # levels between two pixels, from which on a border of the render counts as seen
FAINT_STEP = 8  # in the picture: light may soften a border, not wipe it out
_REACH_PX = 3  # how far from a border its step is looked for
_FIT_PX = 1


def picture_edges(picture: Picture) -> Mask:
    """Canny edges of the luma."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    return cv2.Canny(grey, 40, 100) > 0


def engine_edges(channels: Mapping[Channel, Array]) -> Mask:
    """Edges the engine knows of in one frame: `geometry_edges` and painted texture."""
    edges = geometry_edges(channels)
    if Channel.ALBEDO in channels:
        srgb = np.sqrt(channels[Channel.ALBEDO].astype(np.float32) / 255) * 255
        edges |= picture_edges(srgb.astype(np.uint8))
    return edges


def geometry_edges(channels: Mapping[Channel, Array]) -> Mask:
    """Borders of objects and jumps of depth in one frame."""
    edges = np.zeros(channels[Channel.RGB].shape[:2], np.bool_)
    if Channel.INSTANCE_ID in channels:
        edges |= _steps(channels[Channel.INSTANCE_ID][..., 0].astype(np.int64), 0)
    if Channel.DEPTH in channels:
        inverse_depth = 1 / np.maximum(channels[Channel.DEPTH][..., 0], 1e-3)
        edges |= _steps(np.log(np.maximum(inverse_depth, 1e-4)), DEPTH_STEP)
    return edges


def edge_f1(edges: Mask, reference: Mask, *, tolerance_px: int = EDGE_TOLERANCE_PX) -> float:
    """Harmonic mean of precision and recall of `edges` against `reference`, within a tolerance.

    Shadows and highlights are edges the engine does not know, so even a path-traced picture
    stays below 1: read it beside the score of the truth or of the render.
    """
    if not edges.any() or not reference.any():
        return float(edges.any() == reference.any())
    precision = edge_recall(reference, edges, tolerance_px=tolerance_px)
    recall = edge_recall(edges, reference, tolerance_px=tolerance_px)
    return 2 * precision * recall / max(precision + recall, 1e-9)


def edge_recall(edges: Mask, reference: Mask, *, tolerance_px: int = EDGE_TOLERANCE_PX) -> float:
    """The share of `reference` that has one of `edges` within the tolerance; 1 where it is empty."""
    if not reference.any():
        return 1.0
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance_px + 1,) * 2)
    near = cv2.dilate(edges.astype(np.uint8), kernel) > 0
    return float(near[reference].mean())


@dataclass(frozen=True)
class LabelFit:
    """Whether the masks of the render still fit a picture of it."""

    share: float  # of the borders that the render shows: those whose step the picture shows within 1 px
    shift_x_px: float  # median over borders, to the right
    shift_y_px: float  # down


def label_fit(picture: Picture, render: Picture, ids: Array) -> LabelFit | None:
    """Hold the steps of a picture against the borders between ids.

    Only borders count at which the render itself has its step, so that the render scores 1 and a
    border between two things of one colour is nobody's fault. A step that the picture shows further
    away, or hardly at all, does not fit.

    Args:
        ids: (H, W, 1) of one frame.

    Returns:
        None where the render shows no border.
    """
    found = [_border_offsets(picture, render, ids[..., 0], axis) for axis in (1, 0)]
    fits = np.concatenate([fit for fit, _ in found])
    if not fits.size:
        return None
    x, y = (float(np.median(offsets)) if offsets.size else 0.0 for _, offsets in found)
    return LabelFit(float(fits.mean()), x, y)


def _border_offsets(picture: Picture, render: Picture, ids: Array, axis: int) -> tuple[Mask, NDArray[np.float32]]:
    """For each visible border across `axis`: whether it fits; and how far off those are that show, in pixels."""
    if axis == 0:
        picture, render, ids = picture.swapaxes(0, 1), render.swapaxes(0, 1), ids.T
    rows, columns = np.nonzero(ids[:, 1:] != ids[:, :-1])
    inside = (columns >= _REACH_PX) & (columns < ids.shape[1] - 1 - _REACH_PX)
    rows, columns = rows[inside], columns[inside]
    around = columns[:, None] + np.arange(-_REACH_PX, _REACH_PX + 1)
    steps, own = (_contrast(p)[rows[:, None], around] for p in (picture, render))
    seen = (own.argmax(1) == _REACH_PX) & (own[:, _REACH_PX] >= VISIBLE_STEP)
    steps, own = steps[seen], own[seen]
    shown = steps.max(1) >= FAINT_STEP if len(steps) else np.zeros(0, np.bool_)
    fits = shown & (np.abs(steps.argmax(1) - _REACH_PX) <= _FIT_PX) if len(steps) else shown
    return fits, _peak(steps[shown]) - _peak(own[shown])


def _contrast(picture: Picture) -> NDArray[np.float32]:
    """(H, W - 1): the largest change of a colour channel from a pixel to its right neighbour."""
    return np.abs(np.diff(picture.astype(np.float32), axis=1)).max(-1)


def _peak(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where the largest of each row of steps is, to a fraction of a pixel, by a parabola."""
    if not len(steps):
        return np.zeros(0, np.float32)
    at = steps.argmax(1)
    inner = at.clip(1, steps.shape[1] - 2)
    row = np.arange(len(steps))
    left, middle, right = steps[row, inner - 1], steps[row, inner], steps[row, inner + 1]
    bend = left - 2 * middle + right
    fraction = np.where(bend < 0, (left - right) / np.where(bend < 0, 2 * bend, 1), 0)
    return np.where(at == inner, inner + fraction, at).astype(np.float32)


def _steps(values: NDArray[np.int64] | NDArray[np.float32], threshold: float) -> Mask:
    """Pixels whose right or lower neighbour differs by more than `threshold`."""
    edges = np.zeros(values.shape, np.bool_)
    edges[:, :-1] |= np.abs(np.diff(values, axis=1)) > threshold
    edges[:-1] |= np.abs(np.diff(values, axis=0)) > threshold
    return edges
