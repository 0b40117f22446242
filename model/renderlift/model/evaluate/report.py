"""What was measured, summed up: the content of evaluation.json."""

from collections.abc import Sequence

import msgspec

from renderlift.model.evaluate.measures import BRIEF, BY_KEY, MEASURES, Measure, why_missing
from renderlift.model.evaluate.subjects import RENDER, TRUTH


class SceneResult(msgspec.Struct, frozen=True):
    """What one subject scores on one scene."""

    scene: str
    frames: int
    truth_frames: int
    settings: dict[str, str]  # what it depends on; a rerun measures again where they differ
    values: dict[str, float]
    shown_frame: int | None = None
    render_seconds: float = 0.0
    kind: str = ""  # of the scene
    remedies: tuple[str, ...] = ()  # what the renderer had done by then to go on, see bridge.remedied


class SubjectReport(msgspec.Struct, frozen=True):
    """What one subject scores on all of them."""

    name: str
    settings: dict[str, str]
    summary: dict[str, float]  # mean over the scenes that have the measure
    scenes: list[SceneResult]
    gained: int | None = None  # scenes nearer to the truth than the render is


class Report(msgspec.Struct, frozen=True):
    """One evaluation: the render first, then whom it is about, others, and the truth last."""

    input: str  # name of the recording or dataset
    main: str  # name of the subject in question
    size: str
    frames: int
    subjects: list[SubjectReport]
    skipped: dict[str, str]  # measures that nobody has, with the reason
    left_out: list[str]  # scenes that could not be measured, each with its reason
    remarks: list[str]

    def subject(self, name: str) -> SubjectReport | None:
        return next((subject for subject in self.subjects if subject.name == name), None)

    @property
    def scenes(self) -> list[str]:
        return [result.scene for result in self.subjects[0].scenes]


def summed_up(name: str, results: Sequence[SceneResult], own: Sequence[SceneResult]) -> SubjectReport:
    """The summary of one subject, beside what the render itself scores on the same scenes.

    Ratios are those of the means, so that a scene in which nothing moves does not decide them.
    """
    values = {m.key: _mean(results, m.key) for m in MEASURES}
    psnr, psnr_own = values["psnr_db"], _mean(own, "psnr_db")
    if psnr is not None and psnr_own is not None:
        values["psnr_gain_db"] = psnr - psnr_own
    warp, warp_own = values["warp_error"], _mean(results, "warp_error_render")
    if warp is not None and warp_own:
        values["warp_relative"] = warp / warp_own
    seconds = sum(result.render_seconds for result in results)
    if seconds:
        values["fps"] = sum(result.frames for result in results) / seconds
    if name == TRUTH:
        values = {key: value for key, value in values.items() if not BY_KEY[key].about_truth}
    if name == RENDER:
        values = {key: value for key, value in values.items() if key not in ("psnr_gain_db", "newcomer_gain_db")}
    summary = {key: value for key, value in values.items() if value is not None}
    return SubjectReport(
        name, results[0].settings if results else {}, summary, list(results), _gained(results, own)
    )


def skipped(subjects: Sequence[SubjectReport]) -> dict[str, str]:
    """Title of each measure that no subject has, and why."""
    return {m.title: why_missing(m) for m in MEASURES if not any(m.key in s.summary for s in subjects)}


def notes(report: Report) -> list[str]:
    """What is lacking, a line for each reason, and what else the reader must know."""
    titles: dict[str, list[str]] = {}
    for title, reason in report.skipped.items():
        titles.setdefault(reason, []).append(title)
    missing = [f"Not measured: {', '.join(names)} ({reason})." for reason, names in titles.items()]
    return [*missing, *report.left_out, *report.remarks]


def best(measure: Measure, report: Report) -> set[str]:
    """Names of the subjects, besides the truth, that do best by a measure."""
    out = (TRUTH, RENDER) if measure.about_render else (TRUTH,)
    judged = [subject for subject in report.subjects if subject.name not in out and measure.key in subject.summary]
    values = {subject.name: subject.summary[measure.key] for subject in judged}
    truth = report.subject(TRUTH)
    if measure.about_truth and truth is None:  # the render took its place
        return set()
    aim = {"near 1": 1.0, "near truth": truth.summary.get(measure.key) if truth else None}.get(measure.better)
    if measure.better.startswith("near"):
        if aim is None:
            return set()
        ranks = {name: abs(value - aim) for name, value in values.items()}
    else:
        ranks = {name: -value if measure.better == "higher" else value for name, value in values.items()}
    return {name for name, rank in ranks.items() if len(ranks) > 1 and rank == min(ranks.values())}


def full_table(report: Report, names: Sequence[str]) -> list[tuple[str, ...]]:
    """One row per measure that somebody has: its title, then the value of each named subject."""
    chosen = [subject for name in names if (subject := report.subject(name))]
    return [
        (measure.title, *(measure.text(subject.summary.get(measure.key)) for subject in chosen))
        for measure in MEASURES
        if any(measure.key in subject.summary for subject in chosen)
    ]


def brief_table(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and one row per subject, with the measures that say most."""
    measures = [BY_KEY[key] for key in BRIEF if any(key in subject.summary for subject in report.subjects)]
    header = ("", *(measure.short for measure in measures))
    return header, [(s.name, *(m.text(s.summary.get(m.key)) for m in measures)) for s in report.subjects]


def kinds_table(report: Report) -> list[tuple[str, ...]]:
    """One row per kind of scene, where there are several: its scenes, PSNR before and after, gain, SSIM after."""
    own, main = report.subject(RENDER), report.subject(report.main)
    kinds = list(dict.fromkeys(result.kind for result in main.scenes)) if main else []
    if len(kinds) < 2 or own is None or main is None or "psnr_db" not in main.summary:
        return []
    rows: list[tuple[str, ...]] = []
    for kind in sorted(kinds):
        scenes = [result for result in main.scenes if result.kind == kind]
        after = summed_up(main.name, scenes, [result for result in own.scenes if result.kind == kind]).summary
        cells = [BY_KEY[key].text(after.get(key)) for key in ("psnr_db", "psnr_gain_db", "ssim")]
        rows.append((kind or "unnamed", str(len(scenes)), *cells))
    return rows


def _mean(results: Sequence[SceneResult], key: str) -> float | None:
    values = [result.values[key] for result in results if key in result.values]
    return sum(values) / len(values) if values else None


def _gained(results: Sequence[SceneResult], own: Sequence[SceneResult]) -> int | None:
    before = {result.scene: result.values["psnr_db"] for result in own if "psnr_db" in result.values}
    pairs = [(r.values["psnr_db"], before[r.scene]) for r in results if "psnr_db" in r.values and r.scene in before]
    return sum(after > own_db for after, own_db in pairs) if pairs else None
