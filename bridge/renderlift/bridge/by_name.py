"""Functions of the model, loaded when a command runs: the bridge itself starts without torch."""

import importlib
from collections.abc import Callable
from typing import Any, cast

from renderlift.bridge.errors import SetupError

_PACKAGES = {"torch", "diffusers", "peft", "safetensors", "transformers", "accelerate"}


def load_function(module_name: str, name: str, *, extra: str) -> Callable[..., Any]:
    """The function `name` of a module of ours that lies outside the bridge.

    Args:
        extra: of the package, which brings what the module needs.

    Raises:
        SetupError: something the module needs is not installed.
    """
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _PACKAGES:
            raise
        raise SetupError(f"{missing} is not installed", fix=f"From a clone: pip install -e '.[{extra}]'") from error
    return cast(Callable[..., Any], getattr(module, name))
