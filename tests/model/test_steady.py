from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from renderlift.bridge.clip import Clip, Video, stack
from renderlift.bridge.errors import ChannelError
from renderlift.bridge.frame import Channel
from renderlift.model.evaluate import warp_error
from renderlift.model.render import load
from renderlift.model.steady import steadied

MakeClip = Callable[..., Clip]


@pytest.fixture
def clip(make_clip: MakeClip) -> Clip:
    return make_clip(7, 64, 112)


def changed(clip: Clip, change: np.ndarray) -> Video:
    return np.rint(clip.channels[Channel.RGB] + change).clip(0, 255).astype(np.uint8)


def without(clip: Clip, channel: Channel) -> Clip:
    frames = [replace(f, channels={c: a for c, a in f.channels.items() if c is not channel}) for f in clip.frames]
    return stack(frames)


def test_a_surface_shimmers_less_and_keeps_its_mean_light(clip: Clip) -> None:
    flashes = np.random.default_rng(0).normal(12, 6, (len(clip), 1, 1, 3))
    video = changed(clip, flashes)
    steady = steadied(clip, video, 0.6)
    own = warp_error(clip.channels[Channel.RGB], clip.channels)
    assert warp_error(steady, clip.channels) - own < 0.5 * (warp_error(video, clip.channels) - own)
    assert abs(steady.astype(float).mean() - video.astype(float).mean()) < 1
    more = steadied(clip, video, 1.0)
    assert warp_error(more, clip.channels) < warp_error(steady, clip.channels)


def test_light_painted_on_a_surface_stays_as_it_is_and_nothing_leaks_from_one_thing_to_another(clip: Clip) -> None:
    of_each_thing = 10.0 * (clip.channels[Channel.INSTANCE_ID] % 4)
    video = changed(clip, of_each_thing)
    assert np.array_equal(steadied(clip, video, 1.0), video)


def test_each_frame_draws_on_those_before_and_after_it(clip: Clip) -> None:
    change = np.zeros((len(clip), 1, 1, 1))
    change[3] = 70
    steady = steadied(clip, changed(clip, change), 0.5).astype(int) - clip.channels[Channel.RGB]
    level = [int(np.median(picture[:, 40:70])) for picture in steady]
    assert level[3] < 40
    assert 0 < level[1] < level[2] < level[3] > level[4] > level[5] > 0


def test_nothing_is_carried_over_a_gap(clip: Clip) -> None:
    gap = stack([*clip.frames[:3], *(replace(frame, index=frame.index + 5) for frame in clip.frames[3:])])
    change = np.zeros((len(clip), 1, 1, 1))
    change[:3] = 30
    video = changed(gap, change)
    assert np.array_equal(steadied(gap, video, 1.0), video)
    assert not np.array_equal(steadied(clip, video, 1.0), video)


def test_a_share_of_nothing_changes_nothing(clip: Clip) -> None:
    video = changed(clip, np.random.default_rng(0).normal(0, 9, clip.channels[Channel.RGB].shape))
    assert np.array_equal(steadied(clip, video, 0.0), video)


def test_without_flow_it_is_refused_with_the_way_out(clip: Clip) -> None:
    with pytest.raises(ChannelError, match=r"(?s)no flow.*--steady 0"):
        steadied(without(clip, Channel.FLOW), clip.channels[Channel.RGB], 0.6)


def test_the_embedded_base_is_steadied_where_there_is_flow(clip: Clip) -> None:
    usual = load(steps=1)(clip)
    plain = load(steps=1, steady=0.0)(clip)
    assert warp_error(usual, clip.channels) < warp_error(plain, clip.channels)
    assert np.array_equal(steadied(clip, plain, 0.6), usual)
    blind = without(clip, Channel.FLOW)
    assert np.array_equal(load(steps=1)(blind), plain)
