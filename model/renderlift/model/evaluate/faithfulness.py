"""The few measures that the demo shows, of whole clips in memory."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from renderlift.bridge.clip import Video
from renderlift.bridge.frame import Array, Channel
from renderlift.model.evaluate.distance import Picture, psnr_db
from renderlift.model.evaluate.edges import edge_f1, engine_edges, picture_edges
from renderlift.model.evaluate.motion import warp_error


@dataclass(frozen=True)
class Faithfulness:
    """One row of the table: a video against the engine's buffers and, where there is one, the truth."""

    name: str
    psnr_db: float | None
    edge_f1: float
    warp_error: float
    warp_relative: float  # to the render's own


def measure(
    videos: Mapping[str, Video], channels: Mapping[Channel, Array], truth: Mapping[int, Picture]
) -> list[Faithfulness]:
    """Measure several videos of one clip side by side, the render itself first.

    Args:
        videos: name to (T, H, W, 3).
        channels: the clip's channels, (T, H, W, C).
        truth: place in the clip to the path-traced picture; may be empty.
    """
    reference = [engine_edges({c: a[t] for c, a in channels.items()}) for t in range(len(channels[Channel.RGB]))]
    has_flow = Channel.FLOW in channels
    own = warp_error(channels[Channel.RGB], channels) if has_flow else float("nan")
    rows: list[Faithfulness] = []
    for name, video in {"render": channels[Channel.RGB], **videos}.items():
        moved = warp_error(video, channels) if has_flow else float("nan")
        rows.append(
            Faithfulness(
                name,
                float(np.mean([psnr_db(video[t], picture) for t, picture in truth.items()])) if truth else None,
                float(np.mean([edge_f1(picture_edges(p), r) for p, r in zip(video, reference, strict=True)])),
                moved,
                moved / own if own else float("nan"),
            )
        )
    return rows


def truth_edge_f1(truth: Mapping[int, Picture], channels: Mapping[Channel, Array]) -> float:
    """What the path-traced pictures themselves score: the ceiling for `edge_f1`."""
    scores = [
        edge_f1(picture_edges(picture), engine_edges({c: a[t] for c, a in channels.items()}))
        for t, picture in truth.items()
    ]
    return float(np.mean(scores))
