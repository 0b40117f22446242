"""One look from the first window of a shot to the last: colours keep to what they first were, beside the engine's.

Windows that go on from each other's pictures drift in colour and contrast. But every window has a fresh,
drift-free neighbour: the engine's own pictures. What the first window made of them, as a gain and an offset
per channel, is the anchor; each later window gets one transform that brings it back there. One per
window, never one per frame, which would flicker.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Video
from renderlift.model.frame_by_frame import each_frame

SMALL = (48, 27)  # width, height: colours, not detail, are compared
MOST_GAIN = 1.35  # a correction beyond this is not drift, but another content
MOST_OFFSET = 0.15
LEAST_CORRELATION = 0.5  # below it the two pictures say nothing about each other
SAMPLES = 9  # frames of a window that are looked at
REFITS, AGREEING = 5, 0.6  # each to this share of the samples, and to what differs by rounding alone
LEVEL = 1 / 255
LEAST_PLACES = 64  # of SMALL that must be the renderer's own


@dataclass(frozen=True)
class Look:
    """What a renderer made of the engine's colours: picture = gain * engine + offset, sRGB 0..1."""

    gain: NDArray[np.float64]  # (3,)
    offset: NDArray[np.float64]  # (3,)


def look_of(engine: Video, picture: Video, *, kept: NDArray[np.float32] | None = None) -> Look | None:
    """The look of a window, both (T, H, W, 3); None where the two are unlike.

    Fitted again and again to those samples that agree with it best: a thing that is painted otherwise than all
    else, and comes and goes, would bend the colours of everything as it passes.

    Args:
        kept: (T, H, W), above 0 where the picture has the engine's own pixels in it, which say nothing.
    """
    e, p = _painted(engine, kept), _painted(picture, kept)
    if len(e) < LEAST_PLACES:
        return None
    spread = e.std(0) * p.std(0)
    correlation = ((e - e.mean(0)) * (p - p.mean(0))).mean(0) / np.maximum(spread, 1e-9)
    if (correlation < LEAST_CORRELATION).any():
        return None
    look = _fitted(e, p)
    for _ in range(REFITS):
        off = np.abs(p - look.gain * e - look.offset).max(axis=1)
        agree = off <= max(np.quantile(off, AGREEING), LEVEL)
        if (e[agree].std(0) < e.std(0) / 2).any():
            break  # what agrees is one flat colour, a sky: no slope can be told from it
        look = _fitted(e[agree], p[agree])
    return look


def _fitted(engine: NDArray[np.float64], picture: NDArray[np.float64]) -> Look:
    """The look that gives samples (N, 3) the picture's mean and spread."""
    gain = picture.std(0) / np.maximum(engine.std(0), 1e-6)
    return Look(gain, picture.mean(0) - gain * engine.mean(0))


def held_to(anchor: Look, engine: Video, picture: Video, *, kept: NDArray[np.float32] | None = None) -> Video:
    """A window's pictures (T, H, W, 3) brought to the anchor's look, by one bounded transform per channel.

    Args:
        kept: as in `look_of`.
    """
    now = look_of(engine, picture, kept=kept)
    if now is None:
        return picture
    gain = np.clip(anchor.gain / now.gain, 1 / MOST_GAIN, MOST_GAIN)
    centre = _painted(picture, kept).mean(0)
    wanted = anchor.offset + anchor.gain * (centre - now.offset) / now.gain
    shift = np.clip(wanted - centre, -MOST_OFFSET, MOST_OFFSET)
    levels = np.arange(256)[:, None] / 255
    table = np.rint(((levels - centre) * gain + centre + shift).clip(0, 1) * 255).astype(np.uint8)
    return each_frame(lambda t: np.asarray(cv2.LUT(picture[t], table[None]), np.uint8), len(picture))


def _painted(video: Video, kept: NDArray[np.float32] | None) -> NDArray[np.float64]:
    """Samples (N, 3) of the places that are not kept."""
    samples = _small(video)
    return samples if kept is None else samples[_small(kept)[:, 0] == 0]


def _small(video: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float64]:
    """(T, H, W, C) or (T, H, W) to samples (N, C), of frames spread over it."""
    chosen = np.unique(np.linspace(0, len(video) - 1, SAMPLES).astype(int))
    frames = [cv2.resize(video[t], SMALL, interpolation=cv2.INTER_AREA) for t in chosen]
    return np.stack(frames).reshape(-1, 3 if video.ndim == 4 else 1) / 255
