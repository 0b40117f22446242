"""What a person wants to see of a dataset: README.md, the card, and contact_sheet.jpg."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from renderlift.bridge.errors import RecordingError, RenderliftError
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import read_frames, summarize
from renderlift.model.pairs.dataset import (
    FIRST_HELD_OUT_SEED,
    Picture,
    pair_folders,
    part_of,
    read_json,
    read_picture,
)
from renderlift.model.pairs.ledger import read_ledger
from renderlift.model.pairs.scene_folder import write_durably, write_picture

SHEET_NAME, CARD_NAME = "contact_sheet.jpg", "README.md"
SHEET_SCENES, SHEET_COLUMNS = 24, 3
THUMB_WIDTH = 256
_CAPTION_PX = 18


def describe(dataset: Path) -> None:
    """Write, or write anew, the card and the contact sheet of a dataset that holds a scene at least.

    Raises:
        RecordingError: there are no scenes, or the disk is full.
    """
    folders = pair_folders(dataset)
    scenes = {folder.name: _facts(folder) for folder in folders}
    chosen = [
        folders[k] for k in np.linspace(0, len(folders) - 1, min(SHEET_SCENES, len(folders))).round().astype(int)
    ]
    write_picture(dataset / SHEET_NAME, contact_sheet(chosen, scenes))
    write_durably(dataset / CARD_NAME, _card(dataset, scenes).encode())


def contact_sheet(folders: Sequence[Path], scenes: dict[str, dict[str, Any]]) -> Picture:
    """The middle frame of each scene and its photo, side by side."""
    tiles = [_tile(folder, str(scenes[folder.name].get("kind", ""))) for folder in folders]
    size = np.max([tile.shape for tile in tiles], axis=0)
    padded = [_grown(tile, size[0], size[1]) for tile in tiles]
    padded += [np.zeros_like(padded[0])] * (-len(padded) % min(SHEET_COLUMNS, len(padded)))
    columns = min(SHEET_COLUMNS, len(padded))
    rows = [np.concatenate(padded[k : k + columns], 1) for k in range(0, len(padded), columns)]
    return np.concatenate(rows)


def middle_pair(folder: Path) -> tuple[Picture, Picture | None]:
    """The engine's picture and the photo of the frame in the middle of those that have one.

    Raises:
        RecordingError: no frames.
    """
    photos = sorted((folder / "truth").glob("*.png"))
    streams = summarize(folder / "render").streams
    if not streams:
        raise RecordingError(f"{folder / 'render'} holds no frames")
    index = int(photos[len(photos) // 2].stem) if photos else (streams[0].first_index + streams[0].last_index) // 2
    frame = next(read_frames(folder / "render", channels=[Channel.RGB], start=index), None)
    if frame is None:
        raise RecordingError(f"{folder / 'render'} lacks frame {index}")
    photo = read_picture(photos[len(photos) // 2], frame.height, frame.width) if photos else None
    return frame.channels[Channel.RGB], photo


def _tile(folder: Path, caption: str) -> Picture:
    try:
        render, photo = middle_pair(folder)
    except RenderliftError:
        render, photo = np.zeros((THUMB_WIDTH // 2, THUMB_WIDTH, 3), np.uint8), None
        caption = "damaged"
    height = max(1, round(render.shape[0] * THUMB_WIDTH / render.shape[1]))
    both = [render, photo if photo is not None else np.zeros_like(render)]
    thumbs = [cv2.resize(half, (THUMB_WIDTH, height), interpolation=cv2.INTER_AREA) for half in both]
    tile = np.zeros((height + _CAPTION_PX, 2 * THUMB_WIDTH + 6, 3), np.uint8)
    tile[:height, : 2 * THUMB_WIDTH] = np.concatenate(thumbs, 1)
    place = (4, height + _CAPTION_PX - 5)
    cv2.putText(tile, f"{folder.name} {caption}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230,) * 3, 1, cv2.LINE_AA)
    return tile


def _grown(tile: Picture, height: int, width: int) -> Picture:
    return np.pad(tile, ((0, height - tile.shape[0]), (0, width - tile.shape[1]), (0, 0)))


def _facts(folder: Path) -> dict[str, Any]:
    """scene.json, where there is one that can be read."""
    try:
        return read_json(folder / "scene.json")
    except RecordingError:
        return {}


def _card(dataset: Path, scenes: dict[str, dict[str, Any]]) -> str:
    ledger = read_ledger(dataset)
    parts = Counter(str(part_of(name)) for name in scenes)
    kinds = Counter((str(part_of(name)), str(facts.get("kind", "unknown"))) for name, facts in scenes.items())
    recipe = ledger.get("recipe")
    lines = [
        f"# {dataset.resolve().name}",
        "",
        f"{len(scenes)} scenes ({ledger.get('kind', 'pairs')}) of what an engine shows and what a camera would "
        f"have seen: {parts['train']} to train on, {parts['held_out']} held out (number {FIRST_HELD_OUT_SEED} "
        "and above: never train on them).",
        "",
        "| folder or file | holds |",
        "|---|---|",
        "| `NNNNNN/render/` | a Renderlift recording: every channel of every frame |",
        "| `NNNNNN/truth/NNNNNN.png` | the photo of the frame with that index, sRGB |",
        "| `NNNNNN/scene.json` | what the scene was made from |",
        f"| `{SHEET_NAME}` | render and photo of up to {SHEET_SCENES} scenes |",
        "",
        "Read it with `renderlift.model.pairs.read_pairs`.",
        "",
        "| part | kind | scenes |",
        "|---|---|---|",
        *(f"| {part} | {kind} | {count} |" for (part, kind), count in sorted(kinds.items())),
    ]
    if isinstance(recipe, dict):
        lines += ["", "| made with | |", "|---|---|", *(f"| {name} | {value} |" for name, value in recipe.items())]
    return "\n".join([*lines, *_rejections(dataset), ""])


def _rejections(dataset: Path) -> list[str]:
    files = sorted((dataset / "rejected").glob("*.json"))
    if not files:
        return []
    reasons = Counter(str(reason).split()[0] for path in files for reason in read_json(path).get("reasons", []))
    return [
        "",
        f"{len(files)} candidates were rejected; `rejected/` says why, each with a picture.",
        "",
        "| reason | candidates |",
        "|---|---|",
        *(f"| {reason} | {count} |" for reason, count in reasons.most_common()),
    ]
