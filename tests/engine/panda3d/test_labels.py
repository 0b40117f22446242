"""Who gets which id, and what the id table says; without drawing anything."""

from typing import Any

import pytest

from renderlift.bridge.errors import SetupError
from renderlift.engine.panda3d.labels import INSTANCE_TAG, MAX_ROWS_OF_THE_GONE, Labels
from renderlift.engine.panda3d.panda import core


@pytest.fixture
def scene() -> Any:
    return core.NodePath("scene")


def thing(scene: Any, name: str) -> Any:
    return scene.attachNewNode(core.GeomNode(name))


def test_numbers_and_file_endings_are_no_part_of_a_class(scene: Any) -> None:
    labels = Labels(scene, "ours")
    names = ["tree.012", "tree_3", "tree.egg", "tree.egg.pz", "tree 7", "3", ""]
    rows = [labels.of(thing(scene, name))[0] for name in names]
    assert [row.class_name for row in rows] == ["tree"] * 5 + ["3", "unnamed"]


def test_ids_go_on_after_the_highest_that_was_asked_for(scene: Any) -> None:
    labels, asked = Labels(scene, "ours"), thing(scene, "a")
    asked.setTag(INSTANCE_TAG, "41")
    ids = [labels.of(thing(scene, "b"))[0].id, labels.of(asked)[0].id, labels.of(thing(scene, "c"))[0].id]
    assert ids == [1, 41, 42]


@pytest.mark.parametrize("wrong", ["chair", "0", "-3", str(2**24)])
def test_an_instance_tag_that_is_no_id_is_refused(scene: Any, wrong: str) -> None:
    node = thing(scene, "a")
    node.setTag(INSTANCE_TAG, wrong)
    with pytest.raises(SetupError, match=wrong):
        Labels(scene, "ours").of(node)


def test_the_table_keeps_who_left_but_not_for_ever(scene: Any) -> None:
    labels = Labels(scene, "ours")
    stays, _ = labels.of(thing(scene, "stays"))
    for _ in range(MAX_ROWS_OF_THE_GONE + 10):
        spark, _ = labels.of(thing(scene, "spark"))
        labels.forget(spark)
    instances = [row for row in labels.names if row.path]
    assert len(instances) == MAX_ROWS_OF_THE_GONE + 1
    assert instances[0] == stays
    assert instances[-1] == spark
    assert instances[1].id == 12


def test_who_comes_back_after_its_row_was_dropped_gets_the_same_one(scene: Any) -> None:
    labels, node = Labels(scene, "ours"), thing(scene, "wanderer")
    before, _ = labels.of(node)
    labels.forget(before)
    for _ in range(MAX_ROWS_OF_THE_GONE):
        labels.forget(labels.of(thing(scene, "spark"))[0])
    assert before not in labels.names
    assert labels.of(node)[0] == before
    assert before in labels.names
