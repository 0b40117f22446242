"""The one training loop: AdamW, warm-up and cosine, EMA, checkpoints that survive any kill."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's names


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train. The budget is wall time, so that it fits any machine."""

    minutes: float
    learning_rate: float
    warmup_steps: int = 100
    final_share: float = 0.02  # of the learning rate, at the end of the cosine
    weight_decay: float = 0.01
    ema_halflife_steps: float = 200.0
    clip_norm: float = 1.0
    save_every_s: float = 60.0


def fit(
    module: nn.Module,
    loss: Callable[[int], Tensor],
    schedule: Schedule,
    folder: Path,
    *,
    log: Callable[[int, float, float], None] | None = None,
) -> None:
    """Train the parameters of `module` that require gradients until the budget is spent.

    `folder` keeps `weights.safetensors` (raw), `ema.safetensors` (what to ship) and
    `state.json` + `moments.safetensors` (to go on from). Called again on the same folder it
    goes on where it stopped; a kill costs at most `save_every_s`.

    Args:
        loss: step number to scalar loss.
        log: called every 25 steps with step, mean loss and minutes spent.
    """
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    average = {name: p.detach().clone().float() for name, p in named.items()}
    optimizer = torch.optim.AdamW(
        named.values(), lr=schedule.learning_rate, betas=(0.9, 0.99), weight_decay=schedule.weight_decay
    )
    step, spent_s = _resume(folder, named, average, optimizer)
    started, saved, losses = time.monotonic() - spent_s, time.monotonic(), list[float]()
    budget_s = schedule.minutes * 60
    while (elapsed_s := time.monotonic() - started) < budget_s:
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * _factor(schedule, step, elapsed_s / budget_s)
        value = loss(step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # pyright: ignore[reportUnknownMemberType]
        torch.nn.utils.clip_grad_norm_(named.values(), schedule.clip_norm)
        optimizer.step()
        step += 1
        # A young average forgets its random start quickly.
        decay = min(0.5 ** (1 / schedule.ema_halflife_steps), step / (step + 10))
        for name, parameter in named.items():
            average[name].lerp_(parameter.detach().float(), 1 - decay)
        losses.append(float(value.detach()))
        if log and step % 25 == 0:
            log(step, sum(losses[-25:]) / 25, elapsed_s / 60)
        if time.monotonic() - saved > schedule.save_every_s:
            _save(folder, named, average, optimizer, step, time.monotonic() - started)
            saved = time.monotonic()
    _save(folder, named, average, optimizer, step, time.monotonic() - started)


def use_average(module: nn.Module, folder: Path) -> None:
    """Load the EMA weights of a finished or running `fit` into `module`."""
    average = load_file(folder / "ema.safetensors")
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in average:
                parameter.copy_(average[name])


def _factor(schedule: Schedule, step: int, share: float) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    return min(1.0, (step + 1) / schedule.warmup_steps) * (
        schedule.final_share + (1 - schedule.final_share) * cosine
    )


def _save(
    folder: Path,
    named: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    step: int,
    spent_s: float,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    moments: dict[str, Tensor] = {}
    for name, parameter in named.items():
        # A parameter that no loss reached has no moments.
        state = cast(dict[str, Tensor], optimizer.state.get(parameter, {}))
        moments |= {f"{name}|{key}": state[key].contiguous() for key in MOMENTS if key in state}
    files = {
        "weights.safetensors": {name: p.detach().contiguous() for name, p in named.items()},
        "ema.safetensors": average,
        "moments.safetensors": moments,
    }
    for name, tensors in files.items():
        save_file(tensors, folder / (name + ".new"))
    (folder / "state.json.new").write_text(json.dumps({"step": step, "spent_s": spent_s}))
    # Renamed only once all are written: a kill in between leaves the previous set whole enough
    # to go on from, because every file by itself is complete.
    for name in (*files, "state.json"):
        (folder / (name + ".new")).replace(folder / name)


def _resume(
    folder: Path,
    named: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> tuple[int, float]:
    if not (folder / "state.json").exists():
        return 0, 0.0
    state = json.loads((folder / "state.json").read_text())
    weights = load_file(folder / "weights.safetensors")
    averaged = load_file(folder / "ema.safetensors")
    moments = load_file(folder / "moments.safetensors")
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(weights[name])
            average[name].copy_(averaged[name])
            kept = {key: moments[f"{name}|{key}"] for key in MOMENTS if f"{name}|{key}" in moments}
            if kept:
                optimizer.state[parameter] = {"step": torch.tensor(float(state["step"])), **kept}
    return int(state["step"]), float(state["spent_s"])
