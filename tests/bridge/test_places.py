"""An output never lands on what it is made from."""

from pathlib import Path

import pytest

from renderlift.bridge.errors import RecordingError
from renderlift.bridge.places import refuse_place


def test_an_output_may_not_be_a_folder_that_an_option_names(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    with pytest.raises(RecordingError, match="--base"):
        refuse_place([tmp_path / "base"], [tmp_path / "take"], {"base": str(tmp_path / "base")})


def test_a_long_prompt_is_no_folder(tmp_path: Path) -> None:
    refuse_place([tmp_path / "out"], [tmp_path / "take"], {"prompt": "a street at dusk, " * 100})
