"""The report as Markdown, for a repository: docs/results.md is made by it."""

from collections.abc import Iterator, Sequence

from renderlift.model.evaluate.measures import BRIEF, BY_KEY
from renderlift.model.evaluate.report import Report, best, brief_table, full_table, kinds_table, notes
from renderlift.model.evaluate.subjects import RENDER, TRUTH

LEAST_SUBJECTS = 5  # from which on a table of all of them, with few measures, comes second


def markdown(report: Report, command: str) -> str:
    """The page, ending in a newline.

    Args:
        command: that made it, for the reader to repeat.
    """
    parts = (_head(report, command), _tables(report), _kinds(report), _scenes(report), _notes(report))
    return "\n".join(line for part in parts for line in part).rstrip("\n") + "\n"


def _head(report: Report, command: str) -> Iterator[str]:
    scenes = len(report.scenes)
    yield f"# Results on {report.input}\n"
    yield (
        f"{report.frames} frames of {scenes} scene{'s' * (scenes != 1)} at {report.size}; means over the scenes. "
        "What each measure means: [evaluation.md](evaluation.md).\n"
    )
    yield f"```bash\n{command}\n```\n"
    main = report.subject(report.main)
    if main and main.gained is not None:
        yield f"{main.gained} of {scenes} scenes come nearer to the truth than the render is.\n"


def _tables(report: Report) -> Iterator[str]:
    names = [subject.name for subject in report.subjects]
    few = [name for name in names if name in (RENDER, report.main, TRUTH)]
    yield from _table(("", *few), full_table(report, few if len(names) >= LEAST_SUBJECTS else names))
    if len(names) < LEAST_SUBJECTS:
        return
    yield "## Side by side\n"
    header, rows = brief_table(report)
    measures = [BY_KEY[key] for key in BRIEF if any(key in subject.summary for subject in report.subjects)]
    winners = [best(measure, report) for measure in measures]
    marked = [
        (row[0], *(f"**{cell}**" if row[0] in won else cell for cell, won in zip(row[1:], winners, strict=True)))
        for row in rows
    ]
    yield from _table(header, marked)


def _kinds(report: Report) -> Iterator[str]:
    rows = kinds_table(report)
    if rows:
        yield f"## {report.main} by kind of scene\n"
        yield from _table(("kind", "scenes", "PSNR", "gain", "SSIM"), rows)


def _scenes(report: Report) -> Iterator[str]:
    """PSNR of the render and of the subject in question, scene by scene."""
    own, main = report.subject(RENDER), report.subject(report.main)
    if own is None or main is None or "psnr_db" not in main.summary:
        return
    before = {result.scene: result.values.get("psnr_db") for result in own.scenes}
    rows = [
        (result.scene, f"{old:.2f} dB", f"{new:.2f} dB", f"{new - old:+.2f} dB", str(result.frames))
        for result in main.scenes
        if (old := before.get(result.scene)) is not None and (new := result.values.get("psnr_db")) is not None
    ]
    yield "## Scene by scene, PSNR to the truth\n"
    yield from _table(("scene", "render", report.main, "gain", "frames"), rows)


def _notes(report: Report) -> Iterator[str]:
    told = notes(report)
    if told:
        yield "## Notes\n"
        yield from (f"- {note}" for note in told)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
