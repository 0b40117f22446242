"""How MuJoCo's things are named and classed."""

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")
from renderlift.engine.mujoco.labels import Instances, label  # noqa: E402

MODEL = """<mujoco>
  <asset><mesh name="mug" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 1"/>
    <geom type="box" size="1 1 1"/>
    <body name="robot/link0"><geom size=".1"/>
      <body name="robot/link1"><geom size=".1"/><geom size=".1"/><site name="tip"/></body>
    </body>
    <body name="cup.012"><geom type="mesh" mesh="mug"/></body>
    <body name="cart"><geom size=".1"/><body name="wheel.1"><geom size=".1"/></body></body>
  </worldbody>
  <custom><tuple name="renderlift_class/vehicle"><element objtype="body" objname="cart"/></tuple></custom>
</mujoco>"""


def test_bodies_are_objects_and_so_is_what_is_fixed_to_the_world() -> None:
    names = label(mujoco.MjModel.from_xml_string(MODEL)).names
    assert [(row.id, row.class_name, row.path) for row in names if row.path] == [
        (1, "floor", "floor"),
        (2, "box", "box.1"),
        (3, "robot", "robot/link0"),
        (4, "robot", "robot/link0/robot/link1"),
        (5, "cup", "cup.012"),
        (6, "vehicle", "cart"),
        (7, "vehicle", "cart/wheel.1"),
    ]
    assert [(row.id, row.name) for row in names if not row.path] == [
        (1, "floor"), (2, "box"), (3, "robot"), (4, "cup"), (5, "vehicle"),
    ]  # fmt: skip


def test_geoms_can_be_the_objects() -> None:
    names = label(mujoco.MjModel.from_xml_string(MODEL), instances=Instances.GEOM).names
    assert [row.name for row in names if row.path][:5] == ["floor", "box.1", "sphere.2", "sphere.3", "sphere.4"]
    assert "mug.5" in {row.name for row in names}


def test_class_ids_that_were_dealt_before_are_kept() -> None:
    names = label(mujoco.MjModel.from_xml_string(MODEL), class_ids={"cup": 7}).names
    assert {row.name: row.id for row in names if not row.path} == {
        "cup": 7, "floor": 8, "box": 9, "robot": 10, "vehicle": 11,
    }  # fmt: skip


def test_a_site_belongs_to_its_body_and_nothing_to_unknown_things() -> None:
    labels = label(mujoco.MjModel.from_xml_string(MODEL))
    site = mujoco.mjtObj.mjOBJ_SITE.value
    unknown = mujoco.mjtObj.mjOBJ_UNKNOWN.value
    assert labels.of(np.array([[site, 0], [unknown, -1]], np.int32)).tolist() == [[4, 3], [0, 0]]
