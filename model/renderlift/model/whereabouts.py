"""Where a base, its adapter and its lock are, by the names that a user gives them."""

from pathlib import Path

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.facts import EMBEDDED as EMBEDDED_FACTS
from renderlift.model.bases.facts import BaseFacts, facts_of

WEIGHTS = Path(__file__).parent / "weights"
EMBEDDED = "embedded"


def find_base(base: str) -> tuple[Path, BaseFacts]:
    """Folder and facts of "embedded" or a folder.

    Raises:
        SetupError: nothing there that can be loaded.
    """
    folder = WEIGHTS / "base" if base == EMBEDDED else Path(base)
    if base == EMBEDDED:
        _present(folder / "model_index.json")
    return folder, facts_of(folder)


def adapter_path(adapter: str, facts: BaseFacts) -> Path | None:
    """Where the adapter is that a name means; None = none."""
    name = adapter or (EMBEDDED if facts is EMBEDDED_FACTS else "none")
    if name == "none":
        return None
    return WEIGHTS / "lift" if name == EMBEDDED else Path(name)


def lock_path(given: str) -> Path:
    """Where a lock is; empty: the one that ships.

    Raises:
        SetupError: there is none.
    """
    if not given:
        return _present(WEIGHTS / "lock.safetensors")
    path = Path(given) / "lock.safetensors" if Path(given).is_dir() else Path(given)
    if not path.is_file():
        raise SetupError(
            f"no lock at {path}", fix="Name the output of `renderlift train lock`, or its lock.safetensors."
        )
    return path


def _present(path: Path) -> Path:
    if not path.is_file():
        raise SetupError(
            f"no weights at {path.parent}: {path.name} is missing",
            fix="Reinstall renderlift, which brings its weights, or name a folder with --base.",
        )
    return path
