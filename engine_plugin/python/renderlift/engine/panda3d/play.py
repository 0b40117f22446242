"""Run one of our scenes as a game: `python -m renderlift.engine.panda3d SCENE`.

This is the engine process behind `renderlift demo`, and a full example of capturing one's own.
"""

import argparse
import importlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from renderlift.bridge.errors import RenderliftError, SetupError, TransportError
from renderlift.bridge.frame import Frame
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import DEFAULT_ENDPOINT, Mode
from renderlift.engine.panda3d.attach import attach
from renderlift.engine.panda3d.capture import CHANNELS, Capture
from renderlift.engine.panda3d.panda import core, open_showbase
from renderlift.engine.panda3d.scene_graph import Stage, scene_lens
from renderlift.engine.panda3d.window import View
from renderlift.engine.scene import Scene
from renderlift.engine.scenes import demo_courtyard, random_scene

_log = logging.getLogger(__name__)

SUPERSAMPLE = 2  # the window's size over the frames', as in render_frames
LOOK_UP_S = 1.0  # how often a capture that waits looks whether it should end
SETTLE_S, LEAVE_S = 60.0, 2.0  # for the last acknowledgements; when asked to end


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Asked to end by SIGTERM, it says goodbye to the bridge first."""
    options = _parser().parse_args(arguments)
    ending = threading.Event()
    # A flag, since an exception out of a handler could come up anywhere, in the middle of drawing too.
    before = signal.signal(signal.SIGTERM, lambda _signal, _frame: ending.set())
    try:
        scene = load_scene(options.scene)
        height, width = options.size
        title = f"{scene.name} (F9: off, on, wipe)"
        base = open_showbase(SUPERSAMPLE * height, SUPERSAMPLE * width, window=options.window, title=title)
        base.disableMouse()
        base.cam.node().setLens(scene_lens(scene, base.win))
        stage = Stage(scene, base.win, camera=base.cam)
        if options.mode is Mode.CAPTURE:
            capture_all(base, stage, options, ending)
        else:
            preview(base, stage, options, ending)
    except RenderliftError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def load_scene(name: str) -> Scene:
    """`demo`, `random:SEED`, or `module:function` for one's own.

    Raises:
        SetupError: no such scene.
    """
    kind, _, rest = name.partition(":")
    if name == "demo":
        return demo_courtyard()
    try:
        if kind == "random":
            return random_scene(int(rest), frames=96)
        scene: Scene = getattr(importlib.import_module(kind), rest)()
        return scene
    except (ImportError, AttributeError, ValueError) as error:
        raise SetupError(
            f"there is no scene {name!r}: {error}",
            fix="Give demo, random:SEED, or module:function for a function that returns a Scene.",
        ) from error


def capture_all(base: Any, stage: Stage, options: argparse.Namespace, ending: threading.Event) -> None:
    """Send every frame once, in lockstep; a session that was cut short goes on where the bridge wants it to.

    Raises:
        TransportError: no bridge, or one that did not acknowledge every frame.
    """
    scene = stage.scene
    capture = Capture(base.win, base.cam, size=options.size, class_ids=stage.class_ids, linear_colors=True)

    def grab(index: int) -> Frame:
        if index % len(scene) == 0:
            capture.cut()
        stage.pose(index % len(scene))
        capture.skip_to(index)
        return capture.grab(round(index * 1e9 / scene.fps))

    with _publisher(options) as publisher:
        start = publisher.resume_index(capture.camera_name) if options.session else 0
        if start:
            grab(start - 1)  # unsent, so that the first frame that is sent has a flow
        for index in range(start, options.frames or len(scene)):
            if ending.is_set():
                break
            frame = grab(index)
            if index == start:
                publisher.set_names(frame.names)
            _publish(publisher, frame, ending)
        if not publisher.close(timeout_s=LEAVE_S if ending.is_set() else SETTLE_S):
            raise TransportError("not every frame was acknowledged", fix="Run the same session again.")
    capture.close()


def _publish(publisher: Publisher, frame: Frame, ending: threading.Event) -> None:
    """Wait until the bridge has room, but not when asked to end."""
    told = False
    while not ending.is_set():
        try:
            publisher.publish(frame, timeout_s=LOOK_UP_S)
        except TransportError:
            if not told:  # the publisher itself says so only in a longer wait
                _log.warning("capture waits: %s", publisher.status.problem)
            told = True
        else:
            return


def preview(base: Any, stage: Stage, options: argparse.Namespace, ending: threading.Event) -> None:
    """Run in real time, over and over, until the window is closed or `frames` were shown."""
    lift = attach(
        base,
        endpoint=options.endpoint,
        size=options.size,
        fps=stage.scene.fps,
        view=options.view,
        class_ids=stage.class_ids,
        linear_colors=True,
    )
    base.accept("escape", ending.set)
    scene, start_s, shown, lap = stage.scene, time.monotonic(), 0, 0
    # A game faster than its scene would draw the same instant twice.
    interval_s = 1 / min(scene.fps, options.max_fps)
    while not ending.is_set() and (options.frames is None or shown < options.frames):
        now_s = time.monotonic()
        index = int((now_s - start_s) * scene.fps)
        if index // len(scene) != lap:
            lap = index // len(scene)
            lift.capture.cut()
        stage.pose(index % len(scene))
        base.taskMgr.step()
        shown += 1
        time.sleep(max(0.0, now_s + interval_s - time.monotonic()))
    lift.close()


def _publisher(options: argparse.Namespace) -> Publisher:
    return Publisher(
        options.endpoint,
        engine="panda3d",
        engine_version=str(core.PandaSystem.getVersionString()),
        mode=options.mode,
        channels=CHANNELS,
        session=options.session,
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    return int(height), int(width)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m renderlift.engine.panda3d", description=__doc__)
    parser.add_argument("scene", help="demo, random:SEED, or module:function that returns a Scene")
    parser.add_argument("--endpoint", default=DEFAULT_ENDPOINT, help="where the bridge listens")
    parser.add_argument("--mode", type=Mode, choices=list(Mode), default=Mode.PREVIEW)
    parser.add_argument("--size", type=_size, default=(256, 448), metavar="WxH", help="of the frames")
    parser.add_argument("--frames", type=int, help="stop after so many; preview runs on by itself")
    parser.add_argument(
        "--max-fps", type=float, default=float("inf"), help="preview: draw no faster, for a CPU shared with a model"
    )
    parser.add_argument("--session", help="capture: name the run, to go on with it after a crash")
    parser.add_argument("--view", type=View, choices=list(View), default=View.WIPE, help="what the window shows")
    window = parser.add_mutually_exclusive_group()
    window.add_argument("--window", action="store_true", help="open a window; F9 cycles its views")
    window.add_argument("--headless", dest="window", action="store_false", help="draw without one (the default)")
    return parser
