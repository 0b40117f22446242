"""Run a MuJoCo model and send what its cameras see: `python -m renderlift.engine.mujoco MODEL`.

This is the engine process behind `renderlift capture mujoco`, and a full example of capturing one's own.
"""

import argparse
import threading
import time
from collections.abc import Sequence

from renderlift.bridge.frame import Frame
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import Mode
from renderlift.engine.mujoco.capture import CHANNELS, Capture
from renderlift.engine.mujoco.labels import Instances
from renderlift.engine.mujoco.library import core
from renderlift.engine.mujoco.simulation import Simulation, load_simulation
from renderlift.engine.process import capture_all, engine_parser, exit_code_of

FRAMES = 96  # of a capture, unless another number is given


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Asked to end by SIGTERM, it says goodbye to the bridge first."""
    options = _parser().parse_args(arguments)

    def run(ending: threading.Event) -> None:
        simulation = load_simulation(options.scene, options.keyframe)
        with (
            Capture(
                simulation.model,
                cameras=options.camera,
                size=options.size,
                instances=options.instances,
            ) as capture,
            _publisher(options, capture) as publisher,
        ):
            if options.mode is Mode.CAPTURE:
                _capture(publisher, capture, simulation, options, ending)
            else:
                _preview(publisher, capture, simulation, options, ending)

    return exit_code_of(run)


def _capture(
    publisher: Publisher,
    capture: Capture,
    simulation: Simulation,
    options: argparse.Namespace,
    ending: threading.Event,
) -> None:
    def grab(index: int) -> Sequence[Frame]:
        simulation.run_until(index / options.fps)
        capture.skip_to(index)
        return capture.grab(simulation.data, round(index * 1e9 / options.fps))

    frames = options.frames or FRAMES
    resumes = options.session is not None
    capture_all(publisher, grab, capture.camera_names, ending, frames=frames, resumes=resumes)


def _preview(
    publisher: Publisher,
    capture: Capture,
    simulation: Simulation,
    options: argparse.Namespace,
    ending: threading.Event,
) -> None:
    """Run in real time until `frames` were sent or it is asked to end."""
    start_s, sent = time.monotonic(), 0
    while not ending.is_set() and (options.frames is None or sent < options.frames):
        begun_s = time.monotonic()
        simulation.run_until(begun_s - start_s)
        for frame in capture.grab(simulation.data):
            publisher.publish(frame)
        sent += 1
        ending.wait(max(0.0, begun_s + 1 / options.fps - time.monotonic()))


def _publisher(options: argparse.Namespace, capture: Capture) -> Publisher:
    return Publisher(
        options.endpoint,
        engine="mujoco",
        engine_version=str(core.__version__),
        mode=options.mode,
        channels=CHANNELS,
        cameras=capture.camera_names,
        names=capture.names,
        session=options.session,
    )


def _parser() -> argparse.ArgumentParser:
    parser = engine_parser("mujoco", __doc__, "arm, a model's .xml or .mjb, or module:function")
    parser.add_argument("--fps", type=float, default=24.0, help="frames per second of the simulation's clock")
    parser.add_argument("--camera", action="append", help="one of the model's, may be repeated; all by default")
    parser.add_argument("--keyframe", help="of the model, to start from")
    parser.add_argument(
        "--instances", type=Instances, choices=list(Instances), default=Instances.BODY, help="what is one object"
    )
    return parser
