"""Capture a running UnrealCV scene: `python -m renderlift.engine.unrealcv HOST:PORT`.

This is the engine process behind `renderlift capture unrealcv`.
"""

import argparse
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Frame
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import Mode
from renderlift.engine.process import capture_all, engine_parser, exit_code_of
from renderlift.engine.unrealcv.capture import Capture

_log = logging.getLogger(__name__)

FRAMES = 96  # of a capture without poses, unless another number is given
PAUSE, RESUME = "vset /action/game/pause", "vset /action/game/resume"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Asked to end by SIGTERM, it says goodbye to the bridge first."""
    options = _parser().parse_args(arguments)

    def run(ending: threading.Event) -> None:
        poses = _read_poses(options.poses) if options.poses else None
        with Capture(
            options.scene,
            cameras=options.camera or [0],
            size=options.size,
            static=options.static,
            check=not options.no_check,
            metres_per_depth_unit=options.depth_unit,
        ) as capture:
            if options.pause:
                capture.server.ask([PAUSE])
            try:
                with _publisher(options, capture) as publisher:
                    _run(publisher, capture, poses, options, ending)
            finally:
                if options.pause:
                    capture.server.ask([RESUME])
            if capture.torn_frames:
                _log.warning("%d frames whose channels do not belong together", capture.torn_frames)

    return exit_code_of(run)


def _run(
    publisher: Publisher,
    capture: Capture,
    poses: NDArray[np.float64] | None,
    options: argparse.Namespace,
    ending: threading.Event,
) -> None:
    start_s = time.monotonic()
    names = capture.names

    def grab(index: int) -> Sequence[Frame]:
        nonlocal names
        if poses is None:
            ending.wait(max(0.0, start_s + index / options.fps - time.monotonic()))
            time_ns = round((time.monotonic() - start_s) * 1e9)
        else:
            place = poses[index % len(poses)]
            for camera in capture.camera_names:
                capture.place(int(camera), place[:3], place[3:])
            time_ns = round(index * 1e9 / options.fps)
        capture.skip_to(index)
        frames = capture.grab(time_ns)
        if capture.names != names:
            names = capture.names
            publisher.set_names(names)
        return frames

    if options.mode is Mode.CAPTURE:
        frames = options.frames or (FRAMES if poses is None else len(poses))
        resumes = options.session is not None
        capture_all(publisher, grab, capture.camera_names, ending, frames=frames, resumes=resumes)
        return
    index = 0
    while not ending.is_set() and (options.frames is None or index < options.frames):
        for frame in grab(index):
            publisher.publish(frame)
        index += 1


def _read_poses(path: Path) -> NDArray[np.float64]:
    """Lines of `x y z pitch yaw roll` in centimetres and degrees, (N, 6).

    Raises:
        SetupError: the file cannot be read, or holds something else.
    """
    try:
        poses = np.loadtxt(path, delimiter="," if "," in path.read_text() else None, ndmin=2)
    except (OSError, ValueError) as error:
        raise SetupError(f"the poses in {path} cannot be read: {error}") from error
    if not len(poses) or poses.shape[1] != 6 or not np.isfinite(poses).all():
        raise SetupError(
            f"the poses in {path} have {poses.shape[1]} columns", fix="Write x y z pitch yaw roll in each line."
        )
    return poses


def _publisher(options: argparse.Namespace, capture: Capture) -> Publisher:
    return Publisher(
        options.endpoint,
        engine="unrealcv",
        mode=options.mode,
        channels=capture.channels,
        cameras=capture.camera_names,
        names=capture.names,
        session=options.session,
    )


def _parser() -> argparse.ArgumentParser:
    parser = engine_parser("unrealcv", __doc__, "HOST:PORT of the server, e.g. 127.0.0.1:9000")
    parser.add_argument("--fps", type=float, default=24.0, help="frames per second")
    parser.add_argument(
        "--camera", type=int, action="append", help="number of a camera, may be repeated; 0 by default"
    )
    parser.add_argument("--poses", type=Path, help="where the cameras go: a line of x y z pitch yaw roll per frame")
    parser.add_argument("--pause", action="store_true", help="pause the game while capturing")
    parser.add_argument("--static", action="store_true", help="only the camera moves: flow is known everywhere")
    parser.add_argument("--no-check", action="store_true", help="do not ask whether channels belong together")
    parser.add_argument(
        "--depth-unit", type=float, default=0.01, metavar="METRES", help="of the server's depth (0.01: centimetres)"
    )
    return parser
