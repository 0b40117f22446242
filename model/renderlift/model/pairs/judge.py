"""Whether a propagated clip may be learned from: measured against the engine's own buffers, never against taste.

Everything is read beside the render: a photo may have other light, but its edges, its steadiness and its flat
colours cannot be much worse than what the engine shows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.frame import Array, Channel
from renderlift.model.evaluate.distance import detail, sharpness
from renderlift.model.evaluate.edges import edge_f1, engine_edges, label_fit, picture_edges
from renderlift.model.evaluate.motion import change, flicker
from renderlift.model.evaluate.regions import flat_regions
from renderlift.model.following import follow
from renderlift.model.pairs.trace import traces_to

STEADY_LEVELS = 1.5  # of 255: below this, nobody sees whether a surface changes
FEWEST_REGION_PX = 200
FAINTEST_LEVELS = 0.5  # of 255: mean detail below is the rounding of a flat sky, of which no share can be taken
# What a clip is not kept without, if it has the channels: a clip of which nothing is known has not passed.
_NEEDED = {
    "edges": "the render shows none that the engine knows",
    "sharpness": "the render has no detail",
    "warp": "no surface can be followed",
}
_WITH_EDGES = (Channel.INSTANCE_ID, Channel.DEPTH, Channel.ALBEDO)


@dataclass(frozen=True)
class Limits:
    """How much worse than the render a clip may be. Path-traced clips pass with room to spare (docs/log.md)."""

    edges: float = 0.75  # least edge F1, as a share of the render's
    misplaced_px: float = 0.5  # largest shift of the borders between objects
    sharpness: float = 0.45  # least detail, as a share of the render's
    warp: float = 2.5  # largest change of surface points, as a multiple of the render's
    drift: float = 3.0  # change of surface points from the first frame to the last, as a multiple of the render's
    flicker: float = 6.0  # largest mean brightening or darkening of blocks, levels of 255
    colour_jump: float = 5.0  # largest step of the mean colour that the render does not have, Lab units
    flat_colour: float = 6.0  # largest wandering of a flat region's hue over the clip, Lab units


@dataclass(frozen=True)
class Verdict:
    """What was measured, and what of it is beyond its limit; nothing = keep."""

    measures: Mapping[str, float]
    reasons: Sequence[str]  # e.g. "edges 0.61 < 0.75"

    @property
    def keep(self) -> bool:
        return not self.reasons


# A measure has to stay above its limit; the others below.
_ABOVE = frozenset({"edges", "sharpness"})


def judge(clip: Clip, video: Video, limits: Limits = Limits()) -> Verdict:
    """Measure a video (T, H, W, 3) of a clip and hold it against the limits.

    What needs a channel that the clip lacks (flow, ids, albedo) is left out. Frames that show nothing to measure,
    as an empty sky, do not count; where all are so, that is a reason not to keep the clip.
    """
    frames = [{channel: array[t] for channel, array in clip.channels.items()} for t in range(len(clip))]
    measures = _in_each_frame(frames, video) | _between_frames(clip, frames, video) | _flat_colour(frames, video)
    missing = [name for name in _due(frames) if name not in measures and _is_asked(limits, name)]
    reasons = [f"{name} not measured: {_NEEDED[name]}" for name in missing]
    for name, value in measures.items():
        limit = float(getattr(limits, name))
        if (value < limit) if name in _ABOVE else (value > limit):
            reasons.append(f"{name} {value:.2f} {'<' if name in _ABOVE else '>'} {limit:g}")
    return Verdict(measures, tuple(reasons))


def _is_asked(limits: Limits, name: str) -> bool:
    """Whether a measure could fail its limit at all."""
    limit = float(getattr(limits, name))
    return limit > 0 if name in _ABOVE else limit < math.inf


def _due(frames: Sequence[Mapping[Channel, Array]]) -> list[str]:
    """What can be measured of a clip with these channels, if it shows anything."""
    with_edges = any(channel in frames[0] for channel in _WITH_EDGES)
    followed = len(frames) > 1 and all(Channel.FLOW in channels for channels in frames[1:])
    return ["edges"] * with_edges + ["sharpness"] + ["warp"] * followed


def measure_names() -> list[str]:
    """In the order in which they are told."""
    return [field.name for field in fields(Limits)]


def _in_each_frame(frames: Sequence[Mapping[Channel, Array]], video: Video) -> dict[str, float]:
    """The worst frame's edges, sharpness and placement."""
    edges: list[float] = []
    details: list[float] = []
    shifts: list[float] = []
    for channels, picture in zip(frames, video, strict=True):
        render, reference = channels[Channel.RGB], engine_edges(channels)
        own = edge_f1(picture_edges(render), reference) if reference.any() else 0.0
        if own:
            edges.append(edge_f1(picture_edges(picture), reference) / max(own, 0.05))
        if np.abs(detail(render)).mean() >= FAINTEST_LEVELS:
            details.append(sharpness(picture, render))
        fit = label_fit(picture, render, channels[Channel.INSTANCE_ID]) if Channel.INSTANCE_ID in channels else None
        if fit is not None:
            shifts.append(max(abs(fit.shift_x_px), abs(fit.shift_y_px)))
    measures = {"edges": min(edges, default=None), "sharpness": min(details, default=None)}
    return _measured(**measures, misplaced_px=max(shifts, default=None))


