"""What the G-buffer pass must know of each GeomNode: ids, surface traits, where it stood before.

The pass learns it through a camera tag state: a tag on the node names a state that only the
G-buffer camera applies. The user's own states, and so the user's picture, stay untouched.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from renderlift.bridge.frame import CameraPose, IdName
from renderlift.engine.panda3d.axes import Matrix, matrix, motion_in_eye, panda_matrix
from renderlift.engine.panda3d.labels import Labels
from renderlift.engine.panda3d.panda import NodePath, core
from renderlift.engine.panda3d.shaders import ABOVE_EVERYTHING, gbuffer_shader
from renderlift.engine.panda3d.skin import Skin, is_animated

SOLID_ALPHA = 0.5  # a see-through surface is in the G-buffer from this alpha on, else what is behind it
NOTHING = 2.0  # an alpha that no surface reaches

_captures = itertools.count()  # several cameras may capture one scene, each with a tag of its own


@dataclass
class _Node:
    paths: list[NodePath]  # one, or one per parent chain if the node is instanced
    instance: IdName
    class_id: int
    free_of_graph: bool  # turned by an effect while drawn, so the graph does not hold its motion
    labels: Any  # PTA_LVecBase4f (1): u_labels of the shader
    surface: Any  # PTA_LVecBase4f (1): u_surface
    motion: Any  # PTA_LMatrix4f (1): u_motion
    skin: Skin | None = None
    transforms: Sequence[Any] = ()  # TransformState per path at the last captured frame
    state: Any = None  # RenderState that the traits were read from
    solid_from: float = 0.0  # alpha below which nothing is there
    moved: bool = True  # u_motion is not the identity


class Nodes:
    """The GeomNodes below a scene's root that the pass has met."""

    def __init__(self, scene: NodePath, camera_node: Any, class_ids: Mapping[str, int] | None = None) -> None:
        self.scene = scene
        self._camera_node = camera_node
        self._known: dict[int, _Node] = {}
        self._skinned_shader = gbuffer_shader(skinned=True)
        self._state_tag = f"renderlift_state_{next(_captures)}"
        self._labels = Labels(scene, self._state_tag, class_ids)
        camera_node.setTagStateKey(self._state_tag)

    @property
    def names(self) -> tuple[IdName, ...]:
        """The id table as far as it is known."""
        return self._labels.names

    def update(self, now: CameraPose) -> None:
        """Bring every node's inputs to the frame about to be rendered; `now` in scene units."""
        paths_of: dict[int, list[NodePath]] = {}
        for path in reversed(self.scene.findAllMatches("**/+GeomNode")):  # Panda3D finds the last child first
            paths_of.setdefault(path.node().this, []).append(path)
        for key in self._known.keys() - paths_of.keys():
            self._forget(key)
        for key, paths in paths_of.items():
            node = self._known.get(key) or self._meet(key, paths[0])
            node.paths = paths
            _read_traits(node)
            _read_motion(node, now)

    def remember(self) -> None:
        """Keep what was just drawn and cannot be told later: animated vertices."""
        for node in self._known.values():
            if node.skin is not None:
                node.skin.remember()

    def close(self) -> None:
        """Take every tag back off the scene."""
        for key, node in list(self._known.items()):
            self._forget(key)
            self._labels.erase(node.paths[0])

    def _meet(self, key: int, path: NodePath) -> _Node:
        instance, class_id = self._labels.of(path)
        node = _Node(
            paths=[path],
            instance=instance,
            class_id=class_id,
            free_of_graph=_turned_while_drawn(path),
            labels=core.PTALVecBase4f([core.LVecBase4f(0)]),
            surface=core.PTALVecBase4f([core.LVecBase4f(0)]),
            motion=core.PTALMatrix4f([core.LMatrix4f.identMat()]),
        )
        inputs = core.NodePath("inputs")
        if is_animated(path.node()):
            node.skin = Skin(path.node())
            inputs.setShader(self._skinned_shader, ABOVE_EVERYTHING + 1)
        inputs.setShaderInput("u_labels", node.labels)
        inputs.setShaderInput("u_surface", node.surface)
        inputs.setShaderInput("u_motion", node.motion)
        self._camera_node.setTagState(str(key), inputs.getState())
        path.node().setTag(self._state_tag, str(key))
        self._known[key] = node
        return node

    def _forget(self, key: int) -> None:
        node = self._known.pop(key)
        if node.skin is not None:
            node.skin.close()
        self._labels.forget(node.instance)
        node.paths[0].node().clearTag(self._state_tag)
        self._camera_node.clearTagState(str(key))


