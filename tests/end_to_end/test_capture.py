"""`renderlift capture` with the real engine."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from renderlift.bridge.frame import CHANNELS, Channel
from renderlift.bridge.record import read_frames, summarize

pytest.importorskip("panda3d")


def capture(scene: str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "renderlift.bridge.cli", "capture", "panda3d", scene, "-o", str(folder)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_every_frame_of_a_scene_is_recorded_with_every_channel(tmp_path: Path) -> None:
    done = capture("random:7", tmp_path, "--frames", "10", "--size", "95x53")
    assert done.returncode == 0, done.stderr
    frames = list(read_frames(tmp_path))
    assert [frame.index for frame in frames] == list(range(10))
    assert {(frame.width, frame.height) for frame in frames} == {(95, 53)}
    assert set(frames[0].channels) == set(CHANNELS) - {Channel.ENVIRONMENT}
    assert frames[0].names
    assert summarize(tmp_path).whole


def test_capturing_into_the_same_recording_adds_a_session(tmp_path: Path) -> None:
    for _ in range(2):
        assert capture("random:7", tmp_path, "--frames", "3", "--size", "64x36").returncode == 0
    assert [stream.frames for stream in summarize(tmp_path).streams] == [3, 3]


def test_an_engine_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    done = capture("no_such_scene", tmp_path)
    assert done.returncode == 1
    assert "there is no scene 'no_such_scene'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the shared memory where Linux keeps it")
def test_killing_a_capture_leaves_neither_its_engine_nor_its_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "renderlift.bridge.cli", "capture", "panda3d", "random:7", "-o", str(tmp_path)]
    arguments = ["--frames", "100000", "--size", "64x36", "--json"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any(json.loads(line).get("done") for line in process.stdout)  # the first frames have come
        (engine,) = psutil.Process(process.pid).children()
        ring = next(Path(m.path) for m in engine.memory_maps() if m.path.startswith("/dev/shm/renderlift-"))
        assert ring.exists()
        process.kill()
    _, alive = psutil.wait_procs([engine], timeout=25)
    for left in alive:
        left.kill()
    assert not alive
    assert not ring.exists()
