import numpy as np
import pytest

from renderlift.bridge.frame import Channel
from renderlift.model.evaluate import edge_f1, engine_edges, measure, picture_edges, psnr_db, warp_error

RNG = np.random.default_rng(0)


def moving_squares(frames: int = 3, shift: int = 4) -> tuple[np.ndarray, dict[Channel, np.ndarray]]:
    """A textured plane that moves `shift` pixels to the right in every frame."""
    texture = RNG.integers(0, 255, (48, 200, 3), np.uint8)
    starts = [shift * (frames - t) for t in range(frames)]
    video = np.stack([texture[:, s : s + 64] for s in starts])
    flow = np.broadcast_to(np.float32([-shift, 0]), (frames, 48, 64, 2)).copy()
    ids = np.ones((frames, 48, 64, 1), np.uint32)
    return video, {Channel.RGB: video, Channel.FLOW: flow, Channel.INSTANCE_ID: ids}


def test_psnr_of_a_known_error() -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    assert psnr_db(black, black) == float("inf")
    assert psnr_db(black, black + 255) == pytest.approx(0)
    assert psnr_db(black, black + 51) == pytest.approx(20 * np.log10(5), abs=1e-4)


def test_a_video_that_moves_with_the_flow_has_no_warp_error() -> None:
    video, channels = moving_squares()
    assert warp_error(video, channels) < 0.01


def test_flicker_shows_as_warp_error_relative_to_the_render() -> None:
    video, channels = moving_squares()
    flickering = video.copy()
    flickering[1] = np.clip(flickering[1].astype(int) + 20, 0, 255)
    assert warp_error(flickering, channels) > 10


def test_a_flow_of_the_wrong_sign_is_punished() -> None:
    video, channels = moving_squares()
    assert warp_error(video, {**channels, Channel.FLOW: -channels[Channel.FLOW]}) > 20


def test_pixels_without_flow_or_of_another_object_are_left_out() -> None:
    video, channels = moving_squares()
    spoiled = video.copy()
    spoiled[1:, :10] = RNG.integers(0, 255, spoiled[1:, :10].shape, np.uint8)
    channels[Channel.FLOW][:, :11] = np.nan
    assert warp_error(spoiled, channels) < 0.01


def test_edges_a_pixel_away_count_and_edges_far_away_do_not() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, 32:] = 200
    ids = np.ones((64, 64, 1), np.uint32)
    ids[:, 33:] = 2
    reference = engine_edges({Channel.RGB: picture, Channel.INSTANCE_ID: ids})
    assert edge_f1(picture_edges(picture), reference) > 0.95
    assert edge_f1(np.roll(picture_edges(picture), 12, axis=1), reference) < 0.2


def test_the_table_sets_each_video_beside_the_render() -> None:
    video, channels = moving_squares()
    worse = np.clip(video.astype(int) + RNG.normal(0, 25, video.shape), 0, 255).astype(np.uint8)
    rows = {row.name: row for row in measure({"worse": worse}, channels, {1: video[1]})}
    assert rows["render"].psnr_db == float("inf")
    assert rows["worse"].psnr_db == pytest.approx(psnr_db(worse[1], video[1]))
    assert rows["worse"].warp_error > rows["render"].warp_error


def test_what_needs_buffers_that_are_not_there_is_not_measured() -> None:
    video, _ = moving_squares()
    for row in measure({"same": video}, {Channel.RGB: video}, {1: video[1]}):
        assert (row.edge_f1, row.warp_error, row.warp_relative) == (None, None, None)
        assert row.psnr_db == float("inf")
