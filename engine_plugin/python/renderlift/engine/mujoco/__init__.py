"""MuJoCo: every channel of any model's cameras, from the state of the simulation.

In somebody's own loop:

    from renderlift.engine.mujoco import attach
    lift = attach(model, data)
"""

from renderlift.engine.mujoco.capture import Capture
from renderlift.engine.mujoco.labels import Instances

__all__ = ["Capture", "Instances"]
