"""One part of a base's folder at a time: its shape from the config file alone, its weights, its fingerprint.

What can be refused is refused from config files, in a second: no 40 GB are read to say that a clip is too long.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import diffusers
import torch
from torch import nn

from renderlift.bridge.errors import SetupError

SAMPLE_BYTES = 1 << 20  # of a large file, from its start, middle and end


def skeleton(folder: Path, part: str) -> nn.Module:
    """A part without its weights, as its config file says; it computes nothing and takes no memory.

    Raises:
        SetupError: the part or its config file is not there, or not diffusers'.
    """
    kind = _class_of(folder, part)
    try:
        with torch.device("meta"):
            return cast(nn.Module, kind.from_config(kind.load_config(str(folder / part))))
    except (OSError, ValueError, TypeError) as problem:
        raise _unreadable(folder, part, problem) from problem


def load_part(folder: Path, part: str, dtype: torch.dtype | None = None) -> Any:
    """A part with its weights, on the CPU; or a scheduler, which has none.

    Raises:
        SetupError: weights are missing, or are not safetensors.
    """
    kind = _class_of(folder, part)
    how = {"local_files_only": True} | ({"torch_dtype": dtype, "use_safetensors": True} if dtype else {})
    try:
        return kind.from_pretrained(str(folder), subfolder=part, **how)
    except (OSError, ValueError, TypeError) as problem:
        raise _unreadable(folder, part, problem) from problem


def setting(folder: Path, name: str) -> Any:
    """A setting of the pipeline itself, from model_index.json; None if it has none."""
    return _index(folder).get(name)


def fingerprint(folder: Path, parts: Sequence[str]) -> str:
    """Sixteen digits that change when a part's files do: small ones are read, of large ones three samples."""
    digest = hashlib.sha256()
    for path in sorted(path for part in parts for path in (folder / part).rglob("*") if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder)} {size}".encode())
        with path.open("rb") as file:
            for place in sorted({0, size // 2, max(0, size - SAMPLE_BYTES)}):
                file.seek(place)
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _class_of(folder: Path, part: str) -> Any:
    library, name = _index(folder).get(part) or (None, None)
    kind = getattr(diffusers, str(name), None) if library == "diffusers" else None
    if kind is None:
        raise _unreadable(folder, part, f"it is a {name}, which diffusers does not have")
    return kind


def _index(folder: Path) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads((folder / "model_index.json").read_text()))


def _unreadable(folder: Path, part: str, problem: object) -> SetupError:
    return SetupError(
        f"{folder / part} cannot be loaded: {(str(problem).splitlines() or ['?'])[0]}",
        fix="Name a folder that a diffusers pipeline's save_pretrained wrote, with safetensors weights.",
    )
