import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_processes_draw_their_own_clips_and_train_one_model(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    import torch

    shared = {
        **os.environ,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for child in children:
        _, complaints = child.communicate(timeout=240)
        assert child.returncode == 0, complaints
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert torch.equal(first["weight"], second["weight"])
    assert not np.isclose(first["drawn"], second["drawn"]).any()
