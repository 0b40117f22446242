"""One loaded base under several renders: the pictures are those of fresh loads."""

import gc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from renderlift.bridge.clip import Clip, Render
from renderlift.bridge.errors import SetupError
from renderlift.model import lora, presets, render, shared_base
from renderlift.model.bases.facts import facts_of

MakeClip = Callable[..., Clip]
MakeAdapter = Callable[..., Path]


@pytest.fixture
def make_adapter(tiny_base: Path, tmp_path: Path) -> MakeAdapter:
    """make_adapter(rank, seed): an adapter of the tiny base that can be seen in its pictures."""

    def make(rank: int, seed: int, *, alpha: int | None = None, downscale: int = 1) -> Path:
        pipeline = render.load_base(str(tiny_base), torch.float32)
        lora.attach(pipeline.transformer, rank=rank, alpha=alpha)
        torch.manual_seed(seed)
        for name, parameter in pipeline.transformer.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.2)
        folder = tmp_path / f"adapter-{rank}-{seed}"
        facts = lora.AdapterFacts(task="lift", base="tiny", reference_downscale_factor=downscale)
        lora.save(pipeline.transformer, folder, facts)
        return folder

    return make


def loaded(base: Path, adapter: Path | str, scale: float = 1.0) -> Render:
    return render.load(
        base=str(base),
        adapter=str(adapter),
        adapter_scale=scale,
        lock=False,
        steps=1,
        device="cpu",
        dtype="float32",
        working_pixels=4096,
    )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders of the bases that were opened, in order."""
    folders: list[Path] = []
    open_pipeline = render.open_pipeline

    def noted(folder: Path, *args: object, **options: object) -> object:
        folders.append(folder)
        return open_pipeline(folder, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(render, "open_pipeline", noted)
    return folders


def test_renders_side_by_side_share_a_base_and_paint_as_if_each_had_its_own(
    tiny_base: Path, make_clip: MakeClip, make_adapter: MakeAdapter, tmp_path: Path, opened: list[Path]
) -> None:
    clip = make_clip(5, 64, 64)
    adapters: list[tuple[Path | str, float]] = [
        (make_adapter(4, 1), 1.0),
        (make_adapter(4, 2, alpha=8), 1.0),  # swapped hot, with another alpha
        (make_adapter(4, 3, alpha=2), 0.5),
        (tmp_path / "adapter-4-3", 1.5),
        (make_adapter(8, 4), 1.0),  # of another rank: taken out and put in
        (make_adapter(4, 5, downscale=2), 1.0),
        ("none", 1.0),
    ]
    opened.clear()
    alone: list[np.ndarray] = []
    for adapter, scale in adapters:
        gc.collect()
        alone.append(loaded(tiny_base, adapter, scale)(clip))
    gc.collect()
    assert len(opened) == len(adapters)
    together = [loaded(tiny_base, adapter, scale) for adapter, scale in adapters]
    assert len(opened) == len(adapters) + 1
    for _ in range(2):
        for paint, wanted in zip(together, alone, strict=True):
            assert np.array_equal(paint(clip), wanted)
    assert all(not np.array_equal(a, b) for a, b in pairwise(alone))


def test_a_base_is_let_go_with_its_last_render(tiny_base: Path, opened: list[Path]) -> None:
    first = loaded(tiny_base, "none")
    second = loaded(tiny_base, "none")
    del first
    gc.collect()
    assert len(shared_base._open) == 1
    del second
    gc.collect()
    assert len(shared_base._open) == 0
    assert len(opened) == 1


def test_an_adapter_that_does_not_fit_leaves_the_others_as_they_were(
    tiny_base: Path, make_clip: MakeClip, make_adapter: MakeAdapter, tmp_path: Path
) -> None:
    clip = make_clip(5, 64, 64)
    good = loaded(tiny_base, make_adapter(4, 1))
    before = good(clip)
    with pytest.raises(SetupError, match="no adapter at"):
        loaded(tiny_base, tmp_path / "nothing")
    other = make_adapter(4, 2)
    file = other / lora.FILE_NAME
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(SetupError):
        loaded(tiny_base, other)
    assert np.array_equal(good(clip), before)


@pytest.mark.parametrize("wrong", [{"renderlift_references": '["pose"]'}, {"renderlift_base": "wan"}])
def test_what_a_fresh_load_refuses_is_not_swapped_in_either(
    tiny_base: Path, make_clip: MakeClip, make_adapter: MakeAdapter, wrong: dict[str, str]
) -> None:
    clip = make_clip(5, 64, 64)
    good = loaded(tiny_base, make_adapter(4, 1))
    before = good(clip)
    file = make_adapter(4, 2) / lora.FILE_NAME
    with safe_open(file, "pt") as tensors:
        metadata = tensors.metadata()
    save_file(load_file(file), file, metadata | wrong)
    with pytest.raises(SetupError):
        loaded(tiny_base, file)
    assert np.array_equal(good(clip), before)


def test_an_adapter_of_another_version_is_not_swapped_in(
    tiny_base: Path, make_clip: MakeClip, make_adapter: MakeAdapter
) -> None:
    facts = replace(facts_of(tiny_base), version="2")
    base = shared_base.SharedBase(render.load_base(str(tiny_base), torch.float32), facts)
    good, other = make_adapter(4, 1), make_adapter(4, 2) / lora.FILE_NAME
    with safe_open(other, "pt") as tensors:
        metadata = tensors.metadata() | {"renderlift_base": facts.name}
    weights, clip = load_file(other), make_clip(5, 64, 64)

    def painted(adapter: Path, version: str) -> torch.Tensor:
        save_file(weights, other, metadata | {"renderlift_base_version": version})
        with base.wearing(adapter, 1.0):
            return render.paint(base.pipeline, render.RenderSettings(steps=1, working_pixels=4096), clip, facts)

    before = painted(good, "2")
    with pytest.raises(SetupError, match=f"was trained on {facts.name} 2.3, and this base is {facts.name} 2\n"):
        painted(other, "2.3")
    assert torch.equal(painted(good, "2"), before)
    assert not torch.equal(painted(other, "2"), before)


def test_layers_that_the_base_lacks_stay_out_and_leave_the_others_as_they_were(
    tiny_base: Path, make_clip: MakeClip, make_adapter: MakeAdapter
) -> None:
    clip = make_clip(5, 64, 64)
    plain = loaded(tiny_base, "none")
    before = plain(clip)
    file = make_adapter(4, 2) / lora.FILE_NAME
    with safe_open(file, "pt") as tensors:
        metadata = tensors.metadata()
    weights = load_file(file)
    more = {
        key.replace("blocks.0", "blocks.77"): value.clone() for key, value in weights.items() if "blocks.0" in key
    }
    save_file(weights | more, file, metadata)
    assert not np.array_equal(loaded(tiny_base, file)(clip), before)
    assert np.array_equal(plain(clip), before)


def test_a_base_that_was_trained_on_is_opened_anew(tiny_base: Path, tmp_path: Path, opened: list[Path]) -> None:
    import shutil

    base = shutil.copytree(tiny_base, tmp_path / "base")
    first = loaded(base, "none")
    weights = next((base / "transformer").glob("*.safetensors"))
    weights.touch()
    second = loaded(base, "none")
    assert len(opened) == 2
    del first, second


def test_swapping_in_a_compiled_base_compiles_nothing_anew(
    tiny_base: Path, make_clip: MakeClip, make_adapter: MakeAdapter
) -> None:
    one, two = make_adapter(4, 1), make_adapter(4, 2, alpha=8)
    clip = make_clip(5, 64, 64)
    facts = facts_of(tiny_base)
    base = shared_base.SharedBase(render.load_base(str(tiny_base), torch.float32), facts, compiles=True)
    pipeline = base.pipeline
    settings = render.RenderSettings(steps=1, working_pixels=4096)
    with base.wearing(one, 1.0):
        # The guards, which decide what is compiled anew, are the same for any backend.
        pipeline.transformer.compile_repeated_blocks(fullgraph=True, backend="eager")  # type: ignore[attr-defined]
        painted = [render.paint(pipeline, settings, clip, facts)]
    with torch._dynamo.config.patch(error_on_recompile=True):
        for adapter in (two, one, two):
            with base.wearing(adapter, 1.0):
                painted.append(render.paint(pipeline, settings, clip, facts))
    assert torch.equal(painted[0], painted[2])
    assert torch.equal(painted[1], painted[3])
    assert not torch.equal(painted[0], painted[1])


def test_a_compiled_base_is_shared_by_adapters_of_one_layout_alone(
    tiny_base: Path, make_adapter: MakeAdapter, monkeypatch: pytest.MonkeyPatch, opened: list[Path]
) -> None:
    compiled = replace(presets.PLAIN, compiled=True)
    monkeypatch.setattr(render, "choose_preset", lambda *asked: compiled)
    adapters = (make_adapter(4, 1), make_adapter(4, 2), "none")
    opened.clear()
    renders = [loaded(tiny_base, adapter) for adapter in adapters]
    assert len(opened) == 2
    del renders
