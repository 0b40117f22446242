"""Loading a renderer where somebody waits for it: a large base takes minutes, which is said before they pass."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from renderlift.bridge.by_name import load_function
from renderlift.bridge.clip import Render
from renderlift.bridge.events import Events
from renderlift.bridge.renderer import PROPAGATION, load_renderer

_FACTS = "renderlift.model.bases.facts"
_SHARED = "renderlift.model.shared_base"
LONG_S = 5.0  # from here on it is worth a word how long it took
GB = 2**30

LoadRenderer = Callable[[str, Mapping[str, Any]], Render]


def load_told(spec: str, options: Mapping[str, Any], events: Events, *, may_share: bool = False) -> Render:
    """As `load_renderer`; says before it what is loaded, where that may take long, and after it how long it took.

    Args:
        may_share: another renderer is open, whose base this one may share; said is only what is loaded indeed.

    Raises:
        SetupError: as `load_renderer`; or no base in the folder that the options name, which is told at once.
    """
    began_s = time.monotonic()
    if may_share and _has_base(spec, options):
        announced = load_function(_SHARED, "announced", extra="model")
        with announced(lambda: tell_base(spec, options, events)):
            render = load_renderer(spec, options)
    else:
        tell_base(spec, options, events)
        render = load_renderer(spec, options)
    if (seconds := time.monotonic() - began_s) >= LONG_S:
        events.tell("loaded", f"Loaded in {seconds:.0f} s.", seconds=seconds)
    return render


def tell_base(spec: str, options: Mapping[str, Any], events: Events) -> None:
    """Say which base is loaded now, from where and how large it is; nothing of what takes a second.

    Raises:
        SetupError: there is no base in the folder.
    """
    if not _has_base(spec, options):
        return
    folder = Path(str(options["base"]))
    # These need no torch, which alone takes seconds to import.
    facts_of, weight_files = (load_function(_FACTS, name, extra="model") for name in ("facts_of", "weight_files"))
    title: str = facts_of(folder).title
    gigabytes = sum(path.stat().st_size for path in weight_files(folder)) / GB
    size = f"{gigabytes:.0f} GB" if gigabytes >= 1 else "less than 1 GB"
    events.tell(
        "loading_base",
        f"Loading {title}, from {folder} ({size}) ...",
        base=title,
        folder=folder,
        gigabytes=gigabytes,
    )


def _has_base(spec: str, options: Mapping[str, Any]) -> bool:
    """Whether a folder is loaded, which may take minutes."""
    return spec in ("embedded", PROPAGATION) and str(options.get("base", "embedded")) != "embedded"
