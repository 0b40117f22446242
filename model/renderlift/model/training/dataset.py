"""What a dataset holds for a recipe, told from names and indices before anything is decoded."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.errors import RecordingError, SetupError
from renderlift.bridge.frame import Array, Channel
from renderlift.bridge.record import summarize
from renderlift.model.control import resize
from renderlift.model.pairs import Pair, Part, pair_folders, read_pair
from renderlift.model.pairs.dataset import LONGEST_CLIP
from renderlift.model.pairs.video_pairs import NAME as POINTER
from renderlift.model.pairs.video_pairs import read_pointer
from renderlift.model.references import PHOTO
from renderlift.model.training.pictures import can_show, channels_of, picture
from renderlift.model.training.recipe import CONTROL, Recipe

SMALLEST_CROP = 0.6  # share of the sides; smaller ones show too few of the things a scene is made of


@dataclass(frozen=True)
class Scene:
    """One scene that can be trained on."""

    folder: Path
    height: int
    width: int
    windows: int  # stretches of `recipe.frames` frames
    fingerprint: str  # changes when its files do


@dataclass(frozen=True)
class Unfit:
    """Why a scene cannot be trained on, and what to do where none can."""

    reason: str
    fix: str


@dataclass(frozen=True)
class Survey:
    """The scenes of a dataset: what is trained on, what is kept to measure, what cannot be used and why."""

    train: tuple[Scene, ...]
    held_out: tuple[Path, ...]
    left_out: tuple[str, ...]

    @property
    def windows(self) -> int:
        return sum(scene.windows for scene in self.train)


def survey(
    dataset: Path,
    held_out: Path | None,
    recipe: Recipe,
    temporal_ratio: int,
    multiple: int = 1,
    *,
    called: Path | None = None,
) -> Survey:
    """Look at every scene of a dataset, a millisecond each.

    Args:
        dataset: folder of pairs.
        held_out: another one that is measured on; None = the held-out scenes of `dataset`.
        temporal_ratio: frames that the base packs into one latent.
        multiple: of which the base wants heights and widths, where videos bring their own.
        called: what errors call the dataset, where `dataset` is a folder that its user never saw.

    Raises:
        SetupError: the frame count does not suit the base, sizes differ, or no scene can be used.
        RecordingError: no dataset.
    """
    _check_frames(recipe.frames, temporal_ratio)
    folders = pair_folders(dataset, Part.TRAIN, called=called)
    kept = _held_out_folders(dataset, held_out)
    if not kept and len(folders) > 1:
        kept = _spare(folders, recipe.held_out_scenes)
        folders = [folder for folder in folders if folder not in kept]
    scenes: list[Scene] = []
    unfit: dict[str, Unfit] = {}
    for folder in folders:
        _check_videos(folder, temporal_ratio, multiple)
        scene = survey_scene(folder, recipe)
        if isinstance(scene, Scene):
            scenes.append(scene)
        else:
            unfit[folder.name] = scene
    left_out = [f"{name}: {scene.reason}" for name, scene in unfit.items()]
    if not scenes:
        raise SetupError(
            f"none of the {len(folders)} scenes in {called or dataset} can be trained on; {left_out[0]}",
            fix=next(iter(unfit.values())).fix,
        )
    _check_sizes(scenes)
    return Survey(tuple(scenes), tuple(kept), tuple(left_out))


@dataclass(frozen=True)
class Variant:
    """One clip of a scene as pictures: name of the reference or target to (T, h, w, 3) uint8."""

    key: str  # unique in the scene, e.g. "4.0": window from frame 4, variant 0
    pictures: dict[str, Video]


def variants(scene: Scene, recipe: Recipe, sizes: dict[str, tuple[int, int]]) -> Iterator[Variant]:
    """Every clip of a scene in every variant: the whole picture, then seeded crops and mirrors.

    Args:
        sizes: (height, width) to paint each picture at, by name of the reference or target.
    """
    for pair in read_pair(scene.folder, channels=_needed(list(sizes)), length=_held_at_once(recipe)):
        for start in _window_starts(len(pair.clip), recipe.frames):
            places = range(start, start + recipe.frames)
            if not _shows(pair, places, list(sizes)):
                continue
            first = pair.clip.frames[start].index
            for number in range(recipe.variants):
                rng = np.random.default_rng((recipe.seed, int(scene.folder.name), first, number))
                pictures = cut(pair, places, sizes, rng if number else None)
                if number and rng.random() < recipe.recolour:
                    pictures = _recolour(pictures, rng)
                yield Variant(f"{first}.{number}", pictures)


def cut(
    pair: Pair, places: range, sizes: dict[str, tuple[int, int]], rng: np.random.Generator | None
) -> dict[str, Video]:
    """Some frames of a pair as pictures of the given sizes: whole, or with `rng` a crop, at times mirrored."""
    channels = {c: a[places.start : places.stop] for c, a in pair.clip.channels.items()}
    truth = np.stack([pair.truth[p] for p in places]) if all(p in pair.truth for p in places) else None
    if rng is not None:
        height, width = pair.clip.height, pair.clip.width
        share = rng.uniform(SMALLEST_CROP, 1)
        top, left = (int(rng.uniform(0, 1 - share) * side) for side in (height, width))
        rows, columns = slice(top, top + round(share * height)), slice(left, left + round(share * width))
        mirrored = rng.random() < 0.5
        channels = {c: _mirror(c, a[:, rows, columns], mirrored) for c, a in channels.items()}
        truth = _mirror(Channel.RGB, truth[:, rows, columns], mirrored) if truth is not None else None
    clip = Clip(pair.clip.frames[places.start : places.stop], channels)
    shown = {
        name: picture(name, clip, *size)
        for name, size in sizes.items()
        if name != PHOTO and can_show(name, channels)
    }
    if PHOTO in sizes and truth is not None:
        shown[PHOTO] = resize(truth, *sizes[PHOTO])
    return {name: shown[name] for name in sizes if name in shown}


def _recolour(pictures: dict[str, Video], rng: np.random.Generator) -> dict[str, Video]:
    """All that shows colours with the same channels exchanged: another game in another light."""
    order = rng.permutation(3)
    coloured = {PHOTO, "rgb", "albedo", CONTROL + "rgb", CONTROL + "blur"}
    return {
        name: np.ascontiguousarray(video[..., order]) if name in coloured else video
        for name, video in pictures.items()
    }


def _mirror(channel: Channel, values: Array, mirrored: bool) -> Array:
    if not mirrored:
        return values
    flipped = values[:, :, ::-1]
    # A surface that looked left looks right in the mirror.
    return flipped * values.dtype.type([-1, 1, 1]) if channel is Channel.NORMAL else flipped


def _needed(names: Sequence[str]) -> list[Channel]:
    return [channel for name in names for channel in channels_of(name)]


def _shows(pair: Pair, places: range, names: Sequence[str]) -> bool:
    return PHOTO not in names or all(place in pair.truth for place in places)


def _window_starts(length: int, frames: int) -> range:
    """Windows share one frame, so that a scene of 9 frames gives two of 5."""
    return range(0, length - frames + 1, max(1, frames - 1))


@dataclass(frozen=True)
class _Holdings:
    """What a scene has, told from names and indices."""

    channels: Collection[Channel]
    height: int
    width: int
    runs: Sequence[tuple[int, int]]  # first and last index of frames without a gap
    truth: Collection[int]
    are_videos: bool = False


def survey_scene(folder: Path, recipe: Recipe) -> Scene | Unfit:
    """The scene in this folder, or why it cannot be used."""
    names = (*recipe.shown, recipe.target)
    found = _holdings(folder)
    if isinstance(found, Unfit):
        return found
    if lacking := _lacking(found, recipe):
        fix = "Videos hold the picture alone: train on the scenes" if found.are_videos else "Train on recordings"
        return Unfit(lacking, f"{fix} that hold it ({', '.join(names)}).")
    windows = longest = 0
    truth, at_once = set(found.truth), _held_at_once(recipe)
    for first, last in found.runs:
        longest = max(longest, last + 1 - first)
        for chunk in range(first, last + 1, at_once):
            for start in _window_starts(min(at_once, last + 1 - chunk), recipe.frames):
                indices = range(chunk + start, chunk + start + recipe.frames)
                windows += PHOTO not in names or truth.issuperset(indices)
    if windows:
        return Scene(folder, found.height, found.width, windows, _fingerprint(folder))
    lower = "or lower frames (--config)"
    if longest >= recipe.frames:
        reason = f"no {recipe.frames} neighbouring frames have a truth picture each"
        return Unfit(reason, f"Put photos of so many into NNNNNN/truth, {lower}.")
    pairs = f"renderlift pairs FOLDER --seeds 0:200 --frames {recipe.frames}"
    longer = "Cut longer videos" if found.are_videos else f"Make longer scenes, e.g. {pairs}"
    return Unfit(f"its longest run is {longest} frames, a clip needs {recipe.frames}", f"{longer}; {lower}.")


def _lacking(found: _Holdings, recipe: Recipe) -> str:
    """What of the recipe's pictures a scene cannot show; empty where there is enough."""
    shows = "its videos show" if found.are_videos else "its recording has"
    if not can_show(recipe.target, found.channels):
        return f"{shows} no {recipe.target}"
    if not any(can_show(name, found.channels) for name in recipe.shown):
        what = "what is shown" if recipe.control else "the references"
        return f"{shows} none of {what}: {', '.join(recipe.shown)}"
    return ""


