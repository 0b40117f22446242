"""Command-line options that several commands share."""

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from renderlift.bridge.errors import SYSTEM_LIBRARIES_FIX, RenderliftError, SetupError, with_fix
from renderlift.bridge.renderer_options import OWN, check_size

if TYPE_CHECKING:
    from renderlift.bridge.connection import Curve
    from renderlift.bridge.events import Events

# Exit codes, as docs/cli.md lists them; 2 is a wrong command line.
FAILED, LOSSY, INTERRUPTED = 1, 3, 130


Json = Annotated[bool, typer.Option("--json", help="One JSON event per line on stdout, for machines.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the program an error arose.")]
Endpoint = Annotated[str, typer.Option(help="Address of the bridge.", metavar="ADDRESS")]
OwnKey = Annotated[
    Path | None, typer.Option("--key", help="CURVE: own .key_secret file, to talk to other machines.")
]
PeerKeys = Annotated[
    list[Path] | None, typer.Option("--peer", help="CURVE: .key file of whom to trust; may be repeated.")
]
Once = Annotated[bool, typer.Option("--once", help="End when the engines that came have said goodbye.")]
Size = Annotated[str, typer.Option(callback=check_size, metavar="WxH", help="Picture size in pixels.")]

Render = Annotated[
    str, typer.Option(help="identity, embedded, or module:function of your own.", rich_help_panel=OWN)
]
Base = Annotated[str | None, typer.Option(help="Folder of another base: LTX-2, Wan.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")]
Length = Annotated[int | None, typer.Option(min=1, help="Frames in a clip; else as the renderer likes it.")]
Overlap = Annotated[
    int | None, typer.Option(min=0, help="Frames that neighbouring clips share; else as the renderer likes it.")
]

MANY = "Many at once"
RayAddress = Annotated[
    str, typer.Option(help="Of a Ray cluster: auto, HOST:PORT.", metavar="ADDRESS", rich_help_panel=MANY)
]


def same_command(restart: bool = False) -> str:
    """What goes on where an interrupted command stopped."""
    return "the same command without --restart" if restart else "the same command"


def check_clip(length: int | None, overlap: int | None) -> None:
    """Refuse an overlap that leaves no frame of its own to a clip."""
    if length is not None and overlap is not None and overlap >= length:
        raise typer.BadParameter(f"--overlap {overlap} must be less than --length {length}")


def gigabytes(text: str) -> float:
    """80, 80GB or "80 GB"."""
    amount = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:GB?)?", text.strip(), re.IGNORECASE)
    if amount is None or float(amount[1]) < 1:
        raise typer.BadParameter(f"{text!r} is not a number of GB from 1 on, write e.g. 24")
    return float(amount[1])


def load_curve(key: Path | None, peers: list[Path] | None) -> "Curve | None":
    """The keys that --key and --peer name.

    Raises:
        SetupError: a file is missing or holds no key.
    """
    if key is None and not peers:
        return None
    if key is None or not peers:
        raise typer.BadParameter("--key and --peer belong together")
    from renderlift.bridge.connection import Curve

    return Curve.load(key, *peers)


@contextmanager
def _system_libraries_named() -> Generator[None]:
    """A package that is there but cannot load a library of the system becomes an error that names the fix."""
    try:
        yield
    except ImportError as error:
        if ".so" not in str(error):
            raise
        raise SetupError(f"a library is missing: {error}", fix=SYSTEM_LIBRARIES_FIX) from error


def leave_a_core_to_the_engine() -> None:
    """Let the renderer use all cores but one, unless the user has set OMP_NUM_THREADS.

    Its threads wait for each other by spinning. If an engine on the same machine takes the core of
    one of them, all others burn theirs meanwhile, and both get slower than with a thread less.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 2
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores - 1)))


@contextmanager
def telling(as_json: bool, debug: bool, *, goes_on: str = "") -> Generator["Events"]:
    """What a command says, and its end: an error becomes its message, its fix and an exit code.

    Args:
        goes_on: what goes on where the command was interrupted; empty: nothing does.
    """
    from renderlift.bridge.events import Events

    events = Events(as_json=as_json)
    try:
        with events, _system_libraries_named():
            yield events
    except RenderliftError as error:
        if debug:
            traceback.print_exc()
        events.tell("error", kind=type(error).__name__, message=error.message, fix=error.fix)
        typer.echo(f"error: {with_fix(error.message, error.fix)}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        events.tell("interrupted")
        typer.echo(f"interrupted; {goes_on} goes on from there" if goes_on else "interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def interrupted_by_terminate() -> Generator[None]:
    """Let SIGTERM do what Ctrl-C does, so that children are stopped and files closed."""

    def interrupt(number: int, at: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopping() -> Generator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; the second one ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, at: FrameType | None) -> None:
        # Nothing is said here, for the signal may have come in the middle of a line.
        if stop.is_set():
            # Recordings and films are whole up to their last frame at any time.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except RenderliftError as error:
        if stop.is_set():  # what was asked for is an end, and that is what came
            error.exit_code = INTERRUPTED
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
