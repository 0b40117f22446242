"""The options of renderers: one table, which is added to the signature of every command that renders.

They are named as the arguments of `renderlift.model.render.load`, the authority on what they do and on their
defaults: what a user leaves out is not passed on.
"""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import typer

from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.errors import SetupError

OWN, LARGE = "Renderer", "Large bases (docs/bases.md)"
PLACE = "renderer"  # the parameter of a command that the options stand in for

RendererOptions = Mapping[str, Any]  # what the user has set, as keyword arguments for the renderer
Command = Callable[..., None]


def _option(name: str, kind: Any, help: str, *words: str, panel: str = OWN, **rules: Any) -> inspect.Parameter:
    info = typer.Option(None, *words, help=help, rich_help_panel=panel, **rules)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=kind | None)


_large = functools.partial(_option, panel=LARGE)

OPTIONS: tuple[inspect.Parameter, ...] = (
    _option("base", str, "Folder of another base: LTX-2, Wan, Wan VACE, Cosmos-Transfer."),
    _option("adapter", str, "IC-LoRA for that base: a folder or a file; or none."),
    _option("references", str, "What the adapter reads, if its file does not say it: depth, or rgb,depth."),
    _option("adapter_scale", float, "Strength of the adapter: 0 none, 1 as trained."),
    _option("steps", int, "Denoising steps.", min=1),
    _option("seed", int, "Of the noise; equal seeds repeat."),
    _option("lock", bool, "Geometry lock, as a last step; else for the embedded base only.", "--lock/--no-lock"),
    _option("lock_weights", str, "Another lock: what `train lock` wrote, folder or file."),
    _option("steady", float, "Averaging of light along the engine's flow: 0 none, 1 most.", min=0, max=1),
    _option(
        "keep",
        list[str],
        "Class or thing to leave as the engine drew it, NAME or NAME=0.5; may be repeated.",
    ),
    _option("working_pixels", str, "Area to paint at, at most.", "--working-size", metavar="WxH"),
    _option("device", str, "auto, cpu, cuda, cuda:1, mps, ..."),
    _option("dtype", str, "auto, float32 or bfloat16."),
    _large("prompt", str, "What to paint; {scene} = what the engine names."),
    _large("negative_prompt", str, "What not to paint; for a --guidance above 1."),
    _large("guidance", float, "How strictly to follow the prompts; 1 = not, twice as fast.", min=1),
    _large("reference_strength", float, "How closely to follow the engine.", "--strength", min=0, max=1),
    _large(
        "control",
        str,
        f"What steers VACE, and Cosmos, which takes several as edge=0.7,depth=0.3: {', '.join(CONTROLS)}.",
    ),
    _large("distilled", str, "LoRA distilled for few steps: Wan, VACE then take 4, full LTX-2 8. File or folder."),
    _large("anchors", Path, "Folder of known pictures, NNNNNN.png by frame index."),
    _large("reference_images", Path, "What things look like, not where: a picture or a folder of some; VACE."),
    _large("preset", str, "auto, resident-compiled, resident, parts, parts-int8, blocks or layers: fast to lean."),
    _large("two_stages", bool, "LTX-2: half the size first, then upsampled and refined.", "--two-stages"),
    _large("window", int, "Frames to paint at once; else as many as the base was trained on.", min=1),
)


# Those that may name a file or a folder.
PLACES = ("base", "adapter", "distilled", "lock_weights", "anchors", "reference_images")

# Those that are not typed as their argument is named.
_WORDS: dict[str, str] = {
    option.name: option.default.param_decls[0].partition("/")[0] for option in OPTIONS if option.default.param_decls
}


def takes_renderer_options(*, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Give a command the options of renderers, in the place of its keyword argument `renderer`.

    The command is called with what the user has set of them, as `RendererOptions`.

    Args:
        without: those left out, because the command has another option of that name.
    """
    ours = [option for option in OPTIONS if option.name not in without]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def typed(**given: Any) -> None:
            options = {option.name: given.pop(option.name, None) for option in ours}
            command(**given, **{PLACE: _as_given(options)})

        typed.__signature__ = _with_options(command, ours)  # type: ignore[attr-defined]
        return typed

    return decorate


def option_word(name: str) -> str:
    """How an argument of a renderer is typed: `reference_strength` is --strength."""
    return _WORDS.get(name, f"--{name.replace('_', '-')}")


def argument_name(word: str) -> str:
    """The argument that is typed so, with or without its dashes: strength is `reference_strength`."""
    plain = word.removeprefix("--")
    return next((name for name, typed in _WORDS.items() if typed == f"--{plain}"), plain.replace("-", "_"))


def as_words(options: RendererOptions) -> list[str]:
    """The options as a user would type them."""
    words: list[str] = []
    for name, value in options.items():
        word = option_word(name)
        if isinstance(value, bool):
            words.append(word if value else f"--no-{word[2:]}")
        elif name == "keep":
            words += [f"{word}={thing}={share}" for thing, share in value.items()]
        else:
            words.append(f"{word}={_size_of(value) if name == 'working_pixels' else value}")
    return words


def read_as_typed(options: RendererOptions) -> RendererOptions:
    """Arguments of which some are still as they were typed: a size, or things to keep with commas between.

    Raises:
        SetupError: words where a number belongs, as after a comma that was meant to separate.
    """
    read = dict(options)
    if isinstance(kept := read.get("keep"), str):
        read["keep"] = dict(_kept_share(text.strip()) for text in kept.split(","))
    if isinstance(size := read.get("working_pixels"), str):
        read["working_pixels"] = _area(size)
    for option in OPTIONS:
        kind, value = option.annotation, read.get(option.name)
        if kind in (int | None, float | None, bool | None) and isinstance(value, str):
            raise SetupError(
                f"{option_word(option.name)} cannot be {value!r}",
                fix=f"Give it {'yes or no' if kind == bool | None else 'a number'}.",
            )
    return read


def _with_options(command: Command, options: Collection[inspect.Parameter]) -> inspect.Signature:
    signature = inspect.signature(command)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        parameters += options if parameter.name == PLACE else [parameter]
    return signature.replace(parameters=parameters)


def _as_given(typed: Mapping[str, Any]) -> RendererOptions:
    given = {name: value for name, value in typed.items() if value is not None and value != []}
    if "keep" in given:
        given["keep"] = dict(_kept_share(text) for text in given["keep"])
    for name in ("anchors", "reference_images"):
        if name in given:
            given[name] = str(given[name])
    if "working_pixels" in given:
        given["working_pixels"] = _area(given["working_pixels"])
    return given


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


def check_size(text: str) -> str:
    """Refuse what is not WIDTHxHEIGHT."""
    width, x, height = text.lower().partition("x")
    if not (x and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise typer.BadParameter(f"{text!r} is not a size, write e.g. 448x256")
    return f"{int(width)}x{int(height)}"


def _area(size: str) -> int:
    width, _, height = check_size(size).partition("x")
    return int(width) * int(height)


def _size_of(area: int) -> str:
    """A size with just this area, as square as can be."""
    height = next(side for side in range(isqrt(area), 0, -1) if area % side == 0)
    return f"{area // height}x{height}"
