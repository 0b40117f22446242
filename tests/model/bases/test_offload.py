"""Weights in groups go from one grouping to the other, with adapters in, and paint what they did."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import cpu_offload_with_hook
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.model import presets
from renderlift.model.bases.adapters import load_adapter
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.opening import open_painter
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.endure import memory_remedies
from renderlift.model.offload import BLOCKS, LAYERS, bring_by_layers, group_levels
from renderlift.model.render import load_base
from tests.model.bases.random_adapter import random_adapter

Shot = Callable[..., Clip]
CPU = torch.device("cpu")


def weights(pipeline: Any) -> dict[str, Tensor]:
    parts = {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
    return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}


@pytest.mark.parametrize("steps", [2, presets.CACHE_FROM_STEPS])
@pytest.mark.parametrize("name", ["ltx2", "wan", "wan_a14b", "wan_vace", "cosmos"])
def test_what_came_in_blocks_comes_by_layers_and_paints_the_same(
    name: str, steps: int, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    facts, clip = facts_of(folder), shot(5)
    pipeline: Any = load_base(str(folder), torch.float32)
    settings = RenderSettings(steps=steps, guidance=1.0)
    if facts.takes_adapters:
        adapter = random_adapter(load_base(str(folder), torch.float32), tmp_path)
        alone = open_painter(facts, pipeline, settings, folder)(clip, {})
        load_adapter(pipeline, facts, adapter, 1.0)
    before = {key: value.clone() for key, value in weights(pipeline).items()}
    presets.settle(pipeline, presets.named("blocks"), CPU, steps=steps)
    paint = open_painter(facts, pipeline, settings, folder)
    with torch.no_grad():
        painted = paint(clip, {})
        assert group_levels(pipeline) == {BLOCKS, LAYERS}
        bring_by_layers(pipeline, CPU)
        assert group_levels(pipeline) == {LAYERS}
        assert torch.equal(paint(clip, {}), painted)
    after = weights(pipeline)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    if facts.takes_adapters:
        assert (painted - alone).abs().max() > 1 / 255


def test_the_remedy_is_for_blocks_and_not_for_what_comes_by_layers_already(wan: Path, shot: Shot) -> None:
    pipeline = load_base(str(wan), torch.float32)
    _, _, layers, *_ = memory_remedies(pipeline, torch.device("cuda"), lambda clip: lambda clip, known: Tensor())
    assert "layer by layer" in layers.said
    assert layers.fits()
    presets.settle(pipeline, presets.named("blocks"), CPU)
    assert layers.fits()
    bring_by_layers(pipeline, CPU)
    assert not layers.fits()


def test_weights_that_come_part_by_part_can_be_brought_in_layer_by_layer(wan_vace: Path) -> None:
    """diffusers refuses the one way beside the other, so the first must go."""
    pipeline = load_base(str(wan_vace), torch.float32)
    pipeline._all_hooks = [cpu_offload_with_hook(pipeline.transformer, execution_device="cpu")[1]]
    bring_by_layers(pipeline, CPU)
    assert group_levels(pipeline) == {LAYERS}
    assert not hasattr(pipeline.transformer, "_hf_hook")
    assert pipeline._all_hooks == []
