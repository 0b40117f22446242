"""Blocks are skipped where little changes, of picture and sound alike, and nothing is left for the next clip."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformerBlock

from renderlift.bridge.clip import Clip
from renderlift.model import block_cache, presets
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.opening import open_painter
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.presets import CACHE_FROM_STEPS, named, settle
from renderlift.model.render import load, load_base

Shot = Callable[..., Clip]
STEPS = CACHE_FROM_STEPS + 1
LEAN: dict[str, Any] = {"preset": "layers", "steps": STEPS, "device": "cpu", "dtype": "float32"}
ALWAYS, NEVER = 1e9, 0.0


@pytest.fixture
def blocks_called(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The id of each of LTX-2's blocks that computes."""
    called: list[int] = []
    forward = LTX2VideoTransformerBlock.forward

    def counting(self: Any, *args: Any, **inputs: Any) -> Any:
        called.append(id(self))
        return forward(self, *args, **inputs)

    monkeypatch.setattr(LTX2VideoTransformerBlock, "forward", counting)
    return called


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("name", ["ltx2_full", "ltx2_3", "ltx2_5"])
def test_a_threshold_of_nothing_changes_nothing(
    name: str, guidance: float, shot: Shot, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    monkeypatch.setattr(presets, "CACHE_THRESHOLD", NEVER)
    cached = load(base=str(folder), guidance=guidance, **LEAN)(shot(9))
    monkeypatch.setattr(block_cache, "cache_blocks", lambda *_: None)
    assert np.array_equal(cached, load(base=str(folder), guidance=guidance, **LEAN)(shot(9)))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_blocks_after_the_first_one_are_skipped(
    ltx2_full: Path, guidance: float, shot: Shot, monkeypatch: pytest.MonkeyPatch, blocks_called: list[int]
) -> None:
    monkeypatch.setattr(presets, "CACHE_THRESHOLD", ALWAYS)
    load(base=str(ltx2_full), guidance=guidance, **LEAN)(shot(9))
    first, second = dict.fromkeys(blocks_called)
    assert blocks_called.count(first) == STEPS
    assert blocks_called.count(second) == 1


@pytest.mark.parametrize("name", ["ltx2", "ltx2_3", "ltx2_5"])
def test_a_skipped_step_is_what_it_would_have_been_where_nothing_changed(
    name: str, blocks_called: list[int], request: pytest.FixtureRequest
) -> None:
    """Picture and sound: both go through the blocks."""
    transformer: Any = load_base(str(request.getfixturevalue(name)), torch.float32).transformer
    block_cache.cache_blocks(transformer, NEVER)
    words = transformer.config.caption_channels if transformer.config.use_prompt_embeddings else 32
    given: dict[str, Any] = {
        "hidden_states": torch.randn(2, 12, 8),
        "audio_hidden_states": torch.randn(2, 5, transformer.config.audio_in_channels),
        "encoder_hidden_states": torch.randn(2, 7, words),
        "audio_encoder_hidden_states": torch.randn(2, 7, 32 if name == "ltx2" else 16),
        **{when: torch.full((2,), 500.0) for when in ("timestep", "sigma")},
        **{"num_frames": 3, "height": 2, "width": 2, "audio_num_frames": 5},
    }
    with torch.no_grad(), transformer.cache_context("cond_uncond"):
        computed, skipped = (transformer(**given, return_dict=False) for _ in range(2))
    assert len(blocks_called) == 2 + 1
    for whole, kept in zip(computed, skipped, strict=True):
        torch.testing.assert_close(kept, whole)


@pytest.mark.parametrize("name", ["ltx2_full", "ltx2_5", "wan", "wan_vace"])
def test_nothing_is_left_of_a_clip_of_another_size(
    name: str, shot: Shot, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(presets, "CACHE_THRESHOLD", ALWAYS)
    render = load(base=str(request.getfixturevalue(name)), guidance=2.0, window=9, **LEAN)
    alone = render(shot(9))
    render(shot(14, 64, 32))
    assert np.array_equal(render(shot(9)), alone)


@pytest.mark.parametrize("name", ["ltx2_full", "wan", "wan_vace"])
def test_nothing_is_left_of_a_clip_that_memory_did_not_suffice_for(
    name: str, shot: Shot, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(presets, "CACHE_THRESHOLD", ALWAYS)
    folder: Path = request.getfixturevalue(name)
    pipeline: Any = load_base(str(folder), torch.float32)
    settle(pipeline, named("layers"), torch.device("cpu"), steps=STEPS)
    paint = open_painter(facts_of(folder), pipeline, RenderSettings(steps=STEPS), folder)
    step = type(pipeline.scheduler).step
    with torch.no_grad():
        alone = paint(shot(5), {})
        monkeypatch.setattr(type(pipeline.scheduler), "step", full)
        with pytest.raises(torch.OutOfMemoryError):
            paint(shot(5, 64, 64), {})
        monkeypatch.setattr(type(pipeline.scheduler), "step", step)
        assert torch.equal(paint(shot(5), {}), alone)


def full(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError


@pytest.mark.parametrize(("name", "threshold"), [("ltx2_full", 0.05), ("wan", 0.05), ("wan_vace", 0.1)])
def test_references_that_hardly_change_do_not_hide_a_target_that_does(
    name: str, threshold: float, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    seen: list[float] = []
    monkeypatch.setattr(block_cache, "cache_blocks", lambda _, over_all_tokens: seen.append(over_all_tokens))
    load(base=str(request.getfixturevalue(name)), **LEAN)
    assert seen == [threshold]
