"""A scene of our own: a robot arm clears a bench, cube by cube. `arm.xml` is the model."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.mujoco.library import Data, core
from renderlift.engine.mujoco.simulation import Simulation

# Lengths of arm.xml, metres: the shoulder's height, upper arm, forearm, wrist to fingertips.
SHOULDER_M, UPPER_ARM_M, FOREARM_M, HAND_M = 0.955, 0.36, 0.30, 0.241
OPEN_M, SHUT_M = 0.022, -0.016  # of each finger
ABOVE_M = 0.13
JOINTS = ("pan", "lift", "elbow", "wrist 1", "wrist 2", "finger 1", "finger 2")
CUBES = (  # where each stands (x, y, z, turned by radians), and where in the tray it goes
    ((0.46, 0.16, 0.831, 0.524), (0.30, -0.36, 0.772)),
    ((0.50, 0.18, 0.760, 0.209), (0.42, -0.36, 0.772)),
    ((0.42, 0.15, 0.760, 0.0), (0.36, -0.28, 0.772)),
)
HOME = np.array([-0.5, -0.35, 1.75, 1.2, 0.0, OPEN_M, OPEN_M])


@dataclass(frozen=True)
class Waypoint:
    time_s: float
    controls: NDArray[np.float64]  # (7,): five joints in radians, two fingers in metres


def arm() -> Simulation:
    """The arm at rest, about to clear the bench; it is done after ten seconds."""
    model = core.MjModel.from_xml_path(str(Path(__file__).with_name("arm.xml")))
    data = core.MjData(model)
    waypoints = list(_waypoints())
    times_s = np.array([waypoint.time_s for waypoint in waypoints])
    controls = np.array([waypoint.controls for waypoint in waypoints])

    def control(data: Data) -> None:
        data.ctrl[:] = _between(times_s, controls, float(data.time))

    for name, angle in zip(
        ("pan", "lift", "elbow", "wrist 1", "wrist 2", "finger 1", "finger 2"), HOME, strict=True
    ):
        data.joint(name).qpos = angle
    control(data)
    core.mj_forward(model, data)
    return Simulation(model, data, control)


def _waypoints() -> Iterator[Waypoint]:
    time_s = 0.25
    yield Waypoint(0.0, HOME)
    yield Waypoint(time_s, HOME)
    for (x, y, z, yaw), (to_x, to_y, to_z) in CUBES:
        stops = (
            (0.9, x, y, z + ABOVE_M, yaw, OPEN_M),
            (0.5, x, y, z, yaw, OPEN_M),
            (0.3, x, y, z, yaw, SHUT_M),
            (0.4, x, y, z + ABOVE_M, yaw, SHUT_M),
            (0.9, to_x, to_y, to_z + ABOVE_M, 0.0, SHUT_M),
            (0.4, to_x, to_y, to_z, 0.0, SHUT_M),
            (0.25, to_x, to_y, to_z, 0.0, OPEN_M),
            (0.35, to_x, to_y, to_z + ABOVE_M, 0.0, OPEN_M),
        )
        for duration_s, *place, finger_m in stops:
            time_s += duration_s
            yield Waypoint(time_s, np.array([*_reach(*place), finger_m, finger_m]))
    yield Waypoint(time_s + 1.0, HOME)


def _reach(x: float, y: float, z: float, yaw: float) -> tuple[float, float, float, float, float]:
    """Joint angles that bring the fingertips to a point, pointing down, and grip along `yaw`."""
    pan = math.atan2(y, x)
    outward, upward = math.hypot(x, y), z + HAND_M - SHOULDER_M
    reach = math.hypot(outward, upward)
    elbow = math.acos((reach**2 - UPPER_ARM_M**2 - FOREARM_M**2) / (2 * UPPER_ARM_M * FOREARM_M))
    bend = math.atan2(FOREARM_M * math.sin(elbow), UPPER_ARM_M + FOREARM_M * math.cos(elbow))
    lift = math.atan2(outward, upward) - bend
    quarter = math.pi / 2  # a cube looks the same after each
    turn = (pan - yaw + quarter / 2) % quarter - quarter / 2
    return pan, lift, elbow, math.pi - lift - elbow, turn


def _between(times_s: NDArray[np.float64], controls: NDArray[np.float64], time_s: float) -> NDArray[np.float64]:
    """Smoothly from waypoint to waypoint: minimum jerk, at rest in each (Flash and Hogan 1985)."""
    i = min(max(int(np.searchsorted(times_s, time_s, side="right")) - 1, 0), len(times_s) - 2)
    s = min(max((time_s - times_s[i]) / (times_s[i + 1] - times_s[i]), 0.0), 1.0)
    share = s**3 * (10 - 15 * s + 6 * s * s)
    between: NDArray[np.float64] = controls[i] + share * (controls[i + 1] - controls[i])
    return between
