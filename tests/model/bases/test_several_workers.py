"""Large bases on several workers, each with a base of its own, make what one makes: clips go on from each other."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from renderlift.bridge.batch import Look, enhance_all, streams_of
from renderlift.bridge.clip import Clip
from renderlift.bridge.cluster import Cluster
from renderlift.bridge.enhance import enhance
from renderlift.bridge.films import read_png
from renderlift.bridge.record import Recorder
from renderlift.model.render import load

OPTIONS = {"steps": 2, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
CUT = {"length": 9, "overlap": 3}


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.parametrize("name", ["ltx2", "wan"])
def test_two_workers_make_the_very_pictures_of_one(
    name: str,
    shot: Callable[..., Clip],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums of as many parts everywhere
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    base: Path = request.getfixturevalue(name)
    for number, frames in enumerate((20, 13)):
        with Recorder(tmp_path / f"take{number}") as recorder:
            for frame in shot(frames, 32, 64).frames:
                recorder.write(frame)
    options = {"base": str(base), **OPTIONS}
    streams = streams_of([tmp_path / "take0", tmp_path / "take1"], tmp_path / "out", png=True).streams
    done = dict(enhance_all(streams, Look(options=options, **CUT), Cluster(2, gpus=False)))
    assert len(done) == 2
    render = load(base=str(base), **OPTIONS)
    for stream, frames in zip(streams, (20, 13), strict=True):
        plain = tmp_path / f"{stream.name}_plain"
        enhance(stream.recording, plain, render, **CUT)
        ours, theirs = (sorted(folder.glob("*.png")) for folder in (stream.output, plain))
        assert len(ours) == len(theirs) == frames
        assert all((read_png(one) == read_png(other)).all() for one, other in zip(ours, theirs, strict=True))
    torch.set_num_threads(threads)
