from collections.abc import Callable

import numpy as np

from renderlift.bridge.clip import Clip, Video, identity
from renderlift.bridge.frame import Channel
from renderlift.model.evaluate import psnr_db
from renderlift.model.pairs.propagate import along_flow

MakeSliding = Callable[[int], Clip]
Photos = Callable[[Clip], Video]


def ends(truth: Video) -> dict[int, np.ndarray]:
    return {0: truth[0], len(truth) - 1: truth[-1]}


def test_what_the_anchors_show_reaches_the_frames_between(sliding: MakeSliding, photos: Photos) -> None:
    clip = sliding(5)
    truth = photos(clip)
    video = along_flow(identity)(clip, ends(truth))
    assert video.shape == truth.shape and video.dtype == np.uint8
    for t in (1, 2, 3):
        render = clip.channels[Channel.RGB][t]
        assert psnr_db(video[t], truth[t]) > psnr_db(render, truth[t]) + 8, t


def test_anchors_come_back_untouched(sliding: MakeSliding, photos: Photos) -> None:
    clip = sliding(4)
    truth = photos(clip)
    video = along_flow(identity)(clip, ends(truth))
    np.testing.assert_array_equal(video[[0, -1]], truth[[0, -1]])


def test_one_anchor_anywhere_is_enough(sliding: MakeSliding, photos: Photos) -> None:
    clip = sliding(5)
    truth = photos(clip)
    video = along_flow(identity)(clip, {2: truth[2]})
    assert all(
        psnr_db(video[t], truth[t]) > psnr_db(clip.channels[Channel.RGB][t], truth[t]) + 5 for t in (0, 1, 3)
    )


def test_anchors_that_are_the_render_leave_the_lifted_clip_alone(sliding: MakeSliding) -> None:
    clip = sliding(4)
    rgb = clip.channels[Channel.RGB]
    np.testing.assert_array_equal(along_flow(identity)(clip, ends(rgb)), rgb)


def test_where_no_anchor_sees_a_point_the_change_around_it_is_used(sliding: MakeSliding) -> None:
    clip = sliding(5)
    rgb = clip.channels[Channel.RGB]
    brighter = np.minimum(rgb.astype(int) + 20, 255).astype(np.uint8)
    video = along_flow(identity)(clip, {0: brighter[0]})
    assert abs((video[4].astype(int) - rgb[4])[:, -10:] - 20).max() <= 1
