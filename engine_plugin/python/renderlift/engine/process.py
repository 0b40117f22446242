"""What every engine process has in common: `python -m renderlift.engine.NAME SCENE`, as the bridge starts it.

docs/add_an_engine.md says what it must do.
"""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from renderlift.bridge.errors import RenderliftError, TransportError
from renderlift.bridge.frame import Frame
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import DEFAULT_ENDPOINT, Mode

_log = logging.getLogger(__name__)

LOOK_UP_S = 1.0  # how often a capture that waits looks whether it should end
SETTLE_S, LEAVE_S = 60.0, 2.0  # for the last acknowledgements; when asked to end

Grab = Callable[[int], Sequence[Frame]]  # the frames of one index, a frame for each camera


def engine_parser(name: str, description: str | None, scene_help: str) -> argparse.ArgumentParser:
    """The options that `renderlift capture` gives to every engine; an engine adds its own."""
    parser = argparse.ArgumentParser(prog=f"python -m renderlift.engine.{name}", description=description)
    parser.add_argument("scene", help=scene_help)
    parser.add_argument("--endpoint", default=DEFAULT_ENDPOINT, help="where the bridge listens")
    parser.add_argument("--mode", type=Mode, choices=list(Mode), default=Mode.PREVIEW)
    parser.add_argument("--size", type=size_of, default=(256, 448), metavar="WxH", help="of the frames")
    parser.add_argument("--frames", type=int, help="stop after so many; preview runs on by itself")
    parser.add_argument("--session", help="capture: name the run, to go on with it after a crash")
    parser.add_argument("--headless", action="store_true", help="draw without a window (the default)")
    return parser


def size_of(text: str) -> tuple[int, int]:
    """(height, width) of WIDTHxHEIGHT."""
    width, _, height = text.lower().partition("x")
    return int(height), int(width)


def exit_code_of(run: Callable[[threading.Event], None]) -> int:
    """Run an engine until it is done or its event is set by SIGTERM; say on stderr what went wrong."""
    try:
        with _ending_on_terminate() as ending:
            run(ending)
    except RenderliftError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def capture_all(
    publisher: Publisher,
    grab: Grab,
    cameras: Sequence[str],
    ending: threading.Event,
    *,
    frames: int,
    resumes: bool,
) -> None:
    """Send every frame of every camera once, in lockstep.

    Args:
        grab: called with indices that grow by one. A session that goes on starts one index early,
            unsent, so that the first frame that is sent has a flow.
        resumes: whether the bridge may have frames of this session.

    Raises:
        TransportError: no bridge, or one that did not acknowledge every frame.
    """
    wanted = {camera: publisher.resume_index(camera) if resumes else 0 for camera in cameras}
    start = min(wanted.values())
    for index in range(max(start - 1, 0), frames):
        if ending.is_set():
            break
        for frame in grab(index):
            if index >= wanted[frame.camera_name]:
                _publish(publisher, frame, ending)
    if not publisher.close(timeout_s=LEAVE_S if ending.is_set() else SETTLE_S):
        raise TransportError("not every frame was acknowledged", fix="Run the same session again.")


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


@contextmanager
def _ending_on_terminate() -> Generator[threading.Event]:
    """A flag, since an exception out of a handler could come up anywhere, in the middle of drawing too."""
    ending = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _signal, _frame: ending.set())
    try:
        yield ending
    finally:
        signal.signal(signal.SIGTERM, before)
