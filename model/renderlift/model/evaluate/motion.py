"""Whether a picture stays steady: surface points followed from frame to frame along the engine's flow."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Video
from renderlift.bridge.frame import Array, Channel
from renderlift.model.evaluate.distance import Picture
from renderlift.model.following import Mask, Trace, follow

_BLOCK_PX = 32
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ENOUGH = 0.25  # of a block's points must have been followed


@dataclass(frozen=True)
class Change:
    """What a video does to surface points from one frame to the next."""

    level: float  # mean absolute change, 0..255
    blocks: NDArray[np.float32]  # (h, w): mean signed change of the luma per block, NaN = too few points


def change(before: Picture, now: Picture, path: Trace) -> Change:
    """What happens to the followed points between two pictures (H, W, 3)."""
    moved = cv2.remap(before, path.x, path.y, cv2.INTER_LINEAR)
    difference = now.astype(np.float32) - moved.astype(np.float32)
    level = np.abs(difference).mean(-1)[path.seen].mean() if path.seen.any() else 0.0
    return Change(float(level), _block_means(np.asarray(difference @ _LUMA, np.float32), path.seen))


def flicker(video: Change, render: Change) -> float:
    """Mean brightening or darkening of blocks that the render does not have, in levels."""
    difference = np.abs(video.blocks - render.blocks)
    return float(np.nanmean(difference)) if np.isfinite(difference).any() else 0.0


def warp_error(video: Video, channels: Mapping[Channel, Array]) -> float:
    """Mean absolute change (0..255) of surface points between neighbouring frames.

    Each frame is compared with the one before, moved along the engine's backward flow; pixels
    that show another object or another depth there are left out (they were hidden).

    Args:
        video: (T, H, W, 3).
        channels: of the same clip, (T, H, W, C); needs flow, uses instance ids and depth.
    """
    frames = [{channel: array[t] for channel, array in channels.items()} for t in range(len(video))]
    errors = [change(video[t - 1], video[t], follow(frames[t - 1], frames[t])).level for t in range(1, len(video))]
    return float(np.mean(errors)) if errors else 0.0


def drift_per_minute(times_s: Array, offsets: Array) -> float:
    """How fast the mean colour walks away from its reference, in levels per minute.

    Args:
        times_s: (N,), of at least two moments.
        offsets: (N, 3), mean colour less that of the reference.

    Returns:
        The slope of the line through them, of the colour channel where it is steepest.
    """
    centred = times_s - times_s.mean()
    slopes = centred @ (offsets - offsets.mean(0)) / (centred @ centred)
    return float(np.abs(slopes).max() * 60)


def _block_means(values: NDArray[np.float32], seen: Mask) -> NDArray[np.float32]:
    height, width = (max(1, side // _BLOCK_PX) for side in values.shape)
    weight = seen.astype(np.float32)
    share = np.asarray(cv2.resize(weight, (width, height), interpolation=cv2.INTER_AREA))
    total = np.asarray(cv2.resize(values * weight, (width, height), interpolation=cv2.INTER_AREA))
    return np.where(share >= _ENOUGH, total / np.maximum(share, 1e-6), np.nan).astype(np.float32)
