"""`renderlift evaluate` as a user types it; what it measures, tests/model/evaluate holds."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from renderlift.bridge.cli import app
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.record import Recorder

pytest.importorskip("torch")

RENDERER = """
import os, pathlib

def load(*, steps=2, reference_strength=1.0):
    with pathlib.Path(os.environ["LOADED"]).open("a") as file:
        file.write(f"{steps}\\n")
    listeners = []
    def render(clip):
        for step in range(steps):
            for told in listeners:
                told(step + 1, steps)
        return clip.channels["rgb"]
    render.tell_steps = listeners.append
    return render
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that gets a line each time counted_look:load loads."""
    (tmp_path / "counted_look.py").write_text(RENDERER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LOADED", str(tmp_path / "loaded"))
    return tmp_path / "loaded"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    pose = CameraPose(np.eye(4), np.array([[20.0, 0, 16], [0, 20, 12], [0, 0, 1]]))
    random = np.random.default_rng(0)
    with Recorder(tmp_path / "take1") as recorder:
        for index in range(4):
            pixels = random.integers(0, 255, (24, 32, 3), np.uint8)
            recorder.write(Frame(index, index * 40_000_000, index, pose, {Channel.RGB: pixels}, engine="test"))
    return tmp_path / "take1"


def evaluate(recording: Path, *words: str) -> Result:
    output = recording.with_name("measured")
    return CliRunner().invoke(
        app, ["evaluate", str(recording), "-o", str(output), "--render", "counted_look:load", *words]
    )


def test_an_unknown_option_of_a_variant_is_told_before_anything_is_loaded(recording: Path, loaded: Path) -> None:
    told = evaluate(recording, "--also", "steps=1", "--also", "bogus=0.5")
    assert told.exit_code == 1
    assert "error: the renderer counted_look:load does not know --bogus" in told.stderr
    assert "fix: Its options: --steps, --strength." in told.stderr
    assert not loaded.exists()


def test_variants_are_named_as_they_were_typed_and_each_is_loaded_once(recording: Path, loaded: Path) -> None:
    told = evaluate(recording, "--also", "steps=1", "--also", "strength=0.5")
    assert told.exit_code == 0, told.stderr
    assert loaded.read_text().split() == ["2", "1", "2"]
    lines = told.stderr.splitlines()
    progress = [line for line in lines if line.endswith("/4")]
    assert len(progress) == len(set(progress)), "said twice"
    assert not [line for line in lines if line.startswith("truth:")], "there is no truth"


def test_it_shows_the_steps_of_the_clip_at_work_where_the_renderer_tells_them(
    recording: Path, loaded: Path
) -> None:
    told = evaluate(recording, "--json")
    steps = [event for line in told.stdout.splitlines() if (event := json.loads(line)).get("stage") == "denoising"]
    assert steps[0] == {"event": "progress", "stage": "denoising", "done": 1, "total": 2}