def _holdings(folder: Path) -> _Holdings | Unfit:
    if (videos := read_pointer(folder)) is not None:
        facts = videos.facts
        every = range(facts.frames)
        return _Holdings([Channel.RGB], facts.height, facts.width, [(0, facts.frames - 1)], every, True)
    try:
        streams = summarize(folder / "render").streams
    except RecordingError as problem:
        return Unfit(problem.message, problem.fix or "Make the scene again.")
    if len(streams) != 1:
        return Unfit(
            f"{len(streams)} cameras or sessions in one recording, a pair has one",
            "Give each camera and each session a scene of its own.",
        )
    stream = streams[0]
    truth = {int(path.stem) for path in (folder / "truth").glob("[0-9]*.png") if path.stem.isdecimal()}
    return _Holdings(stream.channels, stream.height, stream.width, stream.runs, truth)


def _held_at_once(recipe: Recipe) -> int:
    """Frames of a scene that are in memory together: enough for one clip."""
    return max(LONGEST_CLIP, recipe.frames)


def _fingerprint(folder: Path) -> str:
    stats = [(str(p.relative_to(folder)), p.stat()) for p in sorted(folder.glob("*/*"))]
    facts: list[object] = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    facts += [path.read_bytes() for path in folder.glob(POINTER)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _held_out_folders(dataset: Path, held_out: Path | None) -> list[Path]:
    if held_out is not None:
        return pair_folders(held_out)
    try:
        return pair_folders(dataset, Part.HELD_OUT)
    except RecordingError:
        return []


def _spare(folders: list[Path], count: int) -> list[Path]:
    """Every tenth scene or so, at least one, never all."""
    count = min(count or max(1, len(folders) // 10), len(folders) - 1)
    return [folders[round((i + 0.5) * len(folders) / count - 0.5)] for i in range(count)]


def _check_frames(frames: int, temporal_ratio: int) -> None:
    if (frames - 1) % temporal_ratio:
        below = (frames - 1) // temporal_ratio * temporal_ratio + 1
        raise SetupError(
            f"frames = {frames}: this base packs {temporal_ratio} frames into one, after the first",
            fix=f"Use {below} or {below + temporal_ratio}.",
        )


def _check_videos(folder: Path, temporal_ratio: int, multiple: int) -> None:
    """A pair of videos was cut for a trainer: one that does not fit the base was cut for another."""
    videos = read_pointer(folder)
    if videos is None:
        return
    facts, name = videos.facts, videos.photo
    if (facts.frames - 1) % temporal_ratio:
        fitting = (facts.frames - 1) // temporal_ratio * temporal_ratio + 1
        raise SetupError(
            f"{name} has {facts.frames} frames, and this base wants {temporal_ratio}n + 1",
            fix=f"Cut it and its reference to {fitting}: ffmpeg -i IN.mp4 -frames:v {fitting} OUT.mp4",
        )
    if facts.height % multiple or facts.width % multiple:
        width, height = (max(multiple, side // multiple * multiple) for side in (facts.width, facts.height))
        raise SetupError(
            f"{name} is {facts.width}x{facts.height}, and this base wants multiples of {multiple}",
            fix=f"Scale it and its reference: ffmpeg -i IN.mp4 -vf scale={width}:{height} OUT.mp4",
        )


def _check_sizes(scenes: list[Scene]) -> None:
    first = scenes[0]
    for scene in scenes:
        if (scene.height, scene.width) != (first.height, first.width):
            raise SetupError(
                f"scene {scene.folder.name} is {scene.width}x{scene.height}, "
                f"{first.folder.name} is {first.width}x{first.height}",
                fix="Keep scenes of different sizes in datasets of their own, and train on one after the other.",
            )
