"""What the user types, and what comes back: words, events, exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from renderlift.bridge import cli, cli_engines, loading, options, wire
from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.record import Recorder, read_frames
from renderlift.bridge.video import read_video

COMMANDS = ("demo", "serve", "capture", "record", "play", "info", "enhance", "evaluate", "fetch", "doctor")
ANY_PORT = "tcp://127.0.0.1:*"
SLOW_RENDERER = """
import time

def load():
    def render(clip):
        time.sleep(0.3)
        return clip.channels["rgb"]
    return render
"""
LATE_RENDERER = """
import time

def load():
    time.sleep(0.3)
    return lambda clip: clip.channels["rgb"]
"""
NOTING_RENDERER = """
import os, pathlib

def load(*, prompt="", base="", anchors=""):
    pathlib.Path(os.environ["LOADED"]).write_text("")
    def render(clip):
        if prompt == "mistyped" or (prompt == "fails" and clip.frames[0].index):
            raise ValueError("as asked for")
        return clip.channels["rgb"]
    return render
"""
STEPPING_RENDERER = """
def load():
    listeners = []
    def render(clip):
        for step in range(4):
            for told in listeners:
                told(step + 1, 4)
        return clip.channels["rgb"]
    render.tell_steps = listeners.append
    return render
"""
HELPED_RENDERER = """
def load():
    def render(clip):
        if clip.frames[0].index == 16:
            render.remedies.append("half the pixels (out of memory)")
        return clip.channels["rgb"]
    render.remedies = []
    return render
