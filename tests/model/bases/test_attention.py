"""A faster attention kernel is used where it can serve, and nowhere else: it takes no mask and no float32."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models import attention_dispatch
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.model import offload, presets
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.opening import open_painter
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.endure import nan_remedies
from renderlift.model.render import load_base

Shot = Callable[..., Clip]
INSTALLED = {
    "_CAN_USE_FLASH_ATTN": AttentionBackendName.FLASH,
    "_CAN_USE_FLASH_ATTN_3": AttentionBackendName._FLASH_3,
}


@pytest.fixture(params=INSTALLED)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """As if flash_attn were installed: what it was given, each time. It refuses what the real ones do."""
    given: list[torch.dtype] = []

    def flash(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **how: Any) -> Tensor:
        if attn_mask is not None:
            raise ValueError("`attn_mask` is not supported")
        if {query.dtype, key.dtype, value.dtype} - {torch.bfloat16, torch.float16}:
            raise RuntimeError("FlashAttention only support fp16 and bf16 data type")
        given.append(query.dtype)
        heads_first = (part.transpose(1, 2) for part in (query, key, value))
        return torch.nn.functional.scaled_dot_product_attention(*heads_first).transpose(1, 2)

    for name in INSTALLED:
        monkeypatch.setattr(attention_dispatch, name, name == request.param)
    backend = INSTALLED[request.param]
    monkeypatch.setitem(_AttentionBackendRegistry._backends, backend, flash)
    monkeypatch.setattr(_AttentionBackendRegistry, "_active_backend", _AttentionBackendRegistry._active_backend)
    return given


def opened(folder: Path, dtype: torch.dtype) -> Any:
    """A base as a GPU gets it, but for the way of its weights there."""
    pipeline: Any = load_base(str(folder), dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offload, "bring_in_groups", lambda *_, **__: None)
        presets.settle(pipeline, presets.named("layers"), torch.device("cuda"))
    return pipeline


def painted(pipeline: Any, folder: Path, clip: Clip) -> Tensor:
    words = "a car" if pipeline.text_encoder is not None else ""
    settings = RenderSettings(steps=2, guidance=2.0 if words else 1.0, prompt=words)
    with torch.no_grad():
        return open_painter(facts_of(folder), pipeline, settings, folder)(clip, {})


@pytest.mark.parametrize("name", ["wan", "wan_a14b", "wan_5b", "wan_vace", "wan_vace_a14b"])
def test_wan_and_vace_paint_the_same_by_a_faster_kernel(
    name: str, kernel: list[torch.dtype], shot: Shot, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    fast = painted(opened(folder, torch.bfloat16), folder, shot(5))
    assert set(kernel) == {torch.bfloat16}
    kernel.clear()
    plain = painted(load_base(str(folder), torch.bfloat16), folder, shot(5))
    assert not kernel, "a base of its own, in the same process"
    assert (fast - plain).abs().mean() < 1 / 255


@pytest.mark.parametrize("name", ["ltx2", "ltx2_3", "ltx2_5", "cosmos"])
def test_bases_with_masks_paint_where_a_kernel_is_installed_that_takes_none(
    name: str, kernel: list[torch.dtype], shot: Shot, wan: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    opened(wan, torch.bfloat16)
    assert torch.isfinite(painted(opened(folder, torch.bfloat16), folder, shot(5))).all()
    assert not kernel


@pytest.mark.parametrize("name", ["wan", "wan_vace"])
def test_float32_does_without_it(
    name: str, kernel: list[torch.dtype], shot: Shot, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    assert torch.isfinite(painted(opened(folder, torch.float32), folder, shot(5))).all()
    assert not kernel


@pytest.mark.parametrize("name", ["wan", "wan_a14b", "wan_vace"])
def test_it_goes_when_nan_takes_the_base_to_float32(
    name: str, kernel: list[torch.dtype], shot: Shot, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    pipeline = opened(folder, torch.bfloat16)
    settings = RenderSettings(steps=1)
    exact = nan_remedies(pipeline, lambda: open_painter(facts_of(folder), pipeline, settings, folder))[-1]
    paint = exact.apply(shot(5))
    assert paint is not None
    with torch.no_grad():
        assert torch.isfinite(paint(shot(5), {})).all()
    assert not kernel
