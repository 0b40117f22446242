"""The demo with its real processes: engine, bridge and renderer over real sockets, small and short."""

import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from renderlift.bridge import demo as demo_module
from renderlift.bridge.demo import Demo, run_demo
from renderlift.bridge.errors import RecordingError, RenderliftError
from renderlift.bridge.events import Events
from renderlift.bridge.films import read_png
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import read_frames, summarize
from renderlift.bridge.video import read_video

FRAMES, HEIGHT, WIDTH = 12, 96, 160


def run(demo: Demo) -> list[dict[str, Any]]:
    """Run a demo; what it told."""
    out = StringIO()
    with Events(as_json=True, out=out) as events:
        run_demo(demo, events, opens=False)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def small(folder: Path, render: str, **options: Any) -> Demo:
    return Demo(folder, FRAMES, f"{WIDTH}x{HEIGHT}", render, options)


@pytest.fixture(autouse=True)
def short_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "PREVIEW_S", 1.0)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained base of the embedded one's classes."""
    embedded = pytest.importorskip("renderlift.model.embedded")
    size = embedded.EmbeddedSize(
        latent_channels=8,
        decoder_channels=32,
        heads=2,
        head_dim=16,
        layers=2,
        caption_channels=16,
        caption_tokens=4,
    )
    folder = tmp_path_factory.mktemp("base")
    embedded.build(size).save_pretrained(str(folder))
    return folder


def test_the_demo_leaves_its_pictures_numbers_and_recording(tmp_path: Path) -> None:
    told = run(small(tmp_path / "demo", "identity"))
    folder = tmp_path / "demo"

    recorded = list(read_frames(folder / "recording"))
    assert [frame.index for frame in recorded] == list(range(FRAMES))
    assert summarize(folder / "recording").whole
    assert {Channel.RGB, Channel.DEPTH, Channel.FLOW, Channel.INSTANCE_ID} <= set(recorded[0].channels)

    both = list(read_video(folder / "before_after.mp4"))
    assert [picture.shape for picture in both] == [(HEIGHT, 2 * WIDTH, 3)] * FRAMES
    assert [picture.shape for picture in read_video(folder / "lifted.mp4")] == [(HEIGHT, WIDTH, 3)] * FRAMES
    # `identity` gives the engine's own picture back, bit for bit.
    lifted = read_png(folder / "lifted" / f"{FRAMES - 1:06d}.png")
    assert np.array_equal(lifted, recorded[-1].channels[Channel.RGB])
    assert (folder / "truth.png").is_file()
    assert "PSNR to truth" in (folder / "table.txt").read_text()

    result = json.loads((folder / "result.json").read_text())
    assert (result["frames"], result["failed_frames"]) == (FRAMES, 0)
    assert result["preview_fps"] > 0
    assert result["preview_latency_ms"] > 0
    render, same = result["measured"][:2]
    assert same["warp_relative"] == 1.0
    assert (render["edge_f1"], render["psnr_db"]) == (same["edge_f1"], same["psnr_db"])
    assert told[-1]["event"] == "demo_done"
    assert all(Path(path).exists() for path in told[-1]["files"].values())


def test_a_diffusion_base_lifts_every_frame_of_a_running_engine(tmp_path: Path, tiny_base: Path) -> None:
    run(small(tmp_path, "embedded", base=str(tiny_base), adapter="none", lock=False, steps=1))
    recorded = list(read_frames(tmp_path / "recording"))
    assert len(recorded) == FRAMES
    for number, frame in enumerate(recorded):
        picture = read_png(tmp_path / "lifted" / f"{number:06d}.png")
        assert picture.shape == (HEIGHT, WIDTH, 3)
        # Untrained, so it looks like nothing, but it is the model's picture and not the engine's.
        assert not np.array_equal(picture, frame.channels[Channel.RGB])
    assert json.loads((tmp_path / "result.json").read_text())["failed_frames"] == 0


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RecordingError, match=r"thesis\.txt"):
        run(small(tmp_path, "identity"))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_what_the_bridge_lacks_is_told_with_its_fix_and_nothing_stays_behind(tmp_path: Path) -> None:
    with pytest.raises(RenderliftError) as error:
        run(small(tmp_path, "no_such_look:load"))
    assert "no_such_look" in error.value.message
    assert error.value.fix
    assert not mentioning(tmp_path)


@pytest.mark.parametrize("victim", ["serve", "panda3d"])
def test_when_a_process_dies_the_demo_says_so_and_stops_the_others(tmp_path: Path, victim: str) -> None:
    command = [sys.executable, "-m", "renderlift.bridge.cli", "demo", "-o", str(tmp_path), "--no-open"]
    with subprocess.Popen(
        [*command, "--render", "identity", "--frames", "500"], stderr=subprocess.PIPE, text=True
    ) as demo:
        os.kill(wait_for_child(demo.pid, victim), signal.SIGKILL)
        _, said = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "ended with exit code -9" in said
    assert not mentioning(tmp_path)


def test_an_interrupted_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "renderlift.bridge.cli", "demo", "-o", str(tmp_path), "--render", "identity"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as demo:
        wait_for_child(demo.pid, "panda3d")
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Traceback" not in said
    assert not mentioning(tmp_path)


def mentioning(folder: Path) -> list[psutil.Process]:
    """Processes that have this folder in their command line."""
    return [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])]


def wait_for_child(pid: int, word: str) -> int:
    """The process id of the child of `pid` that has `word` in its command line."""
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        for child in psutil.Process(pid).children():
            if any(word in argument for argument in child.cmdline()):
                return child.pid
        time.sleep(0.05)
    raise AssertionError(f"{word} was not started")
