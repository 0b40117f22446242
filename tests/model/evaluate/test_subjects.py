"""What --also says, as a user writes it."""

from typing import Any

import pytest

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Channel
from renderlift.model.evaluate.subjects import Subject, also

MAIN = Subject("lifted", "embedded", {"steps": 4})


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("steps=1", {"steps": 1}),
        ("gain=25,lock=no", {"steps": 4, "gain": 25, "lock": False}),
        ("control=edge=0.7,depth=0.3", {"steps": 4, "control": "edge=0.7,depth=0.3"}),
        (
            "lock=yes, control = edge=0.7, depth=0.3 ,steps=1",
            {"steps": 1, "control": "edge=0.7, depth=0.3", "lock": True},
        ),
        ("control=edge,depth", {"steps": 4, "control": "edge,depth"}),
        ("prompt=a street, wet, at dusk; steps=1", {"steps": 1, "prompt": "a street, wet, at dusk"}),
        ("prompt=a street, wet;", {"steps": 4, "prompt": "a street, wet"}),
        ("prompt=a street; wet", {"steps": 4, "prompt": "a street; wet"}),
        # A renderer of one's own may have options that are called as controls are.
        ("gain=2,depth=0.3", {"steps": 4, "gain": 2, "depth": 0.3}),
    ],
)
def test_several_changes_have_commas_between_or_semicolons_where_a_value_has_commas(
    text: str, options: dict[str, Any]
) -> None:
    subject = also(text, MAIN)
    assert subject.options == options
    assert subject.name == text


def test_channels_are_dropped_beside_other_changes() -> None:
    subject = also("drop=depth+normal;control=edge=0.7,depth=0.3", MAIN)
    assert subject.dropped == (Channel.DEPTH, Channel.NORMAL)
    assert subject.options["control"] == "edge=0.7,depth=0.3"


@pytest.mark.parametrize("text", ["steps", "steps=1,lock", "prompt=a street, wet", "steps=1,,lock=no", ";", ""])
def test_what_is_no_change_is_refused_and_the_semicolon_named(text: str) -> None:
    with pytest.raises(SetupError, match="is not NAME=VALUE") as error:
        also(text, MAIN)
    assert "semicolons" in error.value.fix
