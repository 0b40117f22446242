"""What a capture runs: a model, its state, and who moves it."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from renderlift.bridge.errors import SetupError
from renderlift.engine.mujoco.library import Data, Model, core


def let_it_be(data: Data) -> None:
    """No controller: what was set at the start stays set."""


@dataclass(frozen=True)
class Simulation:
    """A simulation at its start.

    `control` is called before every step, to set `data.ctrl` or `data.mocap_pos` from `data`.
    """

    model: Model
    data: Data
    control: Callable[[Data], None] = let_it_be

    def run_until(self, time_s: float) -> None:
        """Step until the simulation's clock is within half a step of `time_s`."""
        half_step_s = float(self.model.opt.timestep) / 2
        while self.data.time + half_step_s < time_s:
            self.control(self.data)
            core.mj_step(self.model, self.data)


def load_simulation(name: str, keyframe: str | None = None) -> Simulation:
    """`arm`, a model's file (.xml, .mjb), or `module:function` that returns a Simulation.

    Args:
        keyframe: the model's keyframe to start from.

    Raises:
        SetupError: there is none, or MuJoCo cannot load it.
    """
    simulation = _load(name)
    if keyframe is not None:
        number = core.mj_name2id(simulation.model, core.mjtObj.mjOBJ_KEY.value, keyframe)
        if number < 0:
            there = [simulation.model.key(i).name for i in range(simulation.model.nkey)]
            raise SetupError(f"{name} has no keyframe {keyframe!r}", fix=f"It has: {', '.join(there) or 'none'}.")
        core.mj_resetDataKeyframe(simulation.model, simulation.data, number)
    return simulation


def _load(name: str) -> Simulation:
    if name == "arm":
        return importlib.import_module("renderlift.engine.mujoco.arm").arm()
    if Path(name).suffix in (".xml", ".mjb"):
        return _from_file(Path(name))
    module, _, function = name.partition(":")
    try:
        simulation: Simulation = getattr(importlib.import_module(module), function)()
        return simulation
    except (ImportError, AttributeError, ValueError) as error:
        raise SetupError(
            f"there is no simulation {name!r}: {error}",
            fix="Give arm, a model's .xml or .mjb, or module:function for a function that returns a Simulation.",
        ) from error


def _from_file(path: Path) -> Simulation:
    if not path.is_file():
        raise SetupError(f"there is no model {path}")
    load = core.MjModel.from_binary_path if path.suffix == ".mjb" else core.MjModel.from_xml_path
    try:
        model = load(str(path))
    except ValueError as error:
        raise SetupError(f"MuJoCo cannot load {path}: {error}") from error
    return Simulation(model, core.MjData(model))
