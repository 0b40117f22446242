"""Which object and which class a GeomNode belongs to, and the table that says what ids stand for."""

import re
from collections import Counter
from collections.abc import Mapping

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import IdName
from renderlift.engine.panda3d.panda import NodePath, core

CLASS_TAG = "renderlift_class"  # names the class of a node and of all below it
INSTANCE_TAG = "renderlift_instance"  # makes a node one object; its value is the id, or "" for the next free one

MAX_ID = 2**24 - 1  # the G-buffer keeps ids in 32-bit floats
MAX_ROWS_OF_THE_GONE = 4096  # a game that spawns things for hours must not fill memory with their names


class Labels:
    """Deals ids to the objects of a scene. An object keeps its id, also while it is out of the scene.

    Args:
        scene: the root; objects are below it.
        tag: name of a Python tag to keep an object's row of the table in, on its own node.
        class_ids: ids already dealt, class name to id.
    """

    def __init__(self, scene: NodePath, tag: str, class_ids: Mapping[str, int] | None = None) -> None:
        self._scene = scene
        self._tag = tag
        self._class_ids = dict(class_ids or {})
        self._rows: dict[int, IdName] = {}
        self._in_scene: Counter[int] = Counter()  # GeomNodes per instance id
        self._gone: dict[int, None] = {}  # ids in the order in which they left
        self._last_id = 0
        self._names: tuple[IdName, ...] | None = ()

    @property
    def names(self) -> tuple[IdName, ...]:
        """Instances in the order of their ids, then classes."""
        if self._names is None:
            classes = [IdName(number, name, name) for name, number in self._class_ids.items()]
            self._names = (*(self._rows[number] for number in sorted(self._rows)), *classes)
        return self._names

    def of(self, path: NodePath) -> tuple[IdName, int]:
        """The object that a GeomNode belongs to, and its class id; one call for each GeomNode that comes.

        Raises:
            SetupError: an instance tag that is no id.
        """
        owner = _object_of(path, self._scene)
        row: IdName = owner.getPythonTag(self._tag) or self._deal(owner)
        self._in_scene[row.id] += 1
        self._gone.pop(row.id, None)
        if self._rows.get(row.id) is not row:
            self._rows[row.id] = row
            self._names = None
        return row, self._class_ids[row.class_name]

    def forget(self, row: IdName) -> None:
        """A GeomNode of this object has left the scene."""
        self._in_scene[row.id] -= 1
        if self._in_scene[row.id]:
            return
        self._gone[row.id] = None
        if len(self._gone) > MAX_ROWS_OF_THE_GONE:
            oldest = next(iter(self._gone))
            del self._gone[oldest], self._rows[oldest], self._in_scene[oldest]
            self._names = None

    def erase(self, path: NodePath) -> None:
        """Take what we keep on a GeomNode's object off it."""
        _object_of(path, self._scene).clearPythonTag(self._tag)

    def _deal(self, owner: NodePath) -> IdName:
        named = [p.getName() for p in owner.getAncestors() if p != self._scene]
        named = [name for name in named if name and not name.startswith("__")]  # as Actors call their parts
        name = named[0] if named else "unnamed"
        class_name = owner.getNetTag(CLASS_TAG) or _class_from_name(name)
        self._class_ids.setdefault(class_name, max(self._class_ids.values(), default=0) + 1)
        row = IdName(self._instance_id(owner), name, class_name, "/".join(reversed(named)))
        owner.setPythonTag(self._tag, row)
        return row

    def _instance_id(self, owner: NodePath) -> int:
        wanted = owner.getTag(INSTANCE_TAG)
        if not wanted:
            self._last_id += 1
            return self._last_id
        if not wanted.isdecimal() or not 1 <= int(wanted) <= MAX_ID:
            raise SetupError(
                f"{INSTANCE_TAG} of {owner} is {wanted!r}",
                fix=f'Give a whole number from 1 to {MAX_ID}, or "" for the next free one.',
            )
        self._last_id = max(self._last_id, int(wanted))
        return int(wanted)


def _object_of(path: NodePath, scene: NodePath) -> NodePath:
    """The node that counts as one object: tagged as such, else a loaded model or Actor, else the GeomNode."""
    ancestors = [p for p in path.getAncestors() if p != scene]
    for ancestor in ancestors:
        if ancestor.hasTag(INSTANCE_TAG) or ancestor.hasTag(CLASS_TAG):
            return ancestor
    kinds = (core.ModelRoot.getClassType(), core.Character.getClassType())
    models = [p for p in ancestors if any(p.node().isOfType(kind) for kind in kinds)]
    return models[-1] if models else path


def _class_from_name(name: str) -> str:
    """`tree.012`, `tree_3` and the model `tree.egg` are trees."""
    stem = re.sub(r"\.(bam|egg|gltf|glb|obj|dae)(\.pz)?$", "", name)
    return re.sub(r"[\s._\-]*\d*$", "", stem) or stem or "unnamed"
