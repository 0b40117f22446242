"""How well an adapter does on scenes it never saw, through the renderer that its users call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from renderlift.bridge.clip import Render, Video, rendered
from renderlift.bridge.errors import RenderliftError
from renderlift.bridge.frame import Channel
from renderlift.model.bases.facts import EMBEDDED
from renderlift.model.evaluate import measure, psnr_db
from renderlift.model.pairs import Pair, read_pair
from renderlift.model.references import PHOTO, picture
from renderlift.model.render import load
from renderlift.model.training.recipe import Recipe
from renderlift.model.training.strip import Picture
from renderlift.model.training.talk import Talk
from renderlift.model.whereabouts import find_base


@dataclass(frozen=True)
class Row:
    """One line of the result table: the mean over all scenes."""

    name: str
    psnr_db: float | None
    edge_f1: float | None
    warp_relative: float | None


@dataclass(frozen=True)
class Result:
    """The table, and a picture row per scene: reference, what came out, what was wanted."""

    scenes: tuple[str, ...]
    rows: tuple[Row, ...]
    pictures: tuple[dict[str, Picture], ...]
    problems: tuple[str, ...]  # scenes that could not be measured, and why


def measure_renders(
    renders: Mapping[str, Callable[[], Render]],
    scenes: Sequence[Path],
    recipe: Recipe,
    talk: Talk,
    *,
    stop: Callable[[], bool],
) -> Result:
    """Render held-out scenes and measure them.

    Scenes are spread over the list, so that a few of many show its variety. One renderer is open at a time: two
    large bases do not fit beside each other.
    """
    count = min(len(scenes), recipe.measured_scenes)
    chosen = [scenes[round(i * (len(scenes) - 1) / max(1, count - 1))] for i in range(count)]
    videos: dict[Path, dict[str, Video]] = {scene: {} for scene in chosen}
    problems: dict[Path, str] = {}
    for opened_before, (name, open_render) in enumerate(renders.items()):
        render = open_render()
        for place, scene in enumerate(chosen):
            talk.progress("measuring", opened_before * count + place, len(renders) * count)
            if stop():
                break
            try:
                videos[scene][name] = rendered(render, _first_pair(scene).clip)
            except RenderliftError as problem:
                problems.setdefault(scene, problem.message)
    talk.progress("measuring", len(renders) * count, len(renders) * count)
    whole = [scene for scene in chosen if videos[scene].keys() == renders.keys()]
    tables: list[list[Row]] = []
    pictures: list[dict[str, Picture]] = []
    for scene in whole:
        pair = _first_pair(scene)
        tables.append(_rows(pair, videos[scene], recipe))
        pictures.append(_pictures(pair, videos[scene], recipe))
    told = tuple(f"{scene.name}: {problem}" for scene, problem in problems.items())
    return Result(tuple(scene.name for scene in whole), _mean(tables), tuple(pictures), told)


def adapter_renders(folder: Path, recipe: Recipe, device: str) -> dict[str, Callable[[], Render]]:
    """What is compared: the base alone and the adapter; of the embedded base also with its lock."""
    asked: dict[str, Any] = {"base": recipe.base, "device": device, "lock": False} | (
        {"prompt": recipe.prompt} if recipe.prompt else {}
    )
    if recipe.working_pixels:
        asked["working_pixels"] = recipe.working_pixels
    if recipe.control:
        asked["control"] = recipe.control
    locks = find_base(recipe.base)[1] is EMBEDDED and recipe.target == PHOTO
    trained = partial(load, adapter=str(folder), **asked)
    return {
        "the base alone": partial(load, adapter="none", **asked),
        "adapter, no lock" if locks else "adapter": trained,
        **({"adapter": partial(trained, lock=True)} if locks else {}),
    }


def _first_pair(scene: Path) -> Pair:
    return next(iter(read_pair(scene)))


def _rows(pair: Pair, videos: dict[str, Video], recipe: Recipe) -> list[Row]:
    if recipe.target == PHOTO:
        measured = measure(videos, pair.clip.channels, pair.truth)
        return [Row(row.name, row.psnr_db, row.edge_f1, row.warp_relative) for row in measured]
    wanted = picture(recipe.target, pair.clip.channels)
    shown = {"render": pair.clip.channels[Channel.RGB], **videos}
    return [Row(name, psnr_db(video, wanted), None, None) for name, video in shown.items()]


def _pictures(pair: Pair, videos: dict[str, Video], recipe: Recipe) -> dict[str, Picture]:
    """The middle frame, or the nearest that has a truth."""
    middle = len(pair.clip) // 2
    if recipe.target == PHOTO and pair.truth:
        middle = min(pair.truth, key=lambda place: abs(place - middle))
    row = {"render": pair.clip.channels[Channel.RGB][middle]}
    row |= {name: video[middle] for name, video in videos.items()}
    if recipe.target != PHOTO:
        row[recipe.target] = picture(recipe.target, pair.clip.channels)[middle]
    elif middle in pair.truth:
        row["truth"] = pair.truth[middle]
    return row


def _mean(tables: Sequence[Sequence[Row]]) -> tuple[Row, ...]:
    if not tables:
        return ()
    return tuple(
        Row(
            rows[0].name,
            _average([row.psnr_db for row in rows]),
            _average([row.edge_f1 for row in rows]),
            _average([row.warp_relative for row in rows]),
        )
        for rows in zip(*tables, strict=True)
    )


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known else None
