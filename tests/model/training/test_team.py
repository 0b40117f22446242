from pathlib import Path

import numpy as np
import pytest

from tests.model.training.side_by_side import run_side_by_side

# What `accelerate launch` starts in every process, with a model of sixteen weights.
CHILD = """
import sys
import torch
from pathlib import Path
from torch import nn
from renderlift.model.training.fit import Schedule, fit
from renderlift.model.training.team import join_team
team = join_team("cpu")
torch.manual_seed(0)
module = nn.Linear(4, 4)
drawn = []
def loss(step):
    inputs = torch.randn(8, 4)
    drawn.append(float(inputs.sum()))
    return (module(inputs) - 3 * inputs).square().mean()
folder = Path(sys.argv[1])
fit(module, loss, Schedule(0.05, steps=20), folder / "checkpoint.safetensors", team=team)
torch.save({"weight": module.weight.detach(), "drawn": torch.tensor(drawn)}, folder / f"{team.rank}.pt")
"""


def test_two_processes_draw_their_own_clips_and_train_one_model(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    import torch

    run_side_by_side(2, ["-c", CHILD, str(tmp_path)], tmp_path)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert torch.equal(first["weight"], second["weight"])
    assert not np.isclose(first["drawn"], second["drawn"]).any()
