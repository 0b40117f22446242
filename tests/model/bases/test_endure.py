"""Out of memory and NaN cost quality or time, never the job."""

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTX2InContextPipeline
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.bridge.enhance import enhance
from renderlift.bridge.errors import RenderError, SetupError
from renderlift.bridge.record import Recorder
from renderlift.bridge.remedied import Remedied, remedies_of
from renderlift.model import presets
from renderlift.model import render as render_module
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.opening import open_painter
from renderlift.model.bases.settings import Paint, RenderSettings
from renderlift.model.endure import Enduring, Remedy, memory_remedies, nan_remedies
from renderlift.model.render import load, load_base

Shot = Callable[..., Clip]
PICTURE = torch.full((5, 3, 32, 48), 0.5)


def failing(times: int, failure: Exception | Tensor) -> Paint:
    left = [times]

    def paint(clip: Clip, known: Mapping[int, np.ndarray]) -> Tensor:
        if left[0]:
            left[0] -= 1
            if isinstance(failure, Exception):
                raise failure
            return failure
        return PICTURE

    return paint


def counted(log: list[str], word: str) -> Remedy:
    return Remedy(word, lambda clip: log.append(word))


def test_out_of_memory_is_met_by_one_remedy_after_another(shot: Shot, caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    paint = failing(2, torch.OutOfMemoryError())
    enduring = Enduring(paint, for_memory=[counted(done, "tiles"), counted(done, "layers")], for_nan=[])
    assert torch.equal(enduring(shot(5), {}), PICTURE)
    assert done == ["tiles", "layers"]
    assert "trying again with tiles" in caplog.text
    assert enduring.remedies == [f"{word} (out of memory on a clip of 5 frames at 48x32)" for word in done]


def test_a_remedy_that_another_one_made_impossible_is_passed_over(shot: Shot) -> None:
    done: list[str] = []
    unfit = Remedy("autoencoder", lambda clip: done.append("autoencoder"), lambda: False)
    enduring = Enduring(failing(1, PICTURE * torch.nan), for_memory=[], for_nan=[unfit, counted(done, "all")])
    assert torch.equal(enduring(shot(5), {}), PICTURE)
    assert done == ["all"]


def test_a_remedy_stays_for_the_rest_of_the_job(shot: Shot) -> None:
    done: list[str] = []
    small = Remedy("half the pixels", lambda clip: lambda clip, known: PICTURE / 2)
    enduring = Enduring(failing(9, torch.OutOfMemoryError()), for_memory=[small], for_nan=[])
    assert torch.equal(enduring(shot(5), {}), PICTURE / 2)
    assert torch.equal(enduring(shot(5), {}), PICTURE / 2)
    assert not done


def test_nan_is_met_too(shot: Shot) -> None:
    done: list[str] = []
    enduring = Enduring(failing(1, PICTURE * torch.nan), for_memory=[], for_nan=[counted(done, "float32")])
    assert torch.isfinite(enduring(shot(5), {})).all()
    assert done == ["float32"]


@pytest.mark.parametrize(("failure", "word"), [(torch.OutOfMemoryError(), "out of memory"), (PICTURE / 0, "NaN")])
def test_when_nothing_helps_the_error_names_the_frames_or_the_size(
    shot: Shot, failure: Exception | Tensor, word: str
) -> None:
    with pytest.raises(RenderError, match=word):
        Enduring(failing(9, failure), for_memory=[], for_nan=[])(shot(5), {})


def test_the_remedies_work_on_a_real_pipeline(wan_vace: Path, shot: Shot) -> None:
    pipeline = load_base(str(wan_vace), torch.bfloat16)
    tiles, smaller, half, quarter = memory_remedies(
        pipeline, torch.device("cpu"), lambda clip: lambda clip, known: PICTURE
    )
    tiles.apply(shot(1))
    assert pipeline.vae.use_tiling
    assert not tiles.fits(), "presets for less memory have it in tiles already"
    sides = pipeline.vae.tile_sample_min_height, pipeline.vae.tile_sample_stride_height
    assert smaller.fits()
    smaller.apply(shot(1))
    assert (2 * pipeline.vae.tile_sample_min_height, 2 * pipeline.vae.tile_sample_stride_height) == sides
    assert half.apply(shot(1)) is not None
    assert quarter.apply(shot(1)) is not None


def test_the_frames_that_were_painted_leaner_are_told_when_the_job_is_done(
    wan_vace: Path, shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [torch.OutOfMemoryError()]

    def paint(clip: Clip, known: Mapping[int, np.ndarray]) -> Tensor:
        if clip.frames[0].index == 10 and failures:
            raise failures.pop()
        return torch.full((len(clip), 3, 32, 48), 0.5)

    monkeypatch.setattr(render_module, "open_painter", lambda *_: paint)
    with Recorder(tmp_path / "take") as recorder:
        for frame in shot(20).frames:
            recorder.write(frame)
    render = load(base=str(wan_vace), device="cpu", window=5)
    done = enhance(tmp_path / "take", tmp_path / "out", render, length=5, overlap=0)
    assert done.frames == 20
    remedy = "the autoencoder in tiles (out of memory on a clip of 5 frames at 48x32)"
    assert done.remedied == (Remedied(remedy, 10, 19),)


@pytest.mark.parametrize("name", ["ltx2", "wan_a14b", "wan_vace", "cosmos"])
def test_every_base_still_paints_after_each_remedy_for_nan(
    name: str, shot: Shot, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    pipeline, facts = load_base(str(folder), torch.bfloat16), facts_of(folder)

    def again() -> Paint:
        return open_painter(facts, pipeline, RenderSettings(steps=2, prompt="a car"), folder)

    paint = again()
    for remedy in nan_remedies(pipeline, again):
        paint = remedy.apply(shot(2)) or paint
        with torch.inference_mode():
            assert torch.isfinite(paint(shot(2), {})).all()
    assert pipeline.vae.dtype == torch.float32
    assert nan_remedies(pipeline, again) == []


def test_fewer_pixels_are_fewer_than_were_painted_however_large_the_base_is(
    wan_vace: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base's own area is 480 x 832, and the clip's 32 x 48."""
    sizes: list[int] = []

    def opening(facts: object, pipeline: object, settings: RenderSettings, folder: Path) -> Paint:
        def paint(clip: Clip, known: Mapping[int, np.ndarray]) -> Tensor:
            sizes.append(min(settings.working_pixels, clip.height * clip.width))
            if len(sizes) < 5:  # as it is, in tiles, in smaller ones, half
                raise torch.OutOfMemoryError
            return PICTURE

        return paint

    monkeypatch.setattr(render_module, "open_painter", opening)
    assert len(load(base=str(wan_vace), device="cpu")(shot(5))) == 5
    assert sizes == [32 * 48, 32 * 48, 32 * 48, 32 * 48 // 2, 32 * 48 // 4]


def test_what_one_render_had_to_do_leaves_another_of_the_same_base_whole(
    ltx2: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base is shared, and went to float32 under the prompt that the other render has read already."""
    how: dict[str, Any] = {"base": str(ltx2), "prompt": "a car", "steps": 1, "dtype": "bfloat16", "device": "cpu"}
    one, other = load(**how, seed=0), load(**how, seed=1)
    before = other(shot(5))
    decode = LTX2InContextPipeline.__call__
    failures = [torch.nan, torch.nan]

    def failing_twice(pipeline: Any, **call: Any) -> Any:
        made = decode(pipeline, **call)
        made.frames *= failures.pop() if failures else 1
        return made

    monkeypatch.setattr(LTX2InContextPipeline, "__call__", failing_twice)
    assert len(one(shot(5))) == 5
    assert [remedy.partition(" (")[0] for remedy in remedies_of(one)] == [
        "the autoencoder in float32",
        "all of the base in float32",
    ]
    assert abs(other(shot(5)).astype(int) - before).mean() < 8  # exact now, and of its own noise


def test_what_another_render_of_the_base_did_against_nan_is_not_done_again(ltx2: Path, shot: Shot) -> None:
    pipeline = load_base(str(ltx2), torch.bfloat16)

    def again() -> Paint:
        return failing(0, PICTURE)

    decoder, whole, anew = (
        Enduring(failing(1, PICTURE * torch.nan), for_memory=[], for_nan=nan_remedies(pipeline, again))
        for _ in range(3)
    )
    for enduring in (decoder, whole, anew):
        assert torch.equal(enduring(shot(5), {}), PICTURE)
    assert ["all of the base" in remedy for (remedy,) in (decoder.remedies, whole.remedies, anew.remedies)] == [
        False,
        True,
        True,  # its prompt was read before, in bfloat16
    ]


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:128] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_is_known_in_other_words_too(shot: Shot, failure: Exception) -> None:
    done: list[str] = []
    enduring = Enduring(failing(1, failure), for_memory=[counted(done, "tiles")], for_nan=[])
    assert torch.equal(enduring(shot(5), {}), PICTURE)
    assert done == ["tiles"]


def test_a_base_that_does_not_even_fit_names_the_leanest_preset(
    wan_vace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(presets, "settle", full)
    with pytest.raises(SetupError, match="does not fit") as told:
        load(base=str(wan_vace), device="cpu", preset="resident")
    assert "--preset layers" in told.value.fix


def test_another_failure_is_no_reason_to_paint_smaller(shot: Shot) -> None:
    done: list[str] = []
    enduring = Enduring(failing(1, RuntimeError("size mismatch")), for_memory=[counted(done, "tiles")], for_nan=[])
    with pytest.raises(RuntimeError, match="size mismatch"):
        enduring(shot(5), {})
    assert done == []


def test_what_filled_the_memory_is_let_go_before_the_next_attempt(shot: Shot) -> None:
    held: list[weakref.ref[Tensor]] = []

    def filling(clip: Clip, known: Mapping[int, np.ndarray]) -> Tensor:
        assert not any(reference() is not None for reference in held)
        large = torch.zeros(1000)
        held.append(weakref.ref(large))
        if len(held) < 3:
            raise torch.OutOfMemoryError
        return PICTURE

    done: list[str] = []
    remedies = [counted(done, "tiles"), counted(done, "layers")]
    assert torch.equal(Enduring(filling, for_memory=remedies, for_nan=[])(shot(5), {}), PICTURE)
