"""What a user relies on, whatever the base: name a folder, and get as many frames as went in, in their size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.clip import Clip
from renderlift.model.render import load

Shot = Callable[..., Clip]
BASES = ("ltx2", "wan", "wan_a14b", "wan_vace", "cosmos")


@pytest.fixture(params=BASES)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("frames", [9, 73, 200])
def test_as_many_frames_come_out_as_went_in(folder: Path, shot: Shot, frames: int) -> None:
    render = load(base=str(folder), steps=1, guidance=1.0, device="cpu", dtype="float32", window=73)
    video = render(shot(frames))
    assert video.shape == (frames, 32, 48, 3)
    assert video.dtype == np.uint8


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 32, 32), (6, 37, 51), (2, 64, 33)])
def test_odd_lengths_and_sizes_are_padded_and_cut_back(
    folder: Path, shot: Shot, frames: int, height: int, width: int
) -> None:
    render = load(base=str(folder), steps=1, guidance=1.0, device="cpu", dtype="float32")
    assert render(shot(frames, height, width)).shape == (frames, height, width, 3)


def test_half_precision_paints_nearly_the_same(folder: Path, shot: Shot) -> None:
    clip = shot(9)

    def video(dtype: str) -> np.ndarray:
        return load(base=str(folder), steps=1, guidance=2.0, device="cpu", dtype=dtype)(clip).astype(int)

    exact, half = video("float32"), video("bfloat16")
    assert abs(exact - half).mean() < 12
    assert np.corrcoef(exact.ravel(), half.ravel())[0, 1] > 0.9


def test_the_same_seed_repeats_and_another_does_not(folder: Path, shot: Shot) -> None:
    clip = shot(5)

    def video(seed: int) -> np.ndarray:
        return load(base=str(folder), steps=2, guidance=1.0, device="cpu", dtype="float32", seed=seed)(clip)

    assert np.array_equal(video(3), video(3))
    assert not np.array_equal(video(3), video(4))


def test_the_clip_reaches_the_picture(folder: Path, shot: Shot) -> None:
    render = load(base=str(folder), steps=1, guidance=1.0, device="cpu", dtype="float32")
    assert not np.array_equal(render(shot(5)), render(shot(5, shift=7)))


def test_guidance_by_a_prompt_works_and_changes_the_picture(folder: Path, shot: Shot) -> None:
    clip = shot(5)
    plain = load(base=str(folder), steps=2, guidance=1.0, device="cpu", dtype="float32")(clip)
    guided = load(base=str(folder), steps=2, guidance=4.0, device="cpu", dtype="float32", prompt="a car")(clip)
    reads_text = folder.name in ("ltx2", "wan", "wan_vace")
    assert np.array_equal(plain, guided) != reads_text
