import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from renderlift.model.fit import Schedule, fit, use_average

SCHEDULE = Schedule(minutes=0.01, learning_rate=0.05, warmup_steps=1, weight_decay=0.0, ema_halflife_steps=5)


def square_loss(module: nn.Linear):
    inputs = torch.eye(4)
    return lambda _step: (module(inputs) - 3 * inputs).square().mean()


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = nn.Linear(4, 4)
    fit(first, square_loss(first), SCHEDULE, tmp_path)
    state = json.loads((tmp_path / "state.json").read_text())
    fresh = nn.Linear(4, 4)
    # The budget is spent, so going on trains nothing and must hand back what was learned.
    fit(fresh, square_loss(fresh), SCHEDULE, tmp_path)
    torch.testing.assert_close(fresh.weight, first.weight)
    assert state["step"] > 10


def test_the_average_is_what_was_learned(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Linear(4, 4)
    before = square_loss(module)(0).item()
    fit(module, square_loss(module), SCHEDULE, tmp_path)
    use_average(module, tmp_path)
    assert square_loss(module)(0).item() < before / 10


def test_only_parameters_that_train_are_kept(tmp_path: Path) -> None:
    module = nn.Linear(4, 4)
    module.bias.requires_grad_(False)
    kept = module.bias.detach().clone()
    fit(module, square_loss(module), SCHEDULE, tmp_path)
    assert set(load_file(tmp_path / "ema.safetensors")) == {"weight"}
    torch.testing.assert_close(module.bias.detach(), kept)


def test_parameters_that_no_loss_reaches_do_not_stop_a_save(tmp_path: Path) -> None:
    module = nn.ModuleDict({"used": nn.Linear(4, 4), "idle": nn.Linear(4, 4)})
    fit(module, square_loss(module["used"]), SCHEDULE, tmp_path)
    fit(module, square_loss(module["used"]), SCHEDULE, tmp_path)
    assert "idle.weight" in load_file(tmp_path / "weights.safetensors")
