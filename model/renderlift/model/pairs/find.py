"""Finds what makes, edits or propagates pictures by name, so that the model knows no engine."""

import importlib
from collections.abc import Callable
from typing import Any

from renderlift.bridge.errors import SetupError


def find(name: str, what: str) -> Callable[..., Any]:
    """The function of `module:function`.

    Args:
        what: it is for, e.g. "the scene maker"; for messages.

    Raises:
        SetupError: no such function, or it needs something that is not installed.
    """
    module_name, _, function_name = name.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except ImportError as error:
        fix = (
            "Install renderlift with its extras engines and truth."
            if module_name.startswith("renderlift.")
            else "Install it, or start renderlift where Python finds it: PYTHONPATH=. renderlift ..."
        )
        raise SetupError(f"{what} {name} cannot be imported: {error}", fix=fix) from error
    except ValueError as error:
        raise SetupError(f"{what} {name!r} is not module:function", fix="E.g. my_game.pairs:make") from error
    if not callable(function):
        raise SetupError(f"{module_name} has no function {function_name!r} for {what}")
    return function
