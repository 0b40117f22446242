"""Faithfulness, measured: distance to a path-traced truth, edges, steadiness under motion.

Everything here reads uint8 pictures and the engine's own buffers; no weights, no network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Video
from renderlift.bridge.frame import Array, Channel

Picture = NDArray[np.uint8]  # (H, W, 3) sRGB
Mask = NDArray[np.bool_]  # (H, W)
EDGE_TOLERANCE_PX = 2


def psnr_db(picture: Array, truth: Array) -> float:
    """Peak signal to noise ratio of uint8 arrays of one shape; inf where they are equal."""
    error = np.square(picture.astype(np.float32) - truth.astype(np.float32)).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def picture_edges(picture: Picture) -> Mask:
    """Canny edges of the luma."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    return cv2.Canny(grey, 40, 100) > 0


def engine_edges(channels: Mapping[Channel, Array]) -> Mask:
    """Edges the engine knows of in one frame: object borders, depth jumps and painted texture."""
    height, width = channels[Channel.RGB].shape[:2]
    edges = np.zeros((height, width), np.bool_)
    if Channel.INSTANCE_ID in channels:
        edges |= _steps(channels[Channel.INSTANCE_ID][..., 0].astype(np.int64), 0)
    if Channel.DEPTH in channels:
        inverse_depth = 1 / np.maximum(channels[Channel.DEPTH][..., 0], 1e-3)
        edges |= _steps(np.log(np.maximum(inverse_depth, 1e-4)), 0.15)
    if Channel.ALBEDO in channels:
        srgb = np.sqrt(channels[Channel.ALBEDO].astype(np.float32) / 255) * 255
        edges |= picture_edges(srgb.astype(np.uint8))
    return edges


def edge_f1(edges: Mask, reference: Mask, *, tolerance_px: int = EDGE_TOLERANCE_PX) -> float:
    """Harmonic mean of precision and recall of `edges` against `reference`, within a tolerance.

    Shadows and highlights are edges the engine does not know, so even a path-traced picture
    stays below 1: read it beside the score of the truth or of the render.
    """
    if not edges.any() or not reference.any():
        return float(edges.any() == reference.any())
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance_px + 1,) * 2)
    near_reference = cv2.dilate(reference.astype(np.uint8), kernel) > 0
    near_edges = cv2.dilate(edges.astype(np.uint8), kernel) > 0
    precision, recall = near_reference[edges].mean(), near_edges[reference].mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def warp_error(video: Video, channels: Mapping[Channel, Array]) -> float:
    """Mean absolute change (0..255) of surface points between neighbouring frames.

    Each frame is compared with the one before, moved along the engine's backward flow; pixels
    that show another object or another depth there are left out (they were hidden).

    Args:
        video: (T, H, W, 3).
        channels: of the same clip, (T, H, W, C); needs flow, uses instance ids and depth.
    """
    errors = [_warp_error_at(video, channels, t) for t in range(1, len(video))]
    return float(np.mean(errors)) if errors else 0.0


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


def _steps(values: NDArray[np.int64] | NDArray[np.float32], threshold: float) -> Mask:
    """Pixels whose right or lower neighbour differs by more than `threshold`."""
    edges = np.zeros(values.shape, np.bool_)
    edges[:, :-1] |= np.abs(np.diff(values, axis=1)) > threshold
    edges[:-1] |= np.abs(np.diff(values, axis=0)) > threshold
    return edges


def _warp_error_at(video: Video, channels: Mapping[Channel, Array], t: int) -> float:
    flow = channels[Channel.FLOW][t].astype(np.float32)
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x_before, y_before = x + flow[..., 0], y + flow[..., 1]
    seen = np.isfinite(x_before) & np.isfinite(y_before)
    x_before, y_before = np.where(seen, x_before, -1), np.where(seen, y_before, -1)
    seen &= (x_before >= 0) & (x_before <= width - 1) & (y_before >= 0) & (y_before <= height - 1)
    columns, rows = (
        np.rint(x_before).astype(int).clip(0, width - 1),
        np.rint(y_before).astype(int).clip(0, height - 1),
    )
    if Channel.INSTANCE_ID in channels:
        ids = channels[Channel.INSTANCE_ID][..., 0]
        seen &= ids[t] == ids[t - 1][rows, columns]
    if Channel.DEPTH in channels:
        depth_m = channels[Channel.DEPTH][..., 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            seen &= np.abs(np.log(depth_m[t] / depth_m[t - 1][rows, columns])) < 0.1
    moved = cv2.remap(video[t - 1], x_before, y_before, cv2.INTER_LINEAR)
    change = np.abs(video[t].astype(np.float32) - moved.astype(np.float32)).mean(-1)
    return float(change[seen].mean()) if seen.any() else 0.0


def table(rows: Sequence[Faithfulness]) -> list[tuple[str, str, str, str]]:
    """Rows as text: name, PSNR to truth, edge F1, warp error relative to the render's own."""
    return [
        (
            row.name,
            "-" if row.psnr_db is None else f"{row.psnr_db:.2f} dB",
            f"{row.edge_f1:.3f}",
            f"{row.warp_relative:.2f}x",
        )
        for row in rows
    ]
