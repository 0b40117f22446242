"""dataset.json: how a dataset is made. Scenes of two recipes do not belong in one folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from renderlift.bridge.errors import RecordingError
from renderlift.model.pairs.dataset import FORMAT, read_json
from renderlift.model.pairs.scene_folder import write_durably

NAME = "dataset.json"


def open_dataset(dataset: Path, *, kind: str, recipe: Mapping[str, Any]) -> None:
    """Begin a dataset, or make sure that it was begun in this very way.

    Raises:
        RecordingError: it was begun in another way, or the folder cannot be written.
    """
    wanted = {"format": FORMAT, "kind": kind, "recipe": json.loads(json.dumps(recipe))}
    try:
        dataset.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"cannot make {dataset}: {error.strerror}", fix="Name another folder.") from error
    if not (dataset / NAME).exists():
        write_durably(dataset / NAME, json.dumps(wanted, indent=1).encode())
        return
    begun = read_json(dataset / NAME)
    if begun != wanted:
        raise RecordingError(
            f"{dataset} was begun in another way: {_differences(begun, wanted)}",
            fix="Use the same settings, or another folder.",
        )


def read_ledger(dataset: Path) -> dict[str, Any]:
    """What `open_dataset` wrote; empty where another tool made the dataset.

    Raises:
        RecordingError: it is damaged.
    """
    return read_json(dataset / NAME) if (dataset / NAME).exists() else {}


def _differences(begun: dict[str, Any], wanted: dict[str, Any]) -> str:
    then, now = (flat.get("recipe") for flat in (begun, wanted))
    if not isinstance(then, dict) or not isinstance(now, dict) or begun.get("kind") != wanted["kind"]:
        return f"{begun.get('kind')}, not {wanted['kind']}"
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    return ", ".join(f"{name} {then.get(name)}, not {now.get(name)}" for name in names) or "another format"
