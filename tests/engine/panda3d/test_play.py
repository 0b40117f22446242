"""`python -m renderlift.engine.panda3d SCENE`, as `renderlift demo` starts it."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Channel, Frame
from renderlift.bridge.receive import Receiver
from renderlift.engine.panda3d import render_frames
from renderlift.engine.panda3d.play import load_scene, main

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver("tcp://127.0.0.1:*") as opened:
        yield opened


@pytest.fixture
def play(receiver: Receiver) -> Iterator[Run]:
    """Starts the engine process on `random:2`, small; ends it with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "renderlift.engine.panda3d", "random:2", "--size", "160x96"]
        arguments = [*command, "--endpoint", receiver.endpoint, *options]
        started.append(subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def received(receiver: Receiver, *, count: int | None = None) -> list[Frame]:
    frames: list[Frame] = []
    for frame in receiver.frames(timeout_s=30, until_bye=True):
        frames.append(frame)
        receiver.acknowledge(frame)
        if len(frames) == count:
            break
    return frames


def test_capture_sends_every_frame_once_and_ends(play: Run, receiver: Receiver) -> None:
    process = play("--mode", "capture", "--frames", "5")
    frames = received(receiver)
    assert process.wait(20) == 0
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.engine_time_ns for frame in frames] == [round(i * 1e9 / 24) for i in range(5)]
    assert {name.class_name for name in frames[0].names} >= {"wall", "floor"}


def test_captured_frames_are_those_that_training_renders(play: Run, receiver: Receiver) -> None:
    play("--mode", "capture", "--frames", "3")
    frames = received(receiver)
    for frame, wanted in zip(frames, render_frames(load_scene("random:2"), 96, 160), strict=False):
        for channel, array in wanted.channels.items():
            if channel is not Channel.RGB:
                assert np.array_equal(frame.channels[channel], array, equal_nan=channel is Channel.FLOW), channel
        # The two draw to different kinds of OpenGL buffers, which settle a few depth ties differently.
        assert (frame.channels[Channel.RGB] != wanted.channels[Channel.RGB]).mean() < 0.005


def test_a_capture_that_was_killed_goes_on_where_it_stopped(play: Run, receiver: Receiver) -> None:
    options = ("--mode", "capture", "--frames", "30", "--session", "ab" * 16)
    process = play(*options)
    frames = received(receiver, count=6)
    process.kill()
    process.wait()
    play(*options)
    frames += received(receiver)
    assert [frame.index for frame in frames] == list(range(30))
    assert all(np.isfinite(frame.channels[Channel.FLOW]).any() for frame in frames[1:])


def test_preview_runs_in_real_time_and_starts_over(play: Run, receiver: Receiver) -> None:
    play("--mode", "preview")
    frames = received(receiver, count=12)
    times = [frame.engine_time_ns for frame in frames]
    assert times == sorted(times)
    assert (frames[0].height, frames[0].width) == (96, 160)


def test_an_unknown_scene_is_said_with_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere"]) == SetupError.exit_code
    assert "there is no scene 'nowhere'" in capsys.readouterr().err


def test_a_window_without_a_screen_names_the_fix(play: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")  # without the variable, X takes :0, where another test's screen may be
    process = play("--window")
    _, said = process.communicate(timeout=30)
    assert process.returncode == SetupError.exit_code
    assert "--headless" in said


@pytest.mark.skipif(sys.platform != "linux", reason="EGL's drivers are hidden in Linux's way")
def test_a_machine_without_opengl_is_told_the_packages(play: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_DIRS", "/nonexistent")
    process = play()
    _, said = process.communicate(timeout=30)
    assert process.returncode == SetupError.exit_code
    assert "apt-get install libegl1 libgl1 libgl1-mesa-dri" in said


def test_ones_own_scene_is_named_by_module_and_function() -> None:
    assert len(load_scene("renderlift.engine.scenes:demo_courtyard")) > 1


def test_a_preview_that_is_asked_to_end_says_goodbye(play: Run, receiver: Receiver) -> None:
    process = play("--mode", "preview", "--max-fps", "10")
    assert len(received(receiver, count=2)) == 2
    process.terminate()
    received(receiver)
    assert process.wait(20) == 0
    assert not receiver.streams[0].connected
    assert receiver.streams[0].pending == 0


def test_a_capture_that_waits_for_a_bridge_ends_when_it_is_asked_to(play: Run) -> None:
    process = play("--mode", "capture", "--endpoint", "tcp://127.0.0.1:9")
    assert process.stderr
    assert any("capture waits: no bridge has answered" in line for line in process.stderr)
    process.terminate()
    assert process.wait(20) == 0
