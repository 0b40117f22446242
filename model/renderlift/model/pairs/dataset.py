"""Reads a folder of pairs, whoever made it: our scenes, a user's game, another tool.

    DATASET/NNNNNN/render/            a recording: all channels, as the engine showed them
    DATASET/NNNNNN/truth/NNNNNN.png   the photo of the frame with that index; some may be missing
    DATASET/NNNNNN/videos.json        or, in place of both: two videos (video_pairs.py)

NNNNNN is the scene's number. Scenes from FIRST_HELD_OUT_SEED on are never trained on. Names that begin
with a dot are scenes under construction. Other files (scene.json, README.md, ...) are for people.
"""

import json
import re
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Video, clips
from renderlift.bridge.errors import RecordingError, RenderliftError
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import read_frames
from renderlift.model.pairs.video_pairs import read_clips, read_pointer

Picture = NDArray[np.uint8]  # (H, W, 3) sRGB

FORMAT = 1
FIRST_HELD_OUT_SEED = 900_000
LONGEST_CLIP = 33  # frames that a pair holds in memory at most, unless asked otherwise
_NUMBER = re.compile(r"\d{6}")
_PICTURE_NAME = re.compile(r"(\d{6})\.png")
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_LARGEST_PICTURE = 256 << 20  # bytes; a PNG of 8192 x 8192 noise has 200 million
_LARGEST_JSON = 1 << 20


class Part(StrEnum):
    """Which scenes of a dataset: the two parts never share one."""

    ALL = "all"
    TRAIN = "train"
    HELD_OUT = "held_out"


@dataclass(frozen=True)
class Pair:
    """A clip and what a camera would have seen of it."""

    name: str  # of the scene's folder, e.g. "000012"
    clip: Clip  # channels (T, H, W, C)
    truth: Mapping[int, Picture]  # place in the clip, 0 to T - 1, to picture; may be empty

    @property
    def whole(self) -> bool:
        """Every frame has its truth."""
        return len(self.truth) == len(self.clip)

    @property
    def truth_video(self) -> Video:
        """(T, H, W, 3) uint8.

        Raises:
            RecordingError: some frames have no truth; ask `whole` first.
        """
        if not self.whole:
            raise RecordingError(f"scene {self.name} has truth for {len(self.truth)} of {len(self.clip)} frames")
        return np.stack([self.truth[place] for place in range(len(self.clip))])


def part_of(name: str) -> Part:
    """The part that the scene of this number (its folder's name) belongs to."""
    return Part.HELD_OUT if int(name) >= FIRST_HELD_OUT_SEED else Part.TRAIN


def pair_folders(dataset: Path | str, part: Part = Part.ALL, *, called: Path | None = None) -> list[Path]:
    """The scenes of a dataset, in the order of their numbers; nothing of them is read.

    Args:
        called: what an error calls the dataset, where that is not the folder itself.

    Raises:
        RecordingError: no such folder, a format of the future, or no scene of that part in it.
    """
    dataset = Path(dataset)
    if not dataset.is_dir():
        raise RecordingError(f"there is no dataset at {dataset}", fix="Make one: renderlift pairs FOLDER")
    _refuse_future_format(dataset)
    found: list[Path] = []
    for folder in sorted(path for path in dataset.iterdir() if not path.name.startswith(".")):
        if _NUMBER.fullmatch(folder.name) and folder.is_dir():
            found.append(folder)
        elif (folder / "render").is_dir():
            raise RecordingError(
                f"{folder} is a scene, but its name is not a number of six digits",
                fix=f"Number the scenes: 000000, 000001, ...; held-out ones from {FIRST_HELD_OUT_SEED} on.",
            )
    chosen = [folder for folder in found if part in (Part.ALL, part_of(folder.name))]
    if not chosen:
        what = "no scenes" if part is Part.ALL else f"{len(found)} scenes, none of them {part.replace('_', ' ')}"
        raise RecordingError(
            f"{called or dataset} holds {what}",
            fix=f"Scenes are folders named 000000, 000001, ...; those from {FIRST_HELD_OUT_SEED} on are held out.",
        )
    return chosen


