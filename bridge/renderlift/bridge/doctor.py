"""What works on this machine, and the fix for what does not.

A graphics driver that is broken can take its process with it, and torch takes seconds to
load, so whatever is heavy is tried in a process of its own.
"""

import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from renderlift.bridge.errors import SYSTEM_LIBRARIES_FIX, install_fix
from renderlift.bridge.events import Events
from renderlift.bridge.wire import DEFAULT_ENDPOINT, PROTOCOL_VERSION

PROBE_S = 120.0  # torch from a cold disk takes long
GIGABYTE = 1e9

# Runs in a process of its own; {body} sets `found`.
_PROBE = """
import json
try:
    {body}
    print(json.dumps({{"found": found}}))
except Exception as error:
    message = getattr(error, "message", "") or f"{{type(error).__name__}}: {{error}}"
    print(json.dumps({{"problem": message, "fix": getattr(error, "fix", "")}}))
"""
_TORCH = """import torch
    found = {"version": torch.__version__, "threads": torch.get_num_threads()}
    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    found["gpus"] = [f"{card.name} ({card.total_memory / 2**30:.0f} GB)" for card in cards]
    found["built_for"] = torch.version.cuda or torch.version.hip"""
_OPENGL = """from renderlift.engine.panda3d.panda import headless_output
    gsg = headless_output().getGsg()
    found = f"{gsg.getDriverRenderer()}, OpenGL {gsg.getDriverVersionMajor()}.{gsg.getDriverVersionMinor()}\""""
_OPENCV = """import cv2
    found = cv2.__version__"""
_PATH_TRACER = """from renderlift.engine.mitsuba import variant
    found = variant()"""

WEIGHTS = ("base/model_index.json", "lift/pytorch_lora_weights.safetensors", "lock.safetensors")


