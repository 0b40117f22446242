"""Our client against our own server: the C++ core's, in the null engine."""

import importlib.util
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.frame import Channel

pytest.importorskip("unrealcv")
from renderlift.engine.unrealcv import Capture

ROOT = Path(__file__).parents[3]
NULL_ENGINE = ROOT / "engine_plugin/core/build/plain/null_engine/null_engine"


@pytest.fixture
def address() -> Iterator[str]:
    """Where a null engine answers UnrealCV's clients. It sends nothing to a bridge: there is none."""
    if not NULL_ENGINE.exists():
        pytest.skip(f"{NULL_ENGINE.relative_to(ROOT)} is not built; docs/core.md says how")
    options = ["--endpoint", "tcp://127.0.0.1:9", "--frames", "100000", "--fps", "50", "--size", "160x96"]
    command = [str(NULL_ENGINE), "--unrealcv", "0", "--wait", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout
        try:
            yield f"127.0.0.1:{json.loads(engine.stdout.readline())['unrealcv_port']}"
        finally:
            engine.kill()


@pytest.fixture
def null_pixels() -> Any:
    """What each byte of the null engine's frames must be."""
    spec = importlib.util.spec_from_file_location("null_pixels", ROOT / "tests/engine/core/null_pixels.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_frames_of_the_cores_server_are_the_engines_own(address: str, null_pixels: Any) -> None:
    with Capture(address) as capture:
        frames = [capture.grab(i)[0] for i in range(3)]
        assert capture.torn_frames == 0
    for frame in frames:
        index = round(frame.camera.world_from_camera[0, 3] / 0.1)
        wanted = null_pixels.pixels(index, 96, 160)
        assert np.abs(frame.camera.world_from_camera - null_pixels.world_from_camera(index)).max() < 1e-4
        assert np.array_equal(frame.channels[Channel.RGB], wanted[Channel.RGB])
        assert np.allclose(frame.channels[Channel.DEPTH], wanted[Channel.DEPTH], rtol=1e-3)
        assert np.array_equal(frame.channels[Channel.INSTANCE_ID] > 0, wanted[Channel.INSTANCE_ID] > 0)
        error = np.abs(frame.channels[Channel.NORMAL].astype(float) - wanted[Channel.NORMAL])
        assert error.max() < 0.01


def test_the_camera_goes_where_it_is_put(address: str) -> None:
    with Capture(address) as capture:
        capture.place(0, (100, 200, 300), (-10, 20, 5))
        (frame,) = capture.grab(0)
    assert np.allclose(frame.camera.world_from_camera[:3, 3], [1, -2, 3], atol=1e-4)
    forward = [np.cos(np.radians(10)) * np.cos(np.radians(20)), -np.cos(np.radians(10)) * np.sin(np.radians(20)),
               -np.sin(np.radians(10))]  # fmt: skip
    assert np.allclose(frame.camera.world_from_camera[:3, 2], forward, atol=1e-4)
