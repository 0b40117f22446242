"""What a base's folder tells of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from renderlift.model.bases.facts import facts_of, in_few_steps

Variant = Callable[..., Path]


@pytest.fixture
def variant(tmp_path: Path) -> Variant:
    """variant(folder, file, **changed): the configuration of a base with some of its values changed."""

    def make(folder: Path, file: str, **changed: Any) -> Path:
        for name in ("model_index.json", "scheduler/scheduler_config.json", "transformer/config.json"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            table = json.loads((folder / name).read_text()) | (changed if name == file else {})
            (tmp_path / name).write_text(json.dumps(table))
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("base", "version"),
    [
        ("tiny_base", ""),
        ("ltx2", "2"),
        ("ltx2_full", "2"),
        ("ltx2_3", "2.3"),
        ("ltx2_5", "2.5"),
        ("wan", "2.1"),
        ("wan_a14b", "2.2 A14B"),
        ("wan_5b", "2.2 TI2V-5B"),
        ("wan_vace", "2.1"),
        ("wan_vace_a14b", "2.2 A14B"),
        ("cosmos", ""),
    ],
)
def test_a_folder_tells_which_version_of_its_base_it_is(
    base: str, version: str, request: pytest.FixtureRequest
) -> None:
    assert facts_of(request.getfixturevalue(base)).version == version


@pytest.mark.parametrize(
    ("base", "file", "changed"),
    [
        ("ltx2", "transformer/config.json", {"gated_attn": True}),
        ("ltx2_5", "transformer/config.json", {"cross_attn_mod": False}),
        ("wan", "model_index.json", {"boundary_ratio": 0.875}),
        ("wan_a14b", "model_index.json", {"expand_timesteps": True}),
    ],
)
def test_switches_that_no_published_version_has_tell_none(
    base: str, file: str, changed: dict[str, Any], variant: Variant, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    assert facts_of(variant(folder, file, **changed)).version == ""


def test_without_the_transformers_configuration_no_version_of_ltx2_is_told(ltx2: Path, variant: Variant) -> None:
    folder = variant(ltx2, "model_index.json")
    assert facts_of(folder).version == "2"
    (folder / "transformer" / "config.json").unlink()
    assert facts_of(folder).version == ""


@pytest.mark.parametrize("base", ["ltx2_full", "wan_a14b", "wan_vace"])
def test_a_base_is_the_same_version_once_it_is_distilled(base: str, request: pytest.FixtureRequest) -> None:
    facts = facts_of(request.getfixturevalue(base))
    distilled = in_few_steps(facts)
    assert distilled.is_distilled
    assert distilled.version == facts.version
