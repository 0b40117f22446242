"""Weights in groups go from one grouping to the other, with adapters in, and paint what they did."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import cpu_offload_with_hook
from safetensors.torch import save
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import SetupError
from renderlift.model import presets
from renderlift.model.bases.adapters import load_adapter
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.opening import open_painter
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.endure import memory_remedies
from renderlift.model.lora import FILE_NAME
from renderlift.model.offload import BLOCKS, LAYERS, bring_by_layers, group_levels
from renderlift.model.render import load_base
from renderlift.model.shared_base import SharedBase
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


@pytest.mark.parametrize("preset", ["blocks", "layers"])
def test_an_adapter_saved_anew_with_another_rank_goes_into_weights_that_come_in_groups(
    preset: str, wan: Path, shot: Shot, tmp_path: Path
) -> None:
    facts, settings, clip = facts_of(wan), RenderSettings(steps=1, guidance=1.0), shot(5)
    adapter = random_adapter(load_base(str(wan), torch.float32), tmp_path, seed=0)
    base = SharedBase(load_base(str(wan), torch.float32), facts)
    with torch.no_grad():
        with base.wearing(adapter, 1.0):
            presets.settle(base.pipeline, presets.named(preset), CPU)
            came = group_levels(base.pipeline)
            before = open_painter(facts, base.pipeline, settings, wan)(clip, {})
        random_adapter(load_base(str(wan), torch.float32), tmp_path, seed=1, rank=3)
        with base.wearing(adapter, 1.0):
            painted = open_painter(facts, base.pipeline, settings, wan)(clip, {})
        alone = load_base(str(wan), torch.float32)
        load_adapter(alone, facts, adapter, 1.0)
        assert torch.equal(painted, open_painter(facts, alone, settings, wan)(clip, {}))
    assert group_levels(base.pipeline) == came
    assert (painted - before).abs().max() > 1 / 255


def test_where_an_adapter_does_not_fit_weights_still_come_in_groups(wan: Path, tmp_path: Path) -> None:
    base = SharedBase(load_base(str(wan), torch.float32), facts_of(wan))
    presets.settle(base.pipeline, presets.named("blocks"), CPU)
    (tmp_path / FILE_NAME).write_bytes(save({"no_layer.lora_A.weight": torch.zeros(2, 2)}))
    with pytest.raises(SetupError, match="does not fit"), base.wearing(tmp_path, 1.0):
        pass
    assert group_levels(base.pipeline) == {BLOCKS, LAYERS}


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