@dataclass(frozen=True)
class Finding:
    """One line of the examination. `warn` restricts something, `fail` stops the demo."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    fix: str = ""


Look = Callable[[], Finding]


def examine() -> list[Finding]:
    """Look at everything; takes some seconds."""
    looks: tuple[Look, ...] = (
        look_at_versions,
        look_at_disk,
        look_at_shared_memory,
        look_at_port,
        look_at_pictures,
        look_at_video,
        look_at_engine,
        look_at_screen,
        look_at_renderer,
        look_at_weights,
        look_at_path_tracer,
    )
    return [look() for look in looks]


def tell_findings(findings: list[Finding], events: Events) -> None:
    """The findings as a table, with fixes where something is wrong."""
    rows = [(f.state, f.name, f"{f.found}\nfix: {f.fix}" if f.fix else f.found) for f in findings]
    events.table("examination", "This machine", ("", "what", "found"), rows, findings=findings)


def look_at_versions() -> Finding:
    return Finding(
        "versions",
        "ok",
        f"renderlift {version('renderlift')} (protocol {PROTOCOL_VERSION}), "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    )


def look_at_disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    found = f"{free / GIGABYTE:.1f} GB free in {Path.cwd()}"
    if free > 2 * GIGABYTE:
        return Finding("disk", "ok", found)
    fix = "Free some space, or work in another folder: a minute of 1080p with all channels takes some 30 GB."
    return Finding("disk", "warn" if free > 0.2 * GIGABYTE else "fail", found, fix)


def look_at_shared_memory() -> Finding:
    shared = Path("/dev/shm")
    if sys.platform != "linux" or not shared.is_dir():
        return Finding("shared memory", "ok", "not used on this system; pixels go through sockets")
    free = shutil.disk_usage(shared).free
    found = f"{free / GIGABYTE:.1f} GB free in {shared}"
    if free > 0.25 * GIGABYTE and os.access(shared, os.W_OK):
        return Finding("shared memory", "ok", found)
    fix = "Pixels go through sockets instead, more slowly. In a container: docker run --shm-size=2g."
    return Finding("shared memory", "warn", found, fix)


def look_at_port() -> Finding:
    port = int(DEFAULT_ENDPOINT.rpartition(":")[2])
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            fix = "Most likely a bridge runs already; if not, give --endpoint tcp://127.0.0.1:PORT to both sides."
            return Finding("port", "warn", f"{port} is taken", fix)
    return Finding("port", "ok", f"{port} is free")


def look_at_pictures() -> Finding:
    answer = probe(_OPENCV)
    if "found" not in answer:
        return Finding("pictures", "fail", answer["problem"], SYSTEM_LIBRARIES_FIX)
    return Finding("pictures", "ok", f"OpenCV {answer['found']}")


def look_at_video() -> Finding:
    import av

    try:
        av.Codec("libx264", "w")
    except ValueError:
        return Finding(
            "video", "fail", "PyAV has no H.264 encoder", "pip install --force-reinstall --only-binary :all: av"
        )
    return Finding("video", "ok", f"H.264 by PyAV {av.__version__}")


def look_at_engine() -> Finding:
    if not is_installed("panda3d"):
        return Finding("engine", "warn", "Panda3D is not installed", install_fix("engines"))
    answer = probe(_OPENGL)
    if "found" not in answer:
        return Finding("engine", "fail", answer["problem"], answer["fix"] or SYSTEM_LIBRARIES_FIX)
    return Finding("engine", "ok", f"Panda3D draws without a window: {answer['found']}")


def look_at_screen() -> Finding:
    if has_screen():
        return Finding("screen", "ok", "videos can be shown")
    return Finding("screen", "ok", "none; files are written and not opened")


def has_screen() -> bool:
    """Whether something can be opened for the user to look at."""
    return sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def look_at_renderer() -> Finding:
    if not is_installed("torch"):
        return Finding("renderer", "warn", "torch is not installed: record and replay only", install_fix("model"))
    answer = probe(_TORCH)
    if "found" not in answer:
        return Finding("renderer", "fail", answer["problem"], "pip install --force-reinstall torch")
    torch = answer["found"]
    if torch["gpus"]:
        return Finding("renderer", "ok", f"torch {torch['version']} on {', '.join(torch['gpus'])}")
    found = f"torch {torch['version']} on {torch['threads']} CPU threads"
    if shutil.which("nvidia-smi") and not torch["built_for"]:
        fix = "This torch is built without CUDA: install the CUDA build that pytorch.org names for this driver."
        return Finding("renderer", "warn", f"{found}, though there is a GPU", fix)
    return Finding("renderer", "ok", f"{found}; no GPU")


def look_at_weights() -> Finding:
    spec = importlib.util.find_spec("renderlift.model")
    folders = list(spec.submodule_search_locations or []) if spec else []
    folder = Path(folders[0]) / "weights" if folders else Path("weights")
    missing = [name for name in WEIGHTS if not (folder / name).is_file()]
    if missing:
        fix = "Reinstall renderlift; from a clone, fetch the whole repository."
        return Finding("weights", "fail", f"{', '.join(missing)} missing in {folder}", fix)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Finding("weights", "ok", f"embedded base, lift and lock, {size / 1e6:.0f} MB")


def look_at_path_tracer() -> Finding:
    if not is_installed("mitsuba"):
        return Finding("path tracer", "ok", f"not installed; only to make pairs. {install_fix('truth')}")
    answer = probe(_PATH_TRACER)
    if "found" not in answer:
        return Finding("path tracer", "warn", answer["problem"], answer["fix"] or install_fix("truth"))
    if not str(answer["found"]).startswith("llvm"):
        return Finding(
            "path tracer", "warn", "Mitsuba without LLVM, several times slower", "apt-get install libllvm19"
        )
    return Finding("path tracer", "ok", f"Mitsuba, {answer['found']}")


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def probe(body: str) -> dict[str, Any]:
    """Run a piece of code elsewhere: {"found": ...}, or {"problem": ..., "fix": ...}."""
    command = [sys.executable, "-c", _PROBE.format(body=body)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        return {"problem": f"no answer within {PROBE_S:.0f} s", "fix": "Try again when the machine is less busy."}
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        words = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return {
            "problem": f"crashed with exit code {done.returncode}: {words}",
            "fix": "Update the graphics driver.",
        }
    result: dict[str, Any] = json.loads(lines[-1])
    return result
