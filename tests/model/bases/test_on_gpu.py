"""What only a GPU can show: every preset paints what the CPU does, and trainings run there.

Skipped without one, which is where the rest of this folder runs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLLTX2Video, AutoencoderKLWan
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformerBlock
from diffusers.models.transformers.transformer_wan import WanTransformerBlock

from renderlift.bridge.clip import Clip
from renderlift.bridge.enhance import enhance
from renderlift.bridge.films import read_png
from renderlift.bridge.record import Recorder
from renderlift.model import presets
from renderlift.model.pairs.scene_folder import write_scene
from renderlift.model.render import load, load_base
from renderlift.model.training.run import train
from tests.model.bases.few_steps_lora import few_steps_lora
from tests.model.bases.random_adapter import random_adapter

Shot = Callable[..., Clip]
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
    # Compilers and kernels advise, as on TF32; here that is no error.
    pytest.mark.filterwarnings("default"),
]
RENDERED = ("ltx2", "ltx2_3", "ltx2_5", "wan", "wan_a14b", "wan_5b", "wan_vace")
# Levels of 255: products in another order, and the noise of a few steps on random weights.
NEAR = 4
# The same, where weights have 256 levels a row.
ROUNDED = 4


def painted(base: Path, clip: Clip, **options: Any) -> np.ndarray:
    asked: dict[str, Any] = {"steps": 2, "guidance": 1.0, "dtype": "float32", "lock": False} | options
    return load(base=str(base), **asked)(clip).astype(int)


@pytest.mark.parametrize("preset", [preset for preset in presets.PRESETS if not preset.quantised], ids=str)
@pytest.mark.parametrize("name", RENDERED)
def test_every_preset_paints_what_the_cpu_paints(
    name: str, preset: presets.Preset, shot: Shot, request: pytest.FixtureRequest
) -> None:
    base: Path = request.getfixturevalue(name)
    clip = shot(9, 64, 96)
    difference = np.abs(painted(base, clip, device="cuda", preset=preset.name) - painted(base, clip, device="cpu"))
    assert difference.mean() < 1 and np.quantile(difference, 0.99) <= NEAR


@pytest.mark.parametrize("preset", presets.PRESETS, ids=str)
@pytest.mark.parametrize("name", ["wan_a14b", "wan_vace"])
def test_an_adapter_over_a_merged_lora_paints_what_it_does_on_the_cpu(
    name: str, preset: presets.Preset, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if preset.quantised:
        pytest.importorskip("torchao")
    base: Path = request.getfixturevalue(name)
    adapter = random_adapter(load_base(str(base), torch.float32), tmp_path / "adapter")
    # Without changes of norms where weights are rounded: random ones enlarge what the rounding does.
    lora = few_steps_lora(base, tmp_path / "few.safetensors", changes=not preset.quantised)
    asked = {"distilled": str(lora), "adapter": str(adapter)}
    ours, theirs = (
        painted(base, shot(9, 64, 96), device=device, preset=name, **asked)
        for device, name in (("cuda", preset.name), ("cpu", "auto"))
    )
    difference = np.abs(ours - theirs)
    # Random weights that were merged are larger than trained ones, and so are the roundings of their rows.
    assert difference.mean() < 1 and np.quantile(difference, 0.99) <= (2 * ROUNDED if preset.quantised else NEAR)


@pytest.mark.parametrize("preset", [preset for preset in presets.PRESETS if not preset.quantised], ids=str)
@pytest.mark.parametrize("name", ["ltx2_full", "wan", "wan_vace"])
def test_many_steps_paint_what_they_do_on_the_cpu(
    name: str, preset: presets.Preset, shot: Shot, request: pytest.FixtureRequest
) -> None:
    base: Path = request.getfixturevalue(name)
    clip = shot(9, 64, 96)
    asked = {"preset": preset.name, "steps": presets.CACHE_FROM_STEPS + 1}
    difference = np.abs(painted(base, clip, device="cuda", **asked) - painted(base, clip, device="cpu", **asked))
    assert difference.mean() < 1 and np.quantile(difference, 0.99) <= NEAR


@pytest.mark.parametrize("preset", presets.PRESETS, ids=str)
@pytest.mark.parametrize("name", ["ltx2", "wan"])
def test_memory_that_runs_out_costs_time_before_it_costs_quality(
    name: str,
    preset: presets.Preset,
    shot: Shot,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if preset.quantised:
        pytest.importorskip("torchao")
    base: Path = request.getfixturevalue(name)
    clip = shot(9, 64, 96)
    asked: dict[str, Any] = {"steps": 2, "guidance": 1.0, "dtype": "float32", "lock": False, "device": "cuda"}
    render = load(base=str(base), preset=preset.name, **asked)
    at_first = render(clip).astype(int)
    coder = AutoencoderKLLTX2Video if name == "ltx2" else AutoencoderKLWan
    decode, failures = coder.decode, [1] if preset.offload == "layers" else [1, 2]

    def decode_or_fail(*given: Any, **named: Any) -> Any:
        decoded = decode(*given, **named)
        if failures:
            failures.pop()
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decoded

    monkeypatch.setattr(coder, "decode", decode_or_fail)
    difference = np.abs(render(clip).astype(int) - at_first)
    assert not failures
    assert difference.mean() < 1 and np.quantile(difference, 0.99) <= NEAR
    assert render(shot(5, 32, 64)).shape == (5, 32, 64, 3)


@pytest.mark.parametrize("preset", ["parts", "parts-int8", "blocks"])
@pytest.mark.parametrize("name", ["ltx2", "wan", "wan_a14b", "wan_vace"])
def test_memory_that_ends_amid_a_step_leaves_base_and_adapter_whole(
    name: str,
    preset: str,
    shot: Shot,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if preset == "parts-int8":
        pytest.importorskip("torchao")
    base: Path = request.getfixturevalue(name)
    clip, adapter = (
        shot(9, 64, 96),
        random_adapter(load_base(str(base), torch.float32), tmp_path / "adapter", seed=0),
    )
    block = LTX2VideoTransformerBlock if name == "ltx2" else WanTransformerBlock
    compute, failing_in = block.forward, [0]  # calls until memory ends, by attempts

    def compute_or_fail(*given: Any, **named: Any) -> Any:
        computed = compute(*given, **named)
        failing_in[0] -= 1
        if failing_in[0] == 0:
            failing_in.pop(0)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return computed

    monkeypatch.setattr(block, "forward", compute_or_fail)
    asked: dict[str, Any] = {"steps": 2, "guidance": 1.0, "dtype": "float32", "lock": False, "device": "cuda"}
    render = load(base=str(base), adapter=str(adapter), preset=preset, **asked)
    whole = render(clip)
    # Once for smaller tiles, once for layers: in the first block of the last step, while the second is on its way.
    failing_in[:] = [3, 3, 0]
    for _ in range(2):  # the first by layers finds their order
        assert np.array_equal(render(clip), whole)
    assert len(failing_in) == 1
    assert "layer by layer" in render.remedies[1]  # type: ignore[attr-defined]
    assert len(render.remedies) == 2  # type: ignore[attr-defined]
    for seed, rank in enumerate((2, 3), start=1):  # trained anew: swapped in place where that can be, and where not
        random_adapter(load_base(str(base), torch.float32), adapter, seed, rank)
        other = render(clip)
        assert np.abs(other.astype(int) - whole).mean() > 1
        assert np.array_equal(other, load(base=str(base), adapter=str(adapter), preset=preset, **asked)(clip))
    assert len(render.remedies) == 2  # type: ignore[attr-defined]


def test_two_stages_run_part_by_part(ltx2: Path, shot: Shot) -> None:
    clip = shot(9, 64, 96)
    asked: dict[str, Any] = {"two_stages": True, "steps": 8}
    there = painted(ltx2, clip, device="cuda", preset="parts", **asked)
    assert np.abs(there - painted(ltx2, clip, device="cpu", **asked)).mean() < 1


@pytest.mark.parametrize("preset", [preset for preset in presets.PRESETS if preset.quantised], ids=str)
@pytest.mark.parametrize("name", RENDERED)
def test_int8_weights_paint_nearly_what_whole_ones_do(
    name: str, preset: presets.Preset, shot: Shot, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("torchao")
    base: Path = request.getfixturevalue(name)
    clip = shot(9, 64, 96)
    there = painted(base, clip, device="cuda", dtype="bfloat16", preset=preset.name)
    plain = painted(base, clip, device="cuda", dtype="bfloat16", preset="resident")
    difference = np.abs(there - plain)
    assert 0 < difference.mean() < ROUNDED


@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("name", ["tiny_base", "ltx2", "wan", "wan_a14b", "wan_vace"])
def test_an_adapter_trained_there_changes_what_is_painted(
    name: str, memory: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base: Path = request.getfixturevalue(name)
    clip = shot(5, 32, 64)
    photos = enumerate((clip.channels["rgb"] * 0.5).astype(np.uint8))  # type: ignore[index]
    write_scene(tmp_path / "data" / "000000", clip.frames, photos, {})
    (tmp_path / "recipe.toml").write_text("frames = 5\nrank = 2\nlearning_rate = 0.3\nweigh_channels = false\n")
    given: dict[str, Any] = {"config": tmp_path / "recipe.toml", "steps": 10, "device": "cuda", "memory": memory}
    assert train(tmp_path / "adapter", tmp_path / "data", base=str(base), **given)
    plain, taught = (painted(base, clip, device="cuda", adapter=a) for a in ("none", str(tmp_path / "adapter")))
    assert np.abs(taught - plain).mean() > 0.2  # ten steps change the tiny Wan by 0.44 levels, there as on the CPU


@pytest.mark.parametrize("task", ["autoencoder", "transformer", "lock"])
def test_each_stage_of_a_base_is_trained_there(task: str, tiny_base: Path, shot: Shot, tmp_path: Path) -> None:
    for number in range(2):
        clip = shot(5, 64, 96)
        photos = enumerate((clip.channels["rgb"] * 0.5).astype(np.uint8))  # type: ignore[index]
        write_scene(tmp_path / "data" / f"{number:06d}", clip.frames, photos, {})
    (tmp_path / "recipe.toml").write_text("working_pixels = 6144\nvariants = 1\nbatch = 1\n")
    # A new autoencoder begins with its linear code; the others stand on one.
    given: dict[str, Any] = {} if task == "autoencoder" else {"base": str(tiny_base)}
    given |= {"task": task, "config": tmp_path / "recipe.toml", "steps": 2, "device": "cuda"}
    assert train(tmp_path / "out", tmp_path / "data", **given)


def test_the_shipped_model_paints_the_same_there(shot: Shot) -> None:
    clip = shot(9, 128, 224)
    here, there = (load(device=device, dtype="float32", steps=2)(clip).astype(int) for device in ("cpu", "cuda"))
    assert np.abs(here - there).mean() < 1


@pytest.mark.parametrize(("name", "ahead"), [("", "begin"), ("ltx2", "prepare"), ("wan_vace", "prepare")])
def test_what_is_done_ahead_of_a_clip_leaves_the_film_as_it_is(
    name: str, ahead: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base: dict[str, Any] = {"base": str(request.getfixturevalue(name)), "lock": False, "window": 9} if name else {}
    render: Any = load(**base, device="cuda", dtype="float32", steps=1, guidance=1.0)
    with Recorder(tmp_path / "take") as recorder:
        for frame in shot(30, 64, 112).frames:
            recorder.write(frame)
    enhance(tmp_path / "take", tmp_path / "meanwhile", render, length=9, overlap=2)
    delattr(render, ahead)
    enhance(tmp_path / "take", tmp_path / "in_turn", render, length=9, overlap=2)
    films = [sorted((tmp_path / name).glob("*.png")) for name in ("meanwhile", "in_turn")]
    assert [len(film) for film in films] == [30, 30]
    assert all(np.array_equal(read_png(one), read_png(other)) for one, other in zip(*films, strict=True))
