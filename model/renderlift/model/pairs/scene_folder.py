"""Writes scenes so that a dataset holds whole ones only, whatever dies, and no two processes make the same one."""

import json
import os
import shutil
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from renderlift.bridge.errors import RecordingError, RenderError
from renderlift.bridge.frame import Frame
from renderlift.bridge.record import Recorder
from renderlift.model.pairs.dataset import Picture


class Outcome(StrEnum):
    """What became of a scene."""

    MADE = "made"
    THERE = "there"  # before we came
    TAKEN = "taken"  # another process makes it at this moment
    FAILED = "failed"


def write_scene(
    folder: Path, frames: Iterable[Frame], truth: Iterable[tuple[int, Picture]], facts: Mapping[str, Any]
) -> None:
    """Record frames, keep the photo of each frame index, and write scene.json.

    Raises:
        RenderError: no frames, or a photo in another size than its frame.
        RecordingError: a full disk.
    """
    sizes: dict[int, tuple[int, int]] = {}
    with Recorder(folder / "render") as recorder:
        for frame in frames:
            recorder.write(frame)
            sizes[frame.index] = (frame.height, frame.width)
        recorder.flush()
    if not sizes:
        raise RenderError(f"{folder.name} has no frames")
    (folder / "truth").mkdir()
    for index, picture in truth:
        if picture.shape != (*sizes.get(index, (0, 0)), 3) or picture.dtype != np.uint8:
            raise RenderError(
                f"the photo of frame {index} is {picture.dtype} {picture.shape}, its frame {sizes.get(index)}",
                fix="A photo is sRGB, uint8, (H, W, 3), in the size of its frame.",
            )
        write_picture(folder / "truth" / f"{index:06d}.png", picture)
    write_durably(folder / "scene.json", json.dumps(dict(facts), indent=1).encode())


def write_picture(path: Path, picture: Picture) -> None:
    """(H, W, 3) sRGB in the format that the name's ending says."""
    whole, data = cv2.imencode(path.suffix, picture[..., ::-1])
    if not whole:
        raise RecordingError(f"cannot encode {path}")
    write_durably(path, data.tobytes())


def write_durably(path: Path, data: bytes) -> None:
    """Put a file in place at once, and return when a power cut no longer harms it."""
    new = path.with_name(f".{path.name}.new")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise RecordingError(f"cannot write {path}: {error.strerror}", fix="Free some space.") from error


@contextmanager
def under_construction(folder: Path) -> Generator[Path | Outcome]:
    """An empty folder that becomes `folder` when the block ends well; or why there is none to fill.

    It is hidden and locked until then. What a killed process left in it is cleared away.
    """
    part = folder.with_name(f".{folder.name}.part")
    if folder.exists():
        yield Outcome.THERE
        return
    with _locked(part) as ours:
        if not ours:
            yield Outcome.TAKEN
            return
        _clear(part)
        try:
            yield part
        except Exception:
            shutil.rmtree(part, ignore_errors=True)
            raise
        part.rename(folder)


@contextmanager
def _locked(part: Path) -> Generator[bool]:
    """Whether the folder is ours alone. The lock ends with the process, however that ends."""
    try:
        part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"cannot write {part.parent}: {error.strerror}") from error
    if sys.platform == "win32":  # which cannot open folders
        yield True
        return
    import fcntl

    folder = os.open(part, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may have been finished and renamed since we opened it.
            ours = part.exists() and os.path.samestat(os.fstat(folder), part.stat())
        except BlockingIOError:
            ours = False
        yield ours
    finally:
        os.close(folder)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
