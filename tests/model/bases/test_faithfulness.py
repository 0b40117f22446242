"""The dials: each moves the picture towards the engine's, or away from it, without turning back."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.clip import Clip, Render, Video, stack
from renderlift.bridge.errors import ChannelError
from renderlift.bridge.frame import Channel
from renderlift.model.regions import Regions, kept, region_mask
from renderlift.model.render import load

Shot = Callable[..., Clip]
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def distance(a: Video, b: Video) -> float:
    return float(abs(a.astype(float) - b.astype(float)).mean())


def test_what_is_kept_is_the_engines_own_to_the_bit(shot: Shot) -> None:
    clip = shot(3)
    video = np.full((3, 32, 48, 3), 200, np.uint8)
    masks = region_mask(clip, {"text": 1.0})
    mask = masks == 1
    assert 0.2 < mask.mean() < 0.8
    assert np.array_equal(kept(clip, video, masks)[mask], clip.channels[Channel.RGB][mask])
    assert (kept(clip, video, masks) == 200).any()


def test_a_thing_is_named_by_its_class_its_name_or_its_path(shot: Shot) -> None:
    clip = shot(2)
    masks = [region_mask(clip, {name: 1.0}) for name in ("text", "sign", "hall/sign")]
    assert np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2])


def test_the_share_of_a_kept_thing_is_monotone(shot: Shot) -> None:
    clip = shot(2)
    video = np.full((2, 32, 48, 3), 200, np.uint8)
    masks = [region_mask(clip, {"text": share}) for share in SHARES]
    distances = [distance(kept(clip, video, mask), clip.channels[Channel.RGB]) for mask in masks]
    assert all(after < before for before, after in pairwise(distances))


def test_an_unknown_name_says_which_there_are_before_anything_is_painted(
    shot: Shot, wan_vace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("renderlift.model.render.open_painter", lambda *how: pytest.fail)
    with pytest.raises(ChannelError, match="column, text"):
        load(base=str(wan_vace), keep={"face": 1.0}, device="cpu")(shot(1))


def test_a_thing_may_come_after_the_first_frame_and_be_gone_later(
    shot: Shot, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine tells an id when it draws the thing, and a job of hours must not end where it is gone."""
    frames = shot(2).frames
    regions = Regions({"text": 1.0})
    wanted = region_mask(stack(frames), {"text": 1.0})
    comes = stack([replace(frames[0], names=()), frames[1]])
    assert np.array_equal(regions(comes), wanted)
    gone = [replace(frame, names=()) for frame in frames]
    with pytest.raises(ChannelError):
        regions(stack(gone))
    # Also to a process that never saw it: a job that was killed goes on there.
    later = stack([replace(frame, index=frame.index + 9) for frame in gone])
    assert np.array_equal(Regions({"text": 1.0})(later), np.zeros_like(wanted))
    assert "nothing is called 'text' in frame 9" in caplog.text


@pytest.mark.parametrize("folder", ["ltx2", "wan", "wan_5b", "wan_vace", "cosmos"])
def test_without_strength_the_engine_is_not_seen(folder: str, shot: Shot, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(folder)
    render = load(base=str(path), reference_strength=0, steps=3, guidance=1.0, device="cpu", dtype="float32")
    assert np.array_equal(render(shot(5)), render(shot(5, tint=0.5, shift=9)))


@pytest.mark.parametrize(
    "folder",
    ["ltx2", "ltx2_full", "ltx2_3", "ltx2_5", "wan", "wan_a14b", "wan_5b", "wan_vace", "wan_vace_a14b", "cosmos"],
)
def test_reference_strength_is_monotone(folder: str, shot: Shot, request: pytest.FixtureRequest) -> None:
    """Untrained weights cannot follow a reference, so what is held is how far its strength moves the picture."""
    path: Path = request.getfixturevalue(folder)
    clip = shot(5)

    def opened(strength: float) -> Render:
        settings = {"steps": 2, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
        return load(base=str(path), reference_strength=strength, **settings)  # type: ignore[arg-type]

    def video(strength: float) -> Video:
        return opened(strength)(clip)

    whole = opened(1.0)  # stays open, so the others share its base
    full = whole(clip)
    moved = [distance(video(strength), full) for strength in (0.0, 0.5, 0.9)]
    assert moved[0] > moved[1] > moved[2]
    assert distance(video(1.0), full) == 0