def _turned_while_drawn(path: NodePath) -> bool:
    kinds = (core.BillboardEffect.getClassType(), core.CompassEffect.getClassType())
    return any(p.node().hasEffect(kind) for p in path.getAncestors() for kind in kinds)


def _read_traits(node: _Node) -> None:
    state = node.paths[0].getNetState()
    if state == node.state:
        return
    node.state = state
    geom_node = node.paths[0].node()
    states = [state.compose(geom_node.getGeomState(i)) for i in range(geom_node.getNumGeoms())]
    node.solid_from = max((_solid_from(s) for s in states), default=0.0)
    uses_base, keeps_vertex_color = _color_sources(states)
    node.surface.setElement(0, core.LVecBase4f(keeps_vertex_color, uses_base, 0, 0))


def _solid_from(state: Any) -> float:
    """Alpha from which a surface drawn in `state` is in the G-buffer."""
    depth_write = state.getAttrib(core.DepthWriteAttrib.getClassType())
    blend = state.getAttrib(core.ColorBlendAttrib.getClassType())
    if depth_write is not None and depth_write.getMode() == core.DepthWriteAttrib.MOff:
        return NOTHING  # a sky dome, a decal, a glow: the picture's own depth does not hold it either
    if blend is not None and blend.getMode() != core.ColorBlendAttrib.MNone:
        return NOTHING
    transparency = state.getAttrib(core.TransparencyAttrib.getClassType())
    alpha_test = state.getAttrib(core.AlphaTestAttrib.getClassType())
    if alpha_test is not None and alpha_test.getMode() in (
        core.RenderAttrib.MGreater,
        core.RenderAttrib.MGreaterEqual,
    ):
        return float(alpha_test.getReferenceAlpha())
    see_through = transparency is not None and transparency.getMode() != core.TransparencyAttrib.MNone
    return SOLID_ALPHA if see_through else 0.0


def _color_sources(states: Iterable[Any]) -> tuple[bool, bool]:
    """Whether the material's colour counts, and whether the vertex colour does beside it."""
    for state in states:
        attrib = state.getAttrib(core.MaterialAttrib.getClassType())
        material = attrib.getMaterial() if attrib is not None else None
        if material is not None and material.hasBaseColor():
            return True, True
        if material is not None and material.hasDiffuse():
            return True, False  # a classic material takes the place of the vertex colour
    return False, True


def _read_motion(node: _Node, now: CameraPose) -> None:
    transforms = [path.getNetTransform() for path in node.paths]
    moves = len(node.transforms) > 0 and transforms != node.transforms
    # An instanced node is drawn once per parent, with one set of inputs: no motion fits all.
    known = bool(node.transforms) and not node.free_of_graph and not (moves and len(transforms) > 1)
    if moves and known:
        before, after = matrix(node.transforms[0].getMat()), matrix(transforms[0].getMat())
        node.motion.setElement(0, panda_matrix(_motion(now, after, before)))
    elif node.moved:
        node.motion.setElement(0, core.LMatrix4f.identMat())
    node.moved = moves
    node.transforms = transforms
    node.labels.setElement(0, core.LVecBase4f(node.instance.id, node.class_id, known, node.solid_from))


def _motion(now: CameraPose, after: Matrix, before: Matrix) -> Matrix:
    try:
        return motion_in_eye(now, after, before)
    except np.linalg.LinAlgError:
        return np.eye(4)  # scaled to nothing: there are no pixels to be wrong on
