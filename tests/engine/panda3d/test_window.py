"""Photoreal frames in the window of somebody's own game, under Xvfb, over a real connection."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.frame import Array
from renderlift.engine.panda3d.window import View

AMBER = (255, 184, 51)


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    """A display of our own."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    read, write = os.pipe()
    arguments = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24", "-nolisten", "tcp"]
    server = subprocess.Popen(arguments, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        display = f":{pipe.readline().strip()}"
    yield display
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def seen(screen: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    """What the game's window showed at each step of its script."""
    path = tmp_path_factory.mktemp("window") / "seen.npz"
    script = Path(__file__).with_name("windowed_game.py")
    run = subprocess.run(
        [sys.executable, script, path], env={**os.environ, "DISPLAY": screen}, capture_output=True, timeout=120
    )
    assert run.returncode == 0, run.stderr.decode()
    with np.load(path) as arrays:
        return dict(arrays)


PICTURE = np.s_[40:300]  # rows without the badge above and the HUD below


def close_to(a: Array, b: Array, tolerance: int = 1) -> bool:
    return bool(np.abs(a.astype(int) - b).max() <= tolerance)


def test_attaching_leaves_the_window_as_it_was(seen: dict[str, Array]) -> None:
    assert seen["before"].std() > 20
    assert np.array_equal(seen["off"], seen["before"])


def test_on_shows_what_came_back_under_the_hud(seen: dict[str, Array]) -> None:
    assert close_to(seen["on"][PICTURE], 255 - seen["before"][PICTURE])
    hud = (seen["before"] == (255, 255, 0)).all(axis=-1)
    assert hud.sum() > 30
    assert (seen["on"][hud] == (255, 255, 0)).all()


def test_what_came_back_is_never_captured_again_nor_is_the_hud(seen: dict[str, Array]) -> None:
    captured = seen["captured_while_on"]
    assert np.array_equal(captured[PICTURE], seen["before"][PICTURE])
    assert not (captured == (255, 255, 0)).all(axis=-1).any()


def test_the_wipe_parts_the_window_at_the_mouse(seen: dict[str, Array]) -> None:
    left, right = np.s_[40:300, :115], np.s_[40:300, 125:]
    assert np.array_equal(seen["wipe"][left], seen["before"][left])
    assert close_to(seen["wipe"][right], 255 - seen["before"][right])
    assert (seen["wipe"][100:200, 118:123] == 255).all(axis=-1).any()


def test_the_badge_turns_amber_when_nothing_new_comes(seen: dict[str, Array]) -> None:
    badge = np.s_[:40, :300]
    assert not (seen["wipe"][badge] == AMBER).all(axis=-1).any()
    assert (seen["stale"][badge] == AMBER).all(axis=-1).any()


def test_closing_gives_the_window_back(seen: dict[str, Array]) -> None:
    assert np.array_equal(seen["after"], seen["before"])
    assert seen["frames_after_close"] == 0


def test_a_key_cycles_through_the_views() -> None:
    assert [view.next() for view in View] == [View.ON, View.WIPE, View.OFF]