def read_pairs(
    dataset: Path | str,
    *,
    part: Part = Part.ALL,
    channels: Collection[Channel] | None = None,
    length: int = LONGEST_CLIP,
    on_damage: Callable[[RenderliftError], None] | None = None,
) -> Iterator[Pair]:
    """The pairs of a dataset, scene by scene, one clip in memory at a time.

    Args:
        part: of the dataset; training takes Part.TRAIN, measuring Part.HELD_OUT.
        channels: only these, and rgb; None = all.
        length: see `read_pair`.
        on_damage: called with what is wrong with a scene, which is then left out from there on;
            without it the error is raised.

    Raises:
        RecordingError: no dataset, no scenes, or (without `on_damage`) a damaged one.
    """
    for folder in pair_folders(dataset, part):
        try:
            yield from read_pair(folder, channels=channels, length=length)
        except RenderliftError as damage:
            if on_damage is None:
                raise
            on_damage(damage)


def read_pair(
    folder: Path | str, *, channels: Collection[Channel] | None = None, length: int = LONGEST_CLIP
) -> Iterator[Pair]:
    """One scene: a single pair as a rule, several where its recording is long or has gaps.

    Args:
        length: frames of a clip at most; a longer recording comes in clips of this length and a rest.

    Raises:
        RecordingError: no recording, several cameras or sessions in it, a picture that is damaged, of
            another size or of a frame that the recording lacks.
    """
    folder = Path(folder)
    if (videos := read_pointer(folder)) is not None:
        for clip, truth in read_clips(videos, length):
            yield Pair(folder.name, clip, truth)
        return
    pictures = truth_files(folder / "truth")
    stream = None
    for clip in clips(read_frames(folder / "render", channels=channels), length=length):
        if stream not in (None, clip.stream):
            raise RecordingError(
                f"{folder / 'render'} holds several cameras or sessions, a pair has one",
                fix="Give each camera and each session a scene of its own.",
            )
        stream = clip.stream
        found = {place: pictures.pop(f.index) for place, f in enumerate(clip.frames) if f.index in pictures}
        yield Pair(folder.name, clip, {p: read_picture(path, clip.height, clip.width) for p, path in found.items()})
    if pictures:
        raise RecordingError(
            f"{next(iter(pictures.values()))} belongs to no frame of {folder / 'render'}",
            fix="Name each picture after the index of its frame; `renderlift info` lists gaps of a recording.",
        )


def read_picture(path: Path, height: int, width: int) -> Picture:
    """An sRGB PNG of a size that is known beforehand.

    Raises:
        RecordingError: not a PNG, damaged, or of another size.
    """
    try:
        if path.stat().st_size > _LARGEST_PICTURE:
            raise RecordingError(f"{path} is too large for a picture of {width}x{height}")
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from error
    # The size stands at the front; a damaged one must not make the decoder claim gigabytes.
    if len(data) < 33 or not data.startswith(_PNG_START):
        raise RecordingError(f"{path} is not a PNG", fix="Write it again, or delete it: truth may be missing.")
    size = struct.unpack(">II", data[16:24])
    if size != (width, height):
        raise RecordingError(
            f"{path} is {size[0]}x{size[1]}, its frame {width}x{height}", fix="Render both at one size."
        )
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None or not data.rstrip(b"\0").endswith(b"IEND\xaeB`\x82"):
        raise RecordingError(f"{path} is damaged", fix="Write it again, or delete it: truth may be missing.")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a dataset.

    Raises:
        RecordingError: not there, too large, or not a JSON object.
    """
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise ValueError("larger than a megabyte")
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise RecordingError(f"cannot read {path}: {error}") from error
    return value


def truth_files(folder: Path) -> dict[int, Path]:
    """Frame index to file, in order."""
    if not folder.is_dir():
        return {}
    names = {path: _PICTURE_NAME.fullmatch(path.name) for path in sorted(folder.glob("*.png"))}
    for path, name in names.items():
        if name is None:
            raise RecordingError(
                f"{path} is not named after a frame", fix="Name it by frame index in six digits: 000000.png"
            )
    return {int(name[1]): path for path, name in names.items() if name}


def _refuse_future_format(dataset: Path) -> None:
    path = dataset / "dataset.json"
    version = read_json(path).get("format") if path.exists() else FORMAT
    if version != FORMAT:
        raise RecordingError(
            f"{path} says format {version}, this renderlift reads {FORMAT}", fix="Update renderlift."
        )


def caption_of(folder: Path) -> str:
    """What a scene's files say of it in words, for bases that read text; empty where they say nothing."""
    if (videos := read_pointer(folder)) is not None:
        return videos.caption
    try:
        facts = read_json(folder / "scene.json")
    except RecordingError:
        return ""
    caption = facts.get("caption", "")
    return caption if isinstance(caption, str) else ""
