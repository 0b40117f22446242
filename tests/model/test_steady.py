from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.clip import Before, Clip, Video, clips, preview_size, stack
from renderlift.bridge.errors import ChannelError, SetupError
from renderlift.bridge.frame import Channel, IdName
from renderlift.bridge.going_on import GoingOn
from renderlift.model.evaluate import warp_error
from renderlift.model.lock import GeometryLock, save_lock
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


@pytest.mark.parametrize("flow_px", [0.5, 2.5])
def test_nothing_leaks_where_points_lie_between_pixels(clip: Clip, flow_px: float) -> None:
    frames = []
    for frame in clip.frames:
        x = np.arange(clip.width) + flow_px * frame.index
        thing = np.broadcast_to((x // 28).astype(np.uint32)[None, :, None], (clip.height, clip.width, 1)).copy()
        flow = np.broadcast_to(np.float32([flow_px, 0]), (clip.height, clip.width, 2)).copy()
        frames.append(replace(frame, channels={**frame.channels, Channel.INSTANCE_ID: thing, Channel.FLOW: flow}))
    moving = stack(frames)
    video = changed(moving, 20.0 * (moving.channels[Channel.INSTANCE_ID] % 2))
    assert np.array_equal(steadied(moving, video, 1.0), video)


def test_each_frame_draws_on_those_before_and_after_it(clip: Clip) -> None:
    change = np.zeros((len(clip), 1, 1, 1))
    change[3] = 70
    steady = steadied(clip, changed(clip, change), 0.5).astype(int) - clip.channels[Channel.RGB]
    level = [int(np.median(picture[:, 40:70])) for picture in steady]
    assert level[3] < 40
    assert 0 < level[1] < level[2] < level[3] > level[4] > level[5] > 0


def test_nothing_is_carried_over_a_cut(clip: Clip) -> None:
    turned = np.diag([-1.0, 1, -1, 1])
    cut = stack(
        [
            *clip.frames[:3],
            *(replace(f, camera=replace(f.camera, world_from_camera=turned)) for f in clip.frames[3:]),
        ]
    )
    change = np.zeros((len(clip), 1, 1, 1))
    change[:3] = 30
    video = changed(cut, change)
    assert np.array_equal(steadied(cut, video, 1.0), video)
    assert not np.array_equal(steadied(clip, video, 1.0), video)


def passing(clip: Clip) -> Clip:
    """The same pictures as a wall that stands still, and a camera that passes by."""
    frames = []
    for frame in clip.frames:
        pose = np.eye(4)
        pose[0, 3] = 3 * frame.index * 2.0 / frame.camera.image_from_camera[0, 0]
        wall = np.full((clip.height, clip.width, 1), 2.0, np.float32)
        channels = {**frame.channels, Channel.DEPTH: wall}
        frames.append(replace(frame, camera=replace(frame.camera, world_from_camera=pose), channels=channels))
    return stack(frames)


def test_over_missing_frames_a_surface_is_followed_by_depth_and_cameras(clip: Clip) -> None:
    frames = passing(clip).frames
    gap = stack([frames[0], frames[5]])
    x = np.arange(clip.width)
    shade = [40 + 30 * np.sin((x + 3 * index) / 25) for index in (0, 5)]  # painted on the wall
    painted = np.array(shade)[:, None, :, None]
    steady = steadied(gap, changed(gap, painted), 1.0)
    assert np.abs(steady[:, :, 20:-20].astype(int) - changed(gap, painted)[:, :, 20:-20]).max() <= 1
    flash = np.array([30, 0]).reshape(-1, 1, 1, 1)
    steady = steadied(gap, changed(gap, flash), 1.0).astype(int) - gap.channels[Channel.RGB]
    assert np.abs(np.median(steady[:, :, 20:-20], axis=(1, 2)) - 15).max() <= 1


@pytest.mark.parametrize("none", [np.zeros((3, 3)), np.eye(3)])
def test_frames_of_an_engine_that_knows_no_camera_are_left_as_they_are(clip: Clip, none: np.ndarray) -> None:
    frames = [replace(f, camera=replace(f.camera, image_from_camera=none)) for f in clip.frames]
    gap = stack([frames[0], frames[5]])
    video = changed(gap, np.array([30, 0]).reshape(-1, 1, 1, 1))
    assert np.array_equal(steadied(gap, video, 1.0), video)


def with_flow(clip: Clip, flow_px: np.ndarray) -> Clip:
    """Cameras that are said to stand still, with the same flow in all frames."""
    frames = passing(clip).frames
    still, flow = frames[0].camera, np.zeros((clip.height, clip.width, 2), np.float32)
    flow[..., :1] = flow_px
    return stack([replace(f, camera=still, channels={**f.channels, Channel.FLOW: flow}) for f in frames])


def test_a_camera_that_stands_still_while_all_moves_is_not_believed_over_missing_frames(clip: Clip) -> None:
    def over_a_gap(flow_px: np.ndarray) -> bool:
        frames = with_flow(clip, flow_px).frames
        gap = stack([frames[0], frames[5]])
        video = changed(gap, np.array([30, 0]).reshape(-1, 1, 1, 1))
        return not np.array_equal(steadied(gap, video, 1.0), video)

    everywhere = np.ones((clip.height, clip.width, 1), np.float32)
    left_third = everywhere * (np.arange(clip.width) < clip.width // 3)[:, None]
    assert not over_a_gap(3 * everywhere), "an engine that does not know where its camera is"
    assert over_a_gap(3 * left_third), "something passes a camera that stands still"
    assert over_a_gap(np.full_like(everywhere, np.nan)), "nobody knows better"
    assert over_a_gap(np.where(left_third > 0, 3, np.nan).astype(np.float32)), "it passes before an empty sky"


def test_a_zoom_moves_all_without_the_camera_and_is_believed(clip: Clip) -> None:
    frames = list(with_flow(clip, np.full((1, 1, 1), 3.0)).frames)
    nearer = frames[5].camera.image_from_camera * np.array([[1.2], [1.2], [1]])
    gap = stack([frames[0], replace(frames[5], camera=replace(frames[5].camera, image_from_camera=nearer))])
    video = changed(gap, np.array([30, 0]).reshape(-1, 1, 1, 1))
    assert not np.array_equal(steadied(gap, video, 1.0), video)


def test_a_clip_goes_on_from_the_pictures_that_were_shown(clip: Clip) -> None:
    engine = clip.channels[Channel.RGB]
    shown = np.clip(engine[:1].astype(int) + 20, 0, 255).astype(np.uint8)
    preview = replace(stack(clip.frames[:2], shared=1), before=Before(shown))
    steady = steadied(preview, changed(preview, np.zeros(1)), 0.6)
    assert np.array_equal(steady[0], shown[0])
    assert np.median(steady[1].astype(int) - engine[1]) == pytest.approx(0.6 * 20, abs=1)


@pytest.mark.parametrize(("length", "overlap"), [(2, 1), (4, 2)])
def test_what_is_kept_by_half_stays_so_from_clip_to_clip(
    clip: Clip, length: int, overlap: int, tmp_path: Path
) -> None:
    names, one_wall = (IdName(1, "wall", "Wall", "wall"),), np.ones((clip.height, clip.width, 1), np.uint32)
    frames = [
        replace(f, names=names, channels={**f.channels, Channel.INSTANCE_ID: one_wall}) for f in clip.frames[:5]
    ]
    brighter = GeometryLock()
    brighter.affine.bias.data[3:] = 40 / 255
    save_lock(brighter, tmp_path / "lock.safetensors")
    render = load(steps=1, dtype="float32", lock_weights=str(tmp_path), keep={"Wall": 0.5})
    going_on = GoingOn(render, overlap=overlap, fades=length > 2)
    for part in clips(frames, length=length, overlap=overlap):
        change = going_on(part).astype(int) - part.channels[Channel.RGB]
        assert np.abs(np.median(change, axis=(1, 2, 3)) - 20).max() <= 1


def test_a_preview_by_the_embedded_base_paints_the_fresh_frame_and_goes_on(clip: Clip) -> None:
    render = load(steps=1)
    assert preview_size(render, None) == (2, 1)
    assert preview_size(load(steps=1, steady=0.0), None) == (1, 0)
    going_on = GoingOn(render, overlap=1, fades=False)
    clip = stack(clip.frames[:4])
    film = [going_on(stack(clip.frames[:1]))]
    film += [going_on(stack(clip.frames[t - 1 : t + 1], shared=1))[1:] for t in range(1, len(clip))]
    alone = [load(steps=1, steady=0.0)(stack([frame])) for frame in clip.frames]
    assert warp_error(np.concatenate(film), clip.channels) < warp_error(np.concatenate(alone), clip.channels)
    assert np.array_equal(film[0], alone[0])


def test_a_share_that_is_none_is_refused_before_anything_is_loaded() -> None:
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(SetupError, match=r"from 0 .* to 1"):
            load(base="not there", steady=share)


def test_a_share_of_nothing_changes_nothing(clip: Clip) -> None:
    video = changed(clip, np.random.default_rng(0).normal(0, 9, clip.channels[Channel.RGB].shape))
    assert np.array_equal(steadied(clip, video, 0.0), video)


def test_without_flow_and_depth_it_is_refused_with_the_way_out(clip: Clip) -> None:
    blind = without(without(clip, Channel.FLOW), Channel.DEPTH)
    with pytest.raises(ChannelError, match=r"(?s)neither flow nor depth.*--steady 0"):
        steadied(blind, clip.channels[Channel.RGB], 0.6)


def test_the_embedded_base_is_steadied_where_surfaces_can_be_followed(clip: Clip) -> None:
    usual, plain = load(steps=1), load(steps=1, steady=0.0)
    steady, painted = usual(clip), plain(clip)
    assert warp_error(steady, clip.channels) < warp_error(painted, clip.channels)
    assert np.array_equal(steadied(clip, painted, 0.6), steady)
    blind = without(without(clip, Channel.FLOW), Channel.DEPTH)
    assert np.array_equal(usual(blind), plain(blind))
