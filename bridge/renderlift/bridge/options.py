"""Command-line options that several commands share."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from renderlift.bridge.errors import SYSTEM_LIBRARIES_FIX, RenderliftError, SetupError

if TYPE_CHECKING:
    from renderlift.bridge.connection import Curve
    from renderlift.bridge.events import Events

# Exit codes, as docs/cli.md lists them; 2 is a wrong command line.
FAILED, LOSSY, INTERRUPTED = 1, 3, 130


def _check_size(text: str) -> str:
    width, x, height = text.lower().partition("x")
    if not (x and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise typer.BadParameter(f"{text!r} is not a size, write e.g. 448x256")
    return f"{int(width)}x{int(height)}"


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
Size = Annotated[str, typer.Option(callback=_check_size, metavar="WxH", help="Picture size in pixels.")]

Render = Annotated[
    str, typer.Option(help="identity, embedded, or module:function of your own.", rich_help_panel="Renderer")
]
Steps = Annotated[int | None, typer.Option(min=1, help="Denoising steps.", rich_help_panel="Renderer")]
Seed = Annotated[int | None, typer.Option(help="Of the noise; equal seeds repeat.", rich_help_panel="Renderer")]
AdapterScale = Annotated[
    float | None, typer.Option(help="Strength of the adapter: 0 none, 1 as trained.", rich_help_panel="Renderer")
]
NoLock = Annotated[bool, typer.Option("--no-lock", help="Leave out the geometry lock.", rich_help_panel="Renderer")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...", rich_help_panel="Renderer")]
Base = Annotated[
    str | None,
    typer.Option(help="Folder of another base: LTX-2, Wan, Wan VACE, Cosmos-Transfer.", rich_help_panel="Renderer"),
]
Adapter = Annotated[
    str | None, typer.Option(help="IC-LoRA for that base: a folder or a file; or none.", rich_help_panel="Renderer")
]
LARGE = "Large bases (docs/bases.md)"
Prompt = Annotated[
    str | None, typer.Option(help="What to paint; {scene} = what the engine names.", rich_help_panel=LARGE)
]
Guidance = Annotated[
    float | None,
    typer.Option(min=1, help="How strictly to follow it; 1 = not, twice as fast.", rich_help_panel=LARGE),
]
Strength = Annotated[
    float | None, typer.Option(min=0, max=1, help="How closely to follow the engine.", rich_help_panel=LARGE)
]
Control = Annotated[
    str | None, typer.Option(help="What steers VACE and Cosmos: edge, depth, seg, blur.", rich_help_panel=LARGE)
]
Anchors = Annotated[
    Path | None, typer.Option(help="Folder of known pictures, NNNNNN.png by frame index.", rich_help_panel=LARGE)
]
PresetName = Annotated[
    str | None, typer.Option("--preset", help="How to fit into GPU memory; auto.", rich_help_panel=LARGE)
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        help="Class or thing to leave as the engine drew it, NAME or NAME=0.5; may be repeated.",
        rich_help_panel="Renderer",
    ),
]
Length = Annotated[int, typer.Option(min=1, help="Frames in a clip; 4k + 1 wastes nothing.")]
Overlap = Annotated[int, typer.Option(min=0, help="Frames that neighbouring clips share and cross-fade.")]


def renderer_options(
    steps: int | None,
    seed: int | None,
    adapter_scale: float | None,
    no_lock: bool,
    device: str | None,
    base: str | None,
    adapter: str | None,
) -> dict[str, Any]:
    """What the user has set, as keyword arguments for the renderer; the rest is its own default."""
    given = {
        "steps": steps,
        "seed": seed,
        "adapter_scale": adapter_scale,
        "lock": False if no_lock else None,
        "device": device,
        "base": base,
        "adapter": adapter,
    }
    return {name: value for name, value in given.items() if value is not None}


def base_options(
    prompt: str | None,
    guidance: float | None,
    strength: float | None,
    control: str | None,
    anchors: Path | None,
    preset: str | None,
    keep: list[str] | None,
) -> dict[str, Any]:
    """As `renderer_options`, for what large bases take as well."""
    given = {
        "prompt": prompt,
        "guidance": guidance,
        "reference_strength": strength,
        "control": control,
        "anchors": None if anchors is None else str(anchors),
        "preset": preset,
        "keep": dict(_kept_share(text) for text in keep) if keep else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _kept_share(text: str) -> tuple[str, float]:
    name, equals, share = text.rpartition("=")
    if not equals:
        return text, 1.0
    try:
        number = float(share)
    except ValueError:
        number = -1.0
    if not (name and 0 <= number <= 1):
        raise typer.BadParameter(f"--keep {text}: write NAME, or NAME=SHARE with a share from 0 to 1")
    return name, number


def check_clip(length: int, overlap: int) -> None:
    """Refuse an overlap that leaves no frame of its own to a clip."""
    if overlap >= length:
        raise typer.BadParameter(f"--overlap {overlap} must be less than --length {length}")


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
def telling(as_json: bool, debug: bool) -> Generator["Events"]:
    """What a command says, and its end: an error becomes its message, its fix and an exit code."""
    from renderlift.bridge.events import Events

    events = Events(as_json=as_json)
    try:
        with events, _system_libraries_named():
            yield events
    except RenderliftError as error:
        if debug:
            traceback.print_exc()
        events.tell("error", kind=type(error).__name__, message=error.message, fix=error.fix)
        fix = f"\n  fix: {error.fix}" if error.fix else ""
        typer.echo(f"error: {error.message}{fix}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        events.tell("interrupted")
        typer.echo("interrupted", err=True)
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