def _between_frames(clip: Clip, frames: Sequence[Mapping[Channel, Array]], video: Video) -> dict[str, float]:
    """The worst step's unsteadiness, flicker and jump of colour."""
    if len(frames) < 2:
        return {}
    steps = range(1, len(frames))
    renders = [channels[Channel.RGB] for channels in frames]
    jumps = [float(np.linalg.norm(_mean_step(video, t) - _mean_step(renders, t))) for t in steps]
    measures = {"colour_jump": max(jumps)}
    if any(Channel.FLOW not in channels for channels in frames[1:]):
        return measures
    warps: list[float] = []
    flickers: list[float] = []
    for t in steps:
        path = follow(frames[t - 1], frames[t])
        if not path.seen.any():
            continue
        own, theirs = change(renders[t - 1], renders[t], path), change(video[t - 1], video[t], path)
        warps.append(theirs.level / max(own.level, STEADY_LEVELS))
        flickers.append(flicker(theirs, own))
    worst = {"warp": max(warps, default=None), "flicker": max(flickers, default=None)}
    return measures | _measured(**worst, drift=_drift(clip, video))


def _measured(**values: float | None) -> dict[str, float]:
    """Without those that no frame told."""
    return {name: value for name, value in values.items() if value is not None}


def _drift(clip: Clip, video: Video) -> float | None:
    """What small steps add up to: anchors that disagree are blended so gently that no step shows it."""
    path = traces_to(clip, 0)[-1]
    if not path.seen.any():
        return None
    render = clip.channels[Channel.RGB]
    own, theirs = (change(pictures[0], pictures[-1], path).level for pictures in (render, video))
    return theirs / max(own, STEADY_LEVELS)


def _mean_step(video: Video | Sequence[Array], t: int) -> Array:
    """(3,): change of the mean colour from the frame before, Lab units."""
    means = [cv2.cvtColor(video[k].astype(np.float32) / 255, cv2.COLOR_RGB2LAB).mean((0, 1)) for k in (t - 1, t)]
    return means[1] - means[0]


def _flat_colour(frames: Sequence[Mapping[Channel, Array]], video: Video) -> dict[str, float]:
    """How far the hue and saturation of flat regions wander over the clip, beyond the render's, by area."""
    wander, weights = [], []
    chroma = [_region_chroma(channels, picture) for channels, picture in zip(frames, video, strict=True)]
    own = [_region_chroma(channels, channels[Channel.RGB]) for channels in frames]
    for label in set.intersection(*(set(regions) for regions in chroma)):
        track = np.array([regions[label][0] for regions in chroma])
        of_render = np.array([regions[label][0] for regions in own])
        wander.append(np.linalg.norm(track - track[0] - (of_render - of_render[0]), axis=1).max())
        weights.append(min(regions[label][1] for regions in chroma))
    return {"flat_colour": float(np.average(wander, weights=weights))} if wander else {}


def _region_chroma(channels: Mapping[Channel, Array], picture: Array) -> dict[int, tuple[Array, int]]:
    """Instance id to mean (a, b) of Lab on its flat parts, and their area in pixels."""
    region = flat_regions(channels)
    if region is None:
        return {}
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[region]
    labels, where = np.unique(channels[Channel.INSTANCE_ID][..., 0][region], return_inverse=True)
    counts = np.bincount(where)
    means = np.stack([np.bincount(where, lab[:, c]) / counts for c in (1, 2)], -1)
    return {int(labels[k]): (means[k], int(counts[k])) for k in np.flatnonzero(counts >= FEWEST_REGION_PX)}
