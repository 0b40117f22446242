"""Who is compared: the render itself, renderers with their options, finished videos, and the truth."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import xxhash

from renderlift.bridge.clip import Clip, Render, Video, identity
from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.errors import RecordingError, SetupError
from renderlift.bridge.frame import Array, Channel
from renderlift.model.evaluate.distance import Picture
from renderlift.model.evaluate.scenes import Scene, truth_of
from renderlift.model.pairs.dataset import read_picture, truth_files

LoadRenderer = Callable[[str, Mapping[str, Any]], Render]
ReadVideo = Callable[[Path], Iterator[Picture]]

RENDER, TRUTH = "render", "truth"
_SEMICOLON = re.compile(r";(?=\s*(?:[\w-]+\s*=|$))")  # before another change, or the end; others belong to a value
DROPPABLE = (Channel.ALBEDO, Channel.NORMAL, Channel.DEPTH, Channel.MATERIAL)


@dataclass(frozen=True)
class Subject:
    """One column of the report."""

    name: str
    renderer: str = ""  # as `renderlift enhance --render` takes it; empty = not rendered here
    options: Mapping[str, Any] = field(default_factory=lambda: {})
    dropped: tuple[Channel, ...] = ()  # buffers that the renderer is not shown
    video: Path | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What its pictures depend on, besides the scene."""
        facts: dict[str, object] = {"render": self.renderer, **self.options}
        facts["dropped"] = ", ".join(self.dropped)
        if self.video:
            facts["video"] = (
                f"{self.video} {_stamp(self.video.rglob('*') if self.video.is_dir() else [self.video])}"
            )
        if self.renderer:
            facts["weights"] = _fingerprint(self.renderer, self.options)
        return {name: str(value) for name, value in facts.items() if value != ""}


def also(text: str, main: Subject) -> Subject:
    """The main renderer with something changed, as `--also` says it.

    Args:
        text: "steps=1", "render=my.module:load", "drop=depth+normal", or several such, separated by commas; by
            semicolons where a value has commas: "prompt=a street, wet; steps=1". Weights of controls need none.

    Raises:
        SetupError: not of that form.
    """
    renderer, options, dropped = main.renderer, dict(main.options), main.dropped
    for change in _changes(text):
        name, equals, value = (part.strip() for part in change.partition("="))
        if not (name and equals and value):
            raise SetupError(
                f"--also {text!r}: {change!r} is not NAME=VALUE",
                fix="Write e.g. --also steps=1,lock=no, with semicolons between where a value has commas: "
                '--also "prompt=a street, wet;"',
            )
        if name == "render":
            renderer = value
            options = {}  # another renderer has options of its own
        elif name == "drop":
            dropped = _channels(value)
        else:
            options[name] = _value(value)
    return Subject(text, renderer, options, dropped)


def _changes(text: str) -> list[str]:
    found = _SEMICOLON.split(text)
    if len(found) > 1:
        return found if found[-1].strip() else found[:-1]
    changes: list[str] = []
    for piece in text.split(","):
        of_controls = bool(changes) and changes[-1].partition("=")[0].strip() == "control"
        if of_controls and piece.partition("=")[0].strip() in CONTROLS:
            changes[-1] += f",{piece}"
        else:
            changes.append(piece)
    return changes


def ablations(main: Subject) -> list[Subject]:
    """The main renderer without its lock, averaging or adapter, and with each buffer hidden from it."""
    changed = [
        replace(main, name="no lock", options={**main.options, "lock": False}),
        replace(main, name="not steadied", options={**main.options, "steady": 0.0}),
        replace(main, name="no adapter", options={**main.options, "adapter": "none"}),
    ]
    hidden = [replace(main, name=f"no {channel}", dropped=(channel,)) for channel in DROPPABLE]
    return [*changed, *hidden, replace(main, name="rgb only", dropped=DROPPABLE)]


