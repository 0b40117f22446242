"""What `renderlift pairs` does, told to whoever listens."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

from renderlift.bridge.clip import Render
from renderlift.bridge.errors import SetupError
from renderlift.bridge.record import summarize
from renderlift.bridge.renderer import PROPAGATION
from renderlift.model.pairs.anchor_pairs import REJECTED, Fate, Source, anchor_pairs, limits_from, sources
from renderlift.model.pairs.anchors import PATH_TRACER, from_folder, path_tracer
from renderlift.model.pairs.describe import CARD_NAME, SHEET_NAME, describe
from renderlift.model.pairs.find import find
from renderlift.model.pairs.ledger import open_dataset
from renderlift.model.pairs.make import Made, Recipe, make_pairs
from renderlift.model.pairs.propagate import Propagate, along_flow
from renderlift.model.pairs.scene_folder import Outcome
from renderlift.model.training.talk import Talk

LoadRenderer = Callable[[str, Mapping[str, Any]], Any]

DESCRIBE_EVERY_S = 120.0  # so that one may look before the night is over


def truth_pairs(
    dataset: Path, seeds: Sequence[int], recipe: Recipe, *, jobs: int, talk: Talk, ray_address: str = ""
) -> bool:
    """Make scenes, with progress; keep the card and the contact sheet up to date.

    Returns:
        whether every scene is there now.

    Raises:
        SetupError, RecordingError: as `make_pairs`.
    """
    counted: Counter[Outcome] = Counter()
    described_s = time.monotonic()
    talk.progress("scenes", 0, len(seeds))
    for made in make_pairs(dataset, seeds, recipe, jobs=jobs, ray_address=ray_address):
        counted[made.outcome] += 1
        _tell(made, talk)
        talk.progress("scenes", counted.total(), len(seeds), text=_counts(counted))
        if counted[Outcome.MADE] and time.monotonic() - described_s > DESCRIBE_EVERY_S:
            describe(dataset)
            described_s = time.monotonic()
    if counted[Outcome.MADE] or counted[Outcome.THERE]:
        describe(dataset)
    files = {"card": dataset / CARD_NAME, "contact_sheet": dataset / SHEET_NAME}
    text = f"{_counts(counted)} in {dataset}; look at {dataset / SHEET_NAME}"
    talk.tell("pairs_made", text, dataset=dataset, counts=dict(counted), files=files)
    return not counted[Outcome.FAILED]


@dataclass(frozen=True)
class AnchorRequest:
    """What `renderlift pairs DATASET --from RECORDING` was asked for."""

    anchors: str  # path_tracer, a folder, or the name of the renderer that is the editor
    propagate: str  # flow; the folder of a base that can; or module:function, which returns a Propagate
    lift: str  # name of the renderer that paints what is between the anchors, for flow
    length: int
    number: int  # of the first scene
    scene: str | None = None  # that the path tracer shall trace; else what the recording's scene.json says
    samples: int = 8
    limits: Sequence[str] = ()  # NAME=VALUE
    keep_all: bool = False
    renderer: Mapping[str, Any] = field(default_factory=lambda: {})  # options of what paints


def anchored_pairs(
    dataset: Path, recording: Path, request: AnchorRequest, load_renderer: LoadRenderer, *, talk: Talk
) -> bool:
    """Make pairs of a recording, or of each recording of a dataset, from anchors; with progress.

    Args:
        load_renderer: gives what a name means, loaded with these options: a renderer, or what propagates.

    Returns:
        whether any pair came of it, now or in an earlier run.

    Raises:
        SetupError, RecordingError, RenderError: as `anchor_pairs`.
    """
    limits = limits_from(request.limits)
    found = sources(recording, request.number)
    anchors = Path(request.anchors).name if Path(request.anchors).is_dir() else request.anchors
    propagator = Path(request.propagate).name if Path(request.propagate).is_dir() else request.propagate
    how = {"anchors": anchors, "propagate": propagator, "lift": request.lift}
    kept = "everything" if request.keep_all else asdict(limits)
    recipe = {**how, "length": request.length, "limits": kept}
    if request.renderer:
        recipe["renderer"] = dict(request.renderer)
    open_dataset(dataset, kind="anchor pairs", recipe=recipe)

    @cache
    def load(name: str) -> Render:
        return load_renderer(name, request.renderer if name != "identity" else {})

    propagate = _propagator(request, load, load_renderer)
    counted: Counter[Fate] = Counter()
    clips_there = sum(_clip_count(source, request.length) for source in found)
    talk.progress("clips", 0, clips_there)
    for source in found:
        made = anchor_pairs(
            dataset,
            source,
            _editor(request, source, load),
            propagate,
            length=request.length,
            limits=None if request.keep_all else limits,
            facts=how | {name: source.facts[name] for name in ("kind", "seed") if name in source.facts},
        )
        for candidate in made:
            counted[candidate.fate] += 1
            if candidate.fate is Fate.REJECTED and candidate.verdict:
                reasons = list(candidate.verdict.reasons)
                talk.tell(
                    "rejected",
                    f"{candidate.name} rejected: {'; '.join(reasons)}",
                    scene=candidate.name,
                    reasons=reasons,
                )
            talk.progress("clips", counted.total(), clips_there, text=_fates(counted))
    there = counted[Fate.KEPT] + counted[Fate.THERE]
    if there and any(dataset.glob("[0-9]" * 6)):
        describe(dataset)
    text = f"{_fates(counted)}, in {dataset}"
    talk.tell("anchor_pairs_made", text, dataset=dataset, counts=dict(counted), rejections=dataset / REJECTED)
    return there > 0


def _editor(request: AnchorRequest, source: Source, load: Callable[[str], Render]) -> Render:
    if request.anchors == PATH_TRACER:
        scene = request.scene or source.facts.get("scene")
        if not isinstance(scene, str):
            raise SetupError(
                "the path tracer does not know which scene was recorded", fix="Name it: --scene random:7, or demo."
            )
        ours = (
            {} if request.scene else {key: source.facts[key] for key in ("frames", "kind") if key in source.facts}
        )
        return path_tracer(scene, samples=request.samples, **ours)
    if Path(request.anchors).is_dir():
        return from_folder(Path(request.anchors))
    return load(request.anchors)


def _propagator(request: AnchorRequest, load: Callable[[str], Render], load_renderer: LoadRenderer) -> Propagate:
    if request.propagate == "flow":
        return along_flow(load(request.lift))
    if Path(request.propagate).is_dir():
        takes = signature(find(PROPAGATION, "the propagator")).parameters
        known = {name: value for name, value in request.renderer.items() if name in takes}
        return load_renderer(PROPAGATION, known | {"base": request.propagate})
    return find(request.propagate, "the propagator")()


def _clip_count(source: Source, length: int) -> int:
    streams = summarize(source.recording).streams
    return sum(-(-(last - first + 1) // length) for stream in streams for first, last in stream.runs)


def _fates(counted: Counter[Fate]) -> str:
    words = {Fate.KEPT: "kept", Fate.REJECTED: "rejected", Fate.THERE: "there before", Fate.SHORT: "too short"}
    return ", ".join(f"{counted[fate]} {word}" for fate, word in words.items() if counted[fate]) or "none"


def _tell(made: Made, talk: Talk) -> None:
    if made.outcome is Outcome.FAILED:
        advice = f" {made.fix}" if made.fix else ""
        text = f"scene {made.seed:06d} failed: {made.problem}{advice}"
        talk.tell("scene_failed", text, seed=made.seed, message=made.problem, fix=made.fix)


def _counts(counted: Counter[Outcome]) -> str:
    words = {
        Outcome.MADE: "made",
        Outcome.THERE: "there before",
        Outcome.TAKEN: "at work elsewhere",
        Outcome.FAILED: "failed",
    }
    return ", ".join(f"{counted[outcome]} {word}" for outcome, word in words.items() if counted[outcome]) or "none"
