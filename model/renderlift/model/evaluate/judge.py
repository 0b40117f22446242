"""One scene, one way to picture it: every measure, frame by frame, in bounded memory."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from renderlift.bridge.frame import Array, Channel, Frame
from renderlift.model.evaluate import distance, edges, motion, regions
from renderlift.model.evaluate.distance import Picture
from renderlift.model.following import follow

SHORTEST_DRIFT_S = 10.0  # over less, what comes into view decides the slope: 2.5 s of the demo gave 976
_NS = 1e-9


@dataclass(frozen=True)
class Moment:
    """A frame and the picture of it that is judged."""

    frame: Frame
    picture: Picture  # (H, W, 3)
    truth: Picture | None
    first_ids: Array | None  # (H, W, 1) instance ids of the first frame of its clip
    seam: bool = False  # since the frame before, one clip has given way to the next


@dataclass(frozen=True)
class Judged:
    """What a scene scores, and the moment to show of it."""

    values: Mapping[str, float]  # by key of measures.MEASURES; what could not be measured is not there
    frames: int
    shown: Moment | None


def judge(moments: Iterable[Moment], *, show_index: int | None = None) -> Judged:
    """Judge the pictures of one scene.

    Args:
        moments: in order; where indices skip, motion is not measured.
        show_index: the frame to show; None = the one furthest from the truth, or without truth
            the one whose labels fit worst.
    """
    collected: defaultdict[str, list[float]] = defaultdict(list)
    offsets: list[tuple[float, Array]] = []
    before, shown, worst, count = None, None, float("inf"), 0
    for moment in moments:
        values = dict(_facts(before, moment))
        for name, value in values.items():
            collected[name].append(value)
        offsets.append((moment.frame.engine_time_ns * _NS, _colour_offset(moment)))
        score = values.get("psnr_db", values.get("label_fit", 0.0))
        if moment.frame.index == show_index if show_index is not None else score < worst:
            shown, worst = moment, score
        before = moment
        count += 1
    return Judged(dict(_scene_values(collected, offsets)), count, shown)


def _facts(before: Moment | None, moment: Moment) -> Iterator[tuple[str, float]]:
    """Everything measured at one frame, by name; some of it is only summed up at the end of the scene."""
    yield from _against_truth(moment)
    yield from _against_engine(moment)
    if before and before.frame.index + 1 == moment.frame.index and Channel.FLOW in moment.frame.channels:
        yield from _against_before(before, moment)


def _against_truth(moment: Moment) -> Iterator[tuple[str, float]]:
    picture, truth = moment.picture, moment.truth
    if truth is None:
        return
    yield "psnr_db", distance.psnr_db(picture, truth)
    yield "ssim", distance.ssim(picture, truth)
    scales = distance.ms_ssim(picture, truth)
    if scales is not None:
        yield "ms_ssim", scales
    yield "gmsd", distance.gmsd(picture, truth)
    yield "detail_error", distance.detail_error(picture, truth)
    yield "sharpness", distance.sharpness(picture, truth)
    lpips = distance.load_lpips()
    if not isinstance(lpips, str):
        yield "lpips", lpips(picture, truth)
    ids = moment.frame.channels.get(Channel.INSTANCE_ID)
    if moment.first_ids is None or ids is None:
        return
    entered = regions.newcomers(moment.first_ids, ids)
    if entered is not None:
        area = float(entered.sum())
        yield "newcomer_error", area * regions.squared_error(picture, truth, entered)
        yield (
            "newcomer_error_render",
            area * regions.squared_error(moment.frame.channels[Channel.RGB], truth, entered),
        )


def _against_engine(moment: Moment) -> Iterator[tuple[str, float]]:
    channels, picture = moment.frame.channels, moment.picture
    render = channels[Channel.RGB]
    yield "sharpness_render", distance.sharpness(picture, render)
    found, known, borders = (
        edges.picture_edges(picture),
        edges.engine_edges(channels),
        edges.geometry_edges(channels),
    )
    if known.any():  # an engine that knows of no edge has nothing to hold the picture against
        yield "edge_f1", edges.edge_f1(found, known)
    if borders.any():
        yield "border_recall", edges.edge_recall(found, borders)
    if Channel.INSTANCE_ID not in channels:
        return
    fit = edges.label_fit(picture, render, channels[Channel.INSTANCE_ID])
    if fit:
        yield "label_fit", fit.share
        yield "label_shift_x_px", fit.shift_x_px
        yield "label_shift_y_px", fit.shift_y_px
    flat = regions.flat_regions(channels)
    if flat is None:
        return
    yield "flat_texture", regions.texture_on(picture, flat)
    reference = render if moment.truth is None else moment.truth
    colour = regions.colour_distance(picture, reference, channels[Channel.INSTANCE_ID], flat)
    if colour is not None:
        yield "flat_colour", colour


def _against_before(before: Moment, moment: Moment) -> Iterator[tuple[str, float]]:
    earlier, now = before.frame.channels, moment.frame.channels
    path = follow(earlier, now)
    changed = motion.change(before.picture, moment.picture, path)
    own = motion.change(earlier[Channel.RGB], now[Channel.RGB], path)
    yield "warp_error", changed.level
    yield "warp_error_render", own.level
    yield "flicker", motion.flicker(changed, own)
    yield ("seam_step" if moment.seam else "clip_step"), changed.level


def _colour_offset(moment: Moment) -> Array:
    """(3,): mean colour less that of the truth, or of the render where there is none."""
    reference = moment.frame.channels[Channel.RGB] if moment.truth is None else moment.truth
    return moment.picture.mean((0, 1)) - reference.mean((0, 1))


def _scene_values(
    collected: Mapping[str, list[float]], offsets: list[tuple[float, Array]]
) -> Iterator[tuple[str, float]]:
    """Means of the scene, and what only the whole scene tells."""
    means = {name: float(np.mean(values)) for name, values in collected.items()}
    for name in ("label_shift_x_px", "label_shift_y_px"):
        if name in means:
            means[name] = float(np.median(collected[name]))
    if "label_shift_x_px" in means:
        yield "label_shift_px", float(np.hypot(means.pop("label_shift_x_px"), means.pop("label_shift_y_px")))
    seam, within = means.pop("seam_step", None), means.pop("clip_step", None)
    if seam is not None and within:
        yield "seam_ratio", seam / within
    error, own = means.pop("newcomer_error", None), means.pop("newcomer_error_render", None)
    if error and own:
        yield "newcomer_gain_db", 10 * float(np.log10(own / error))
    times_s = np.array([time_s for time_s, _ in offsets])
    if len(times_s) > 1 and np.ptp(times_s) >= SHORTEST_DRIFT_S:
        yield "drift_per_minute", motion.drift_per_minute(times_s, np.stack([offset for _, offset in offsets]))
    yield from means.items()
