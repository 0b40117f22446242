"""What a user relies on, whatever the base: name a folder, and get as many frames as went in, in their size."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    CosmosTransformer3DModel,
    LTX2VideoTransformer3DModel,
    WanTransformer3DModel,
    WanVACETransformer3DModel,
)

from renderlift.bridge.clip import Clip, clip_size, stack
from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Channel
from renderlift.model import presets
from renderlift.model.bases import asked
from renderlift.model.bases.facts import facts_of
from renderlift.model.render import load, load_base

Shot = Callable[..., Clip]
BASES = ("ltx2", "ltx2_3", "ltx2_5", "wan", "wan_a14b", "wan_vace", "cosmos")
SIBLINGS = ("wan_5b", "wan_vace_a14b")
MUTE = ("wan_a14b", "wan_vace_a14b", "cosmos")  # saved without a text encoder


@pytest.fixture(params=BASES)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("frames", [9, 73, 200])
def test_as_many_frames_come_out_as_went_in(folder: Path, shot: Shot, frames: int) -> None:
    render = load(base=str(folder), steps=1, guidance=1.0, device="cpu", dtype="float32", window=73)
    video = render(shot(frames))
    assert video.shape == (frames, 32, 48, 3)
    assert video.dtype == np.uint8


@pytest.mark.parametrize("name", SIBLINGS)
@pytest.mark.parametrize("frames", [9, 73, 200])
def test_a_bases_siblings_load_and_paint_as_it_does(
    name: str, shot: Shot, frames: int, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    render = load(base=str(folder), steps=1, device="cpu", dtype="float32", window=41)
    assert render(shot(frames, 37, 51)).shape == (frames, 37, 51, 3)


@pytest.mark.parametrize(("name", "size"), [("wan_5b", (121, 5)), ("wan", (81, 5)), ("cosmos", (93, 5))])
def test_enhance_is_told_how_long_a_clip_the_base_likes(
    name: str, size: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    assert clip_size(load(base=str(request.getfixturevalue(name)), device="cpu"), None, None) == size


@pytest.mark.parametrize(
    ("name", "preset", "guidance"),
    [
        *((name, "layers", 1.0) for name in ("ltx2_full", "ltx2_3", "ltx2_5", "wan", "wan_vace", "cosmos")),
        *(
            (name, "layers", 2.0)
            for name in ("ltx2_full", "ltx2_3", "ltx2_5", "wan", "wan_a14b_reading", "wan_vace")
        ),
        ("cosmos", "resident-compiled", 1.0),
    ],
)
def test_many_steps_by_any_preset_leave_nothing_for_the_next_clip(
    name: str, preset: str, guidance: float, shot: Shot, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    steps = presets.CACHE_FROM_STEPS + 1
    render = load(
        base=str(folder), preset=preset, steps=steps, guidance=guidance, device="cpu", dtype="float32", lock=False
    )
    clip = shot(5)
    alone = render(clip)
    assert not np.array_equal(render(shot(5, 48, 32)), alone)
    assert np.array_equal(render(clip), alone)


@pytest.mark.parametrize("name", ["ltx2", "wan", "wan_a14b", "wan_5b", "wan_vace", "cosmos"])
def test_the_geometry_lock_serves_every_base(name: str, shot: Shot, request: pytest.FixtureRequest) -> None:
    settings: dict[str, Any] = {"steps": 1, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
    settings |= {"base": str(request.getfixturevalue(name)), "working_pixels": 16 * 24}
    clip = shot(2)
    locked, plain = load(lock=True, **settings)(clip), load(**settings)(clip)
    assert locked.shape == plain.shape == (2, 32, 48, 3)
    # What random weights paint has nothing of the engine's edges, and the lock brings them.
    assert edges_shared(locked, clip) > edges_shared(plain, clip) + 0.2


def edges_shared(video: np.ndarray, clip: Clip) -> float:
    edges = (np.diff(v.astype(int), axis=2).ravel() for v in (video, clip.channels[Channel.RGB]))
    return float(np.corrcoef(*edges)[0, 1])


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 32, 32), (6, 37, 51), (2, 64, 33)])
def test_odd_lengths_and_sizes_are_padded_and_cut_back(
    folder: Path, shot: Shot, frames: int, height: int, width: int
) -> None:
    render = load(base=str(folder), steps=1, guidance=1.0, device="cpu", dtype="float32")
    assert render(shot(frames, height, width)).shape == (frames, height, width, 3)


@pytest.mark.parametrize("folder", [*BASES, *SIBLINGS], indirect=True)
def test_half_precision_paints_nearly_the_same(folder: Path, shot: Shot) -> None:
    clip = shot(9)

    def video(dtype: str) -> np.ndarray:
        guidance = 0 if folder.name in MUTE else 2.0
        return load(base=str(folder), steps=1, guidance=guidance, device="cpu", dtype=dtype)(clip).astype(int)

    exact, half = video("float32"), video("bfloat16")
    assert abs(exact - half).mean() < 12
    assert np.corrcoef(exact.ravel(), half.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", ["wan", "wan_vace"])
def test_wans_autoencoder_is_exact_whatever_the_rest(name: str, request: pytest.FixtureRequest) -> None:
    pipeline = load_base(str(request.getfixturevalue(name)), torch.bfloat16)
    assert pipeline.vae.dtype == torch.float32
    assert pipeline.transformer.dtype == torch.bfloat16


def test_the_same_seed_repeats_and_another_does_not(folder: Path, shot: Shot) -> None:
    clip = shot(5)

    def video(seed: int) -> np.ndarray:
        return load(base=str(folder), steps=2, guidance=1.0, device="cpu", dtype="float32", seed=seed)(clip)

    assert np.array_equal(video(3), video(3))
    assert not np.array_equal(video(3), video(4))


def test_the_clip_reaches_the_picture(folder: Path, shot: Shot) -> None:
    render = load(base=str(folder), steps=1, guidance=1.0, device="cpu", dtype="float32")
    assert not np.array_equal(render(shot(5)), render(shot(5, shift=7)))


@pytest.mark.parametrize("folder", [name for name in BASES if name not in MUTE], indirect=True)
def test_guidance_by_a_prompt_works_and_changes_the_picture(folder: Path, shot: Shot) -> None:
    clip = shot(5)
    plain = load(base=str(folder), steps=2, guidance=1.0, device="cpu", dtype="float32")(clip)
    guided = load(base=str(folder), steps=2, guidance=4.0, prompt="a car", device="cpu", dtype="float32")(clip)
    assert not np.array_equal(plain, guided)


@pytest.fixture
def ltx2_full_mute(ltx2_full: Path, tmp_path: Path) -> Path:
    """As somebody has it who left the large text encoder out."""
    folder = shutil.copytree(ltx2_full, tmp_path / "ltx2_full_mute", ignore=shutil.ignore_patterns("text_encoder"))
    index = json.loads((folder / "model_index.json").read_text())
    published = {
        "_class_name": "LTX2Pipeline",
        "text_encoder": [None, None],
    }  # the other class is of our own making
    (folder / "model_index.json").write_text(json.dumps(index | published))
    return folder


@pytest.fixture
def predictions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many a denoiser makes in each call: two where words to follow and to shun go in together."""
    made: list[int] = []
    kinds = (
        LTX2VideoTransformer3DModel,
        WanTransformer3DModel,
        WanVACETransformer3DModel,
        CosmosTransformer3DModel,
    )
    for kind in kinds:

        def counting(self: Any, *given: Any, forward: Callable[..., Any] = kind.forward, **named: Any) -> Any:
            made.append(len(named["hidden_states"] if "hidden_states" in named else given[0]))
            return forward(self, *given, **named)

        monkeypatch.setattr(kind, "forward", counting)
    return made


