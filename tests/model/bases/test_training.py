"""Ten steps on a large base: only the adapter learns, and its file gives the same picture elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import Channel
from renderlift.model import control, lora
from renderlift.model.bases import wan_training
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.opening import open_painter
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.bases.wan_packing import encode
from renderlift.model.lora import AdapterFacts
from renderlift.model.packing import encode as encode_ltx2
from renderlift.model.render import load, load_base
from renderlift.model.training.adapter import read_prompt
from renderlift.model.training.flow import flow_loss as ltx2_loss

Shot = Callable[..., Clip]
STEPS = 10


def trained(modules: list[nn.Module], loss: Callable[[int], Tensor]) -> None:
    """Ten steps of AdamW; nothing but the adapter moves."""
    torch.manual_seed(0)
    frozen = [{n: p.clone() for n, p in m.named_parameters() if not p.requires_grad} for m in modules]
    learning = [p for module in modules for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.3)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
    for module, before in zip(modules, frozen, strict=True):
        assert before
        assert all(torch.equal(p, before[n]) for n, p in module.named_parameters() if n in before)
        assert all("lora" in n for n, p in module.named_parameters() if p.requires_grad)


def pixels_of(clip: Clip, gain: float) -> Tensor:
    return control.to_pixels((clip.channels[Channel.RGB] * gain).astype(np.uint8)).permute(1, 0, 2, 3)[None] * 2 - 1


def painted_here(pipeline: Any, folder: Path, clip: Clip, steps: int) -> np.ndarray:
    with torch.inference_mode():
        paint = open_painter(facts_of(folder), pipeline, RenderSettings(steps=steps), folder)
        return control.to_video(paint(clip, {}))


@pytest.mark.parametrize("name", ["wan", "wan_a14b"])
def test_wan(name: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(name)
    clip = shot(5, 32, 32)
    pipeline = load_base(str(folder), torch.float32)
    with torch.no_grad():
        target, reference = (encode(pipeline.vae, pixels_of(clip, gain)) for gain in (0.5, 1.0))
    wan_training.attach(pipeline, rank=2, alpha=4)
    experts = wan_training.experts(pipeline)
    text = torch.zeros(1, 4, 32)

    def loss(step: int) -> Tensor:
        number = step % len(experts)
        sigma = wan_training.draw_sigma(pipeline, number, 1)
        return wan_training.flow_loss(experts[number], target, [reference], sigma, text)

    plain = painted_here(load_base(str(folder), torch.float32), folder, clip, 6)
    trained(list(experts), loss)
    wan_training.save(pipeline, tmp_path, AdapterFacts("lift", "wan"))
    here = painted_here(pipeline, folder, clip, 6)
    settings = {"steps": 6, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
    elsewhere = load(base=str(folder), adapter=str(tmp_path), **settings)(clip)  # type: ignore[arg-type]
    assert np.array_equal(here, elsewhere)
    assert not np.array_equal(here, plain)


def test_ltx2(ltx2: Path, shot: Shot, tmp_path: Path) -> None:
    clip = shot(5, 32, 32)
    pipeline = load_base(str(ltx2), torch.float32)
    with torch.no_grad():
        context = read_prompt(pipeline, "a photo")
        target, reference = (encode_ltx2(pipeline.vae, pixels_of(clip, gain)) for gain in (0.5, 1.0))
    lora.attach(pipeline.transformer, rank=2, alpha=4)

    def loss(step: int) -> Tensor:
        sigma = torch.tensor([(step + 1) / STEPS])
        return ltx2_loss(pipeline.transformer, context, target, [reference], sigma, weights=None, bfloat16=False)

    trained([pipeline.transformer], loss)
    lora.save(pipeline.transformer, tmp_path, AdapterFacts("lift", "ltx2"))
    here = painted_here(pipeline, ltx2, clip, 2)
    settings = {"steps": 2, "device": "cpu", "dtype": "float32"}
    assert np.array_equal(here, load(base=str(ltx2), adapter=str(tmp_path), **settings)(clip))  # type: ignore[arg-type]


@pytest.mark.parametrize(("expert", "low", "high"), [(0, 0.875, 1.0), (1, 0.0, 0.875)])
def test_each_expert_is_trained_on_its_own_noise_levels(
    wan_a14b: Path, expert: int, low: float, high: float
) -> None:
    sigma = wan_training.draw_sigma(load_base(str(wan_a14b), torch.float32), expert, 500)
    assert low <= sigma.min()
    assert sigma.max() <= high
    assert sigma.max() - sigma.min() > 0.8 * (high - max(low, 0.02))
