"""What the filter of `renderlift pairs --from` is worth: what it keeps against what it rejects, held against truth.

    python benchmarks/pair_filter.py DATASET [--scenes 12]

DATASET holds truth pairs (`renderlift pairs DATASET --seeds 900000:900012`). Of each scene the truth of the first
and the last frame serve as anchors, as they are and spoiled as editors and propagators spoil them. The
frames between have a truth too, which the filter does not see.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from renderlift.bridge.clip import Clip, Video, identity
from renderlift.bridge.frame import Channel
from renderlift.model.evaluate import psnr_db
from renderlift.model.pairs import read_pairs
from renderlift.model.pairs.dataset import Picture
from renderlift.model.pairs.judge import judge
from renderlift.model.pairs.propagate import along_flow

Anchors = Mapping[int, Picture]
Candidate = Callable[[Clip, Anchors], Video]
FLOW = along_flow(identity)


def spoiled(spoil: Callable[[Picture], Picture], *, last_only: bool) -> Candidate:
    """Anchors spoiled, then carried along the flow."""

    def candidate(clip: Clip, anchors: Anchors) -> Video:
        last = max(anchors)
        return FLOW(clip, {k: spoil(p) if k == last or not last_only else p for k, p in anchors.items()})

    return candidate


def tinted(picture: Picture) -> Picture:
    return (picture * np.array([1.12, 1.0, 0.85])).clip(0, 255).astype(np.uint8)


def darker(picture: Picture) -> Picture:
    return (picture * 0.7).astype(np.uint8)


def moved(picture: Picture) -> Picture:
    return np.roll(picture, (2, 3), axis=(0, 1))


def blurred(picture: Picture) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 4), np.uint8)


def invented(picture: Picture) -> Picture:
    """Things that the engine does not know of, in a quarter of the picture."""
    height, width = picture.shape[:2]
    patch = picture[: height // 2, : width // 2][::-1, ::-1]
    result = picture.copy()
    result[height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2] = patch
    return result


def cross_faded(clip: Clip, anchors: Anchors) -> Video:
    """A propagator that knows no motion."""
    first, last = (anchors[k].astype(np.float32) for k in (min(anchors), max(anchors)))
    shares = np.linspace(0, 1, len(clip), dtype=np.float32)[:, None, None, None]
    return (first + (last - first) * shares).round().astype(np.uint8)


def forgotten(clip: Clip, anchors: Anchors) -> Video:
    """A propagator that falls back to the render between the anchors."""
    video = clip.channels[Channel.RGB].copy()
    for place, picture in anchors.items():
        video[place] = picture
    return video


CANDIDATES: dict[str, Candidate] = {
    "anchors as they are": FLOW,
    "last anchor tinted": spoiled(tinted, last_only=True),
    "last anchor darker": spoiled(darker, last_only=True),
    "anchors moved 3 px": spoiled(moved, last_only=False),
    "anchors blurred": spoiled(blurred, last_only=False),
    "last anchor partly invented": spoiled(invented, last_only=True),
    "cross-fade, no motion": cross_faded,
    "render between anchors": forgotten,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--scenes", type=int, default=12)
    chosen = parser.parse_args()
    scores: dict[str, list[tuple[bool, float, float]]] = {name: [] for name in CANDIDATES}
    reasons: dict[str, set[str]] = {name: set() for name in CANDIDATES}
    for number, pair in enumerate(read_pairs(chosen.dataset)):
        if number == chosen.scenes:
            break
        anchors = {place: pair.truth[place] for place in (0, len(pair.clip) - 1)}
        own = between(pair.clip.channels[Channel.RGB], pair.truth)
        for name, candidate in CANDIDATES.items():
            video = candidate(pair.clip, anchors)
            verdict = judge(pair.clip, video)
            scores[name].append((verdict.keep, between(video, pair.truth), own))
            reasons[name].update(reason.split()[0] for reason in verdict.reasons)
    report(scores, reasons)


def between(video: Video, truth: Mapping[int, Picture]) -> float:
    """Mean PSNR in dB of the frames that are no anchors."""
    return float(np.mean([psnr_db(video[t], truth[t]) for t in range(1, len(video) - 1)]))


def report(scores: Mapping[str, list[tuple[bool, float, float]]], reasons: Mapping[str, set[str]]) -> None:
    print("| candidate | kept | PSNR to truth | rejected for |\n|---|---|---|---|")
    for name, rows in scores.items():
        kept = sum(keep for keep, _, _ in rows)
        mean = np.mean([score for _, score, _ in rows])
        print(f"| {name} | {kept}/{len(rows)} | {mean:.2f} dB | {', '.join(sorted(reasons[name])) or '-'} |")
    every = [row for rows in scores.values() for row in rows]
    print("\n| | clips | PSNR to truth | worst |\n|---|---|---|---|")
    groups = {"all": every, "kept": [r for r in every if r[0]], "rejected": [r for r in every if not r[0]]}
    for name, rows in groups.items():
        values = [score for _, score, _ in rows]
        if values:
            print(f"| {name} | {len(values)} | {np.mean(values):.2f} dB | {np.min(values):.2f} dB |")
    print(
        f"| the render | {len(scores['anchors as they are'])} | {np.mean([own for _, _, own in every]):.2f} dB | |"
    )


if __name__ == "__main__":
    main()
