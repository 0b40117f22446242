"""How well an adapter does on scenes it never saw, through the renderer that its users call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from renderlift.bridge.clip import Render, Video, rendered
from renderlift.bridge.errors import RenderliftError
from renderlift.bridge.frame import Channel
from renderlift.model.evaluate import measure, psnr_db
from renderlift.model.pairs import Pair, read_pair
from renderlift.model.references import PHOTO, picture
from renderlift.model.render import load
from renderlift.model.training.recipe import Recipe
from renderlift.model.training.strip import Picture
from renderlift.model.training.talk import Talk


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
    renders: Mapping[str, Render],
    scenes: Sequence[Path],
    recipe: Recipe,
    talk: Talk,
    *,
    stop: Callable[[], bool],
) -> Result:
    """Render held-out scenes and measure them.

    Scenes are spread over the list, so that a few of many show its variety.
    """
    count = min(len(scenes), recipe.measured_scenes)
    chosen = [scenes[round(i * (len(scenes) - 1) / max(1, count - 1))] for i in range(count)]
    tables: list[list[Row]] = []
    pictures: list[dict[str, Picture]] = []
    names: list[str] = []
    problems: list[str] = []
    for done, scene in enumerate(chosen):
        talk.progress("measuring", done, count)
        if stop():
            break
        try:
            pair = next(iter(read_pair(scene)))
            videos = {name: rendered(render, pair.clip) for name, render in renders.items()}
            tables.append(_rows(pair, videos, recipe))
            pictures.append(_pictures(pair, videos, recipe))
            names.append(scene.name)
        except RenderliftError as problem:
            problems.append(f"{scene.name}: {problem.message}")
    talk.progress("measuring", count, count)
    return Result(tuple(names), _mean(tables), tuple(pictures), tuple(problems))


def adapter_renders(folder: Path, recipe: Recipe, device: str) -> dict[str, Render]:
    """What is compared: the base alone, the adapter, and for photos the adapter with the geometry lock."""
    base: dict[str, Any] = {"base": recipe.base, "device": device} | (
        {"prompt": recipe.prompt} if recipe.prompt else {}
    )
    if recipe.working_pixels:
        base["working_pixels"] = recipe.working_pixels
    renders = {
        "the base alone": load(adapter="none", lock=False, **base),
        "adapter, no lock": load(adapter=str(folder), lock=False, **base),
    }
    return renders | ({"adapter": load(adapter=str(folder), **base)} if recipe.target == PHOTO else {})


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
