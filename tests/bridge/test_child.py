"""Processes that we start end with us, also when nobody could tell them to."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from renderlift.bridge.child import Child
from renderlift.bridge.errors import RenderliftError

PARENT = """
import sys, time
from pathlib import Path
from renderlift.bridge.child import Child

with Child("the engine", sys.argv[2:], log=Path(sys.argv[1]), on_line=lambda line: print(line, flush=True)):
    time.sleep(600)
"""
WAITS = """
import os, time
print(os.getpid(), flush=True)
time.sleep(600)
"""
IGNORES = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for modules that children run."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("code", [WAITS, IGNORES], ids=["willing", "deaf"])
def test_a_child_does_not_outlive_a_parent_that_is_killed(folder: Path, code: str) -> None:
    (folder / "waits.py").write_text(code)
    command = [sys.executable, "-c", PARENT, str(folder / "log.txt"), "waits"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    _, alive = psutil.wait_procs([child], timeout=25)
    for process in alive:
        process.kill()
    assert not alive


def test_a_child_gets_its_arguments_as_if_it_were_run_alone(folder: Path) -> None:
    (folder / "says.py").write_text("import sys\nprint(__name__, sys.argv[1:])")
    said: list[str] = []
    with Child("it", ["says", "--size", "4x3"], log=folder / "log.txt", on_line=said.append) as child:
        assert child.wait(20)
        assert child.exit_code == 0
    assert said == ["__main__ ['--size', '4x3']"]


def test_a_child_that_failed_is_told_in_its_last_words(folder: Path) -> None:
    (folder / "fails.py").write_text("raise SystemExit('the scene is empty')")
    with Child("the engine", ["fails"], log=folder / "log.txt") as child:
        assert child.wait(20)
        with pytest.raises(RenderliftError, match=r"the engine ended with exit code 1\n +\| the scene is empty"):
            child.check()


def test_leaving_the_block_asks_the_child_to_end(folder: Path) -> None:
    (folder / "waits.py").write_text(WAITS)
    with Child("it", ["waits"], log=folder / "log.txt") as child:
        assert child.exit_code is None
    assert child.exit_code in (-signal.SIGINT, 1 if os.name == "nt" else 130)
