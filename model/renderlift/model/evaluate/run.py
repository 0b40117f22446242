"""Evaluate: every subject on every scene, one at a time, resumable after any kill.

A finished scene of a subject is a small JSON file under `results/`, written in one step, with the
settings it depends on; a rerun measures only what is missing or was made with other settings.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import msgspec
import xxhash

from renderlift.bridge.clip import Clip, Render, Video, clip_size
from renderlift.bridge.errors import RecordingError, RenderError, SetupError
from renderlift.bridge.frame import Channel
from renderlift.bridge.remedied import remedies_of
from renderlift.model.evaluate.judge import Moment, judge
from renderlift.model.evaluate.pictures import label_picture
from renderlift.model.evaluate.report import Report, SceneResult, skipped, summed_up
from renderlift.model.evaluate.scenes import Choice, Scene, find_scenes, moments, trained_on
from renderlift.model.evaluate.subjects import RENDER, TRUTH, LoadRenderer, ReadVideo, Subject, films

Progress = Callable[[str, int, int], None]  # subject, frames done, frames in all
Remark = Callable[[str], None]

VERSION = 3  # of the measures: results of another version are measured again
_ENCODED = (cv2.IMWRITE_PNG_COMPRESSION, 3)


@dataclass(frozen=True)
class Evaluation:
    """What is asked for."""

    input: Path  # a recording, or a dataset of pairs
    output: Path  # a folder
    subjects: tuple[Subject, ...]  # the first is the one in question
    choice: Choice = field(default_factory=Choice)
    length: int | None = None  # of clips; None = as the renderer likes it
    overlap: int | None = None
    restart: bool = False


def evaluate(
    job: Evaluation, *, load: LoadRenderer, read_video: ReadVideo, progress: Progress, remark: Remark
) -> Report:
    """Measure all subjects, the render itself and the truth on all scenes.

    Args:
        load: gives the renderer of a name and its options.
        read_video: gives the pictures of a video file.
        progress: called before the first and after each frame of a subject.
        remark: called with what the reader of the figures must know; also kept in the report.

    Returns:
        The report; it is also written to `evaluation.json` in the output folder.

    Raises:
        RecordingError: the input is not there, or no scene of it could be measured.
        SetupError: a renderer cannot be loaded, or two subjects have one name.
        RenderError: a renderer failed; what is finished is kept.
    """
    subjects = (*job.subjects, Subject(RENDER), Subject(TRUTH))
    _refuse_equal_names(subjects)
    left_out: list[str] = []

    def note(text: str) -> None:
        left_out.append(text)
        remark(text)

    scenes = find_scenes(job.input, job.choice, lambda damage: note(f"left out: {damage.message}"))
    remarks = trained_on(job.input, scenes)
    for text in remarks:
        remark(text)
    results: dict[str, dict[str, SceneResult]] = {}
    for subject in subjects:
        shown = {name: result.shown_frame for name, result in results.get(job.subjects[0].name, {}).items()}
        wanted = [s for s in scenes if s.truth] if subject.name == TRUTH else scenes
        results[subject.name] = measured = {
            scene.name: result
            for scene, result in _measured(job, subject, wanted, shown, load, read_video, progress, note)
        }
        # Means over different scenes cannot be compared, so what one lacks all go without.
        scenes = [scene for scene in scenes if scene.name in measured or scene not in wanted]
    for text in _remedied(results):
        remarks.append(text)
        remark(text)
    report = _report(job, scenes, results, left_out, remarks)
    write(job.output / "evaluation.json", msgspec.json.format(msgspec.json.encode(report)))
    return report


def _remedied(results: Mapping[str, Mapping[str, SceneResult]]) -> Iterator[str]:
    """Which scenes were not rendered as was asked for, and why."""
    for subject, scenes in results.items():
        found: dict[str, list[str]] = defaultdict(list)
        for name, result in scenes.items():
            for remedy in result.remedies:
                found[remedy].append(name)
        for remedy, names in found.items():
            yield f"{subject}: from {names[0]} on, {len(names)} of {len(scenes)} scenes rendered with {remedy}"


def write(path: Path, content: bytes) -> None:
    """Put a file in its place in one step.

    Raises:
        RecordingError: the disk is full or failed.
    """
    temporary = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise RecordingError(
            f"cannot write {path}: {error.strerror}",
            fix="Free some space, or write elsewhere; what is finished is kept.",
        ) from error


def picture_path(output: Path, subject: str, scene: str, kind: str = "picture") -> Path:
    """Where the picture to show of a subject and scene is kept; `kind` is "picture" or "labels"."""
    return output / "results" / _slug(subject) / f"{_slug(scene)}.{kind}.png"


def _measured(
    job: Evaluation,
    subject: Subject,
    scenes: list[Scene],
    shown: Mapping[str, int | None],
    load: LoadRenderer,
    read_video: ReadVideo,
    progress: Progress,
    note: Remark,
) -> Iterator[tuple[Scene, SceneResult]]:
    """The results of one subject; its renderer is loaded only if a scene still needs it."""
    if not scenes:  # as of a truth that nobody knows
        return
    film: Callable[[Scene], Render] | None = None
    settings = subject.settings
    total = sum(scene.frames for scene in scenes)
    begun = 0

    def tick(frames: int) -> None:
        progress(subject.name, begun + frames, total)

    tick(0)
    for scene in scenes:
        index = shown.get(scene.name)
        wanted = {**settings, **_scene_settings(job, scene)}
        result = None if job.restart else _stored(job.output, subject.name, scene.name)
        if result is None or result.settings != wanted or index not in (None, result.shown_frame):
            film = film or films(subject, load, read_video)
            try:
                result = _measure(job, subject, scene, film(scene), wanted, index, tick)
            except (RecordingError, RenderError) as error:
                # What a film reads may be damaged too; a renderer that fails is another matter.
                damage = error if isinstance(error, RecordingError) else error.__cause__
                if not isinstance(damage, RecordingError):
                    raise
                if len(scenes) == 1:
                    raise damage from None
                note(f"{scene.name} left out: {damage.message}")
                result = None
        begun += scene.frames
        tick(0)
        if result:
            yield scene, result


def _measure(
    job: Evaluation,
    subject: Subject,
    scene: Scene,
    render: Render,
    settings: dict[str, str],
    index: int | None,
    tick: Callable[[int], None],
) -> SceneResult:
    watch = _Watch(render)
    length, overlap = clip_size(render, job.length, job.overlap)
    found = _counted(moments(scene, watch.render, length=length, overlap=overlap), tick)
    judged = judge(_told(found) if subject.name == TRUTH else found, show_index=index)
    values = dict(judged.values)
    if subject.video:
        values.pop("seam_ratio", None)  # its clips, if any, began elsewhere
    if judged.shown:
        _keep_pictures(job.output, subject.name, scene.name, judged.shown)
    result = SceneResult(
        scene.name,
        judged.frames,
        len(scene.truth),
        settings,
        values,
        judged.shown.frame.index if judged.shown else index,
        watch.seconds if subject.renderer else 0.0,
        scene.kind,
        remedies_of(render),
    )
    write(_result_path(job.output, subject.name, scene.name), msgspec.json.format(msgspec.json.encode(result)))
    return result


class _Watch:
    """A renderer, and how long it took."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self.seconds = 0.0

    def render(self, clip: Clip) -> Video:
        started_s = time.perf_counter()
        video = self._render(clip)
        self.seconds += time.perf_counter() - started_s
        return video


