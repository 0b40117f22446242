"""`renderlift pairs`: hands what the user typed to the model's makers of pairs, which are loaded by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from renderlift.bridge.by_name import load_function
from renderlift.bridge.errors import SetupError
from renderlift.bridge.events import Events
from renderlift.bridge.loading import load_told
from renderlift.bridge.renderer import PROPAGATION, refuse_unknown
from renderlift.bridge.renderer_options import RendererOptions, as_words

_MAKE, _COMMAND = "renderlift.model.pairs.make", "renderlift.model.pairs.command"
_COLUMNS = "renderlift.model.pairs.columns"


def truth_pairs(
    dataset: Path,
    seeds: str,
    shard: str,
    *,
    maker: str | None,
    frames: int,
    size: str,
    options: Mapping[str, Any],
    jobs: int,
    ray_address: str = "",
    events: Events,
) -> bool:
    """Make scenes by seed. Gives whether all of them are there now.

    Args:
        ray_address: of a cluster that the jobs run on; empty: this machine.
        options: for the maker; None and 0 are left to its own defaults.

    Raises:
        SetupError: wrong seeds or options, or something is not installed.
        RecordingError: the folder holds another dataset, or the disk is full.
    """
    parse_seeds, share_of, recipe_of = (
        load_function(_MAKE, name, extra="train") for name in ("parse_seeds", "share_of", "recipe_of")
    )
    width, height = (int(side) for side in size.split("x"))
    recipe = recipe_of(maker, frames, height, width, {name: value or None for name, value in options.items()})
    make = load_function(_COMMAND, "truth_pairs", extra="train")
    mine = share_of(parse_seeds(seeds), shard)
    return bool(make(dataset, mine, recipe, jobs=jobs, ray_address=ray_address, talk=events))


def anchored_pairs(
    dataset: Path,
    recording: Path,
    *,
    asked: Mapping[str, Any],
    renderer: RendererOptions,
    limits: Sequence[str],
    events: Events,
) -> bool:
    """Make pairs of a recording from anchors. Gives whether any came of it.

    Args:
        asked: the fields of `renderlift.model.pairs.command.AnchorRequest`.
        renderer: options of what paints: the renderer that makes anchors, or that flow carries, and the base
            that propagates, which takes those it knows.

    Raises:
        SetupError, RecordingError, RenderError: as there.
    """
    if not recording.exists():
        raise SetupError(f"there is no recording at {recording}", fix="Record one: renderlift capture, or record.")
    _refuse_idle(asked, renderer)
    request = load_function(_COMMAND, "AnchorRequest", extra="train")(
        limits=tuple(limits), renderer=renderer, **asked
    )
    make = load_function(_COMMAND, "anchored_pairs", extra="train")

    def load(spec: str, options: Mapping[str, Any]) -> Any:
        return load_told(spec, options, events)

    return bool(make(dataset, recording, request, load, talk=events))


def _refuse_idle(asked: Mapping[str, Any], renderer: RendererOptions) -> None:
    """Raises SetupError if nothing that is asked for knows the renderer's options."""
    if _paints(asked["anchors"]) or (asked["propagate"] == "flow" and _paints(asked["lift"])):
        return  # a renderer, which is held against them when it is loaded
    if Path(asked["propagate"]).is_dir() and "base" not in renderer:
        load = load_function(*PROPAGATION.split(":"), extra="model")
        refuse_unknown("a base that propagates", load, {**renderer, "base": asked["propagate"]})
        return
    if renderer:
        raise SetupError(
            f"nothing here paints, so {', '.join(as_words(renderer))} would have no effect",
            fix="Leave it out, or name what paints: --anchors embedded, --render embedded, or --propagate FOLDER.",
        )


def _paints(name: str) -> bool:
    return name not in ("path_tracer", "identity") and not Path(name).is_dir()


def export_pairs(dataset: Path, folder: Path, *, events: Events) -> bool:
    """Write a dataset as videos with ltx-trainer's columns. Gives whether any came of it.

    Raises:
        RecordingError: no dataset there, a damaged scene, or a full disk.
    """
    return bool(load_function(_COLUMNS, "export_pairs", extra="train")(dataset, folder, talk=events))
