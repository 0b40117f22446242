"""Record engines: one that we start ourselves, or whatever connects."""

import importlib.util
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from renderlift.bridge.child import Child
from renderlift.bridge.clip import StreamEnd
from renderlift.bridge.connection import Curve
from renderlift.bridge.errors import RenderliftError, SetupError
from renderlift.bridge.events import Events
from renderlift.bridge.receive import Receiver
from renderlift.bridge.record import Recorder
from renderlift.bridge.serve import arrivals, kept

IDLE_S = 0.5  # without a frame, after which it is asked whether the engine still runs


def engine_arguments(
    engine: str,
    scene: str,
    *,
    endpoint: str,
    mode: str,
    size: str,
    frames: int | None,
    headless: bool = True,
    own_options: Sequence[str] = (),
) -> list[str]:
    """What to give to `python -m` to run one of our engines.

    Args:
        own_options: passed on as they are, for options that only this engine has.

    Raises:
        SetupError: there is no such engine.
    """
    module = f"renderlift.engine.{engine}"
    found = None
    with suppress(ModuleNotFoundError, ValueError):
        found = importlib.util.find_spec(module)
    if found is None:
        raise SetupError(
            f"there is no engine {engine!r} to start",
            fix="Use panda3d, mujoco or unrealcv; other engines connect by themselves to `renderlift record`.",
        )
    arguments = [module, scene, "--endpoint", endpoint, "--mode", mode, "--size", size]
    if frames is not None:
        arguments += ["--frames", str(frames)]
    return [*arguments, "--headless" if headless else "--window", *own_options]


def capture(
    engine: str,
    scene: str,
    output: Path,
    *,
    frames: int,
    size: str,
    events: Events,
    stop: threading.Event,
    own_options: Sequence[str] = (),
) -> int:
    """Record `frames` frames of each camera of a scene into the recording `output`.

    Returns:
        How many frames were recorded, of all cameras: fewer than asked for if `stop` was set.

    Raises:
        SetupError: no such engine.
        RenderliftError: the engine failed; what it sent before is recorded.
    """
    recorded, wanted = 0, frames
    with (
        TemporaryDirectory(prefix="renderlift-") as logs,
        Recorder(output) as recorder,
        Receiver("tcp://127.0.0.1:*", durable=recorder.last_index) as receiver,
    ):
        arguments = engine_arguments(
            engine,
            scene,
            endpoint=receiver.endpoint,
            mode="capture",
            size=size,
            frames=frames,
            own_options=own_options,
        )
        with Child(f"the engine {engine}", arguments, log=Path(logs) / "engine.txt") as child:
            events.progress("capturing", 0, wanted)
            ended = False
            while not ended and not stop.is_set():
                ended = child.exit_code is not None  # asked first, so that its last frames are read below
                arrivals = receiver.frames(timeout_s=IDLE_S, stop=stop)
                for _ in kept(arrivals, receiver, recorder, events, stop):
                    recorded += 1
                    wanted = frames * len(receiver.streams)
                    events.progress("capturing", recorded, wanted)
            if not stop.is_set():
                child.check()
    if recorded < wanted and not stop.is_set():
        raise RenderliftError(f"the engine {engine} sent {recorded} frames, {wanted} were asked for")
    return recorded


def record_engines(
    output: Path,
    endpoint: str,
    *,
    once: bool,
    curve: Curve | None,
    events: Events,
    stop: threading.Event,
) -> bool:
    """Record whatever engines send until `stop` is set, or with `once` until all have said goodbye.

    Returns:
        Whether frames of previews were dropped on the way; captures lose none.

    Raises:
        TransportError: the endpoint is taken, or open to the network without keys.
    """
    with (
        Recorder(output) as recorder,
        Receiver(endpoint, durable=recorder.last_index, curve=curve) as receiver,
    ):
        events.tell("listening", f"Recording into {output} at {receiver.endpoint}.", endpoint=receiver.endpoint)
        count = 0
        for item in kept(arrivals(receiver, stop=stop, once=once), receiver, recorder, events, stop):
            if isinstance(item, StreamEnd):
                events.tell("engine_left", f"{item.stream[0]} has gone.", engine=item.stream[0])
                continue
            count += 1
            events.progress("recording", count)
        dropped = sum(stream.dropped for stream in receiver.streams)
    lost = f", {dropped} dropped by previews" if dropped else ""
    events.tell("recorded", f"{count} frames in {output}{lost}.", recording=output, frames=count, dropped=dropped)
    return dropped > 0
