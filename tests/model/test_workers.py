"""The embedded model on several workers makes what it makes on one."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from renderlift.bridge.batch import Look, enhance_all, streams_of
from renderlift.bridge.clip import Clip
from renderlift.bridge.cluster import Cluster
from renderlift.bridge.enhance import Enhanced, enhance
from renderlift.bridge.record import Recorder
from renderlift.model.render import load


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_two_workers_make_the_very_videos_of_enhance(
    tmp_path: Path, make_clip: Callable[..., Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums of as many parts everywhere
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for number in range(2):
        with Recorder(tmp_path / f"take{number}") as recorder:
            for frame in make_clip(9, 64, 96, seed=number).frames:
                recorder.write(frame)
    streams = streams_of([tmp_path / "take0", tmp_path / "take1"], tmp_path / "out").streams
    options = {"steps": 1, "device": "cpu", "dtype": "float32"}
    done = dict(enhance_all(streams, Look(options=options, length=5, overlap=2), Cluster(2, gpus=False)))
    assert all(isinstance(outcome, Enhanced) and outcome.frames == 9 for outcome in done.values())
    render = load(steps=1, device="cpu", dtype="float32")
    for stream in streams:
        plain = tmp_path / f"{stream.name}.plain.mp4"
        enhance(stream.recording, plain, render, length=5, overlap=2)
        assert stream.output.read_bytes() == plain.read_bytes()
    torch.set_num_threads(threads)
