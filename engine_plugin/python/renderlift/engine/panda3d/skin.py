"""Flow on animated meshes: where each vertex of an Actor stood in the last captured frame.

Panda3D animates vertices on the CPU for every pass whose shader does not, ours among them. So
the positions that were drawn are there to be read after each frame; the next frame's G-buffer
pass gets them in a buffer texture. It rides on the state of the Geom, as an input that only
our shader has a use for.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.panda3d.panda import Texture, core

VERTEX_INPUT = "u_previous_vertex"


class Skin:
    """The animated Geoms of one GeomNode."""

    def __init__(self, geom_node: Any) -> None:
        self._geom_node = geom_node
        self._states = [geom_node.getGeomState(i) for i in range(geom_node.getNumGeoms())]
        self._textures: dict[int, tuple[Any, Texture]] = {}  # per vertex table: Geoms may share one
        for i, data in enumerate(_vertex_tables(geom_node)):
            if data.this not in self._textures:
                self._textures[data.this] = (data, _buffer_texture(data.getNumRows()))
            inputs = core.NodePath("inputs")
            inputs.setShaderInput(VERTEX_INPUT, self._textures[data.this][1])
            geom_node.setGeomState(i, self._states[i].compose(inputs.getState()))
        self.remember()

    def remember(self) -> None:
        """Keep the positions that were just drawn."""
        for data, texture in self._textures.values():
            memoryview(texture.modifyRamImage()).cast("B")[:] = _positions(data).tobytes()

    def close(self) -> None:
        """Give the Geoms their own states back."""
        for i, state in enumerate(self._states):
            self._geom_node.setGeomState(i, state)


def is_animated(geom_node: Any) -> bool:
    """Whether any Geom's vertices follow joints or sliders."""
    none = core.Geom.ATNone
    return any(data.getFormat().getAnimation().getAnimationType() != none for data in _vertex_tables(geom_node))


def _vertex_tables(geom_node: Any) -> Iterator[Any]:
    for i in range(geom_node.getNumGeoms()):
        yield geom_node.getGeom(i).getVertexData()


def _buffer_texture(rows: int) -> Texture:
    texture = core.Texture("renderlift-previous-vertices")
    texture.setupBufferTexture(rows, core.Texture.TFloat, core.Texture.FRgba32, core.Geom.UHDynamic)
    return texture


def _positions(data: Any) -> NDArray[np.float32]:
    """Object-space positions (V, 4) of a vertex table as animated in the frame just drawn."""
    animated = data.animateVertices(True, core.Thread.getCurrentThread())
    array_index = animated.getFormat().getArrayWith(core.InternalName.getVertex())
    column = animated.getFormat().getColumn(core.InternalName.getVertex())
    table = np.frombuffer(animated.getArrayHandle(array_index).getData(), np.uint8)
    rows = table.reshape(animated.getNumRows(), -1)
    start, size = column.getStart(), 4 * column.getNumComponents()
    xyz = np.ascontiguousarray(rows[:, start : start + size]).view(np.float32)[:, :3]
    result = np.ones((len(xyz), 4), np.float32)
    result[:, :3] = xyz
    return result
