"""A card that fills an output behind everything drawn in it."""

from typing import Any

from renderlift.engine.panda3d.panda import GraphicsOutput, NodePath, core


def add_backdrop(output: GraphicsOutput, state: Any) -> NodePath:
    """Draw a card in `state` before anything else in `output`; its vertices are (x, 0, y) in NDC.

    Returns the card's root: `removeNode()` takes it away.
    """
    card = core.CardMaker("backdrop")
    card.setFrame(-1, 1, -1, 1)
    root = core.NodePath("renderlift-backdrop")
    root.attachNewNode(card.generate())
    # The shader places the card itself, so the culler must not judge where it is.
    root.node().setBounds(core.OmniBoundingVolume())
    root.node().setFinal(True)
    behind = core.NodePath("state")
    behind.setState(state)
    behind.setDepthTest(False)
    behind.setDepthWrite(False)
    camera = root.attachNewNode(core.Camera("renderlift-backdrop"))
    camera.node().setInitialState(behind.getState())
    region = output.makeDisplayRegion()
    region.setSort(-1000)
    region.setCamera(camera)
    return root
