"""Flow on animated meshes, with the Actor that Panda3D ships."""

from typing import Any

import numpy as np
import pytest

from renderlift.bridge.frame import Channel
from renderlift.engine.panda3d.panda import core


@pytest.fixture
def panda(game: Any) -> tuple[Any, Any]:
    """A panda in front of the camera, and the controls of its walk."""
    load = core.Loader.getGlobalPtr().loadSync
    root = core.NodePath(load("models/panda"))
    controls = core.AnimControlCollection()
    core.autoBind(root.node(), controls, ~0)
    walk = core.NodePath(load("models/panda-walk"))
    core.autoBind(walk.node(), core.AnimControlCollection(), ~0)
    bundle = root.find("**/+Character").node().getBundle(0)
    control = bundle.bindAnim(walk.find("**/+AnimBundleNode").node().getBundle(), -1)
    root.reparentTo(game.root)
    root.setPosHpr(0, 14, -4, 30, 0, 0)
    return root, control


def animated_vertices(root: Any) -> Any:
    """Where every vertex is in the world as last drawn (V, 3)."""
    geom_node = root.find("**/+GeomNode")
    tables = {}
    for i in range(geom_node.node().getNumGeoms()):
        data = geom_node.node().getGeom(i).getVertexData().animateVertices(True, core.Thread.getCurrentThread())
        reader = core.GeomVertexReader(data, "vertex")
        rows = []
        while not reader.isAtEnd():
            rows.append(tuple(reader.getData3())[:3])
        tables[i] = np.array(rows)
    to_world = np.array(geom_node.getMat(geom_node.getTop())).T
    points = np.concatenate(list(tables.values()))
    return points @ to_world[:3, :3].T + to_world[:3, 3]


def test_flow_follows_the_vertices_of_a_walking_actor(game: Any, panda: Any, optics: Any) -> None:
    root, walk = panda
    capture = game.capture()
    walk.pose(4)
    before = capture.grab(0)
    stood = animated_vertices(root)
    walk.pose(7)
    root.setY(13.8)
    game.camera.setX(0.1)
    now = capture.grab(1)
    stands = animated_vertices(root)

    pixel = optics.project(stands, now)
    inside = ((pixel > 1) & (pixel < [now.width - 1, now.height - 1])).all(axis=1)
    column, row = pixel[inside].astype(int).T
    depth = ((stands[inside] - now.camera.world_from_camera[:3, 3]) @ now.camera.world_from_camera[:3, :3])[:, 2]
    visible = np.abs(now.channels[Channel.DEPTH][row, column, 0] - depth) < 0.01
    expected = (optics.project(stood, before) - pixel)[inside][visible]
    seen = now.channels[Channel.FLOW][row, column][visible]
    moved_by_joints = np.linalg.norm(expected - np.median(expected, axis=0), axis=1)
    assert visible.sum() > 200
    assert moved_by_joints.max() > 2  # the legs swing apart, so one motion for all would not do
    # A vertex lies within half a pixel of the centre at which flow is sampled.
    assert np.quantile(np.linalg.norm(seen - expected, axis=1), 0.95) < 0.25


def test_an_actor_is_one_object_named_after_its_model(game: Any, panda: Any) -> None:
    frame = game.capture().grab(0)
    assert [(n.id, n.name, n.class_name) for n in frame.names if n.path] == [(1, "panda.egg", "panda")]


def test_closing_gives_an_actors_geoms_their_own_states_back(game: Any, panda: Any) -> None:
    node = panda[0].find("**/+GeomNode").node()
    before = [str(node.getGeomState(i)) for i in range(node.getNumGeoms())]
    capture = game.capture()
    capture.grab(0)
    assert [str(node.getGeomState(i)) for i in range(node.getNumGeoms())] != before
    capture.close()
    game.opened.remove(capture)
    assert [str(node.getGeomState(i)) for i in range(node.getNumGeoms())] == before
