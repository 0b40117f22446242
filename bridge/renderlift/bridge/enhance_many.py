"""`renderlift enhance` of several recordings or by several workers, told to whoever listens."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from renderlift.bridge.batch import Choice, Failure, Look, Piece, Stream, enhance_all, is_dataset
from renderlift.bridge.clip import Render
from renderlift.bridge.cluster import Busy, Cluster, gpus_here
from renderlift.bridge.enhance import Enhanced
from renderlift.bridge.errors import SetupError, with_fix
from renderlift.bridge.events import Events
from renderlift.bridge.loading import load_told, tell_base
from renderlift.bridge.remedied import in_words
from renderlift.bridge.renderer_options import PLACES


def is_many(recordings: Sequence[Path], workers: int | None, address: str) -> bool:
    """Whether this is asked for, or one stream into one output."""
    return len(recordings) > 1 or workers is not None or bool(address) or is_dataset(recordings[0])


def with_whole_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a renderer, as another machine understands them."""
    # By name: there may well be a folder called depth, which --references depth does not mean.
    return {
        name: str(Path(value).resolve()) if name in PLACES and Path(value).exists() else value
        for name, value in options.items()
    }


def cluster_for(look: Look, workers: int | None, address: str) -> Cluster | None:
    """Who works: as many as asked for, else one per GPU; None = this process alone, without Ray.

    Raises:
        SetupError: one GPU is named for several workers.
    """
    device = str(look.options.get("device", "auto"))
    gpus = device != "cpu" and look.render != "identity"
    if ":" in device and (address or (workers or 1) > 1):
        raise SetupError(
            f"several workers cannot all have {device}",
            fix="Leave --device out: each worker gets a GPU of its own.",
        )
    if address:
        return Cluster(workers, address, gpus)
    count = workers or (gpus_here() if gpus and ":" not in device else 1)
    return Cluster(count, gpus=gpus) if count > 1 else None


def enhance_many(
    chosen: Choice, look: Look, cluster: Cluster | None, events: Events, *, restart: bool
) -> tuple[int, int, int]:
    """Render all streams, with progress and a table of what became of them.

    Returns:
        How many were finished, how many failed, and how many frames are missing in the recordings of the finished.

    Raises:
        SetupError: something is missing that every stream needs.
    """
    outcomes: dict[str, Enhanced | Failure] = {}
    streams = chosen.streams
    for path, error in chosen.unreadable:
        _tell_failure(events, str(path), Failure(error.message, error.fix))

    # Workers on other machines may have a base that is not here.
    loads_elsewhere = cluster is not None and Path(str(look.options.get("base", ""))).is_dir()

    def told(busy: Sequence[Busy[Piece]], done: Mapping[str, int]) -> None:
        nonlocal loads_elsewhere
        if loads_elsewhere and any(worker.piece is None for worker in busy):
            loads_elsewhere = False  # once is enough for all of them
            tell_base(look.render, look.options, events)
        _tell_progress(events, streams, busy, done, outcomes)

    def died(stream: Stream) -> None:
        text = f"A worker died over {stream.name}; another one goes on with it."
        events.tell("worker_died", text, name=stream.name)

    told([], {})

    def load(spec: str, options: Mapping[str, Any]) -> Render:
        return load_told(spec, options, events)

    work = enhance_all(
        streams, look, cluster, restart=restart, told=told, died=died, steps=events.denoising, load=load
    )
    with closing(work) as results:
        for stream, outcome in results:
            outcomes[stream.name] = outcome
            _tell_outcome(events, stream, outcome)
    rows = [_row(stream, outcomes[stream.name]) for stream in streams]
    finished = [outcome for outcome in outcomes.values() if isinstance(outcome, Enhanced)]
    rows += [(str(path), "", "", "", "failed") for path, _ in chosen.unreadable]
    failed, missing = len(rows) - len(finished), sum(outcome.missing_frames for outcome in finished)
    title = f"{len(finished)} of {len(rows)} finished"
    events.table(
        "enhanced_all",
        title,
        ("output", "frames", "of a run before", "missing", "remark"),
        rows,
        finished=len(finished),
        failed=failed,
        frames=sum(outcome.frames for outcome in finished),
        missing_frames=missing,
        remedied=sum(bool(outcome.remedied) for outcome in finished),
    )
    return len(finished), failed, missing


def _tell_progress(
    events: Events,
    streams: Sequence[Stream],
    busy: Sequence[Busy[Piece]],
    done: Mapping[str, int],
    outcomes: Mapping[str, Enhanced | Failure],
) -> None:
    total = sum(stream.summary.frames for stream in streams)
    failed = sum(isinstance(outcome, Failure) for outcome in outcomes.values())
    text = f"{len(outcomes)} of {len(streams)} outputs" + f", {failed} failed" * bool(failed)
    events.progress("rendering", sum(done.values()), total, text=text, outputs=len(outcomes), failed=failed)
    for worker in busy:
        _tell_worker(events, worker, done)


def _tell_worker(events: Events, worker: Busy[Piece], done: Mapping[str, int]) -> None:
    stage, place = f"worker {worker.number}", worker.place
    if worker.piece is None:
        events.progress(stage, 0, None, text="loading", bar=False, name=None, place="", steps=None)
        return
    name, frames = worker.piece.stream.name, worker.piece.stream.summary.frames
    step = ", step {} of {}".format(*worker.steps) if worker.steps else ""
    text = name + step + f" ({place})" * bool(place)
    # Elsewhere than on a terminal, only what takes long within a clip is worth more than one line a stream.
    bar = bool(worker.steps) or sys.stderr.isatty()
    events.progress(
        stage, done.get(name, 0), frames, text=text, bar=bar, name=name, place=place, steps=worker.steps
    )


def _tell_outcome(events: Events, stream: Stream, outcome: Enhanced | Failure) -> None:
    if isinstance(outcome, Enhanced):
        text = f"{stream.name}: {in_words(outcome.remedied)}" if outcome.remedied else ""
        events.tell("enhanced", text, enhanced=outcome, name=stream.name)
        return
    _tell_failure(events, stream.name, outcome)


def _tell_failure(events: Events, name: str, failure: Failure) -> None:
    text = f"{name} failed: {with_fix(failure.message, failure.fix)}"
    events.tell("enhance_failed", text, name=name, message=failure.message, fix=failure.fix)


def _row(stream: Stream, outcome: Enhanced | Failure) -> tuple[str, ...]:
    if isinstance(outcome, Failure):
        return (str(stream.output), "", "", "", "failed")
    return (
        str(outcome.path),
        str(outcome.frames),
        str(outcome.reused_frames or ""),
        str(outcome.missing_frames or ""),
        "with remedies" if outcome.remedied else "",
    )