@pytest.mark.parametrize("name", MUTE)
def test_without_words_a_step_takes_one_prediction_and_paints_what_two_would(
    name: str,
    shot: Shot,
    predictions: list[int],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder: Path = request.getfixturevalue(name)
    assert facts_of(folder).guidance > 1

    def painted() -> np.ndarray:
        return load(base=str(folder), steps=3, device="cpu", dtype="float32")(shot(5)).astype(int)

    alone = painted()
    assert sum(predictions) == 3
    monkeypatch.setattr(asked, "guidance", lambda given, folder, facts: facts.guidance)
    guided = painted()
    assert sum(predictions) == 3 + 6
    assert abs(guided - alone).max() <= 1


def test_full_ltx2_without_its_text_encoder_paints_with_one_prediction_a_step(
    ltx2_full_mute: Path, shot: Shot, predictions: list[int]
) -> None:
    assert facts_of(ltx2_full_mute).guidance > 1
    video = load(base=str(ltx2_full_mute), steps=3, device="cpu", dtype="float32")(shot(5))
    assert video.shape == (5, 32, 48, 3)
    assert sum(predictions) == 3


@pytest.fixture
def nothing_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("renderlift.model.render.open_pipeline", lambda *how, **more: pytest.fail("it was loaded"))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ltx2", {"adapter": "nowhere"}),
        ("ltx2_full", {"two_stages": True}),
        ("wan", {"two_stages": True}),
        ("wan", {"anchors": {0: np.zeros((8, 8, 3), np.uint8)}}),
        ("cosmos", {"control": "edges"}),
        ("cosmos", {"window": 120}),
        ("ltx2", {"control": "edge"}),
        ("wan_vace", {"reference_images": "nowhere"}),
        ("wan_vace", {"preset": "tiny"}),
        ("tiny_base", {"prompt": "a car"}),
        ("tiny_base", {"guidance": 3.0}),
        ("ltx2", {"negative_prompt": "rain"}),
        ("wan", {"negative_prompt": "rain", "guidance": 1.0}),
        ("wan_a14b", {"prompt": "a car"}),
        ("wan_a14b", {"negative_prompt": "rain"}),
        ("wan_a14b", {"guidance": 2.0}),
        ("wan_vace", {"adapter_scale": 0.5}),
        ("cosmos", {"prompt": "a car"}),
        ("cosmos", {"adapter_scale": 0.5}),
    ],
)
@pytest.mark.usefixtures("nothing_loads")
def test_what_cannot_be_is_refused_before_a_base_is_loaded(
    name: str, wrong: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    with pytest.raises(SetupError):
        load(base=str(request.getfixturevalue(name)), device="cpu", **wrong)


def test_what_nobody_would_heed_is_refused_with_what_to_do_about_it(ltx2: Path, wan_a14b: Path) -> None:
    with pytest.raises(SetupError, match="nobody reads a negative prompt") as unguided:
        load(base=str(ltx2), negative_prompt="rain", device="cpu")
    assert "--guidance 3" in unguided.value.fix
    with pytest.raises(SetupError, match=f"{wan_a14b} lacks its text encoder") as mute:
        load(base=str(wan_a14b), prompt="a car", device="cpu")
    assert "tokenizer" in mute.value.fix
    with pytest.raises(SetupError, match=r"no adapter that could have the strength 0\.5") as bare:
        load(base=str(ltx2), adapter_scale=0.5, device="cpu")
    assert "--adapter" in bare.value.fix


def test_the_embedded_base_paints_in_windows_where_it_is_told_to(tiny_base: Path, shot: Shot) -> None:
    def render(window: int) -> Any:
        return load(base=str(tiny_base), adapter="none", steps=1, steady=0, device="cpu", window=window)

    assert clip_size(render(5), None, None) == (5, 0)
    clip = shot(9)
    in_windows = render(5)(clip)
    assert not np.array_equal(in_windows, render(0)(clip))
    assert np.array_equal(in_windows[:5], render(0)(stack(clip.frames[:5])))


def test_every_base_tells_how_far_it_is_with_a_clip(folder: Path, shot: Shot) -> None:
    told: list[tuple[int, int]] = []
    render = load(base=str(folder), steps=3, guidance=1.0, device="cpu", dtype="float32")
    render.tell_steps(lambda done, total: told.append((done, total)))  # type: ignore[attr-defined]
    render(shot(5))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
