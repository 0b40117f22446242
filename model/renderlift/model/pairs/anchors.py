"""Where anchors come from: a path tracer, a model, or a folder of pictures.

An anchor editor is a renderer that is shown one frame at a time, so any renderer can be one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from renderlift.bridge.clip import Clip, Render, Video, rendered, stack
from renderlift.bridge.errors import RenderError, SetupError
from renderlift.model.pairs.dataset import Picture, read_picture
from renderlift.model.pairs.find import find

PATH_TRACER = "path_tracer"
OUR_PATH_TRACER = "renderlift.engine.pairs:path_tracer"


def edited(editor: Render, clip: Clip, places: Sequence[int]) -> dict[int, Picture]:
    """The editor's picture (H, W, 3) of the frames at these places of the clip.

    Raises:
        RenderError: the editor failed; names the frame.
    """
    return {place: rendered(editor, stack([clip.frames[place]], last=True))[0] for place in places}


def path_tracer(scene: str, **options: Any) -> Render:
    """The path tracer, for recordings of our own scenes; see `renderlift.engine.pairs.path_tracer`.

    Raises:
        SetupError: no such scene, or no path tracer installed.
    """
    trace = find(OUR_PATH_TRACER, "the path tracer")(scene, **options)

    def render(clip: Clip) -> Video:
        return trace(clip.frames)

    return render


def from_folder(folder: Path) -> Render:
    """Pictures that another tool made, e.g. an engine's own path tracer: NNNNNN.png by frame index.

    Raises:
        SetupError: there is no such folder.
    """
    if not folder.is_dir():
        raise SetupError(f"there is no folder of anchors at {folder}")

    def render(clip: Clip) -> Video:
        return np.stack([_picture(folder, frame.index, frame.height, frame.width) for frame in clip.frames])

    return render


def _picture(folder: Path, index: int, height: int, width: int) -> Picture:
    path = folder / f"{index:06d}.png"
    if not path.exists():
        raise RenderError(
            f"there is no anchor {path}",
            fix="Anchors are the first and the last frame of each clip: make those, or change --length.",
        )
    return read_picture(path, height, width)
