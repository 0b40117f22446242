"""docs/large_gpu.md, command by command, on tiny models in the place of the published ones."""

import importlib.util
import shlex
import shutil
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from renderlift.bridge import cli, doctor
from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import read_frames, summarize
from renderlift.bridge.send import Publisher, Result
from renderlift.bridge.video import read_video
from renderlift.bridge.wire import Mode

from .few_steps_lora import few_steps_lora
from .small_training import write_pair

pytest.importorskip("panda3d")

HAS_MITSUBA = importlib.util.find_spec("mitsuba") is not None  # which paths are traced with
PAGE = Path(__file__).parents[3] / "docs" / "large_gpu.md"
ELSEWHERE = ("python3 -m venv", "pip ", "renderlift fetch")  # they need a network; `fetch` has tests of its own
FIRST = ("renderlift pairs", "echo", "renderlift train", "renderlift capture")  # what others need
FRAMES = 12
SMALL = {  # what the page says, and what stands for it here
    "121": str(FRAMES),
    "1216x704": "96x64",
    "49": "5",
    "frames = 49": "frames = 5",
    "832x480": "64x32",
    "0:200,900000:900008": "0:1,900000:900001",
    "2000": "2",
}
ALSO = {
    "enhance": ["--steps", "1", "--device", "cpu"],
    "pairs": ["--samples", "1"],
    "serve": ["--length", "9", "--device", "cpu", "--once", "--endpoint"],
}


def commands() -> list[str]:
    """What a reader types, and first what the page uses before it says how to make it."""
    blocks = PAGE.read_text().split("```bash\n")[1:]
    lines = [line for block in blocks for line in block.partition("```")[0].splitlines()]
    return sorted((line for line in lines if not line.startswith(ELSEWHERE)), key=lambda x: not x.startswith(FIRST))


def test_the_page_has_the_commands_that_are_tried_here() -> None:
    verbs = [line.split()[1] for line in commands() if line.startswith("renderlift")]
    assert {verb: verbs.count(verb) for verb in dict.fromkeys(verbs)} == {
        "pairs": 1, "train": 2, "capture": 1, "doctor": 3, "enhance": 5, "serve": 1
    }  # fmt: skip


def play(endpoint: str, recording: Path) -> list[Result]:
    """Pictures that come back to an engine that captures a recording, and to one that previews it."""
    frames = list(read_frames(recording))
    with ExitStack() as stack:
        engines = [
            stack.enter_context(
                Publisher(endpoint, engine="test", mode=mode, channels=[*frames[0].channels], session=mode.value)
            )
            for mode in (Mode.CAPTURE, Mode.PREVIEW)
        ]
        for engine in engines:
            assert engine.wait_connected(60)
            for frame in frames:
                engine.publish(frame)
        assert all(engine.wait_results(1, 60) for engine in engines)
        return [result for engine in engines if (result := engine.result())]


def test_every_command_of_the_page_runs(
    ltx2: Path, wan_vace: Path, shot: Callable[..., Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ltx-2").symlink_to(ltx2)
    for name in ("wan-vace", "wan-vace-14b"):
        Path(name).symlink_to(wan_vace)
    few_steps_lora(wan_vace, Path("few_steps.safetensors"))
    Path("path_traced").mkdir()
    cv2.imwrite("path_traced/000000.png", np.zeros((64, 96, 3), np.uint8))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = "tcp://127.0.0.1:{1}".format(*free.getsockname())
    # `doctor` is on the page three times; what it looks at stays the same.
    monkeypatch.setattr(doctor, "probe", cache(doctor.probe))
    for line in commands():
        words = [SMALL.get(word, word) for word in shlex.split(line)]
        if words[0] == "echo":
            Path(words[-1]).write_text(words[1])
            continue
        if "takes/*" in words:
            for name in ("one", "other"):
                shutil.copytree("take1", f"takes/{name}")
            words[words.index("takes/*") : words.index("takes/*") + 1] = map(str, Path("takes").glob("*"))
        if words[1] == "pairs" and not HAS_MITSUBA:
            write_pair(Path("pairs/000000"), shot(5, 32, 64))
            continue
        words += ALSO.get(words[1], [])
        with ThreadPoolExecutor() as threads:
            if words[1] == "serve":
                words.append(endpoint)
                came = threads.submit(play, endpoint, Path("take1"))
            done = CliRunner().invoke(cli.app, words[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}"
    assert Path("my_lora/pytorch_lora_weights.safetensors").is_file()
    films = [
        "take1.mp4",
        "lifted.mp4",
        "quick.mp4",
        "dusk.mp4",
        "shots/take1.mp4",
        "lifted/one.mp4",
        "lifted/other.mp4",
    ]
    assert [len(list(read_video(Path(film)))) for film in films] == [FRAMES] * len(films)
    assert [stream.frames for stream in summarize(Path("shots/take1")).streams] == [FRAMES]
    assert len(came.result()) == 2
    for result in came.result():
        rendered = next(frame for frame in read_frames(Path("take1")) if frame.index == result.index)
        assert result.picture.shape == (64, 96, 3)
        assert (result.picture != rendered.channels[Channel.RGB]).any()
