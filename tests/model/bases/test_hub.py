from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.facts import BASES
from renderlift.model.bases.hub import fetch

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What the hub is asked for; nothing is downloaded."""
    calls: list[dict[str, Any]] = []

    def download(repository: str, **how: Any) -> None:
        calls.append({"repository": repository, **how})
        Path(how["local_dir"]).mkdir(exist_ok=True)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return calls


@pytest.mark.parametrize(
    "loose", ["Lightricks/LTX-2", "Lightricks/LTX-2@main", "Lightricks/LTX-2@0123abc", "x@" + COMMIT]
)
def test_a_branch_or_a_short_commit_is_no_version(asked: list[Any], tmp_path: Path, loose: str) -> None:
    with pytest.raises(SetupError, match="commits/main"):
        fetch(loose, tmp_path / "base", accepted=True)
    assert asked == []


def test_the_licence_is_shown_before_anything_is_downloaded(asked: list[Any], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"LTX-2 Community License.*huggingface.co"):
        fetch(f"Lightricks/LTX-2@{COMMIT}", tmp_path / "base", accepted=False)
    with pytest.raises(SetupError, match="not known here"):
        fetch(f"someone/a-base@{COMMIT}", tmp_path / "base", accepted=False)
    assert asked == []


def test_only_that_commit_comes_and_nothing_that_could_run(asked: list[Any], tmp_path: Path) -> None:
    folder = fetch(f"Lightricks/LTX-2@{COMMIT}", tmp_path / "base", accepted=True)
    (call,) = asked
    assert call["revision"] == COMMIT
    assert "*.safetensors" in call["allow_patterns"]
    assert {"*.bin", "*.py", "*.pkl"} <= set(call["ignore_patterns"])
    assert COMMIT in (folder / "renderlift_source.json").read_text()


def test_every_base_states_its_licence() -> None:
    assert all(facts.licence and facts.licence_url.startswith("https://") for facts in BASES)