def films(subject: Subject, load: LoadRenderer, read_video: ReadVideo) -> Callable[[Scene], Render]:
    """What gives the pictures of a subject, scene by scene; a renderer is loaded once.

    Raises:
        SetupError: the renderer cannot be loaded.
    """
    if subject.name == RENDER:
        return lambda _: identity
    if subject.name == TRUTH:
        return truth_of
    if subject.video:
        video = subject.video
        return lambda scene: _shown(_pictures_of(video, scene, read_video), scene)
    render = load(subject.renderer, subject.options)
    if not subject.dropped:
        return lambda _: render

    def without(clip: Clip) -> Video:
        return render(_without(clip, subject.dropped))

    for said in ("clip_size", "remedies"):
        if hasattr(render, said):
            setattr(without, said, getattr(render, said))
    return lambda _: without


def _without(clip: Clip, dropped: Sequence[Channel]) -> Clip:
    def kept(channels: Mapping[Channel, Array]) -> dict[Channel, Array]:
        return {channel: array for channel, array in channels.items() if channel not in dropped}

    frames = tuple(replace(frame, channels=kept(frame.channels)) for frame in clip.frames)
    return replace(clip, frames=frames, channels=kept(clip.channels))


def _pictures_of(path: Path, scene: Scene, read_video: ReadVideo) -> Iterator[Picture]:
    """Pictures in the order of the scene's frames: of PATH, or of PATH/SCENE.mp4 or PATH/SCENE/ for a dataset."""
    if path.is_dir():
        inner = path / scene.name
        candidates = [inner, inner.with_suffix(".mp4"), path]
        path = next((p for p in candidates if p.exists()), path)
    if path.is_dir():
        files = truth_files(path)
        return (read_picture(files[frame.index], *scene.size) for frame in scene.read() if frame.index in files)
    return read_video(path)


def _shown(pictures: Iterator[Picture], scene: Scene) -> Render:
    """A finished video as a renderer: it hands out pictures in order, in the size of the frames."""
    kept: list[Picture] = []

    def show(clip: Clip) -> Video:
        video = kept[len(kept) - clip.shared :]
        for frame in clip.frames[clip.shared :]:
            picture = next(pictures, None)
            if picture is None:
                raise RecordingError(
                    f"the video ends before frame {frame.index} of {scene.name}, which has {scene.frames} frames",
                    fix="Give one picture per frame, or measure fewer: --frames N",
                )
            video.append(_resized(picture, clip.height, clip.width))
        kept[:] = video
        return np.stack(video)

    return show


def _resized(picture: Picture, height: int, width: int) -> Picture:
    if picture.shape[:2] == (height, width):
        return picture
    how = cv2.INTER_AREA if picture.shape[0] > height else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def _channels(text: str) -> tuple[Channel, ...]:
    try:
        channels = tuple(Channel(name.strip()) for name in text.split("+"))
    except ValueError as error:
        names = ", ".join(c for c in Channel if c is not Channel.RGB)
        raise SetupError(f"drop={text}: {error}", fix=f"Name channels: {names}; several with +.") from error
    if Channel.RGB in channels:
        raise SetupError("drop=rgb: a renderer without the engine's picture has nothing to lift")
    return channels


def _value(text: str) -> int | float | bool | str:
    if text.lower() in ("yes", "no", "true", "false"):
        return text.lower() in ("yes", "true")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _fingerprint(renderer: str, options: Mapping[str, Any]) -> str:
    """Changes with the weights that a renderer loads, so that new weights are measured anew.

    Looks at the files and folders among its options, and at `weights/` beside its module.
    """
    from importlib.util import find_spec

    places = [Path(value) for value in options.values() if isinstance(value, str) and value]
    module = "renderlift.model.render" if renderer == "embedded" else renderer.partition(":")[0]
    try:
        found = find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found and found.origin:
        places.append(Path(found.origin).parent / "weights")
    files = [path for path in places if path.is_file()]
    return _stamp([*files, *(file for place in places for file in place.rglob("*.safetensors"))])


def _stamp(files: Iterable[Path]) -> str:
    """Tells one state of some files from another, without reading them."""
    digest = xxhash.xxh3_64()
    for file in sorted(files):
        facts = file.stat()
        digest.update(f"{file}{facts.st_size}{facts.st_mtime_ns}".encode())
    return digest.hexdigest()
