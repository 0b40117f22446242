"""Run one of our scenes as a game: `python -m renderlift.engine.panda3d SCENE`.

This is the engine process behind `renderlift demo`, and a full example of capturing one's own.
"""

import argparse
import importlib
import threading
import time
from collections.abc import Sequence
from typing import Any

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Frame
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import Mode
from renderlift.engine.panda3d.attach import attach
from renderlift.engine.panda3d.capture import CHANNELS, Capture
from renderlift.engine.panda3d.panda import core, open_showbase
from renderlift.engine.panda3d.scene_graph import Stage, scene_lens
from renderlift.engine.panda3d.window import View
from renderlift.engine.process import capture_all, engine_parser, exit_code_of
from renderlift.engine.scene import Scene
from renderlift.engine.scenes import demo_courtyard, random_scene

SUPERSAMPLE = 2  # the window's size over the frames', as in render_frames


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Asked to end by SIGTERM, it says goodbye to the bridge first."""
    options = _parser().parse_args(arguments)

    def run(ending: threading.Event) -> None:
        scene = load_scene(options.scene)
        height, width = options.size
        title = f"{scene.name} (F9: off, on, wipe)"
        base = open_showbase(SUPERSAMPLE * height, SUPERSAMPLE * width, window=options.window, title=title)
        base.disableMouse()
        base.cam.node().setLens(scene_lens(scene, base.win))
        stage = Stage(scene, base.win, camera=base.cam)
        if options.mode is Mode.CAPTURE:
            capture(base, stage, options, ending)
        else:
            preview(base, stage, options, ending)

    return exit_code_of(run)


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


def capture(base: Any, stage: Stage, options: argparse.Namespace, ending: threading.Event) -> None:
    """Send every frame once, in lockstep; a session that was cut short goes on where the bridge wants it to.

    Raises:
        TransportError: no bridge, or one that did not acknowledge every frame.
    """
    scene = stage.scene
    pixels = Capture(base.win, base.cam, size=options.size, class_ids=stage.class_ids, linear_colors=True)
    names = pixels.names  # none yet: nodes are met when they are drawn

    def grab(index: int) -> Sequence[Frame]:
        nonlocal names
        instant = instant_of(scene, index)
        if instant == 0:
            pixels.cut()
        stage.pose(instant)
        pixels.skip_to(index)
        frame = pixels.grab(round(index * 1e9 / scene.fps))
        if frame.names is not names:
            names = frame.names
            publisher.set_names(names)
        return [frame]

    with _publisher(options) as publisher:
        frames = options.frames or len(scene)
        resumes = options.session is not None
        capture_all(publisher, grab, (pixels.camera_name,), ending, frames=frames, resumes=resumes)
    pixels.close()


def instant_of(scene: Scene, index: int) -> int:
    """Which instant of a scene frame `index` of a capture shows: after the last one comes a cut to the first."""
    return index % len(scene)


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


def _parser() -> argparse.ArgumentParser:
    parser = engine_parser("panda3d", __doc__, "demo, random:SEED, or module:function that returns a Scene")
    parser.add_argument(
        "--max-fps", type=float, default=float("inf"), help="preview: draw no faster, for a CPU shared with a model"
    )
    parser.add_argument("--view", type=View, choices=list(View), default=View.WIPE, help="what the window shows")
    parser.add_argument("--window", action="store_true", help="open a window; F9 cycles its views")
    return parser
