"""Find a renderer by name, so that the bridge needs neither torch nor a model to start."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from renderlift.bridge.clip import Render, identity
from renderlift.bridge.errors import SetupError, install_fix
from renderlift.bridge.renderer_options import option_word

EMBEDDED = "renderlift.model.render:load"
PROPAGATION = "renderlift.model.bases.propagation:load"  # carries pictures over clips, by a base from a folder
# Packages of the model extra: one of these missing means that the extra is, not the renderer.
_MODEL_PACKAGES = ("torch", "diffusers", "peft", "safetensors", "transformers", "accelerate")


def load_renderer(spec: str, options: Mapping[str, Any]) -> Render:
    """Load the renderer that `spec` names.

    Args:
        spec: "identity", the engine's own picture; "embedded", the model that ships; or
            "module:function", called with `options`, which returns a `Render`.
        options: keyword arguments for the function; one it does not know is an error.

    Raises:
        SetupError: no such renderer or option, or something it needs is not installed.
    """
    return check_renderer(spec, options)(**options)


def check_renderer(spec: str, options: Mapping[str, Any]) -> Callable[..., Render]:
    """Find what `load_renderer` would call, and hold the options against it; loads no weights.

    Raises:
        SetupError: as `load_renderer`, but for what only loading shows.
    """
    load = _find(spec)
    what = "our own renderer" if spec == "embedded" else f"the renderer {spec}"  # its base may be another
    refuse_unknown(what, load, options)
    return load


def renderer_name(spec: str, options: Mapping[str, Any]) -> str:
    """What renders, in words: our own renderer goes by its base."""
    if spec != "embedded":
        return f"renderer {spec}"
    base = str(options.get("base", "embedded"))
    return "embedded base" if base == "embedded" else f"base {base}"


def _load_identity() -> Render:
    return identity


def _find(spec: str) -> Callable[..., Render]:
    if spec == "identity":
        return _load_identity
    spec = EMBEDDED if spec == "embedded" else spec
    module_name, colon, function_name = spec.partition(":")
    if not (module_name and colon and function_name):
        raise SetupError(
            f"there is no renderer {spec!r}",
            fix="Use identity, embedded, or module:function, e.g. my_game.look:load.",
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise _not_importable(spec, module_name, error) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise SetupError(f"{module_name} has no function {function_name!r}", fix="Name one that returns a Render.")
    return cast(Callable[..., Render], function)


def _not_importable(spec: str, module_name: str, error: ImportError) -> SetupError:
    missing = (error.name or "").partition(".")[0]
    if missing in _MODEL_PACKAGES:
        return SetupError(f"the renderer {spec} needs {missing}, which is not installed", fix=install_fix("model"))
    if isinstance(error, ModuleNotFoundError) and error.name and module_name.startswith(error.name):
        return SetupError(
            f"there is no module {error.name!r} for the renderer {spec}",
            fix="Install it, or start renderlift where Python finds it: PYTHONPATH=. renderlift ...",
        )
    return SetupError(
        f"the renderer {spec} cannot be imported: {error}", fix="Run `renderlift doctor` to see what is missing."
    )


def refuse_unknown(what: str, load: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Hold options against the function they are for, before it does any work.

    Raises:
        SetupError: it does not know one of them, or lacks one; says which it takes.
    """
    takes = inspect.signature(load).parameters
    words = ", ".join(option_word(name) for name in takes) or "none"
    unknown = [option_word(name) for name in options if name not in takes]
    if unknown and not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values()):
        raise SetupError(f"{what} does not know {', '.join(unknown)}", fix=f"Its options: {words}.")
    try:
        inspect.signature(load).bind(**options)
    except TypeError as error:
        raise SetupError(f"{what}: {error}", fix=f"Its options: {words}.") from error
