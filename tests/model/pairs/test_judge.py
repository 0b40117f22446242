from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from renderlift.bridge.clip import Clip, Video, stack
from renderlift.bridge.frame import Channel
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


def test_a_reason_names_the_value_and_the_limit(sliding: MakeSliding) -> None:
    clip = sliding(3)
    (reason,) = judge(clip, clip.channels[Channel.RGB], Limits(edges=1.5)).reasons
    assert reason == "edges 1.00 < 1.5"


def test_what_needs_a_channel_that_is_not_there_is_left_out(sliding: MakeSliding) -> None:
    bare = stack([replace(f, channels={Channel.RGB: f.channels[Channel.RGB]}) for f in sliding(3).frames])
    assert set(judge(bare, bare.channels[Channel.RGB]).measures) == {"edges", "sharpness", "colour_jump"}