"""


def frame(index: int) -> Frame:
    pixels = np.full((16, 24, 3), index * 2, np.uint8)
    pose = CameraPose(np.eye(4), np.eye(3))
    return Frame(index, index * 40_000_000, index, pose, {Channel.RGB: pixels}, engine="test", session="run1")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    with Recorder(tmp_path / "take1") as recorder:
        for index in range(40):
            recorder.write(frame(index))
    return tmp_path / "take1"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@contextmanager
def started(*arguments: object, **options: Any) -> Generator["subprocess.Popen[str]"]:
    """`renderlift ARGUMENTS` as a process of its own."""
    command = [sys.executable, "-m", "renderlift.bridge.cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    with process:
        try:
            yield process
        finally:
            process.kill()


def next_event(stream: IO[str] | None, name: str) -> dict[str, Any]:
    assert stream is not None
    for line in stream:
        event = json.loads(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"no event {name}")


def test_the_command_line_starts_without_the_packages_that_take_long() -> None:
    script = "import sys, renderlift.bridge.cli; print({'numpy', 'zmq', 'cv2', 'av', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_address_in_the_help_is_that_of_the_protocol() -> None:
    assert cli_engines.DEFAULT_ENDPOINT == wire.DEFAULT_ENDPOINT


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_how_to_use_it(command: str) -> None:
    told = run(command, "--help")
    assert told.exit_code == 0
    assert f"renderlift {command}" in told.stdout.replace("Usage: root", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["demo", "--size", "big"],
        ["demo", "--frames", "1"],
        ["serve", "--length", "3", "--overlap", "3"],
        ["serve", "--key", "mine.key_secret"],
        ["play", "take1", "--speed", "0"],
        ["play", "take1", "--mode", "fast"],
        ["enhance", "take1"],
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments: Sequence[str]) -> None:
    told = run(*arguments)
    assert told.exit_code == 2
    assert "Error" in told.stderr


def test_an_error_is_its_message_and_its_fix_without_a_traceback(tmp_path: Path) -> None:
    told = run("enhance", tmp_path / "nothing", "-o", tmp_path / "out.mp4")
    assert told.exit_code == 1
    assert "error: there is no recording at" in told.stderr
    assert "fix: Name a folder" in told.stderr
    assert "Traceback" not in told.stderr


def test_debug_shows_where_an_error_arose(tmp_path: Path) -> None:
    told = run("info", tmp_path / "nothing", "--debug")
    assert told.exit_code == 1
    assert "Traceback" in told.stderr


def test_with_json_an_error_is_an_event_too(tmp_path: Path) -> None:
    told = run("info", tmp_path / "nothing", "--json")
    assert told.exit_code == 1
    [event] = events_of(told.stdout)
    assert (event["event"], event["kind"]) == ("error", "RecordingError")
    assert event["fix"]


def test_info_says_what_a_recording_holds(recording: Path) -> None:
    told = run("info", recording)
    assert told.exit_code == 0
    assert "40 frames" in " ".join(told.stdout.split())
    assert "24x16" in told.stdout.replace("\n", "")
    assert all(name in told.stdout for name in ("session", "missing", "seconds", "rgb")), "cut off at 80 columns"
    [event] = events_of(run("info", recording, "--json").stdout)
    assert (event["frames"], event["whole"], event["missing"]) == (40, True, [[]])


def test_info_of_a_recording_with_gaps_exits_with_3_and_names_them(recording: Path) -> None:
    with Recorder(recording) as recorder:
        recorder.write(frame(45))
    told = run("info", recording, "--json")
    assert told.exit_code == 3
    assert events_of(told.stdout)[0]["missing"] == [[[40, 44]]]


def test_info_of_a_recording_that_was_cut_off_exits_with_3(recording: Path) -> None:
    [segment] = recording.glob("*.mcap")
    segment.write_bytes(segment.read_bytes()[: segment.stat().st_size * 2 // 3])
    told = run("info", recording)
    assert told.exit_code == 3
    assert "no end" in told.stderr


def test_a_recorder_that_cannot_listen_leaves_no_folder_behind(tmp_path: Path) -> None:
    with started("serve", "--endpoint", ANY_PORT, "--render", "identity", "--json") as process:
        endpoint = next_event(process.stdout, "listening")["endpoint"]
        told = run("record", tmp_path / "take", "--endpoint", endpoint)
    assert told.exit_code == 1
    assert not (tmp_path / "take").exists()


def test_an_error_after_ctrl_c_is_told_but_the_exit_code_is_that_of_an_interruption() -> None:
    with pytest.raises(typer.Exit) as ended, options.telling(False, False), options.stopping() as stop:
        stop.set()
        raise RecordingError("cannot write: No space left on device")
    assert ended.value.exit_code == 130


def test_enhance_writes_every_frame(recording: Path, tmp_path: Path) -> None:
    told = run("enhance", recording, "-o", tmp_path / "out.mp4", "--render", "identity", "--side-by-side")
    assert told.exit_code == 0, told.stderr
    pictures = list(read_video(tmp_path / "out.mp4"))
    assert len(pictures) == 40
    assert pictures[0].shape == (16, 48, 3)
    told = run("enhance", recording, "-o", tmp_path / "out.mp4", "--render", "identity")
    assert told.exit_code == 1
    assert "--restart" in told.stderr


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once the renderer noting_look:load was loaded."""
    (tmp_path / "noting_look.py").write_text(NOTING_RENDERER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LOADED", str(tmp_path / "loaded"))
    return tmp_path / "loaded"


@pytest.mark.parametrize("many", [(), ("--workers", 1)])
def test_what_is_in_the_way_is_told_before_the_renderer_is_loaded(
    recording: Path, tmp_path: Path, loaded: Path, many: tuple[object, ...]
) -> None:
    (tmp_path / "out.mp4").write_bytes(b"somebody else's")
    asked = ("enhance", recording, "-o", tmp_path / "out.mp4", "--render", "noting_look:load", *many)
    told = run(*asked)
    assert told.exit_code == 1
    assert "out.mp4 is there already" in told.stderr
    assert "fix: Add --restart" in told.stderr
    assert not loaded.exists()
    assert run(*asked, "--restart").exit_code == 0


@pytest.mark.parametrize("many", [(), ("--workers", 1)])
def test_what_was_mistyped_can_be_corrected_where_nothing_is_done_yet(
    recording: Path, tmp_path: Path, loaded: Path, many: tuple[object, ...]
) -> None:
    asked = ("enhance", recording, "-o", tmp_path / "out.mp4", "--render", "noting_look:load", *many)
    assert run(*asked, "--prompt", "mistyped").exit_code == 1
    assert run(*asked, "--prompt", "dusk").exit_code == 0


@pytest.mark.parametrize("many", [(), ("--workers", 1)])
def test_other_settings_than_those_of_the_run_before_are_told_before_the_renderer_is_loaded(
    recording: Path, tmp_path: Path, loaded: Path, many: tuple[object, ...]
) -> None:
    asked = ("enhance", recording, "-o", tmp_path / "out.mp4", "--render", "noting_look:load", *many)
    assert run(*asked, "--prompt", "fails").exit_code == 1
    loaded.unlink()
    told = run(*asked, "--prompt", "dusk")
    assert told.exit_code == 1
    assert "was begun with other settings: prompt was fails, is dusk" in told.stderr
    told = run(*asked, "--prompt", "fails", "--length", 7)
    assert "was begun with other settings: length was 9, is 7" in told.stderr
    told = run(*asked, "--prompt", "fails", "--references", "depth")
    assert "was begun with other settings: references was not set, is depth" in told.stderr
    told = run(*asked, "--prompt", "fails", "--distilled", "lightning")
    assert "was begun with other settings: distilled was not set, is lightning" in told.stderr
    assert not loaded.exists()
    assert "as asked for" in run(*asked, "--prompt", "fails").stderr
    assert loaded.exists()


def test_an_output_among_what_it_is_made_from_is_refused(recording: Path, tmp_path: Path, loaded: Path) -> None:
    with Recorder(tmp_path / "take2") as recorder:
        recorder.write(frame(0))
    (tmp_path / "photos").mkdir()
    noting = ("--render", "noting_look:load")
    for asked in (
        ("enhance", recording, "-o", recording),
        ("enhance", recording, "-o", recording / "lifted"),
        ("enhance", recording, "-o", tmp_path / "photos", "--base", tmp_path / "photos"),
        ("enhance", recording, "-o", tmp_path / "photos", "--anchors", tmp_path / "photos"),
        ("enhance", recording, tmp_path / "take2", "-o", tmp_path, "--png"),
        ("evaluate", recording, "-o", recording / "measured"),
        ("serve", "--record", tmp_path / "take3", "--video", tmp_path / "take3"),
    ):
        told = run(*asked, *noting)
        assert told.exit_code == 1, asked
        assert "fix: Choose another name" in told.stderr or "fix: Choose a place outside" in told.stderr, asked
    assert not loaded.exists()
    assert sorted(path.suffix for path in recording.iterdir()) == [".mcap"]
    assert run("enhance", recording, "-o", tmp_path / "new" / "out.mp4", *noting).exit_code == 0


def test_enhance_of_a_recording_with_gaps_exits_with_3_and_counts_them(recording: Path, tmp_path: Path) -> None:
    with Recorder(recording) as recorder:
        recorder.write(frame(45))
    result = run("enhance", recording, "-o", tmp_path / "out.mp4", "--render", "identity", "--json")
    assert result.exit_code == 3
    assert events_of(result.stdout)[-1]["enhanced"]["missing_frames"] == 5
    assert len(list(read_video(tmp_path / "out.mp4"))) == 41


def test_an_option_that_the_renderer_does_not_have_is_an_error(recording: Path, tmp_path: Path) -> None:
    told = run("enhance", recording, "-o", tmp_path / "out.mp4", "--render", "identity", "--steps", "4")
    assert told.exit_code == 1
    assert "steps" in told.stderr


def test_enhance_tells_at_its_end_which_frames_needed_a_remedy(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helped_look.py").write_text(HELPED_RENDERER)
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ("--render", "helped_look:load", "--length", 8, "--overlap", 0)
    told = run("enhance", recording, "-o", tmp_path / "out.mp4", *arguments)
    assert told.exit_code == 0, told.stderr
    last_line = told.stderr.splitlines()[-1]
    assert last_line.endswith("out.mp4; frames 16 to 39 with half the pixels (out of memory)")
    told = run("enhance", recording, "-o", tmp_path / "again.mp4", *arguments, "--json")
    remedied = {"remedy": "half the pixels (out of memory)", "first_index": 16, "last_index": 39}
    assert events_of(told.stdout)[-1]["enhanced"]["remedied"] == [remedied]


@pytest.mark.parametrize("many", [(), ("--workers", 1)])
def test_a_renderer_that_took_long_to_load_is_told_of_with_its_seconds(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: tuple[object, ...]
) -> None:
    (tmp_path / "late_look.py").write_text(LATE_RENDERER)
    monkeypatch.syspath_prepend(str(tmp_path))
    asked = ("enhance", recording, "--render", "late_look:load", *many)
    assert "Loaded" not in run(*asked, "-o", tmp_path / "soon.mp4").stderr
    monkeypatch.setattr(loading, "LONG_S", 0.2)
    assert re.search(r"Loaded in \d+ s\.", run(*asked, "-o", tmp_path / "late.mp4").stderr)
    told = run(*asked, "-o", tmp_path / "machines.mp4", "--json")
    loaded = next(event for event in events_of(told.stdout) if event["event"] == "loaded")
    assert 0.3 <= loaded["seconds"] < 5


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT between processes there")
def test_an_interrupted_enhance_exits_with_130_and_goes_on_later(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "slow_look.py").write_text(SLOW_RENDERER)
    arguments = ("enhance", recording, "-o", "out.mp4", "--render", "slow_look:load", "--json")
    # `python -m` finds modules in the folder it is started in.
    with started(*arguments, cwd=tmp_path) as process:
        assert process.stdout
        for line in process.stdout:
            if json.loads(line).get("done", 0) > 0:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr
        assert process.stderr.read() == "interrupted; the same command goes on from there\n"
    with started(*arguments, cwd=tmp_path) as process:
        enhanced = next_event(process.stdout, "enhanced")["enhanced"]
        assert process.wait(20) == 0
    assert enhanced["frames"] == 40
    assert enhanced["reused_frames"] > 0
    assert len(list(read_video(tmp_path / "out.mp4"))) == 40


def test_enhance_shows_the_steps_of_the_clip_at_work_where_the_renderer_tells_them(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stepping_look.py").write_text(STEPPING_RENDERER)
    monkeypatch.syspath_prepend(str(tmp_path))
    for many in ((), ("--workers", 1)):
        output = tmp_path / f"out{len(many)}.mp4"
        told = run("enhance", recording, "-o", output, "--render", "stepping_look:load", "--json", *many)
        assert told.exit_code == 0, told.stderr
        steps = [event for event in events_of(told.stdout) if event.get("stage") == "denoising"]
        assert steps[0] == {"event": "progress", "stage": "denoising", "done": 1, "total": 4}


def test_a_recording_played_to_a_recorder_arrives_whole(recording: Path, tmp_path: Path) -> None:
    with started("record", tmp_path / "copy", "--endpoint", ANY_PORT, "--once", "--json") as recorder:
        endpoint = next_event(recorder.stdout, "listening")["endpoint"]
        told = run("play", recording, "--endpoint", endpoint, "--mode", "capture", "--speed", "inf", "--json")
        assert told.exit_code == 0, told.stderr
        assert next_event(recorder.stdout, "recorded")["frames"] == 40
        assert recorder.wait(20) == 0
    copies, originals = list(read_frames(tmp_path / "copy")), list(read_frames(recording))
    assert [copy.index for copy in copies] == list(range(40))
    for copy, original in zip(copies, originals, strict=True):
        assert np.array_equal(copy.channels[Channel.RGB], original.channels[Channel.RGB])


def test_playing_to_no_bridge_says_how_to_start_one(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_engines, "CONNECT_S", 0.2)
    told = run("play", recording, "--endpoint", "tcp://127.0.0.1:9")
    assert told.exit_code == 1
    assert "renderlift serve --endpoint tcp://127.0.0.1:9" in told.stderr
    assert "no bridge has answered" in told.stderr
    assert told.stderr.index("waiting") < told.stderr.index("error:")


@pytest.mark.skipif(sys.platform == "win32", reason="no signals between processes there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_service_that_is_stopped_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with started(
        "serve", "--endpoint", ANY_PORT, "--render", "identity", "--json", "--record", tmp_path / "rec"
    ) as process:
        next_event(process.stdout, "ready")
        process.send_signal(number)
        served = next_event(process.stdout, "served")["served"]
        assert process.wait(20) == 0
    assert served == {"rendered": 0, "failed": 0, "left_out": 0, "remedies": []}


SIZED_RENDERER = """
import pathlib

def load(*, prompt=""):
    def render(clip):
        with pathlib.Path("clips.txt").open("a") as file:
            goes_on = clip.before is not None
            file.write(f"{prompt}: {len(clip)} frames, {clip.shared} shared, {goes_on}\\n")
        return clip.channels["rgb"]
    render.clip_size = 15, 4
    render.preview_size = 5, 1
    return render
"""


def test_a_service_takes_every_option_and_cuts_clips_as_its_renderer_likes_them(
    recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "sized_look.py").write_text(SIZED_RENDERER)
    asked = ("--render", "sized_look:load", "--prompt", "dusk", "--record", "copy", "--once", "--json")
    with started("serve", "--endpoint", ANY_PORT, *asked, cwd=tmp_path) as process:
        endpoint = next_event(process.stdout, "listening")["endpoint"]
        next_event(process.stdout, "ready")
        told = run("play", recording, "--endpoint", endpoint, "--mode", "capture", "--speed", "inf")
        assert told.exit_code == 0, told.stderr
        assert next_event(process.stdout, "served")["served"]["rendered"] == 40
        assert process.wait(20) == 0
    assert (tmp_path / "clips.txt").read_text().splitlines() == [
        "dusk: 15 frames, 0 shared, False",
        "dusk: 15 frames, 4 shared, True",
        "dusk: 15 frames, 4 shared, True",
        "dusk: 7 frames, 4 shared, True",
    ]


def test_a_taken_address_is_an_error_that_names_the_option() -> None:
    with started("serve", "--endpoint", ANY_PORT, "--render", "identity", "--json") as process:
        endpoint = next_event(process.stdout, "listening")["endpoint"]
        told = run("serve", "--endpoint", endpoint, "--render", "identity")
    assert told.exit_code == 1
    assert "--endpoint" in told.stderr


def test_an_engine_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    told = run("capture", "quake", "e1m1", "-o", tmp_path / "take")
    assert told.exit_code == 1
    assert "panda3d" in told.stderr


def test_a_service_leaves_a_core_to_the_engine_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    options.leave_a_core_to_the_engine()
    assert os.environ["OMP_NUM_THREADS"] == "8"
    monkeypatch.delenv("OMP_NUM_THREADS")
    options.leave_a_core_to_the_engine()
    assert 1 <= int(os.environ["OMP_NUM_THREADS"]) <= max(1, (os.cpu_count() or 2) - 1)


def test_a_missing_library_of_the_system_is_an_error_that_names_the_packages(tmp_path: Path) -> None:
    broken = "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    (tmp_path / "cv2.py").write_text(broken)
    with started("demo", "-o", tmp_path / "demo", env={**os.environ, "PYTHONPATH": str(tmp_path)}) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "libGL.so.1" in said
    assert "apt-get install libegl1 libgl1" in said
    assert "Traceback" not in said
