"""The training loop: AdamW, warm-up and cosine, EMA, and one checkpoint file that survives any kill.

Every step draws from a seed of its own. So a run that was killed and goes on takes the very steps
that it would have taken, and its losses are those of a run that was not.
"""

import math
import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from renderlift.bridge.errors import SetupError
from renderlift.model.training.team import Team, share_step

MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's names
STEP = "step"  # AdamW's count, kept for parameters that not every step reaches
SAVE_S = 30.0  # between checkpoints: what a kill can cost
SAVE_SHARE = 0.05  # of the time, at most, goes into saving ...
SAVE_AT_LEAST_S = 55.0  # ... unless a kill would then cost more than a minute


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. Either `steps` or `minutes` ends it, the other is 0."""

    learning_rate: float
    steps: int = 0
    minutes: float = 0.0
    warmup_steps: int = 100
    final_share: float = 0.02  # of the learning rate, at the end of the cosine
    weight_decay: float = 0.01
    ema_halflife_steps: float = 200.0
    clip_norm: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Moment:
    """Where a run is, after a step."""

    step: int
    loss: float  # of this step, mean over the team
    learning_rate: float
    spent_s: float  # of training, over all resumed runs
    share: float  # of the budget, 0..1


@dataclass(frozen=True)
class Fitted:
    """How a run ended."""

    step: int
    spent_s: float
    done: bool  # False: it was stopped


def fit(
    module: nn.Module,
    loss: Callable[[int], Tensor],
    schedule: Schedule,
    checkpoint: Path,
    *,
    team: Team | None = None,
    parts: int = 1,
    watch: Callable[[Moment], None] | None = None,
    show: Callable[[int], None] | None = None,
    show_every: int = 100,
    stop: Callable[[], bool] | None = None,
) -> Fitted:
    """Train the parameters of `module` that require gradients until the budget is spent.

    At the end `module` holds the running average of its weights, which is what to ship.

    Args:
        loss: step number to scalar loss; torch is seeded anew before each call.
        checkpoint: file to go on from, and to save to.
        parts: calls of `loss` in a step, whose mean gradient is taken.
        watch: called after every step.
        show: called with the step every `show_every` steps, while `module` holds the average.
        stop: asked after every step; True saves and ends.

    Raises:
        SetupError: the loss is not finite, or the checkpoint is another module's.
    """
    team = team or Team()
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    average = {name: p.detach().clone().float() for name, p in named.items()}
    optimizer = torch.optim.AdamW(
        named.values(), lr=schedule.learning_rate, betas=(0.9, 0.99), weight_decay=schedule.weight_decay
    )
    step, spent_s = _resume(checkpoint, named, average, optimizer)
    saver = _Saver(checkpoint, named, average, optimizer)
    began_s = time.monotonic() - spent_s
    stopped = False
    while (share := _share(schedule, step, spent_s)) < 1 and not stopped:
        rate = schedule.learning_rate * _factor(schedule, step, share)
        for group in optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed((schedule.seed * 1_000_003 + step) * 4099 + team.rank)
        optimizer.zero_grad(set_to_none=True)
        value = sum(_learn_from(loss(step) / parts) for _ in range(parts))
        facts = (value, time.monotonic() - began_s, float(bool(stop and stop())))
        # The team decides by common facts, or one would end while the others wait for it.
        mean_loss, spent_s, stops = share_step(team, list(named.values()), facts)
        _refuse_not_finite(mean_loss, step, checkpoint)
        torch.nn.utils.clip_grad_norm_(named.values(), schedule.clip_norm)
        optimizer.step()
        step, stopped = step + 1, stops > 0
        _follow(average, named, schedule, step)
        if watch:
            watch(Moment(step, mean_loss, rate, spent_s, min(1.0, _share(schedule, step, spent_s))))
        if show and step % show_every == 0:
            with _holding(named, average):
                show(step)
        if team.leads:
            saver.save_if_due(step, spent_s)
    if team.leads:
        saver.save(step, spent_s)
    team.wait()
    _load(named, average)
    return Fitted(step, spent_s, done=not stopped)


def checkpoint_facts(checkpoint: Path) -> tuple[int, float]:
    """(step, seconds spent) of a checkpoint; zeros if there is none.

    Raises:
        SetupError: the file is damaged.
    """
    if not checkpoint.exists():
        return 0, 0.0
    try:
        with safe_open(checkpoint, "pt") as file:
            facts = cast(dict[str, str], file.metadata() or {})
        return int(facts["step"]), float(facts["spent_s"])
    except (SafetensorError, KeyError, ValueError) as problem:
        raise SetupError(
            f"{checkpoint} is damaged: {problem}", fix="Delete it to begin again, or put a copy in its place."
        ) from problem


class _Saver:
    """Writes checkpoints as often as a minute of loss asks for and a share of the time allows."""

    def __init__(
        self,
        path: Path,
        named: Mapping[str, Tensor],
        average: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self._path, self._named, self._average, self._optimizer = path, named, average, optimizer
        self._saved_s, self._pause_s = time.monotonic(), SAVE_S

    def save_if_due(self, step: int, spent_s: float) -> None:
        if time.monotonic() - self._saved_s > self._pause_s:
            self.save(step, spent_s)

    def save(self, step: int, spent_s: float) -> None:
        began_s = time.monotonic()
        tensors: dict[str, Tensor] = {}
        for name, parameter in self._named.items():
            tensors[f"weights|{name}"] = parameter.detach().contiguous()
            tensors[f"average|{name}"] = self._average[name]
            # A parameter that no loss reached has no moments.
            state = cast(dict[str, Tensor], self._optimizer.state.get(parameter, {}))
            tensors |= {f"{key}|{name}": state[key].contiguous() for key in MOMENTS if key in state}
            if STEP in state and int(state[STEP]) != step:
                tensors[f"{STEP}|{name}"] = state[STEP]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        save_file(tensors, new, metadata={"step": str(step), "spent_s": repr(spent_s)})
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(self._path)
        self._saved_s = time.monotonic()
        self._pause_s = min(SAVE_AT_LEAST_S, max(SAVE_S, (self._saved_s - began_s) / SAVE_SHARE))


def _resume(
    checkpoint: Path, named: dict[str, nn.Parameter], average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    step, spent_s = checkpoint_facts(checkpoint)
    if not step:
        return 0, 0.0
    tensors = load_file(checkpoint)
    if {name for name in tensors if name.startswith("weights|")} != {f"weights|{name}" for name in named}:
        raise SetupError(
            f"{checkpoint} holds the training of another model",
            fix="Use another output folder, or --restart to begin again in this one.",
        )
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(tensors[f"weights|{name}"])
            average[name].copy_(tensors[f"average|{name}"])
            kept = {key: tensors[f"{key}|{name}"] for key in MOMENTS if f"{key}|{name}" in tensors}
            if kept:
                moved = {key: value.to(parameter.device) for key, value in kept.items()}
                taken = tensors.get(f"{STEP}|{name}", torch.tensor(float(step)))
                optimizer.state[parameter] = {STEP: taken, **moved}
    return step, spent_s


def _learn_from(loss: Tensor) -> float:
    loss.backward()  # pyright: ignore[reportUnknownMemberType]
    return float(loss.detach())


def _share(schedule: Schedule, step: int, spent_s: float) -> float:
    return step / schedule.steps if schedule.steps else spent_s / (schedule.minutes * 60)


def _factor(schedule: Schedule, step: int, share: float) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    warm = min(1.0, (step + 1) / max(1, schedule.warmup_steps))
    return warm * (schedule.final_share + (1 - schedule.final_share) * cosine)


def _follow(average: dict[str, Tensor], named: dict[str, nn.Parameter], schedule: Schedule, step: int) -> None:
    # A young average forgets its random start quickly.
    decay = min(0.5 ** (1 / schedule.ema_halflife_steps), step / (step + 10))
    for name, parameter in named.items():
        average[name].lerp_(parameter.detach().float(), 1 - decay)


def _load(named: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(values[name])


@contextmanager
def _holding(named: Mapping[str, nn.Parameter], average: Mapping[str, Tensor]) -> Generator[None]:
    kept = {name: p.detach().clone() for name, p in named.items()}
    _load(named, average)
    try:
        yield
    finally:
        _load(named, kept)


def _refuse_not_finite(loss: float, step: int, checkpoint: Path) -> None:
    if not math.isfinite(loss):
        raise SetupError(
            f"the loss is {loss} at step {step}: the training has come apart",
            fix=f'Lower learning_rate, or set precision = "float32"; then delete {checkpoint} or use --restart.',
        )
