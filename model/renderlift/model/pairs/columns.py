"""Datasets as ltx-trainer's: a JSON, JSONL or CSV file with the columns video, reference_video and caption.

Read (its older names too) and written, so that pairs made here train there, and the other way round. One column is
ours: `scene`, the number that says whether a pair is held out.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from renderlift.bridge.clip import Video
from renderlift.bridge.errors import RecordingError, SetupError
from renderlift.bridge.frame import Channel
from renderlift.bridge.video import VideoWriter
from renderlift.model.bases.prompts import LOOK, scene_in_words
from renderlift.model.pairs.dataset import Pair, caption_of, pair_folders, read_pair
from renderlift.model.pairs.scene_folder import write_durably
from renderlift.model.pairs.video_pairs import NAME as POINTER
from renderlift.model.pairs.video_pairs import VideoPair, match
from renderlift.model.training.talk import Talk

FILE = "dataset.json"
FILES = (FILE, "dataset.jsonl", "dataset.csv", "metadata.json", "metadata.jsonl", "metadata.csv")
# Ours first; then the trainer's own older ones.
VIDEO = ("video", "media_path")
REFERENCE = ("reference_video", "ref_media_path", "reference_path")
CAPTION = "caption"
SCENE = "scene"
SCENE_NUMBER = re.compile(r"\d{1,6}")  # others may have a column of that name
EXPORTED_FRAMES = 257  # of a video, at most
FPS = 24


def columns_file(dataset: Path) -> Path | None:
    """The file with the columns, where a dataset is one; None where it is a folder of scenes."""
    if dataset.suffix in (".json", ".jsonl", ".csv"):
        return dataset
    found = [dataset / name for name in FILES if (dataset / name).is_file()]
    return next((path for path in found if path.suffix != ".json" or _begins_a_list(path)), None)


def as_scenes(dataset: Path, cache: Path) -> Path:
    """The dataset itself, or where it is rows of videos, a folder of scenes that point at them.

    Args:
        cache: where that folder is made.

    Raises:
        SetupError: a column is missing, or two videos are no pair.
        RecordingError: a file is not there, or is no video.
    """
    file = columns_file(dataset)
    if file is None:
        return dataset
    folder = cache / f"videos-{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]}"
    taken: set[int] = set()
    for place, row in enumerate(read_rows(file)):
        video, reference = (_file_of(file, place, row, names) for names in (VIDEO, REFERENCE))
        said = str(row.get(SCENE) or "")
        number = int(said) if SCENE_NUMBER.fullmatch(said) else place
        while number in taken:
            number += 1
        taken.add(number)
        _write_pointer(folder / f"{number:06d}", match(reference, video, str(row.get(CAPTION) or "")))
    _forget_others(folder, taken)
    return folder


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a file, by what its name ends in.

    Raises:
        RecordingError: it cannot be read, or holds no rows.
    """
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".csv":
            rows: Any = list(csv.DictReader(io.StringIO(text)))
        elif file.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = json.loads(text)
    except (OSError, ValueError) as problem:
        raise RecordingError(f"cannot read {file}: {problem}", fix="Name a JSON, JSONL or CSV file.") from problem
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise RecordingError(f"{file} holds no rows", fix="Write a list of objects, one for each pair of videos.")
    return cast(list[dict[str, Any]], rows)


def export_pairs(dataset: Path, folder: Path, *, talk: Talk) -> int:
    """Write a dataset as videos and a file of columns; gives how many pairs. Going on if some are there.

    The videos keep every pixel as it is. Scenes come as one video for each stretch of frames that have a photo.

    Raises:
        RecordingError: no dataset, a damaged scene, or a full disk.
    """
    folders = pair_folders(dataset)
    rows: list[dict[str, str]] = []
    for done, scene in enumerate(folders):
        talk.progress("exporting", done, len(folders))
        pairs = read_pair(scene, channels=[Channel.RGB], length=EXPORTED_FRAMES)
        for place, (pair, places) in enumerate(part for whole in pairs for part in _whole(whole)):
            name = f"{scene.name}{f'-{place}' if place else ''}.mp4"
            _write(folder / "references" / name, pair.clip.channels[Channel.RGB][places.start : places.stop])
            _write(folder / "videos" / name, [pair.truth[p] for p in places])
            rows.append(
                {
                    CAPTION: _caption(scene, pair),
                    VIDEO[0]: f"videos/{name}",
                    REFERENCE[0]: f"references/{name}",
                    SCENE: scene.name,
                }
            )
    talk.progress("exporting", len(folders), len(folders))
    if not rows:
        raise RecordingError(f"no frame in {dataset} has a photo", fix="Put photos into NNNNNN/truth.")
    write_durably(folder / FILE, (json.dumps(rows, indent=1) + "\n").encode())
    talk.tell("exported", f"{len(rows)} pairs of videos in {folder / FILE}", file=folder / FILE, pairs=len(rows))
    return len(rows)


def _write_pointer(folder: Path, pair: VideoPair) -> None:
    """Make `folder` a scene of these videos; it changes when they do."""
    folder.mkdir(parents=True, exist_ok=True)
    stats = [path.stat() for path in (pair.render, pair.photo)]
    facts = {
        "render": str(pair.render.resolve()),
        "photo": str(pair.photo.resolve()),
        "caption": pair.caption,
        "facts": asdict(pair.facts),
        "changed": [[stat.st_size, stat.st_mtime_ns] for stat in stats],
    }
    data = json.dumps(facts, indent=1).encode()
    if not (folder / POINTER).is_file() or (folder / POINTER).read_bytes() != data:
        write_durably(folder / POINTER, data)


def _whole(pair: Pair) -> Iterator[tuple[Pair, range]]:
    """Stretches of frames that all have a photo."""
    start = None
    for place in range(len(pair.clip) + 1):
        if place in pair.truth:
            start = place if start is None else start
        elif start is not None:
            yield pair, range(start, place)
            start = None


def _write(path: Path, pictures: Sequence[Any] | Video) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}")
    height, width = pictures[0].shape[:2]
    with VideoWriter(new, height, width, FPS, lossless=True) as writer:
        for picture in pictures:
            writer.write(picture)
    new.replace(path)


def _caption(scene: Path, pair: Pair) -> str:
    said = caption_of(scene) or LOOK["lift"]
    return said.replace("{scene}", scene_in_words(pair.clip.frames[0].names))


def _begins_a_list(path: Path) -> bool:
    """Rows; dataset.json of our own folders holds an object."""
    with path.open("rb") as file:
        return file.read(64).lstrip().startswith(b"[")


def _file_of(file: Path, place: int, row: Mapping[str, Any], names: Sequence[str]) -> Path:
    name = next((name for name in names if row.get(name)), None)
    if name is None:
        raise SetupError(
            f"row {place + 1} of {file} has no {names[0]}, but {', '.join(row)}",
            fix=f"Name columns {VIDEO[0]} (what to paint), {REFERENCE[0]} (what the engine showed) and {CAPTION}.",
        )
    path = file.parent / str(row[name]).strip()
    if not path.is_file():
        raise RecordingError(f"row {place + 1} of {file}: no file {path}", fix="Paths are relative to the columns.")
    return path


def _forget_others(folder: Path, numbers: set[int]) -> None:
    """Rows that were there before and are not now."""
    for scene in folder.iterdir():
        if int(scene.name) not in numbers:
            (scene / POINTER).unlink(missing_ok=True)
            scene.rmdir()
