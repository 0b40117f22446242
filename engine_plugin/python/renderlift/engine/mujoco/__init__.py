"""MuJoCo: every channel of any model's cameras, from the state of the simulation.

In somebody's own loop:

    from renderlift.engine.mujoco import attach
    lift = attach(model, data)
    ...
    lift.sync()  # after each step
"""

from renderlift.engine.mujoco.attach import Lift, attach
from renderlift.engine.mujoco.capture import Capture
from renderlift.engine.mujoco.labels import Instances
from renderlift.engine.mujoco.simulation import Simulation

__all__ = ["Capture", "Instances", "Lift", "Simulation", "attach"]
