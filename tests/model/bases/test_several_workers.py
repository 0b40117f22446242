"""Bases on several workers, each with one of its own, make what one makes: clips go on from each other."""

import importlib.util
import io
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from renderlift.bridge import cluster
from renderlift.bridge.batch import Choice, Look, enhance_all, streams_of
from renderlift.bridge.clip import Clip
from renderlift.bridge.cluster import Cluster
from renderlift.bridge.enhance import Enhanced, enhance
from renderlift.bridge.enhance_many import enhance_many
from renderlift.bridge.events import Events
from renderlift.bridge.films import read_png
from renderlift.bridge.record import Recorder
from renderlift.model.render import load

if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)

TWO = Cluster(2, gpus=False)
OPTIONS = {"steps": 2, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
CUT = {"length": 9, "overlap": 3}
STOP_AT = "take0 12"  # where the third clip begins
TAKES = {"take0": 20, "take1": 13}  # frames: three clips, and two
# A base as it is, but that it leaves a line for each clip, and never gets past the first step of one.
PAINTER = """
import os, time
from functools import wraps
from pathlib import Path
from renderlift.model.render import load as load_base

def load(log, stop_at, **options):
    base = load_base(**options)
    at = ""

    @wraps(base)
    def paint(clip):
        nonlocal at
        at = f"{clip.frames[0].session} {clip.frames[0].index}"
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()} {at}\\n")
        return base(clip)

    def tell_steps(told):
        def step(done, total):
            told(done, total)
            until = time.monotonic() + 60  # a test that fails must not hang
            while (
                done == 1 and at == stop_at and Path(log).read_text().count(at) == 1 and time.monotonic() < until
            ):
                time.sleep(0.1)
                told(done, total)
        base.tell_steps(step)

    paint.tell_steps = tell_steps
    return paint
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ray for all tests of this file, with workers that find the painter above."""
    folder = tmp_path_factory.mktemp("painter")
    (folder / "stopping_painter.py").write_text(PAINTER)
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        patched.setenv("OMP_NUM_THREADS", "1")  # sums of as many parts everywhere
        torch.set_num_threads(1)
        with cluster._ray(TWO):
            yield
    torch.set_num_threads(threads)


@pytest.fixture
def chosen(shot: Callable[..., Clip], tmp_path: Path, modules: None) -> Choice:
    for name, frames in TAKES.items():
        with Recorder(tmp_path / name) as recorder:
            for frame in shot(frames, 32, 64).frames:
                recorder.write(replace(frame, session=name))
    return streams_of([tmp_path / name for name in TAKES], tmp_path / "out", png=True)


def same_as_of_one_process(chosen: Choice, base: Path) -> bool:
    """Whether all frames are there, and those that one process paints, one take after the other."""
    render = load(base=str(base), **OPTIONS)
    for stream in chosen.streams:
        plain = stream.output.with_name(f"{stream.name}_plain")
        enhance(stream.recording, plain, render, **CUT)
        ours, theirs = (sorted(folder.glob("*.png")) for folder in (stream.output, plain))
        assert len(ours) == len(theirs) == TAKES[stream.name]
        if not all((read_png(one) == read_png(other)).all() for one, other in zip(ours, theirs, strict=True)):
            return False
    return True


def test_two_workers_make_the_very_pictures_of_one(wan: Path, chosen: Choice) -> None:
    look = Look(options={"base": str(wan), **OPTIONS}, **CUT)
    with Events(as_json=True, out=io.StringIO()) as events:
        assert enhance_many(chosen, look, TWO, events, restart=False) == (2, 0, 0)
    assert same_as_of_one_process(chosen, wan)


def test_the_embedded_base_makes_the_very_videos_of_one_process(
    make_clip: Callable[..., Clip], tmp_path: Path, modules: None
) -> None:
    for number in range(2):
        with Recorder(tmp_path / f"take{number}") as recorder:
            for frame in make_clip(9, 64, 96, seed=number).frames:
                recorder.write(frame)
    streams = streams_of([tmp_path / "take0", tmp_path / "take1"], tmp_path / "out").streams
    options = {"steps": 1, "device": "cpu", "dtype": "float32"}
    done = dict(enhance_all(streams, Look(options=options, length=5, overlap=2), TWO))
    assert all(isinstance(outcome, Enhanced) and outcome.frames == 9 for outcome in done.values())
    render = load(steps=1, device="cpu", dtype="float32")
    for stream in streams:
        plain = tmp_path / f"{stream.name}.plain.mp4"
        enhance(stream.recording, plain, render, length=5, overlap=2)
        assert stream.output.read_bytes() == plain.read_bytes()


class Killer(io.StringIO):
    """Hears what is told, and kills the worker that is within the third clip, once two are on disk."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self.log = log
        self.events: list[dict[str, Any]] = []
        self.killed = 0

    def write(self, line: str) -> int:
        event = json.loads(line)
        self.events.append(event)
        within = (event.get("name"), event.get("done"), event.get("steps")) == ("take0", 12, [1, 2])
        if within and not self.killed and STOP_AT in self.log.read_text():
            self.killed = int(event["place"].rpartition(" ")[2])
            os.kill(self.killed, signal.SIGKILL)
        return len(line)


def test_a_worker_killed_within_a_clip_costs_that_clip_alone(ltx2: Path, chosen: Choice, tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = {"log": str(log), "stop_at": STOP_AT, "base": str(ltx2), **OPTIONS}
    killer = Killer(log)
    with Events(as_json=True, out=killer) as events:
        look = Look("stopping_painter:load", options, **CUT)
        assert enhance_many(chosen, look, TWO, events, restart=False) == (2, 0, 0)
    painted = [line.split(maxsplit=1) for line in log.read_text().splitlines()]
    of_killed = [clip for process, clip in painted if int(process) == killer.killed]
    assert [clip for clip in of_killed if "take0" in clip] == ["take0 0", "take0 6", "take0 12"]
    assert Counter(clip for _, clip in painted) == {
        "take0 0": 1, "take0 6": 1, "take0 12": 2, "take1 0": 1, "take1 6": 1
    }  # fmt: skip
    assert same_as_of_one_process(chosen, ltx2)
    # All of it was told: who loaded, how far the clip was, who died, and what became of it.
    told = killer.events
    assert {event["stage"] for event in told if event.get("place") == ""} == {"worker 1", "worker 2"}
    assert [1, 2] in [event.get("steps") for event in told]
    assert [event["name"] for event in told if event["event"] == "worker_died"] == ["take0"]
    frames = {event["name"]: event["enhanced"]["frames"] for event in told if event["event"] == "enhanced"}
    assert frames == TAKES
    assert not list(tmp_path.glob("out/*.parts"))
