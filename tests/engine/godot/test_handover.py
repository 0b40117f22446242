"""Godot hands arrays to the core by reference: no copy on the game's thread, and no change behind its back."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from renderlift.bridge.frame import Channel


def test_an_array_is_handed_over_without_a_copy_and_may_be_written_to_at_once(
    godot: str, project: Path, new_painter: Any
) -> None:
    painter = new_painter()
    command = [godot, "--headless", "--path", str(project), "--script", "handover.gd", "--", painter.endpoint]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "ERROR" not in done.stdout + done.stderr, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("MEDIANS"))
    copied_us, published_us = map(int, line.split()[1:])
    assert published_us < copied_us / 10, line  # 25 MB
    for frame in painter.frames:
        written = 7 if frame.index == 0 else 9
        assert np.all(frame.channels[Channel.RGB] == written), frame.index
    assert painter.frames[0].index == 0
