"""What `renderlift evaluate` asks for, and what it shows: between the command line and the measures."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from renderlift.bridge.errors import SetupError
from renderlift.model.evaluate.markdown import markdown
from renderlift.model.evaluate.page import html_page
from renderlift.model.evaluate.report import Report, brief_table, full_table, notes
from renderlift.model.evaluate.run import Evaluation, Progress, Remark, evaluate, write
from renderlift.model.evaluate.scenes import Choice
from renderlift.model.evaluate.subjects import RENDER, TRUTH, LoadRenderer, ReadVideo, Subject, ablations, also
from renderlift.model.pairs import Part

COLUMNS = 4  # that a terminal of 80 holds beside the names of the measures


@dataclass(frozen=True)
class Request:
    """The options as typed."""

    input: Path
    output: Path
    render: str | None  # None = the embedded one, unless there are videos
    options: Mapping[str, Any] = field(default_factory=lambda: {})
    typed: tuple[str, ...] = ()  # the same as words, for the command that is shown
    videos: tuple[Path, ...] = ()
    also: tuple[str, ...] = ()
    ablate: bool = False
    truth: Path | None = None
    session: str | None = None
    camera: str | None = None
    part: str | None = None
    scenes: int | None = None
    frames: int | None = None
    length: int | None = None
    overlap: int | None = None
    restart: bool = False
    markdown: Path | None = None


@dataclass(frozen=True)
class Table:
    """For a terminal."""

    event: str
    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    report: Report
    tables: tuple[Table, ...]
    notes: list[str]
    files: dict[str, Path]


def answer(
    request: Request, *, load: LoadRenderer, read_video: ReadVideo, progress: Progress, remark: Remark
) -> Answer:
    """Evaluate, and write the page, the numbers and, where asked for, the Markdown.

    Raises:
        RenderliftError: as `run.evaluate`; or options that do not go together.
    """
    choice = Choice(
        request.truth,
        request.session,
        request.camera,
        Part(request.part) if request.part else None,
        request.scenes,
        request.frames,
    )
    job = Evaluation(
        request.input, request.output, subjects(request), choice, request.length, request.overlap, request.restart
    )
    report = evaluate(job, load=load, read_video=read_video, progress=progress, remark=remark)
    files = {"page": request.output / "index.html", "numbers": request.output / "evaluation.json"}
    write(files["page"], html_page(report, request.output).encode())
    if request.markdown:
        files["markdown"] = request.markdown
        write(request.markdown, markdown(report, command_line(request)).encode())
    return Answer(report, _tables(report), notes(report), files)


def subjects(request: Request) -> tuple[Subject, ...]:
    """Who is compared, the one in question first.

    Raises:
        SetupError: a renderer is to be changed where there is none.
    """
    videos = tuple(Subject(video.name, video=video) for video in request.videos)
    if videos and request.render is None:
        if request.also or request.ablate:
            raise SetupError("--also and --ablate change a renderer", fix="Add --render embedded, or another one.")
        return videos
    main = Subject("lifted", request.render or "embedded", request.options)
    compared = [also(text, main) for text in request.also]
    return (main, *compared, *(ablations(main) if request.ablate else ()), *videos)


def command_line(request: Request) -> str:
    """The command that asks for the same, with names in place of paths."""
    words = ["renderlift", "evaluate", request.input.name]
    words += ["--render", request.render] if request.render else []
    words += request.typed
    words += [word for video in request.videos for word in ("--video", video.name)]
    words += [word for text in request.also for word in ("--also", text)]
    words += ["--ablate"] if request.ablate else []
    words += ["--part", request.part] if request.part else []
    for name, value in (
        ("truth", request.truth and request.truth.name),
        ("scenes", request.scenes),
        ("frames", request.frames),
        ("length", request.length),
        ("overlap", request.overlap),
    ):
        words += [f"--{name}", str(value)] if value is not None else []
    return shlex.join([*words, "--markdown", request.markdown.name if request.markdown else "results.md"])


def _tables(report: Report) -> tuple[Table, ...]:
    names = [subject.name for subject in report.subjects]
    shown = names if len(names) <= COLUMNS else [name for name in (RENDER, report.main, TRUTH) if name in names]
    scenes = f"{len(report.scenes)} scene{'s' * (len(report.scenes) != 1)}"
    title = f"{report.input}: {report.frames} frames of {scenes}, {report.size}"
    tables = [Table("evaluation", title, ("", *shown), full_table(report, shown))]
    if shown != names:
        header, rows = brief_table(report)
        tables.append(Table("comparison", "side by side", header, rows))
    return tuple(tables)
