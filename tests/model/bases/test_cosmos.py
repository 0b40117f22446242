"""Cosmos-Transfer: chunks that stay beside their control, colours held from call to call, a guardrail that sees."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import Cosmos2_5_TransferPipeline

from renderlift.bridge.clip import Clip
from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.errors import RenderError
from renderlift.model.bases.controls import control_video
from renderlift.model.bases.cosmos import painter
from renderlift.model.bases.facts import COSMOS
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.render import load_base

Shot = Callable[..., Clip]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the pipeline is called with."""
    calls: list[dict[str, Any]] = []
    call = Cosmos2_5_TransferPipeline.__call__

    def spying(self: Any, **how: Any) -> Any:
        calls.append(how)
        return call(self, **how)

    monkeypatch.setattr(Cosmos2_5_TransferPipeline, "__call__", spying)
    return calls


def painted(cosmos: Path, clip: Clip, **how: Any) -> torch.Tensor:
    with torch.inference_mode():
        return painter(load_base(str(cosmos), torch.float32), COSMOS, RenderSettings(steps=1, **how))(clip, {})


def test_a_chunk_is_as_long_as_what_the_autoencoder_gives_back(
    cosmos: Path, shot: Shot, asked: list[dict[str, Any]]
) -> None:
    assert painted(cosmos, shot(40)).shape == (40, 3, 32, 48)
    # 93 as published; these positions reach 32, of which 29 are whole latents.
    assert asked[0]["num_frames_per_chunk"] == 29


def test_later_chunks_see_the_control_of_their_own_frames(cosmos: Path, shot: Shot) -> None:
    """Of two clips that differ in the last frames only, only those come out different."""
    clip, other = shot(50), shot(50)
    for frame in other.channels.values():
        frame[45:] = frame[45:, ::-1]
    change = (painted(cosmos, clip, control="rgb") - painted(cosmos, other, control="rgb")).abs().mean((1, 2, 3))
    # Positions are bidirectional within a chunk, so all of the second chunk (from frame 29 on) may move.
    assert change[:29].max() == 0
    assert change[45:].max() > 0


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "rgb"])
def test_each_control_comes_from_the_engines_buffers_at_its_weight(
    cosmos: Path, shot: Shot, asked: list[dict[str, Any]], name: str
) -> None:
    clip = shot(5)
    painted(cosmos, clip, control=name, reference_strength=0.4)
    (call,) = asked
    assert call["controls_conditioning_scale"] == 0.4
    wanted = control_video(name, clip, 32, 48)
    assert np.array_equal(np.rint(call["controls"].permute(0, 2, 3, 1).numpy() * 255), wanted)


def test_the_guardrail_reads_the_prompt_though_the_pipeline_gets_it_encoded(
    cosmos: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = load_base(str(cosmos), torch.float32)
    pipeline.text_encoder = torch.nn.Identity()
    monkeypatch.setattr(pipeline.safety_checker, "check_text_safety", lambda words: "harm" not in words)
    with pytest.raises(RenderError, match="guardrail"):
        painter(pipeline, COSMOS, RenderSettings(steps=1, prompt="harm"))(shot(5), {})
