"""What is evaluated: the streams of a recording, or the scenes of a dataset of pairs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from renderlift.bridge.clip import Clip, Render, Video, clips
from renderlift.bridge.errors import RecordingError, RenderliftError
from renderlift.bridge.frame import Channel, Frame
from renderlift.bridge.going_on import GoingOn
from renderlift.bridge.join import join_clip
from renderlift.bridge.record import read_frames, summarize
from renderlift.bridge.segment_index import StreamSummary
from renderlift.model.evaluate.judge import Moment
from renderlift.model.pairs import Part, pair_folders, part_of
from renderlift.model.pairs.dataset import read_json, read_picture, truth_files


@dataclass(frozen=True)
class Scene:
    """One stream of frames, and the truth about some of them."""

    name: str
    recording: Path
    engine: str
    session: str
    camera: str
    frames: int
    size: tuple[int, int]  # height, width
    truth: dict[int, Path]  # frame index to picture
    kind: str = ""  # as scene.json names it: room, street, ...

    def read(self) -> Iterator[Frame]:
        """Its frames in order, `frames` at most."""
        ours = (
            frame
            for frame in read_frames(self.recording, session=self.session, camera=self.camera)
            if frame.engine == self.engine
        )
        return islice(ours, self.frames)


@dataclass(frozen=True)
class Choice:
    """Which part of the input is wanted."""

    truth: Path | None = None  # folder of pictures, for a recording
    session: str | None = None
    camera: str | None = None
    part: Part | None = None  # of a dataset; None = held out where there is any
    scenes: int | None = None  # at most
    frames: int | None = None  # of each scene at most


def find_scenes(path: Path, choice: Choice, on_damage: Callable[[RenderliftError], None]) -> list[Scene]:
    """The scenes of a recording or a dataset of pairs.

    Args:
        on_damage: called with what is wrong with a scene of a dataset, which is left out.

    Raises:
        RecordingError: neither is there, or nothing of it is wanted.
    """
    if path.is_dir() and any((folder / "render").is_dir() for folder in path.iterdir()):
        scenes = list(_paired(path, choice, on_damage))
    else:
        scenes = _recorded(path, choice)
    scenes = [scene for scene in scenes if scene.frames]
    if not scenes:
        raise RecordingError(f"{path} holds nothing to evaluate", fix="Name a recording, or a dataset of pairs.")
    return scenes


def trained_on(path: Path, scenes: list[Scene]) -> list[str]:
    """What to say of scenes of a dataset that training is free to use; nothing where there are none."""
    paired = [scene for scene in scenes if scene.recording.parent.parent == path]
    count = sum(part_of(scene.name) is Part.TRAIN for scene in paired)
    if not count:
        return []
    return [f"{count} of {len(scenes)} scenes may have been trained on: no fair test of a model that was."]


def moments(scene: Scene, render: Render, *, length: int, overlap: int) -> Iterator[Moment]:
    """The pictures of a scene as `renderlift enhance` would write them, each beside its frame and the truth.

    Raises:
        RecordingError: a frame or a picture cannot be read.
        RenderError: the renderer failed.
    """
    tail: Video | None = None
    goes_on = False  # the clip before is continued by this one
    going_on = GoingOn(render, overlap=overlap)
    for clip in clips(scene.read(), length=length, overlap=overlap):
        pictures, tail = join_clip(tail, clip, going_on(clip), overlap=overlap)
        tail = None if clip.last else tail
        ids = clip.channels.get(Channel.INSTANCE_ID)
        for place, (frame, picture) in enumerate(zip(clip.frames, pictures, strict=False)):
            truth = scene.truth.get(frame.index)
            yield Moment(
                frame,
                picture,
                read_picture(truth, frame.height, frame.width) if truth else None,
                None if ids is None else ids[0],
                seam=goes_on and place <= clip.shared,
            )
        goes_on = not clip.last


def truth_of(scene: Scene) -> Render:
    """The truth as a renderer; frames without it stay as they are."""

    def show(clip: Clip) -> Video:
        video = clip.channels[Channel.RGB].copy()
        for place, frame in enumerate(clip.frames):
            if frame.index in scene.truth:
                video[place] = read_picture(scene.truth[frame.index], clip.height, clip.width)
        return video

    return show


def _paired(dataset: Path, choice: Choice, on_damage: Callable[[RenderliftError], None]) -> Iterator[Scene]:
    folders = pair_folders(dataset, choice.part or Part.ALL)
    held_out = [folder for folder in folders if part_of(folder.name) is Part.HELD_OUT]
    for folder in (held_out or folders if choice.part is None else folders)[: choice.scenes]:
        try:
            streams = summarize(folder / "render").streams
            if len(streams) != 1:
                raise RecordingError(
                    f"{folder / 'render'} holds {len(streams)} cameras or sessions, a pair has one"
                )
            scene = _scene(folder.name, folder / "render", streams[0], truth_files(folder / "truth"), choice)
            yield replace(scene, kind=_kind(folder / "scene.json"))
        except RecordingError as damage:
            on_damage(damage)


def _kind(path: Path) -> str:
    return str(read_json(path).get("kind", "")) if path.exists() else ""


def _recorded(path: Path, choice: Choice) -> list[Scene]:
    streams = summarize(path).streams
    fitting = [s for s in streams if choice.session in (None, s.session) and choice.camera in (None, s.camera)]
    if choice.truth and len(fitting) != 1:
        raise RecordingError(
            f"{len(fitting)} streams of {path} fit, the pictures in {choice.truth} belong to one",
            fix="Name one with --session and --camera.",
        )
    truth = truth_files(choice.truth) if choice.truth else {}
    if choice.truth and not truth:
        raise RecordingError(
            f"there are no pictures in {choice.truth}", fix="Name each by frame index in six digits: 000000.png"
        )
    several = len(fitting) > 1
    names = [f"{s.session[:8]}-{s.camera}" if several else path.stem for s in fitting]
    return [_scene(name, path, s, truth, choice) for name, s in zip(names, fitting, strict=True)]


def _scene(name: str, recording: Path, stream: StreamSummary, truth: dict[int, Path], choice: Choice) -> Scene:
    frames = stream.frames if choice.frames is None else min(stream.frames, choice.frames)
    size = (stream.height, stream.width)
    return Scene(name, recording, stream.engine, stream.session, stream.camera, frames, size, truth)
