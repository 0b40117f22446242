"""The benchmark's formula against torch's own count of what the published classes compute."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from renderlift.model.render import load_base

PATH = Path(__file__).parents[3] / "benchmarks" / "flops.py"


@pytest.fixture(scope="module")
def flops() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flops", PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["flops"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["wan", "wan_vace"])
def test_the_formula_counts_what_torch_counts(flops: ModuleType, name: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(name)
    transformer = load_base(str(folder), torch.float32).transformer
    inputs = {"hidden_states": torch.randn(1, 16, 5, 16, 16), "timestep": torch.tensor([500.0])}
    inputs["encoder_hidden_states"] = torch.zeros(1, 512, 32)
    if name == "wan_vace":
        inputs["control_hidden_states"] = torch.randn(1, 96, 5, 16, 16)
    # The fused kernel of the CPU is not counted by torch.
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        transformer(**inputs)
    computed = flops.flops_per_forward(flops.shape_of(folder), 5 * 8 * 8)
    # The rest is what does not grow with the layers: patches, time and text embeddings, the last projection.
    assert 0.8 < computed / counter.get_total_flops() < 1.0


def test_half_the_side_of_a_reference_is_a_quarter_of_its_tokens_and_saves_half_the_time(flops: ModuleType) -> None:
    full, half = (run for run in flops.RUNS if run.name in ("LTX 2B, reference", "LTX 2B, half-size reference"))
    assert flops.flops_per_clip(full) / flops.flops_per_clip(half) > 1.8
