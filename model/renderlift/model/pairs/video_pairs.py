"""A scene that is two videos instead of a recording: what an engine showed, and what a camera would have seen.

    NNNNNN/videos.json   {"render": FILE, "photo": FILE, "caption": "...", ...}

Only the engine's picture is there, so such pairs train adapters that read nothing but rgb.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from renderlift.bridge.clip import Clip, stack
from renderlift.bridge.errors import RecordingError, SetupError
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.video import VideoFacts, read_video, video_facts

NAME = "videos.json"


@dataclass(frozen=True)
class VideoPair:
    """The two videos of a scene, and what is known of them without decoding them."""

    render: Path
    photo: Path
    caption: str
    facts: VideoFacts  # of the photo; the render has as many frames, and is as large or a whole fraction


def match(render: Path, photo: Path, caption: str) -> VideoPair:
    """The two videos as a pair.

    Raises:
        SetupError: they differ in frames or in shape.
        RecordingError: one is not there, or is no video.
    """
    seen, wanted = video_facts(render), video_facts(photo)
    if seen.frames != wanted.frames:
        raise SetupError(
            f"{render} has {seen.frames} frames, and {photo} has {wanted.frames}: a pair has the same frames twice",
            fix=f"Cut both to {min(seen.frames, wanted.frames)}: ffmpeg -i IN.mp4 -frames:v "
            f"{min(seen.frames, wanted.frames)} OUT.mp4",
        )
    factor = wanted.width // seen.width or 1
    if (seen.width * factor, seen.height * factor) != (wanted.width, wanted.height):
        raise SetupError(
            f"{render} is {seen.width}x{seen.height}, and {photo} is {wanted.width}x{wanted.height}",
            fix="Make both of one size, or the render a half or a third of the photo.",
        )
    return VideoPair(render, photo, caption, wanted)


def read_pointer(folder: Path) -> VideoPair | None:
    """The videos of a scene; None if it is not made of videos.

    Raises:
        RecordingError: its file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        facts = VideoFacts(**found["facts"])
        return VideoPair(Path(found["render"]), Path(found["photo"]), found["caption"], facts)
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise RecordingError(f"cannot read {path}: {problem}", fix="Delete its folder.") from problem


def read_clips(pair: VideoPair, length: int) -> Iterator[tuple[Clip, dict[int, np.ndarray[Any, Any]]]]:
    """Clips of `length` frames and a rest, each with its photos by place.

    Raises:
        RecordingError: a video cannot be decoded.
    """
    both = zip(read_video(pair.render), read_video(pair.photo), strict=False)
    start = 0
    while chunk := list(islice(both, length)):
        frames = [_frame(pair, start + place, render) for place, (render, _) in enumerate(chunk)]
        yield stack(frames), {place: photo for place, (_, photo) in enumerate(chunk)}
        start += len(chunk)


def _frame(pair: VideoPair, index: int, render: np.ndarray[Any, Any]) -> Frame:
    size = (pair.facts.width, pair.facts.height)
    if render.shape[:2] != size[::-1]:
        render = cv2.resize(render, size, interpolation=cv2.INTER_LINEAR)
    # Nobody knows where the camera was; what reads a pose does not read these pairs.
    camera = CameraPose(np.eye(4), np.array([[1.0, 0, size[0] / 2], [0, 1.0, size[1] / 2], [0, 0, 1]]))
    time_ns = round(index / pair.facts.fps * 1e9)
    return Frame(index, time_ns, 0, camera, {Channel.RGB: np.asarray(render, np.uint8)}, session="videos")
