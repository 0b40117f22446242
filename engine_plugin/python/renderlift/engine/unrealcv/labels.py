"""What the colours of UnrealCV's object mask stand for."""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import IdName
from renderlift.engine.unrealcv.server import RefusedError, Server, color

MAX_OBJECTS_A_BATCH = 16  # UnrealCV runs 32 commands in a tick
STATIC = "Static"


class Labels:
    """The id table of a running scene. It grows when colours come that it does not know.

    Args:
        class_ids: class ids already dealt, class name to id.
    """

    def __init__(self, server: Server, class_ids: Mapping[str, int] | None = None) -> None:
        self._server = server
        self._class_ids = dict(class_ids or {})
        self._rows: dict[str, IdName] = {}
        self._by_color: dict[int, tuple[int, int]] = {}  # instance and class
        self._nameless: set[int] = set()
        self.movable: set[int] = set()  # instance ids of what is not known to rest
        objects = self._listed()
        self.knows_mobility = bool(objects) and server.answers(f"vget /object/{objects[0]}/mobility")
        self.refresh()

    @property
    def names(self) -> tuple[IdName, ...]:
        classes = [IdName(number, name, name) for name, number in self._class_ids.items()]
        return (*self._rows.values(), *classes)

    def of(self, mask: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Instance and class ids (H, W, 1) of a mask (H, W, 3)."""
        keys = mask[..., 0].astype(np.int64) << 16 | mask[..., 1].astype(np.int64) << 8 | mask[..., 2]
        shown, places = np.unique(keys, return_inverse=True)
        if not {int(key) for key in shown} <= self._by_color.keys() | self._nameless:
            self.refresh()
            self._nameless |= {int(key) for key in shown} - self._by_color.keys()
        ids = np.array([self._by_color.get(int(key), (0, 0)) for key in shown], np.uint32)
        pixels = ids[places.reshape(mask.shape[:2])]
        return np.ascontiguousarray(pixels[..., :1]), np.ascontiguousarray(pixels[..., 1:])

    def refresh(self) -> None:
        """Ask for all objects and their colours; ids that were dealt stay.

        Raises:
            TransportError: answers that are none.
        """
        names = self._listed()
        self._by_color.clear()
        for start in range(0, len(names), MAX_OBJECTS_A_BATCH):
            self._ask_about(names[start : start + MAX_OBJECTS_A_BATCH])

    def _listed(self) -> list[str]:
        (listed,) = self._server.ask(["vget /objects"])
        return sorted(set(str(listed).split()))

    def _ask_about(self, names: list[str]) -> None:
        for name, answer in zip(names, self._each("color", names), strict=True):
            if answer is None:  # gone since it was listed, or without a mesh
                continue
            row = self._rows.get(name) or self._deal(name)
            red, green, blue = color(answer)
            ids = (row.id, self._class_ids[row.class_name])
            self._by_color.setdefault(red << 16 | green << 8 | blue, ids)
        if self.knows_mobility:
            for name, answer in zip(names, self._each("mobility", names), strict=True):
                if name in self._rows and answer != STATIC:
                    self.movable.add(self._rows[name].id)

    def _each(self, what: str, names: list[str]) -> list[str | None]:
        """An answer about each object, None where the server has none."""
        commands = [f"vget /object/{name}/{what}" for name in names]
        try:
            return [str(answer) for answer in self._server.ask(commands)]
        except RefusedError:
            return [self._one(command) for command in commands]

    def _one(self, command: str) -> str | None:
        try:
            return str(self._server.ask([command])[0])
        except RefusedError:
            return None

    def _deal(self, name: str) -> IdName:
        class_name = _class_from_name(name)
        self._class_ids.setdefault(class_name, max(self._class_ids.values(), default=0) + 1)
        self._rows[name] = IdName(len(self._rows) + 1, name, class_name, name)
        return self._rows[name]


def _class_from_name(name: str) -> str:
    """`SM_Chair_12` and `SM_Chair2` are of class SM_Chair, `BP_Car_C_3`, made from a blueprint, of BP_Car."""
    stem = re.sub(r"_?\d+$", "", name)
    return re.sub(r"_C$", "", stem) or name
