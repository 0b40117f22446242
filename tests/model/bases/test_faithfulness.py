"""The dials: each moves the picture towards the engine's, or away from it, without turning back."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.errors import ChannelError
from renderlift.bridge.frame import Channel
from renderlift.model.regions import kept, region_mask
from renderlift.model.render import load

Shot = Callable[..., Clip]
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def distance(a: Video, b: Video) -> float:
    return float(abs(a.astype(float) - b.astype(float)).mean())


def test_what_is_kept_is_the_engines_own_to_the_bit(shot: Shot) -> None:
    clip = shot(3)
    video = np.full((3, 32, 48, 3), 200, np.uint8)
    mask = region_mask(clip, {"text": 1.0}) == 1
    assert 0.2 < mask.mean() < 0.8
    assert np.array_equal(kept(clip, video, {"text": 1.0})[mask], clip.channels[Channel.RGB][mask])
    assert (kept(clip, video, {"text": 1.0}) == 200).any()


def test_a_thing_is_named_by_its_class_its_name_or_its_path(shot: Shot) -> None:
    clip = shot(2)
    masks = [region_mask(clip, {name: 1.0}) for name in ("text", "sign", "hall/sign")]
    assert np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2])


def test_the_share_of_a_kept_thing_is_monotone(shot: Shot) -> None:
    clip = shot(2)
    video = np.full((2, 32, 48, 3), 200, np.uint8)
    distances = [distance(kept(clip, video, {"text": s}), clip.channels[Channel.RGB]) for s in SHARES]
    assert all(after < before for before, after in pairwise(distances))


def test_an_unknown_name_says_which_there_are(shot: Shot) -> None:
    with pytest.raises(ChannelError, match="column, text"):
        kept(shot(1), np.zeros((1, 32, 48, 3), np.uint8), {"face": 1.0})


@pytest.mark.parametrize("folder", ["ltx2", "wan", "wan_vace", "cosmos"])
def test_without_strength_the_engine_is_not_seen(folder: str, shot: Shot, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(folder)
    render = load(
        base=str(path), reference_strength=0, steps=3, guidance=1.0, device="cpu", dtype="float32", prompt="a car"
    )
    assert np.array_equal(render(shot(5)), render(shot(5, tint=0.5, shift=9)))


@pytest.mark.parametrize("folder", ["ltx2", "wan", "wan_vace", "cosmos"])
def test_reference_strength_is_monotone(folder: str, shot: Shot, request: pytest.FixtureRequest) -> None:
    """Untrained weights cannot follow a reference, so what is held is how far its strength moves the picture."""
    path: Path = request.getfixturevalue(folder)
    clip = shot(5)

    def video(strength: float) -> Video:
        settings = {"steps": 2, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
        return load(base=str(path), reference_strength=strength, **settings)(clip)  # type: ignore[arg-type]

    full = video(1.0)
    moved = [distance(video(strength), full) for strength in (0.0, 0.5, 0.9)]
    assert moved[0] > moved[1] > moved[2]
    assert distance(video(1.0), full) == 0
