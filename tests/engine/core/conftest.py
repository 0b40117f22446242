"""The null engine: the core's C++ in a process of its own."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CORE = Path(__file__).parents[3] / "engine_plugin/core"
BUILD = CORE / "build/plain"
NULL_ENGINE = BUILD / "null_engine/null_engine"

StartEngine = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_engine() -> StartEngine:
    """A function that starts the null engine with the options it is given."""
    if not NULL_ENGINE.exists():
        pytest.skip(f"{NULL_ENGINE.relative_to(CORE.parents[1])} is not built; docs/core.md says how")

    def start(endpoint: str, *options: str) -> "subprocess.Popen[str]":
        command = [str(NULL_ENGINE), "--endpoint", endpoint, "--fps", "0", "--wait", "20", *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    return start


def end_of(engine: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the engine says when it ends, with its exit code."""
    output, _ = engine.communicate(timeout=60)
    return json.loads(output) | {"code": engine.returncode}
