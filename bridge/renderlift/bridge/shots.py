"""Where one shot ends and another begins: nothing may be blended or carried over a cut."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import Channel, Frame

TURN_DEGREES = 35.0  # more between two frames is no pan: at 24 fps it would be 840 degrees a second
LEAST_COSINE = math.cos(math.radians(TURN_DEGREES))
JUMP_SHARE = 0.5  # of the median depth: half the way to what is seen, in one frame
JUMP_M = 10.0  # where there is no depth: a fast aeroplane at 24 fps
PICTURE_SHARE = 0.22  # of full scale: mean change of a small picture
FLAT = 4.0  # of 255: deviation of a picture of one colour
HISTOGRAM_OVERLAP = 0.6  # colours that stay, less is another place


def is_cut(before: Frame, frame: Frame) -> bool:
    """Whether `frame` shows another shot than `before`, of the same stream.

    The engine's camera decides where it tells anything; a camera that stands still in both (or an engine
    that does not know it) leaves it to the picture.
    """
    here, there = frame.camera.world_from_camera, before.camera.world_from_camera
    if not np.array_equal(here, there):
        return _jumps(there, here, before)
    return _looks_cut(before.channels[Channel.RGB], frame.channels[Channel.RGB])


def _jumps(there: NDArray[np.float64], here: NDArray[np.float64], before: Frame) -> bool:
    # The sum of products of two rotations is the trace of the turn between them.
    cosine = (float(np.vdot(here[:3, :3], there[:3, :3])) - 1) / 2
    if cosine < LEAST_COSINE:
        return True
    moved_m = math.dist(here[:3, 3].tolist(), there[:3, 3].tolist())
    return moved_m > _farthest_step_m(before)


def _farthest_step_m(before: Frame) -> float:
    depth_m = before.channels.get(Channel.DEPTH)
    if depth_m is None:
        return JUMP_M
    sampled = depth_m[::8, ::8]
    finite = sampled[np.isfinite(sampled)]
    return JUMP_SHARE * float(np.median(finite)) if finite.size else np.inf


def _looks_cut(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    a, b = (cv2.resize(picture, (32, 18), interpolation=cv2.INTER_AREA) for picture in (before, after))
    if min(a.std(), b.std()) < FLAT:
        return False  # a fade, or a blank screen: nothing in it tells one shot from another
    if np.abs(a.astype(np.int16) - b).mean() < PICTURE_SHARE * 255:
        return False
    return _shared_colours(a, b) < HISTOGRAM_OVERLAP


def _shared_colours(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """Overlap of two 4 x 4 x 4 colour histograms, 0..1."""
    counts = [np.histogramdd(p.reshape(-1, 3), bins=(4, 4, 4), range=((0, 256),) * 3)[0] for p in (a, b)]
    return float(np.minimum(*counts).sum() / counts[0].sum())