def _counted(found: Iterable[Moment], tick: Callable[[int], None]) -> Iterator[Moment]:
    for count, moment in enumerate(found):
        tick(count)
        yield moment


def _told(found: Iterable[Moment]) -> Iterator[Moment]:
    """Only what the truth is known of."""
    return (moment for moment in found if moment.truth is not None)


def _keep_pictures(output: Path, subject: str, scene: str, shown: Moment) -> None:
    pictures = {"picture": shown.picture}
    if Channel.INSTANCE_ID in shown.frame.channels:
        pictures["labels"] = label_picture(shown.picture, shown.frame.channels[Channel.INSTANCE_ID])
    for kind, picture in pictures.items():
        encoded = cv2.imencode(".png", picture[..., ::-1], _ENCODED)[1]
        write(picture_path(output, subject, scene, kind), encoded.tobytes())


def _report(
    job: Evaluation,
    scenes: list[Scene],
    results: Mapping[str, Mapping[str, SceneResult]],
    left_out: list[str],
    remarks: list[str],
) -> Report:
    names = [scene.name for scene in scenes]
    own = [results[RENDER][name] for name in names]
    order = (RENDER, *(subject.name for subject in job.subjects), TRUTH)
    subjects = [
        summed_up(name, [results[name][scene] for scene in names if scene in results[name]], own)
        for name in order
        if results[name]
    ]
    sizes = dict.fromkeys(f"{scene.size[1]}x{scene.size[0]}" for scene in scenes)
    return Report(
        input=job.input.name,
        main=job.subjects[0].name,
        size=", ".join(sizes),
        frames=sum(result.frames for result in own),
        subjects=subjects,
        skipped=skipped(subjects),
        left_out=left_out,
        remarks=remarks,
    )


def _scene_settings(job: Evaluation, scene: Scene) -> dict[str, str]:
    truth = xxhash.xxh3_64()
    for index, path in scene.truth.items():
        truth.update(f"{index} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    return {
        "measures": str(VERSION),
        "length": str(job.length or "the renderer's"),
        "overlap": str("the renderer's" if job.overlap is None else job.overlap),
        "recording": f"{scene.engine}/{scene.session}/{scene.camera}, {scene.frames} frames",
        "truth": truth.hexdigest(),
    }


def _stored(output: Path, subject: str, scene: str) -> SceneResult | None:
    path = _result_path(output, subject, scene)
    try:
        return msgspec.json.decode(path.read_bytes(), type=SceneResult)
    except (OSError, msgspec.MsgspecError):
        return None


def _result_path(output: Path, subject: str, scene: str) -> Path:
    return output / "results" / _slug(subject) / f"{_slug(scene)}.json"


def _slug(name: str) -> str:
    """A file name; where letters had to go, some of a checksum keeps names apart."""
    plain = re.sub(r"[^\w.=+-]+", "_", name)
    return plain if plain == name else f"{plain}-{xxhash.xxh3_64_hexdigest(name.encode())[:6]}"


def _refuse_equal_names(subjects: Iterable[Subject]) -> None:
    names = [subject.name for subject in subjects]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise SetupError(
            f"{twice[0]!r} is compared with itself", fix="Name each video once, and none of them render or truth."
        )
