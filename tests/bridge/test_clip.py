from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderlift.bridge.clip import StreamEnd, clips, identity, preview_size, rendered, stack
from renderlift.bridge.errors import ChannelError, RenderError, SetupError
from renderlift.bridge.frame import CameraPose, Channel


def indices(clip):
    return [frame.index for frame in clip.frames]


def cut(make_frame, numbers, **settings):
    return list(clips((make_frame(i, height=1, width=1) for i in numbers), **settings))


def test_clips_share_their_overlap(make_frame):
    cuts = cut(make_frame, range(7), length=4, overlap=1)
    assert [indices(c) for c in cuts] == [[0, 1, 2, 3], [3, 4, 5, 6]]
    assert [c.shared for c in cuts] == [0, 1]


def test_only_the_final_clip_is_the_last(make_frame):
    assert [c.last for c in cut(make_frame, range(7), length=4, overlap=1)] == [False, True]


def test_a_short_tail_comes_as_a_short_clip(make_frame):
    assert [indices(c) for c in cut(make_frame, range(6), length=4)] == [[0, 1, 2, 3], [4, 5]]


def test_a_dropped_frame_ends_the_run_and_starts_a_new_one(make_frame):
    cuts = cut(make_frame, [0, 1, 2, 5, 6, 7], length=2, overlap=1)
    assert [indices(c) for c in cuts] == [[0, 1], [1, 2], [5, 6], [6, 7]]
    assert [c.shared for c in cuts] == [0, 1, 0, 1]
    assert [c.last for c in cuts] == [False, True, False, True]


def test_a_preview_goes_on_over_dropped_frames(make_frame):
    cuts = cut(make_frame, [0, 1, 4, 5], length=2, overlap=1, live=True)
    assert [indices(c) for c in cuts] == [[0, 1], [1, 4], [4, 5]]


def test_a_preview_clip_comes_the_moment_it_is_full(make_frame):
    source = iter([make_frame(0), make_frame(1), None])
    first = next(clips(source, length=2, live=True))
    assert indices(first) == [0, 1]
    assert next(source) is None


def test_a_change_of_size_starts_a_new_run(make_frame):
    frames = [make_frame(i, height=2 if i < 3 else 4) for i in range(6)]
    assert [indices(c) for c in clips(frames, length=4, overlap=1)] == [[0, 1, 2], [3, 4, 5]]


def test_interleaved_cameras_are_cut_each_by_itself(make_frame):
    frames = [make_frame(i, camera=camera) for i in range(3) for camera in ("left", "right")]
    cuts = list(clips(frames, length=2, overlap=0))
    assert {(c.frames[0].camera_name, tuple(indices(c))) for c in cuts} == {
        (camera, run) for camera in ("left", "right") for run in [(0, 1), (2,)]
    }


@given(
    count=st.sampled_from([0, 1, 2, 7, 72, 73, 362]),
    length=st.integers(1, 30),
    share=st.floats(0, 0.99),
)
def test_every_frame_is_fresh_in_exactly_one_clip(make_frame, count, length, share):
    overlap = int(share * length)
    cuts = cut(make_frame, range(count), length=length, overlap=overlap)
    assert [i for c in cuts for i in indices(c)[c.shared :]] == list(range(count))
    assert [c.last for c in cuts] == [False] * (len(cuts) - 1) + [True] * bool(cuts)
    for before, after in pairwise(cuts):
        assert after.shared == overlap
        assert indices(before)[len(before) - overlap :] == indices(after)[:overlap]


@pytest.mark.parametrize(("length", "overlap"), [(4, 4), (4, 5), (4, -1), (0, 0)])
def test_an_overlap_that_never_advances_is_refused(length, overlap):
    with pytest.raises(ValueError, match="overlap must be in"):
        list(clips([], length=length, overlap=overlap))


def test_a_clip_keeps_the_channels_that_all_of_its_frames_have(make_frame):
    with_depth = make_frame(0, channels=(Channel.RGB, Channel.DEPTH))
    clip = stack([with_depth, make_frame(1)])
    assert set(clip.channels) == {Channel.RGB}
    assert clip.channels[Channel.RGB].shape == (2, 5, 7, 3)


def test_frames_of_two_cameras_never_share_a_clip(make_frame):
    with pytest.raises(ChannelError, match="right"):
        stack([make_frame(0, camera="left"), make_frame(1, camera="right")])


def test_a_clip_of_nothing_is_refused():
    with pytest.raises(ChannelError, match="at least one frame"):
        stack([])


def test_identity_returns_the_engine_s_picture(make_frame):
    frames = [make_frame(i) for i in range(3)]
    video = rendered(identity, stack(frames))
    assert all(np.array_equal(video[i], frames[i].channels[Channel.RGB]) for i in range(3))


def test_a_failing_renderer_names_the_frames_of_its_clip(make_frame):
    def explode(clip):
        raise FloatingPointError("nan in layer 3")

    with pytest.raises(RenderError, match="frames 4 to 6 of test/s/main failed: FloatingPointError: nan"):
        rendered(explode, stack([make_frame(i) for i in (4, 5, 6)]))


def test_a_renderer_s_own_advice_is_passed_on(make_frame):
    def lacks_gpu(clip):
        raise SetupError("no GPU", fix="Use --device cpu.")

    with pytest.raises(RenderError) as caught:
        rendered(lacks_gpu, stack([make_frame(4)]))
    assert caught.value.fix == "Use --device cpu."


@pytest.mark.parametrize(
    "spoil", [lambda v: v[:-1], lambda v: v[:, :-1], lambda v: v[..., :1], lambda v: v.astype(np.float32)]
)
def test_a_rendering_of_another_shape_or_dtype_is_refused(make_frame, spoil):
    clip = stack([make_frame(i) for i in range(3)])
    with pytest.raises(RenderError, match=r"wanted uint8 \(3, 5, 7, 3\)"):
        rendered(lambda clip: spoil(identity(clip)), clip)


def test_a_stream_that_ends_gives_its_last_clip_while_others_go_on(make_frame):
    left = [make_frame(i, camera="left") for i in range(3)]
    right = [make_frame(i, camera="right") for i in range(6)]
    made = clips([*left, right[0], StreamEnd(left[0].stream), *right[1:]], length=5, overlap=1)
    cut = [(clip.stream[2], [frame.index for frame in clip.frames], clip.last) for clip in made]
    assert cut == [("left", [0, 1, 2], True), ("right", [0, 1, 2, 3, 4], False), ("right", [4, 5], True)]


def test_a_clip_may_go_on_over_missing_frames_but_never_over_a_cut(make_frame):
    frames = [make_frame(i) for i in (0, 1, 5, 6)]
    elsewhere = np.eye(4)
    elsewhere[0, 3] = 100.0
    moved = replace(make_frame(7), camera=CameraPose(elsewhere, np.eye(3)))
    assert [indices(c) for c in clips([*frames, moved], length=9, over_gaps=True)] == [[0, 1, 5, 6], [7]]


@pytest.mark.parametrize(
    ("wanted", "asked", "size"),
    [(None, None, (1, 0)), (None, 5, (5, 0)), ((9, 1), None, (9, 1)), ((9, 1), 17, (17, 1)), ((9, 1), 1, (1, 0))],
)
def test_the_renderer_says_what_its_previews_are_made_of_unless_the_user_does(wanted, asked, size):
    def render(clip):
        return identity(clip)

    if wanted:
        render.preview_size = wanted
    assert preview_size(render, asked) == size
