import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from renderlift.bridge.clip import Clip, Video, stack
from renderlift.bridge.frame import Channel, Frame
from renderlift.model.pairs.judge import Limits, judge

MakeSliding = Callable[[int], Clip]
Photos = Callable[[Clip], Video]


def test_the_render_itself_passes(sliding: MakeSliding) -> None:
    clip = sliding(4)
    verdict = judge(clip, clip.channels[Channel.RGB])
    assert verdict.keep and set(verdict.measures) == set(Limits.__dataclass_fields__)
    assert verdict.measures["warp"] <= 1 and verdict.measures["edges"] == pytest.approx(1)


def test_a_steady_photo_passes(sliding: MakeSliding, photos: Photos) -> None:
    clip = sliding(4)
    verdict = judge(clip, photos(clip))
    assert verdict.keep, verdict.reasons


def blurred(video: Video) -> Video:
    return np.stack([cv2.GaussianBlur(picture, (0, 0), 4) for picture in video])


def moved(video: Video) -> Video:
    return np.roll(video, 2, axis=2)


def flashing(video: Video) -> Video:
    gain = np.where(np.arange(len(video)) % 2, 1.2, 0.8)[:, None, None, None]
    return (video * gain).clip(0, 255).astype(np.uint8)


def recoloured_at_the_end(video: Video) -> Video:
    spoiled = video.copy()
    spoiled[-1] = spoiled[-1][..., ::-1]
    return spoiled


def boiling(video: Video) -> Video:
    noise = np.random.default_rng(0).normal(0, 30, video.shape)
    return (video + noise).clip(0, 255).astype(np.uint8)


def drifting_in_light(video: Video) -> Video:
    """So gently that no step shows it."""
    return (video * np.linspace(1, 0.8, len(video))[:, None, None, None]).astype(np.uint8)


def drifting_in_hue(video: Video) -> Video:
    drift = np.linspace(0, 1, len(video))[:, None, None, None] * np.array([-60, 0, 60])
    return (video + drift).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (blurred, "sharpness"),
        (moved, "misplaced_px"),
        (flashing, "flicker"),
        (recoloured_at_the_end, "colour_jump"),
        (boiling, "warp"),
        (drifting_in_light, "drift"),
        (drifting_in_hue, "flat_colour"),
    ],
)
def test_what_is_spoiled_is_rejected_for_that_reason(
    sliding: MakeSliding, photos: Photos, spoil: Callable[[Video], Video], reason: str
) -> None:
    clip = sliding(4)
    verdict = judge(clip, spoil(photos(clip)))
    assert not verdict.keep
    assert reason in [text.split()[0] for text in verdict.reasons], verdict.reasons


def test_invented_geometry_is_rejected_by_its_edges(sliding: MakeSliding, photos: Photos) -> None:
    clip = sliding(4)
    video = photos(clip)
    for x in range(4, 112, 9):
        video[:, :, x : x + 3] = 255 - video[:, :, x : x + 3]
    assert "edges" in [text.split()[0] for text in judge(clip, video).reasons]


def to_the_sky(frame: Frame) -> Frame:
    """The camera has turned to an empty sky."""
    height, width = frame.channels[Channel.RGB].shape[:2]
    nothing = {
        Channel.RGB: np.full((height, width, 3), (120, 160, 230), np.uint8),
        Channel.DEPTH: np.full((height, width, 1), np.inf, np.float32),
        Channel.INSTANCE_ID: np.zeros((height, width, 1), np.uint32),
        Channel.FLOW: np.full((height, width, 2), np.nan, np.float32),
        Channel.ALBEDO: np.zeros((height, width, 3), np.uint8),
    }
    return replace(frame, channels=nothing)


def clouds(video: Video, first: int) -> Video:
    y, x = np.mgrid[0 : video.shape[1], 0 : video.shape[2]]
    drawn = video.copy()
    white = ((x - 40) ** 2 + (y - 30) ** 2 < 300) | ((x - 80) ** 2 + (y - 20) ** 2 < 120)
    drawn[first:, white] = 250
    return drawn


def test_frames_that_show_nothing_do_not_count_against_the_others(sliding: MakeSliding, photos: Photos) -> None:
    frames = sliding(5).frames
    plain = judge(stack(frames[:3]), photos(stack(frames[:3])))
    clip = stack([*frames[:3], *map(to_the_sky, frames[3:])], last=True)
    lifted = np.concatenate([photos(stack(frames[:3])), clip.channels[Channel.RGB][3:]])
    turned_away = Limits(colour_jump=20)
    verdict = judge(clip, clouds(lifted, 3), turned_away)
    assert verdict.keep, verdict.reasons
    for name in ("edges", "sharpness", "warp"):
        assert verdict.measures[name] == pytest.approx(plain.measures[name])
    blurred_ground = np.concatenate([blurred(lifted[:3]), lifted[3:]])
    assert [text.split()[0] for text in judge(clip, blurred_ground, turned_away).reasons] == ["edges", "sharpness"]


def test_a_frame_as_black_as_night_does_not_count_either(sliding: MakeSliding, photos: Photos) -> None:
    frames = sliding(4).frames
    lifted = photos(stack(frames))
    lifted[2:] = 0
    night = [
        replace(f, channels={**f.channels, Channel.RGB: np.zeros_like(f.channels[Channel.RGB])}) for f in frames[2:]
    ]
    verdict = judge(stack([*frames[:2], *night]), lifted)
    plain = judge(stack(frames[:2]), lifted[:2])
    assert {n: verdict.measures[n] for n in ("edges", "sharpness")} == {
        n: plain.measures[n] for n in ("edges", "sharpness")
    }


def test_a_clip_in_which_nothing_can_be_measured_is_rejected_for_that(sliding: MakeSliding) -> None:
    clip = stack([to_the_sky(frame) for frame in sliding(4).frames], last=True)
    verdict = judge(clip, clouds(clip.channels[Channel.RGB], 0))
    assert not verdict.keep
    assert [text.split(":")[0] for text in verdict.reasons] == [
        "edges not measured",
        "sharpness not measured",
        "warp not measured",
    ]
    assert set(verdict.measures) == {"colour_jump"}
    unasked = judge(clip, clip.channels[Channel.RGB], Limits(edges=0, sharpness=0, warp=math.inf))
    assert unasked.keep, unasked.reasons


def test_a_reason_names_the_value_and_the_limit(sliding: MakeSliding) -> None:
    clip = sliding(3)
    (reason,) = judge(clip, clip.channels[Channel.RGB], Limits(edges=1.5)).reasons
    assert reason == "edges 1.00 < 1.5"


def test_what_needs_a_channel_that_is_not_there_is_left_out(sliding: MakeSliding) -> None:
    bare = stack([replace(f, channels={Channel.RGB: f.channels[Channel.RGB]}) for f in sliding(3).frames])
    verdict = judge(bare, bare.channels[Channel.RGB])
    assert set(verdict.measures) == {"sharpness", "colour_jump"}
    assert verdict.keep, verdict.reasons
