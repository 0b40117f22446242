from collections.abc import Callable

import numpy as np
import pytest

from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import Channel
from renderlift.model.control import (
    engine_buffers,
    lock_buffers,
    padded_length,
    reference_pixels,
    to_pixels,
    to_video,
    working_size,
)

MakeClip = Callable[..., Clip]


@pytest.mark.parametrize(("frames", "padded"), [(1, 1), (2, 5), (5, 5), (6, 9), (9, 9), (72, 73), (362, 365)])
def test_clips_are_padded_to_what_the_autoencoder_takes(frames: int, padded: int) -> None:
    assert padded_length(frames, 4) == padded


@pytest.mark.parametrize(("height", "width"), [(256, 448), (359, 641), (1080, 1920), (17, 900)])
def test_working_sizes_are_multiples_of_32_of_the_same_shape(height: int, width: int) -> None:
    h, w = working_size(height, width, 128 * 224)
    assert h % 32 == w % 32 == 0
    if max(height, width) < 4 * min(height, width):
        assert w / h == pytest.approx(width / height, rel=0.2)


def test_references_lie_between_0_and_1_and_are_padded_with_their_last_frame() -> None:
    video = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), np.uint8)
    pixels = reference_pixels(video, 32, 64, 5)
    assert pixels.shape == (5, 3, 32, 64)
    assert 0 <= float(pixels.min()) < float(pixels.max()) <= 1
    assert (pixels[4] == pixels[2]).all()


def test_pixels_and_pictures_are_inverse_to_each_other() -> None:
    video = np.arange(2 * 4 * 8 * 3, dtype=np.uint8).reshape(2, 4, 8, 3)
    assert (to_video(to_pixels(video)) == video).all()


def test_a_clip_without_buffers_locks_on_its_colour_alone(make_clip: MakeClip) -> None:
    rgb = make_clip(2, 8, 8).channels[Channel.RGB]
    buffers = engine_buffers({Channel.RGB: rgb})
    assert buffers.shape == (2, 12, 8, 8)
    assert float(buffers[:, 3:].abs().max()) == 0


def test_the_sky_is_infinitely_far(make_clip: MakeClip) -> None:
    clip = make_clip(1, 8, 8)
    clip.channels[Channel.DEPTH][:, :2] = np.inf
    nearness = lock_buffers(clip)[0, 9]
    assert float(nearness[:2].max()) == 0
    assert 0 < float(nearness[2:].min()) <= float(nearness[2:].max()) <= 1
