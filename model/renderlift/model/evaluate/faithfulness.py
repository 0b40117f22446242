"""The few measures that the demo shows, of whole clips in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from renderlift.bridge.clip import Video
from renderlift.bridge.frame import Array, Channel
from renderlift.model.evaluate.distance import Picture, psnr_db
from renderlift.model.evaluate.edges import Mask, edge_f1, engine_edges, picture_edges
from renderlift.model.evaluate.motion import warp_error


@dataclass(frozen=True)
class Faithfulness:
    """One row of the table: a video against the engine's buffers and the truth. None = there are none."""

    name: str
    psnr_db: float | None
    edge_f1: float | None
    warp_error: float | None
    warp_relative: float | None  # to the render's own


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
    own = warp_error(channels[Channel.RGB], channels) if has_flow else None
    rows: list[Faithfulness] = []
    for name, video in {"render": channels[Channel.RGB], **videos}.items():
        moved = warp_error(video, channels) if has_flow else None
        rows.append(
            Faithfulness(
                name,
                float(np.mean([psnr_db(video[t], picture) for t, picture in truth.items()])) if truth else None,
                _mean_edge_f1(zip(video, reference, strict=True)),
                moved,
                moved / own if moved is not None and own else None,
            )
        )
    return rows


def truth_edge_f1(truth: Mapping[int, Picture], channels: Mapping[Channel, Array]) -> float | None:
    """What the path-traced pictures themselves score: the ceiling for `edge_f1`."""
    return _mean_edge_f1((p, engine_edges({c: a[t] for c, a in channels.items()})) for t, p in truth.items())


def _mean_edge_f1(frames: Iterable[tuple[Picture, Mask]]) -> float | None:
    """Over the frames in which the engine knows of an edge; None where it knows of none."""
    scores = [edge_f1(picture_edges(picture), known) for picture, known in frames if known.any()]
    return float(np.mean(scores)) if scores else None
