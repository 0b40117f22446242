"""docs/large_gpu.md, command by command, on tiny models in the place of the published ones."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from renderlift.bridge import cli
from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder
from renderlift.model.pairs.scene_folder import write_scene

from .few_steps_lora import few_steps_lora

Shot = Callable[..., Clip]
PAGE = Path(__file__).parents[3] / "docs" / "large_gpu.md"
# They need a network, an engine or several GPUs, and have tests of their own.
ELSEWHERE = (
    "python3 -m venv",
    "pip ",
    "renderlift fetch",
    "renderlift capture",
    "renderlift serve",
    "renderlift pairs",
    "renderlift enhance takes",
)
FRAMES = 12


def commands() -> list[str]:
    """What a reader types, the training of the adapter first: the page uses one before it says how to make it."""
    blocks = PAGE.read_text().split("```bash\n")[1:]
    lines = [line for block in blocks for line in block.partition("```")[0].splitlines()]
    typed = [line for line in lines if not line.startswith(ELSEWHERE)]
    return sorted(typed, key=lambda line: not ("train" in line or line.startswith("echo")))


def test_the_page_has_the_commands_that_are_tried_here() -> None:
    verbs = [line.split()[:2] for line in commands()]
    assert verbs.count(["renderlift", "enhance"]) >= 3
    assert verbs.count(["renderlift", "train"]) == verbs.count(["renderlift", "doctor"]) - 1 == 2


def test_every_command_of_the_page_runs(
    ltx2: Path, wan_vace: Path, shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ltx-2").symlink_to(ltx2)
    Path("wan-vace").symlink_to(wan_vace)
    few_steps_lora(wan_vace, Path("few_steps.safetensors"))
    clip = shot(FRAMES)
    names = tuple(
        replace(row, class_name="lantern" if row.class_name == "text" else "window") for row in clip.frames[0].names
    )
    with Recorder("take1") as recorder:
        for frame in clip.frames:
            recorder.write(replace(frame, names=names))
    pair = shot(9, 32, 64)
    write_scene(Path("pairs") / "000000", pair.frames, enumerate(pair.channels[Channel.RGB]), {})
    Path("path_traced").mkdir()
    cv2.imwrite("path_traced/000000.png", np.zeros((64, 96, 3), np.uint8))
    for line in commands():
        if line.startswith("echo"):
            text, _, file = line.removeprefix("echo ").partition(" > ")
            Path(file).write_text(text.strip("'").replace("49", "9"))
            continue
        words = shlex.split(line)[1:]
        if words[0] == "enhance":
            words += ["--steps", "1", "--device", "cpu"]
        words = [word.replace("2000", "2") for word in words]
        done = CliRunner().invoke(cli.app, words)
        assert done.exit_code == 0, f"{line}\n{done.output}"
    assert Path("my_lora/pytorch_lora_weights.safetensors").is_file()
    assert all(Path(film).stat().st_size for film in ("take1.mp4", "lifted.mp4", "quick.mp4", "dusk.mp4"))
