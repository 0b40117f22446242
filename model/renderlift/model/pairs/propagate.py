"""Carries anchor pictures over the frames between them, with no more than the engine's flow.

What is carried is not the anchor but its difference to the lifted clip, so that detail stays where the engine
has it and only light and material travel. Where a point shows in no anchor, the difference around it is spread
over it. It is no generative model: what no anchor shows is relit, not painted.
`renderlift.model.bases` has one that paints: a masked video pass of Wan VACE, by the same signature.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Render, Video, rendered
from renderlift.model.following import Trace
from renderlift.model.pairs.dataset import Picture
from renderlift.model.pairs.trace import traces_to

Propagate = Callable[[Clip, Mapping[int, Picture]], Video]
_FEATHER_PX = 1.5
_SPREADS_PX = (3, 9, 27, 81, 243)
_ENOUGH = 0.05  # of a neighbourhood must be known


def along_flow(lift: Render) -> Propagate:
    """The propagator that relights what `lift` makes of a clip towards the anchors.

    Args:
        lift: gives each frame a picture of its own; `identity` is the engine's.
    """

    def propagate(clip: Clip, anchors: Mapping[int, Picture]) -> Video:
        """`anchors`: place in the clip to picture (H, W, 3). Gives (T, H, W, 3) uint8."""
        lifted = rendered(lift, clip).astype(np.float32)
        differences = {place: picture.astype(np.float32) - lifted[place] for place, picture in anchors.items()}
        traces = {place: traces_to(clip, place) for place in anchors}
        video = np.empty_like(lifted, np.uint8)
        for t in range(len(clip)):
            carried = [(differences[place], traces[place][t], _nearness(t, place, anchors)) for place in anchors]
            change = _spread(*_blended([entry for entry in carried if entry[2] > 0]))
            video[t] = np.clip(lifted[t] + change, 0, 255).round()
        for place, picture in anchors.items():
            video[place] = picture
        return video

    return propagate


def _nearness(t: int, place: int, anchors: Mapping[int, Picture]) -> float:
    """An anchor's share in frame t: all of it there, none at the next anchor."""
    if t == place:
        return 1.0
    others = [p for p in anchors if (p - place) * (t - place) > 0]
    if not others:
        return 1.0
    nearest = min(others, key=lambda p: abs(p - place))
    return max(0.0, 1 - abs(t - place) / abs(nearest - place))


def _blended(
    carried: list[tuple[NDArray[np.float32], Trace, float]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean difference (H, W, 3) of the anchors that show a point, and how well it is known (H, W) in [0, 1]."""
    total = np.zeros_like(carried[0][0])
    weight = np.zeros(total.shape[:2], np.float32)
    known = np.zeros_like(weight)
    for difference, trace, nearness in carried:
        soft = cv2.GaussianBlur(trace.seen.astype(np.float32), (0, 0), _FEATHER_PX)
        seen = np.asarray(soft * trace.seen, np.float32)
        total += np.float32(nearness) * seen[..., None] * trace.fetch(difference)
        weight += np.float32(nearness) * seen
        known = np.asarray(np.maximum(known, seen))
    return np.asarray(total / np.maximum(weight, 1e-6)[..., None], np.float32), known


def _spread(change: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """`change` where it is known; elsewhere the mean of the nearest neighbourhood that knows enough."""
    result, missing = change * known[..., None], 1 - known
    for spread in _SPREADS_PX:
        if not missing.any():
            break
        around = cv2.GaussianBlur(known, (0, 0), spread)
        mean = cv2.GaussianBlur(change * known[..., None], (0, 0), spread) / np.maximum(around, 1e-6)[..., None]
        share = missing * np.clip(around / _ENOUGH - 1, 0, 1)
        result = result + share[..., None] * mean
        missing = missing - share
    return np.asarray(result, np.float32)
