"""An output never lands on what it is made from."""

from pathlib import Path

import pytest

from renderlift.bridge.errors import RecordingError
from renderlift.bridge.places import refuse_place


def test_an_output_may_not_be_a_folder_that_an_option_names(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    with pytest.raises(RecordingError, match="--base"):
        refuse_place([tmp_path / "base"], [tmp_path / "take"], {"base": str(tmp_path / "base")})


def test_words_that_a_folder_is_called_by_too_do_not_mean_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("depth").mkdir()
    words: dict[str, object] = {"references": "depth", "prompt": "a street at dusk, " * 100}
    refuse_place([Path("depth")], [tmp_path / "take"], words)
    with pytest.raises(RecordingError, match="--anchors"):
        refuse_place([Path("depth")], [tmp_path / "take"], words | {"anchors": "depth"})
