"""Panda3D: capture of any scene graph, photoreal frames in its window, our own scenes drawn as a game would.

In somebody's own game:

    from renderlift.engine.panda3d import attach
    lift = attach(base)
"""

from renderlift.engine.panda3d.attach import Lift, attach
from renderlift.engine.panda3d.capture import Capture
from renderlift.engine.panda3d.scene_graph import render_frames

__all__ = ["Capture", "Lift", "attach", "render_frames"]
