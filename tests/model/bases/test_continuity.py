"""Long clips: windows that go on from each other, one look, nothing carried over a cut."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from renderlift.bridge.clip import Before, Clip, Video, clips, stack
from renderlift.bridge.enhance import enhance
from renderlift.bridge.films import read_png
from renderlift.bridge.frame import CameraPose, Channel
from renderlift.bridge.join import join_clip
from renderlift.bridge.record import Recorder
from renderlift.model import render
from renderlift.model.bases.settings import Paint
from renderlift.model.colour import held_to, look_of
from renderlift.model.continuity import continuous, windows
from renderlift.model.control import to_pixels
from renderlift.model.regions import feathered, region_mask

Shot = Callable[..., Clip]


def brighter(clip: Clip, known: Mapping[int, np.ndarray]) -> Video:
    return (clip.channels[Channel.RGB].astype(int) * 0.8 + 40).astype(np.uint8)


class Drifting:
    """A base whose every window is a little redder and less blue than the pictures that it goes on from."""

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def __call__(self, clip: Clip, known: Mapping[int, np.ndarray]) -> Video:
        self.seen.append((tuple(f.index for f in clip.frames), tuple(known)))
        video = brighter(clip, known).astype(float)
        if known:
            place = min(known)
            video += known[place].mean((0, 1)) - video[place].mean((0, 1)) + np.array([6, 0, -3])
        return video.clip(0, 255).astype(np.uint8)


def jumping(clip: Clip, at: int) -> Clip:
    """The same frames, with the camera elsewhere from frame `at` on."""
    pose = np.eye(4)
    pose[0, 3] = 100.0
    moved = [
        replace(f, camera=CameraPose(pose @ f.camera.world_from_camera, f.camera.image_from_camera))
        if f.index >= at
        else f
        for f in clip.frames
    ]
    return stack(moved)


def test_windows_see_the_finished_pictures_of_the_frames_they_share(shot: Shot) -> None:
    base = Drifting()
    video = continuous(base, window=9, overlap=3, takes_before=True, anchors={})(shot(21))
    assert len(video) == 21
    assert base.seen[0][1] == ()
    assert [known for _, known in base.seen[1:]] == [(0, 1, 2)] * (len(base.seen) - 1)


def test_colour_does_not_drift_over_twenty_windows(shot: Shot) -> None:
    clip = shot(9 + 19 * 6)
    wanted = brighter(clip, {})[-6:].astype(float).mean((0, 1, 2))
    held = continuous(Drifting(), window=9, overlap=3, takes_before=True, anchors={})(clip)
    loose, tail = Drifting(), None
    for part in windows(clip, 9, 3):
        video = loose(part, dict(enumerate(tail)) if tail is not None else {})
        tail = video[-3:]
    drift_held = abs(held[-6:].astype(float).mean((0, 1, 2)) - wanted).max()
    drift_loose = abs(video[-6:].astype(float).mean((0, 1, 2)) - wanted).max()
    assert drift_loose > 30
    assert drift_held < 0.25 * drift_loose


def test_one_transform_serves_a_whole_window_so_it_cannot_flicker(shot: Shot) -> None:
    clip = shot(9)
    engine, picture = clip.channels[Channel.RGB], brighter(clip, {})
    anchor = look_of(engine, picture)
    assert anchor is not None
    shifted = (picture.astype(int) + np.array([30, 0, -20])).clip(0, 255).astype(np.uint8)
    mended = held_to(anchor, engine, shifted)
    assert abs(mended.astype(int) - picture).mean() < 3
    change = (mended.astype(int) - shifted).mean((1, 2))
    assert np.ptp(change, axis=0).max() < 3


def test_a_window_without_drift_is_left_alone_beside_what_is_kept(shot: Shot) -> None:
    """Whatever curve a renderer gives the colours: with the kept places they would be measured otherwise."""
    clip = shot(9)
    engine = clip.channels[Channel.RGB]
    picture = (255 * (engine / 255) ** 0.6).astype(np.uint8)
    mask = region_mask(clip, {"text": 1.0})
    left = np.where(mask[..., None] > 0, engine, picture)  # as a later clip finds it
    anchor = look_of(engine, left, kept=mask)
    assert anchor is not None
    change = abs(held_to(anchor, engine, picture, kept=mask).astype(int) - picture)
    assert change.max() <= 1
    assert abs(held_to(anchor, engine, picture).astype(int) - picture).max() > 1


def test_pictures_that_have_nothing_in_common_are_left_alone(shot: Shot) -> None:
    engine = shot(5).channels[Channel.RGB]
    noise = np.random.default_rng(0).integers(0, 256, engine.shape, dtype=np.uint8)
    assert look_of(engine, noise) is None


def test_a_base_that_cannot_go_on_from_pictures_still_keeps_its_colours(shot: Shot) -> None:
    calls = [0]

    def tinted(clip: Clip, known: Mapping[int, np.ndarray]) -> Video:
        assert not known
        calls[0] += 1
        return (brighter(clip, known).astype(int) + np.array([9 * calls[0], 0, 0])).clip(0, 255).astype(np.uint8)

    clip = shot(9 + 4 * 6)
    video = continuous(tinted, window=9, overlap=3, takes_before=False, anchors={})(clip)
    reds = (video.astype(float) - brighter(clip, {}))[..., 0].mean((1, 2))
    assert abs(reds - 9).max() < 3  # as the first window was, not 45 at the end


def test_a_clip_that_is_one_window_is_taken_as_it_is(shot: Shot) -> None:
    clip = replace(shot(9), shared=3)
    (window,) = windows(clip, 9, 3)
    assert window.channels is clip.channels
    assert (window.shared, window.last) == (3, True)


def test_a_base_without_windows_is_left_as_it_paints(shot: Shot) -> None:
    """The embedded base: it paints every clip from the same noise, so its colours hold by themselves."""
    clip = replace(shot(9), shared=3)
    before = Before(np.zeros((3, 32, 48, 3), np.uint8), (2.0, 2.0, 2.0, 0.1, 0.1, 0.1))
    render = continuous(brighter, window=0, overlap=0, takes_before=False, anchors={})
    assert np.array_equal(render(replace(clip, before=before)), brighter(clip, {}))


def test_nothing_is_carried_or_faded_over_a_cut(shot: Shot) -> None:
    base = Drifting()
    clip = jumping(shot(18), at=11)
    video = continuous(base, window=9, overlap=3, takes_before=True, anchors={})(clip)
    assert [(indices[0], known) for indices, known in base.seen if indices[0] == 11] == [(11, ())]
    assert not any(11 in indices[1:] for indices, _ in base.seen)
    assert np.array_equal(video[11:14], brighter(clip, {})[11:14])


def test_a_resumed_job_goes_on_as_if_nothing_had_happened(shot: Shot) -> None:
    """As `enhance` runs it: clips one by one, each with what the one before left."""
    whole = shot(30)

    def job(stop_after: int | None) -> list[Video]:
        done: list[Video] = []
        tail, look = None, None
        render = continuous(Drifting(), window=9, overlap=3, takes_before=True, anchors={})
        for number, clip in enumerate(clips(whole.frames, length=12, overlap=3)):
            if number == stop_after:  # a new process, which has read tail and look from disk
                render = continuous(Drifting(), window=9, overlap=3, takes_before=True, anchors={})
            before = Before(tail, look) if tail is not None else None
            video = render(replace(clip, before=before))
            found = look_of(clip.channels[Channel.RGB], video)
            look = look or (found and (*found.gain.tolist(), *found.offset.tolist()))
            pictures, tail = join_clip(tail, clip, video, overlap=3)
            done.append(pictures)
        return done

    whole_job, resumed = job(None), job(1)
    assert sum(len(video) for video in resumed) == 30
    assert all(np.array_equal(a, b) for a, b in zip(whole_job, resumed, strict=True))


def test_anchors_reach_the_window_that_shows_their_frame(shot: Shot) -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    base = Drifting()
    continuous(base, window=9, overlap=0, takes_before=False, anchors={0: picture, 13: picture})(shot(18))
    assert [known for _, known in base.seen] == [(0,), (4,)]


def test_anchors_in_a_later_window_come_back_as_they_are_and_those_after_them_keep_to_their_colours(
    shot: Shot,
) -> None:
    """A base that returns what it is shown and is a little brighter in each window."""
    picture = (shot(48).channels[Channel.RGB][30] * 0.7 + 60).astype(np.uint8)
    calls = [0]

    def brighter(part: Clip, known: Mapping[int, np.ndarray]) -> Video:
        calls[0] += 1
        painted = (part.channels[Channel.RGB] * 0.7 + (60 if calls[0] > 2 else 20) + 3 * calls[0]).astype(np.uint8)
        for t, shown in known.items():
            painted[t] = shown
        return painted

    render = continuous(brighter, window=15, overlap=3, takes_before=False, anchors={30: picture})
    video = render(shot(48))
    assert np.array_equal(video[30], picture)
    look = look_of(shot(48).channels[Channel.RGB][27:36], video[27:36])
    later = look_of(shot(48).channels[Channel.RGB][39:], video[39:])
    assert look and later and np.abs(255 * (look.offset - later.offset)).max() < 6


def test_a_flat_sky_that_agrees_with_itself_does_not_become_the_look_of_everything(shot: Shot) -> None:
    engine = shot(9, 120, 160).channels[Channel.RGB].copy()
    engine[:, :90] = (120, 150, 200)
    noise = np.random.default_rng(0).normal(0, 4, engine.shape)
    for painted in (engine * 0.9 + 8, engine * 0.9 + 8 + noise):
        look = look_of(engine, np.rint(painted).clip(0, 255).astype(np.uint8))
        assert look and np.abs(look.gain - 0.9).max() < 0.05


def test_a_thing_that_is_painted_otherwise_and_passes_by_does_not_bend_the_colours_of_all_else(shot: Shot) -> None:
    clip = shot(60)
    engine = clip.channels[Channel.RGB].copy()
    for t in range(20, 50):
        engine[t, 12:24, : 4 * (t - 20)] = 30
    frames = [replace(f, channels={**f.channels, Channel.RGB: engine[f.index]}) for f in clip.frames]
    passing = np.zeros(engine.shape[:3], bool)
    passing[20:50] = (engine[20:50] == 30).all(-1)

    def lit(part: Clip, known: Mapping[int, np.ndarray]) -> Video:
        video = part.channels[Channel.RGB] * 0.6 + 20
        video[passing[[frame.index for frame in part.frames]]] += 60
        return np.rint(video).astype(np.uint8)

    video = continuous(lit, window=15, overlap=3, takes_before=True, anchors={})(stack(frames))
    change = np.abs(video - (engine * 0.6 + 20))[~passing]
    assert change.max() < 2


@pytest.mark.parametrize("frames", [1, 9, 10, 15, 16, 300])
def test_every_frame_comes_out_once_whatever_the_length(shot: Shot, frames: int) -> None:
    video = continuous(brighter, window=9, overlap=3, takes_before=False, anchors={})(shot(frames, 16, 16))
    assert np.array_equal(video, brighter(shot(frames, 16, 16), {}))


@pytest.mark.parametrize("keep", [None, {"text": 1.0}, {"text": 0.5}])
@pytest.mark.parametrize("black", [0, 3])
def test_colours_hold_over_the_clips_of_a_film_with_things_kept_and_after_a_fade_in(
    shot: Shot, wan_vace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: dict[str, float], black: int
) -> None:
    """Every clip of this base is redder than the one before, but for what holds it."""
    calls = [0]

    def redder(*how: object) -> Paint:
        def paint(clip: Clip, known: Mapping[int, np.ndarray]) -> torch.Tensor:
            calls[0] += 1
            return (
                to_pixels(clip.channels[Channel.RGB]) * 0.6 + torch.tensor([0.03 * calls[0], 0, 0])[:, None, None]
            )

        return paint

    monkeypatch.setattr(render, "open_painter", redder)
    clip = shot(41)
    frames = list(clip.frames)
    for t in range(black):
        frames[t] = replace(
            frames[t], channels={**frames[t].channels, Channel.RGB: np.zeros((32, 48, 3), np.uint8)}
        )
    with Recorder(tmp_path / "take") as recorder:
        for frame in frames:
            recorder.write(frame)
    lift = render.load(base=str(wan_vace), window=11, keep=keep, device="cpu")
    enhance(tmp_path / "take", tmp_path / "film", lift, length=11, overlap=3)
    film = np.stack([read_png(path) for path in sorted((tmp_path / "film").glob("*.png"))])
    assert len(film) == 41 and calls[0] == 5
    wanted = clip.channels[Channel.RGB].astype(float) * 0.6 + [0.03 * 255, 0, 0]
    painted = [feathered(mask) < 0.01 for mask in region_mask(clip, {"text": 1.0})]
    off = [abs(film[t][painted[t]] - wanted[t][painted[t]]).mean() for t in range(black, 41)]
    assert max(off) < 3
