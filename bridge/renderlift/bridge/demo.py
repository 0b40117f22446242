"""`renderlift demo`: engine, bridge and model as real processes over real sockets.

First the engine previews a scene, for speed and latency. Then it captures the scene, every
frame of which is recorded and lifted. What comes out is put beside what went in, and
beside the same scene path-traced.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderlift.bridge.capture import engine_arguments
from renderlift.bridge.child import Child
from renderlift.bridge.demo_results import tell_results, write_results
from renderlift.bridge.doctor import has_screen
from renderlift.bridge.errors import RecordingError, RenderliftError
from renderlift.bridge.events import Events
from renderlift.bridge.renderer_options import RendererOptions, as_words

ENGINE, SCENE = "panda3d", "demo"
MADE = ("before_after.mp4", "lifted.mp4", "lifted", "truth.png", "table.txt", "result.json", "recording", "logs")

START_S = 180.0  # for a model from a cold disk, on a busy machine
PREVIEW_S = 8.0  # of preview, after its first pictures
STALL_S = 120.0  # without anything new, after which a process is taken to hang

StreamRow = Mapping[str, Any]  # the fields of tally.StreamProgress, as `serve --json` tells them


@dataclass(frozen=True)
class Demo:
    """What to run, and where to put what comes out."""

    folder: Path
    frames: int
    size: str  # WIDTHxHEIGHT
    render: str
    options: RendererOptions


def run_demo(demo: Demo, events: Events, *, opens: bool) -> None:
    """Run the demo, leave its results in the folder, and say where they are.

    Raises:
        RecordingError: the folder holds something else.
        RenderliftError: a process failed; its last words are in the message.
    """
    started_s = time.monotonic()
    _clear(demo.folder)
    with _Bridge(demo) as bridge:
        preview = _preview(demo, bridge, events)
        captured = _capture(demo, bridge, events)
    events.tell("composing", "Putting before and after side by side, and measuring.")
    results = write_results(demo.folder, render=demo.render, preview=preview, captured=captured)
    tell_results(results, demo.folder, events, seconds=time.monotonic() - started_s)
    if opens and has_screen():
        _open(demo.folder / "before_after.mp4")


class _Bridge:
    """`renderlift serve` as a process, and the newest of what it said."""

    def __init__(self, demo: Demo) -> None:
        self.endpoint = ""
        self.ready = False
        self._error: dict[str, str] | None = None
        self._streams: list[StreamRow] = []
        arguments = ["renderlift.bridge.cli", "serve", "--json", "--endpoint", "tcp://127.0.0.1:*"]
        arguments += ["--render", demo.render, *as_words(demo.options)]
        arguments += ["--record", str(demo.folder / "recording"), "--video", str(demo.folder / "lifted")]
        self._child = Child("the bridge", arguments, log=_log(demo, "bridge"), on_line=self._take)

    def __enter__(self) -> "_Bridge":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    def stream(self, mode: str) -> StreamRow:
        """How the newest stream of this mode does; empty before there is one."""
        nothing: StreamRow = {}
        return next((row for row in reversed(self._streams) if row["mode"] == mode), nothing)

    def check(self) -> None:
        """Raises RenderliftError if it has ended, with the reason it gave."""
        if self._child.exit_code is None:
            return
        self._child.stop()  # and read what it said last
        if self._error:
            raise RenderliftError(self._error["message"], fix=self._error["fix"])
        self._child.check()
        raise RenderliftError("the bridge ended by itself")

    def _take(self, line: str) -> None:
        event = json.loads(line)
        match event["event"]:
            case "listening":
                self.endpoint = event["endpoint"]
            case "ready":
                self.ready = True
            case "streams":
                self._streams = event["streams"]
            case "error":
                self._error = event
            case _:
                pass


def _preview(demo: Demo, bridge: _Bridge, events: Events) -> StreamRow:
    """Let the engine preview for some seconds; how its stream did."""
    events.tell("loading", "Starting the bridge with its renderer, and the engine.")
    _wait(lambda: bool(bridge.endpoint), bridge.check, what="the bridge to listen")
    with _engine(demo, bridge, "preview") as engine:

        def check() -> None:
            bridge.check()
            engine.check()

        _wait(lambda: bridge.ready, check, what="the renderer to load")
        _wait(lambda: bridge.stream("preview").get("rendered", 0) > 0, check, what="the first picture")
        began_s = time.monotonic()
        while (passed_s := time.monotonic() - began_s) < PREVIEW_S:
            check()
            _progress(events, "preview", round(passed_s), round(PREVIEW_S), bridge.stream("preview"))
            time.sleep(0.2)
        row = bridge.stream("preview")
        _progress(events, "preview", round(PREVIEW_S), round(PREVIEW_S), row)
    return row


def _capture(demo: Demo, bridge: _Bridge, events: Events) -> StreamRow:
    """Capture every frame, and wait until all have their picture; how the stream did."""
    with _engine(demo, bridge, "capture") as engine:
        done, moved_s = 0, time.monotonic()
        while done < demo.frames:
            bridge.check()
            engine.check()
            row = bridge.stream("capture")
            now_done = row.get("rendered", 0) + row.get("failed", 0)
            if now_done > done:
                done, moved_s = now_done, time.monotonic()
            if time.monotonic() - moved_s > STALL_S:
                raise RenderliftError(f"nothing came for {STALL_S:.0f} s after {done} of {demo.frames} frames")
            _progress(events, "capture and lift", done, demo.frames, row)
            time.sleep(0.2)
    return bridge.stream("capture")


def _engine(demo: Demo, bridge: _Bridge, mode: str) -> Child:
    frames = demo.frames if mode == "capture" else None
    arguments = engine_arguments(ENGINE, SCENE, endpoint=bridge.endpoint, mode=mode, size=demo.size, frames=frames)
    return Child(f"the engine {ENGINE}", arguments, log=_log(demo, f"engine_{mode}"))


def _progress(events: Events, stage: str, done: int, total: int, row: StreamRow) -> None:
    fps = row.get("rendered_fps") or 0.0
    events.progress(stage, done, total, text=f"{fps:.1f} fps lifted" if fps else "")


def _wait(done: Callable[[], bool], check: Callable[[], None], *, what: str) -> None:
    until_s = time.monotonic() + START_S
    while not done():
        check()
        if time.monotonic() > until_s:
            raise RenderliftError(f"waited {START_S:.0f} s for {what}", fix="Run `renderlift doctor`.")
        time.sleep(0.05)


def _log(demo: Demo, name: str) -> Path:
    folder = demo.folder / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.txt"


def _clear(folder: Path) -> None:
    """Make room for a new run, in a folder that holds nothing but an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    strangers = sorted({path.name for path in folder.iterdir()} - set(MADE))
    if strangers:
        raise RecordingError(
            f"{folder} holds {strangers[0]}, which no demo made", fix="Name another folder: renderlift demo -o NAME"
        )
    for name in MADE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _open(path: Path) -> None:
    """Show a file as a double click would."""
    if sys.platform == "win32":
        os.startfile(path)
        return
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    if shutil.which(opener):
        subprocess.run([opener, str(path)], check=False, capture_output=True)
