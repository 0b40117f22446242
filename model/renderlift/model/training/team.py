"""Several devices that train one model: each draws its own clips, and all take the mean step.

`accelerate launch` starts the processes. Only gradients travel; what is trained here is a few
million parameters, so one buffer per step does it, and the model itself needs no wrapper.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from renderlift.bridge.errors import SetupError
from renderlift.model.device import pick_device

Found = TypeVar("Found")


def _same(values: Tensor) -> Tensor:
    return values


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Team:
    """This process among its peers. The default is a process alone."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    mean: Callable[[Tensor], Tensor] = _same  # over all processes
    wait: Callable[[], None] = _nothing  # until all have come here

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0


def join_team(device: str) -> Team:
    """The team this process was started in, or itself alone on `device`.

    Raises:
        SetupError: started by `accelerate launch` without accelerate installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Team(device=pick_device(device))
    try:
        accelerator: Any = import_module("accelerate").Accelerator(cpu=device == "cpu")
    except ImportError as problem:
        raise SetupError(
            "several processes need accelerate, which is not installed", fix="pip install accelerate"
        ) from problem

    def mean(values: Tensor) -> Tensor:
        return cast(Tensor, accelerator.reduce(values, reduction="mean"))

    return Team(
        accelerator.process_index,
        accelerator.num_processes,
        accelerator.device,
        mean,
        accelerator.wait_for_everyone,
    )


def in_turn(team: Team, work: Callable[[], Found]) -> Found:
    """What the process that leads writes first, and the others then find: each does `work`."""
    if not team.leads:
        team.wait()
    done = work()
    if team.leads:
        team.wait()
    return done


def share_step(team: Team, parameters: Sequence[Tensor], facts: Sequence[float]) -> list[float]:
    """Put the mean gradient into every process, and give the mean of `facts`.

    A parameter that no process reached stays without one, or the optimizer would move it all the same.
    """
    if team.count == 1:
        return list(facts)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([*(g.flatten().float() for g in gradients), torch.tensor(facts, device=gradients[0].device)])
    flat = team.mean(flat)
    place = 0
    for parameter in parameters:
        mean = flat[place : place + parameter.numel()].view_as(parameter).to(parameter.dtype)
        parameter.grad = mean.clone() if parameter.grad is not None or mean.any() else None
        place += parameter.numel()
    return [float(value) for value in flat[place:]]
