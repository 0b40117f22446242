import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from renderlift.bridge.errors import SetupError
from renderlift.model.training.fit import Moment, Schedule, checkpoint_facts, fit
from renderlift.model.training.team import Team, share_step

STEPS = 400
SCHEDULE = Schedule(0.05, steps=STEPS, warmup_steps=1, weight_decay=0.0, ema_halflife_steps=5)

# Trains as `run` does below, saves after every step, and tells each step that it has taken.
CHILD = """
import sys
from pathlib import Path
import torch
from renderlift.model.training import fit as training
training.SAVE_S = 0.0
sys.path.insert(0, sys.argv[2])
from test_fit import noisy_loss, new_module, SCHEDULE
module = new_module()
training.fit(module, noisy_loss(module), SCHEDULE, Path(sys.argv[1]), watch=lambda m: print(m.step, flush=True))
"""


def new_module() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 4)


def noisy_loss(module: nn.Linear):
    return lambda _step: (module(inputs := torch.randn(8, 4)) - 3 * inputs).square().mean()


def run(checkpoint: Path, schedule: Schedule = SCHEDULE) -> dict[int, Moment]:
    module, moments = new_module(), dict[int, Moment]()
    fit(module, noisy_loss(module), schedule, checkpoint, watch=lambda m: moments.update({m.step: m}))
    return moments


def test_a_killed_run_goes_on_with_the_losses_of_one_that_was_not(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed.safetensors", tmp_path / "whole.safetensors"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(killed), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    for line in child.stdout:
        if int(line) >= 20:
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    step, _ = checkpoint_facts(killed)
    assert 0 < step < STEPS
    rest, all_of_it = run(killed), run(whole)
    assert min(rest) == step + 1
    assert {s: m.loss for s, m in rest.items()} == {s: m.loss for s, m in all_of_it.items() if s > step}
    assert rest[STEPS].learning_rate == all_of_it[STEPS].learning_rate


def test_the_module_ends_as_the_average_of_what_it_learned(tmp_path: Path) -> None:
    module = new_module()
    fit(module, noisy_loss(module), SCHEDULE, tmp_path / "c.safetensors")
    torch.testing.assert_close(module.weight, 3 * torch.eye(4), atol=0.1, rtol=0)
    spent = new_module()
    # The budget is spent, so going on trains nothing and hands back what was learned.
    fit(spent, noisy_loss(spent), SCHEDULE, tmp_path / "c.safetensors")
    assert torch.equal(spent.weight, module.weight)


def test_minutes_end_a_run_too(tmp_path: Path) -> None:
    moments = run(tmp_path / "c.safetensors", Schedule(0.05, minutes=0.003))
    assert list(moments.values())[-1].share == 1
    assert list(moments.values())[-2].share < 1


def test_a_stopped_run_is_saved_and_goes_on(tmp_path: Path) -> None:
    module, checkpoint = new_module(), tmp_path / "c.safetensors"
    stopped = fit(module, noisy_loss(module), SCHEDULE, checkpoint, stop=lambda: True)
    assert (stopped.step, stopped.done) == (1, False)
    assert fit(new_module(), noisy_loss(module), SCHEDULE, checkpoint, stop=lambda: True).step == 2


def test_only_what_requires_gradients_is_trained_and_kept(tmp_path: Path) -> None:
    module = new_module()
    module.bias.requires_grad_(False)
    kept = module.bias.detach().clone()
    fit(module, noisy_loss(module), SCHEDULE, tmp_path / "c.safetensors")
    assert torch.equal(module.bias.detach(), kept)


def test_a_loss_that_is_not_finite_ends_the_run_and_spares_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.safetensors"
    run(checkpoint, Schedule(0.01, steps=3))
    module = new_module()
    with pytest.raises(SetupError, match="learning_rate"):
        fit(module, lambda _: module.weight.sum() * float("nan"), SCHEDULE, checkpoint)
    assert checkpoint_facts(checkpoint)[0] == 3


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "c.safetensors", Schedule(0.01, steps=3))
    other = nn.Conv1d(1, 1, 1, bias=False)
    with pytest.raises(SetupError, match="another model"):
        fit(other, lambda _: other.weight.sum(), SCHEDULE, tmp_path / "c.safetensors")


def test_a_damaged_checkpoint_names_the_fix(tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.safetensors"
    run(checkpoint, Schedule(0.01, steps=3))
    checkpoint.write_bytes(checkpoint.read_bytes()[:40])
    with pytest.raises(SetupError, match="Delete it"):
        checkpoint_facts(checkpoint)


def test_a_look_on_the_way_sees_the_average_and_disturbs_nothing(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []
    module, undisturbed = new_module(), new_module()
    schedule = Schedule(0.01, steps=20, warmup_steps=1)
    fit(undisturbed, noisy_loss(undisturbed), schedule, tmp_path / "a.safetensors")

    def look(_: int) -> None:
        torch.randn(7)
        seen.append(module.weight.detach().clone())

    fit(module, noisy_loss(module), schedule, tmp_path / "b.safetensors", show=look, show_every=10)
    assert len(seen) == 2
    assert torch.equal(module.weight, undisturbed.weight)
    assert torch.equal(seen[-1], module.weight)


def test_a_team_takes_the_mean_step() -> None:
    mine, theirs = new_module(), new_module()
    noisy_loss(mine)(0).backward()
    noisy_loss(theirs)(0).backward()
    grads = [
        torch.stack([a.grad, b.grad]).mean(0)
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True)
        if a.grad is not None and b.grad is not None
    ]
    other = torch.cat([*(p.grad.flatten() for p in theirs.parameters() if p.grad is not None), torch.tensor([3.0])])
    team = Team(rank=0, count=2, mean=lambda flat: (flat + other) / 2)
    assert share_step(team, list(mine.parameters()), (1.0,)) == [2.0]
    for parameter, grad in zip(mine.parameters(), grads, strict=True):
        torch.testing.assert_close(parameter.grad, grad)
