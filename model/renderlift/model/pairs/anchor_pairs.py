"""Makes pairs as RealMaster does: a few good pictures of a recording, carried over the rest, and filtered.

RealMaster (arXiv 2603.23462) edits the first and the last frame of a clip into photos, lets a video model carry
them over the frames between under the geometry of the render, and keeps what passes its filters. Here the editor,
the propagator and the limits of the filter are the caller's; what is rejected leaves its reason and a picture.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from renderlift.bridge.clip import Clip, Render, Video, clips
from renderlift.bridge.errors import RecordingError, RenderError
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import read_frames
from renderlift.model.pairs.anchors import edited
from renderlift.model.pairs.dataset import FIRST_HELD_OUT_SEED, Picture, pair_folders, part_of, read_json
from renderlift.model.pairs.judge import Limits, Verdict, judge
from renderlift.model.pairs.propagate import Propagate
from renderlift.model.pairs.scene_folder import (
    Outcome,
    under_construction,
    write_durably,
    write_picture,
    write_scene,
)

FEWEST_FRAMES = 3  # fewer have nothing between their anchors
LAST_NUMBER = 999_999
REJECTED = "rejected"


class Fate(StrEnum):
    """What became of a clip."""

    KEPT = "kept"
    REJECTED = "rejected"
    THERE = "there"  # kept or rejected by an earlier run, or at work elsewhere
    SHORT = "too short"


@dataclass(frozen=True)
class Source:
    """A recording, and what is known of it."""

    recording: Path
    number: int  # of its first clip's scene
    facts: Mapping[str, Any]  # of the scene.json beside it, if any


@dataclass(frozen=True)
class Candidate:
    """One clip and its fate."""

    name: str  # of its scene, e.g. "000012"
    fate: Fate
    verdict: Verdict | None = None


def sources(path: Path, first_number: int) -> list[Source]:
    """The recordings of a dataset, numbered as its scenes are; or a single recording.

    Raises:
        RecordingError: neither is there.
    """
    if path.is_dir() and not any(path.glob("*.mcap")) and any(path.glob("*/render")):
        return [Source(folder / "render", int(folder.name), _facts(folder)) for folder in pair_folders(path)]
    return [Source(path, first_number, _facts(path.parent))]


def anchor_pairs(
    dataset: Path,
    source: Source,
    editor: Render,
    propagate: Propagate,
    *,
    length: int,
    limits: Limits | None,
    facts: Mapping[str, Any],
) -> Iterator[Candidate]:
    """Cut a recording into clips, give each its anchors, propagate, judge, and keep or reject it.

    A clip that an earlier run kept or rejected is not made again.

    Args:
        editor: makes photos of single frames; it is shown the first and the last of each clip.
        length: frames of a clip at most.
        limits: what to reject; None keeps everything.
        facts: how it is done, for each scene.json.

    Raises:
        RenderError: the editor or the propagator failed.
        RecordingError: a scene of that number was made from another recording, or the disk is full.
    """
    for place, clip in enumerate(clips(read_frames(source.recording), length=length)):
        name = _name(source.number + place)
        first = clip.frames[0]
        own = {"recording": source.recording.name, "session": first.session, "first_index": first.index}
        if len(clip) < FEWEST_FRAMES:
            yield Candidate(name, Fate.SHORT)
        elif _is_done(dataset, name, own):
            yield Candidate(name, Fate.THERE)
        else:
            video = _carried(clip, editor, propagate)
            verdict = judge(clip, video, limits or Limits())
            told = {**own, "frames": len(clip), **facts, "part": part_of(name), "measures": _rounded(verdict)}
            if limits is not None and not verdict.keep:
                _reject(dataset, name, clip, video, {**told, "reasons": list(verdict.reasons)})
                yield Candidate(name, Fate.REJECTED, verdict)
            else:
                yield Candidate(name, _keep(dataset / name, clip, video, told), verdict)


def limits_from(texts: Iterable[str]) -> Limits:
    """Limits with some of them set as `name=value`.

    Raises:
        RecordingError: no such limit, or not a number.
    """
    given: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in Limits.__dataclass_fields__ or not value.replace(".", "", 1).isdecimal():
            raise RecordingError(
                f"{text!r} is not a limit", fix=f"Write NAME=VALUE, of {', '.join(Limits.__dataclass_fields__)}."
            )
        given[name] = float(value)
    return Limits(**given)


def _carried(clip: Clip, editor: Render, propagate: Propagate) -> Video:
    anchors = edited(editor, clip, (0, len(clip) - 1))
    video = propagate(clip, anchors)
    wanted = clip.channels[Channel.RGB].shape
    if video.shape != wanted or video.dtype != np.uint8:
        raise RenderError(f"the propagator returned {video.dtype} {video.shape}, wanted uint8 {wanted}")
    return video


def _keep(folder: Path, clip: Clip, video: Video, facts: Mapping[str, Any]) -> Fate:
    with under_construction(folder) as part:
        if isinstance(part, Outcome):
            return Fate.THERE
        truth = ((frame.index, picture) for frame, picture in zip(clip.frames, video, strict=True))
        write_scene(part, clip.frames, truth, facts)
    return Fate.KEPT


def _reject(dataset: Path, name: str, clip: Clip, video: Video, facts: Mapping[str, Any]) -> None:
    """The picture first, so that a reason always has one."""
    folder = dataset / REJECTED
    folder.mkdir(parents=True, exist_ok=True)
    write_picture(folder / f"{name}.jpg", _strip(clip, video))
    write_durably(folder / f"{name}.json", json.dumps(dict(facts), indent=1).encode())


def _strip(clip: Clip, video: Video) -> Picture:
    """Render above candidate: the first anchor, the middle, the last anchor."""
    places = [0, len(clip) // 2, len(clip) - 1]
    rows = [np.concatenate(list(v[places]), 1) for v in (clip.channels[Channel.RGB], video)]
    both = np.concatenate(rows)
    width = min(both.shape[1], 1344)
    size = (width, round(both.shape[0] * width / both.shape[1]))
    return np.asarray(cv2.resize(both, size, interpolation=cv2.INTER_AREA), np.uint8)


def _is_done(dataset: Path, name: str, own: Mapping[str, Any]) -> bool:
    for path in (dataset / name / "scene.json", dataset / REJECTED / f"{name}.json"):
        if path.exists():
            then = read_json(path)
            if any(then.get(key) != value for key, value in own.items()):
                raise RecordingError(
                    f"scene {name} of {dataset} was made from {then.get('recording')}, not {own['recording']}",
                    fix="Give this recording numbers of its own: --number.",
                )
            return True
    return False


def _name(number: int) -> str:
    if not 0 <= number <= LAST_NUMBER:
        raise RecordingError(
            f"scene numbers end at {LAST_NUMBER}",
            fix=f"Choose a lower --number; those from {FIRST_HELD_OUT_SEED} on are held out.",
        )
    return f"{number:06d}"


def _rounded(verdict: Verdict) -> dict[str, float]:
    return {name: round(value, 4) for name, value in verdict.measures.items()}


def _facts(folder: Path) -> dict[str, Any]:
    return read_json(folder / "scene.json") if (folder / "scene.json").exists() else {}
