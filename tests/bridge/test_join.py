import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderlift.bridge.clip import clips, identity
from renderlift.bridge.frame import Channel
from renderlift.bridge.join import cross_fade, fade, fresh_only, join_clip


class Collected:
    """What arrived at the end, in order."""

    def __init__(self):
        self.frames = []
        self.pictures = []

    def __call__(self, frame, picture):
        self.frames.append(frame)
        self.pictures.append(picture.copy())

    def indices(self, camera="main"):
        return [frame.index for frame in self.frames if frame.camera_name == camera]


def play(frames, sink, *, length, overlap, render=identity, live=False):
    for clip in clips(frames, length=length, overlap=overlap, live=live):
        sink(clip, render(clip))


@settings(deadline=None)
@given(
    count=st.sampled_from([1, 2, 7, 24, 72, 73]),
    length=st.integers(1, 30),
    share=st.floats(0, 0.99),
    dropped=st.sets(st.integers(0, 72)),
)
def test_every_frame_comes_out_once_and_in_order(make_frame, count, length, share, dropped):
    overlap = int(share * length)
    frames = [
        make_frame(i, height=1, width=1, camera=camera)
        for i in range(count)
        if i not in dropped
        for camera in ("left", "right")
    ]
    out = Collected()
    play(frames, cross_fade(out, overlap=overlap), length=length, overlap=overlap)
    kept = [i for i in range(count) if i not in dropped]
    assert out.indices("left") == kept
    assert out.indices("right") == kept
    for frame, picture in zip(out.frames, out.pictures, strict=True):
        assert np.array_equal(picture, frame.channels[Channel.RGB])


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 5), (1, 7)])
@pytest.mark.parametrize("count", [1, 72, 73, 362])
def test_as_many_frames_come_out_as_went_in_at_their_size(make_frame, count, height, width):
    out = Collected()
    frames = [make_frame(i, height=height, width=width) for i in range(count)]
    play(frames, cross_fade(out, overlap=8), length=25, overlap=8)
    assert out.indices() == list(range(count))
    assert {picture.shape for picture in out.pictures} == {(height, width, 3)}


def test_a_preview_shows_every_frame_as_soon_as_its_clip_is_rendered(make_frame):
    out = Collected()
    sink = fresh_only(out)
    shown_after_clip = []
    for clip in clips((make_frame(i) for i in range(10)), length=4, overlap=2, live=True):
        sink(clip, identity(clip))
        shown_after_clip.append(len(out.frames))
    assert shown_after_clip == [4, 6, 8, 10]
    assert out.indices() == list(range(10))


def test_the_picture_moves_evenly_from_one_rendering_to_the_next(make_frame):
    brightness = iter([0, 240])

    def flat(clip):
        return np.full((len(clip), clip.height, clip.width, 3), next(brightness), np.uint8)

    out = Collected()
    play([make_frame(i) for i in range(9)], cross_fade(out, overlap=3), length=6, overlap=3, render=flat)
    assert [int(p[0, 0, 0]) for p in out.pictures] == [0, 0, 0, 60, 120, 180, 240, 240, 240, 240][
        : len(out.pictures)
    ]


def test_a_long_overlap_blends_three_renderings(make_frame):
    brightness = iter([0, 100, 200])

    def flat(clip):
        return np.full((len(clip), 1, 1, 3), next(brightness), np.uint8)

    out = Collected()
    frames = [make_frame(i, height=1, width=1) for i in range(12)]
    play(frames, cross_fade(out, overlap=6), length=8, overlap=6, render=flat)
    levels = [int(p[0, 0, 0]) for p in out.pictures]
    assert len(levels) == 12
    assert levels == sorted(levels)


def test_equal_renderings_stay_as_they_are():
    video = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 3), np.uint8)
    assert np.array_equal(fade(video, video), video)


def test_white_does_not_overflow():
    white = np.full((300, 1, 1, 3), 255, np.uint8)
    assert fade(white, white).min() == 255


def test_a_lost_tail_is_an_error_and_not_a_hard_cut(make_frame):
    second = list(clips((make_frame(i) for i in range(7)), length=4, overlap=1))[1]
    with pytest.raises(ValueError, match="shares 1 frames with the one before, of which 0 were kept"):
        join_clip(None, second, identity(second), overlap=1)
