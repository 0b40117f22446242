"""Which object and which class MuJoCo's things belong to, and the table that says what ids stand for.

Ids are dealt in the order of the model, so they are the same in every run of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import IdName
from renderlift.engine.mujoco.library import Model, core

CLASS_TUPLE = (
    "renderlift_class/"  # <custom><tuple name="renderlift_class/NAME"> gives its bodies and geoms this class
)


class Instances(StrEnum):
    """What counts as one object. A geom fixed to the world, as a wall, is one in either case."""

    BODY = "body"
    GEOM = "geom"


@dataclass(frozen=True)
class Labels:
    """Ids of everything that a model can show.

    `ids` maps a type of MuJoCo's objects to (N, 2): instance and class id of each object of the type.
    """

    ids: Mapping[int, NDArray[np.uint32]]
    names: tuple[IdName, ...]

    def of(self, objects: NDArray[np.int32]) -> NDArray[np.uint32]:
        """Instance and class ids (N, 2) of objects (N, 2) given by type and number; 0 where there are none."""
        result = np.zeros((len(objects), 2), np.uint32)
        for kind, ids in self.ids.items():
            chosen = (objects[:, 0] == kind) & (objects[:, 1] >= 0)
            result[chosen] = ids[objects[chosen, 1]]
        return result


def label(
    model: Model, *, instances: Instances = Instances.BODY, class_ids: Mapping[str, int] | None = None
) -> Labels:
    """Deal ids to a model.

    Args:
        class_ids: class ids already dealt, class name to id; further ones are numbered after them.
    """
    kinds = core.mjtObj
    told = _told_classes(model)
    classes = dict(class_ids or {})
    rows: dict[tuple[int, int], IdName] = {}

    def ids_of(kind: int, number: int, body: int) -> tuple[int, int]:
        apart = body < 0 or ((body == 0 or instances is Instances.GEOM) and kind == kinds.mjOBJ_GEOM.value)
        owner = (kind, number) if apart else (kinds.mjOBJ_BODY.value, body)
        if owner not in rows:
            class_name = _class_name(model, owner, max(body, 0), told)
            classes.setdefault(class_name, max(classes.values(), default=0) + 1)
            name = _name(model, *owner)
            path = [*_ancestors(model, max(body, 0)), *([name] if apart else [])]
            rows[owner] = IdName(len(rows) + 1, name, class_name, "/".join(path) or name)
        row = rows[owner]
        return row.id, classes[row.class_name]

    bodies = {
        kinds.mjOBJ_GEOM.value: [int(body) for body in model.geom_bodyid],
        kinds.mjOBJ_SITE.value: [int(body) for body in model.site_bodyid],
        kinds.mjOBJ_TENDON.value: [-1] * model.ntendon,
        kinds.mjOBJ_FLEX.value: [-1] * model.nflex,
        kinds.mjOBJ_SKIN.value: [-1] * model.nskin,
    }
    ids = {
        kind: np.array([ids_of(kind, i, body) for i, body in enumerate(owners)], np.uint32).reshape(-1, 2)
        for kind, owners in bodies.items()
    }
    return Labels(ids, (*rows.values(), *(IdName(number, name, name) for name, number in classes.items())))


def _told_classes(model: Model) -> dict[tuple[int, int], str]:
    """What the model's tuples say: (type, number) to class name."""
    told: dict[tuple[int, int], str] = {}
    for i in range(model.ntuple):
        name = model.tuple(i).name
        if name.startswith(CLASS_TUPLE):
            members = range(model.tuple_adr[i], model.tuple_adr[i] + model.tuple_size[i])
            kinds, numbers = model.tuple_objtype, model.tuple_objid
            told.update({(int(kinds[j]), int(numbers[j])): name.removeprefix(CLASS_TUPLE) for j in members})
    return told


def _class_name(model: Model, owner: tuple[int, int], body: int, told: Mapping[tuple[int, int], str]) -> str:
    """As a tuple says of it or of a body above; else the name of its tree's first body, without number."""
    if owner in told:
        return told[owner]
    kind = core.mjtObj.mjOBJ_BODY.value
    above = body
    while above:
        if (kind, above) in told:
            return told[kind, above]
        above = int(model.body_parentid[above])
    return _plain(_name(model, kind, int(model.body_rootid[body])) if body else _name(model, *owner))


def _ancestors(model: Model, body: int) -> list[str]:
    names: list[str] = []
    while body:
        names.insert(0, _name(model, core.mjtObj.mjOBJ_BODY.value, body))
        body = int(model.body_parentid[body])
    return names


def _name(model: Model, kind: int, number: int) -> str:
    """An object's own name; a nameless geom goes by its mesh or its shape."""
    name = core.mj_id2name(model, kind, number)
    if name:
        return str(name)
    if kind != core.mjtObj.mjOBJ_GEOM.value:
        return f"{core.mjtObj(kind).name.removeprefix('mjOBJ_').lower()}.{number}"
    geom = model.geom(number)
    mesh = core.mj_id2name(model, core.mjtObj.mjOBJ_MESH.value, int(geom.dataid[0]))
    shape = core.mjtGeom(int(geom.type[0])).name.removeprefix("mjGEOM_").lower()
    return f"{mesh if mesh and shape == 'mesh' else shape}.{number}"


def _plain(name: str) -> str:
    """`cup.012` and `cup_3` are cups; `panda/link0`, as models are attached with a prefix, is a panda."""
    stem = name.partition("/")[0]
    return re.sub(r"[\s._\-]*\d*$", "", stem) or stem
