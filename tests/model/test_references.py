import numpy as np

from renderlift.bridge.frame import Channel
from renderlift.model.references import can_show, picture, reference_videos

NORMAL = np.array([[[[0.6, 0.0, -0.8], [0.0, -1.0, 0.0]]]], np.float32)  # right and near; up, at the sky's edge
DEPTH = np.array([[[[4.0], [np.inf]]]], np.float32)


def test_geometry_is_normals_and_nearness_in_one_picture() -> None:
    shown = picture("geometry", {Channel.NORMAL: NORMAL, Channel.DEPTH: DEPTH})
    assert shown.tolist() == [[[[204, 128, 128], [128, 255, 0]]]]


def test_edges_are_white_lines_on_black_drawn_at_the_size_that_is_shown() -> None:
    rgb = np.zeros((2, 64, 96, 3), np.uint8)
    rgb[:, :, 48:] = 255
    shown = picture("edge", {Channel.RGB: rgb}, (32, 48))
    assert shown.shape == (2, 32, 48, 3)
    assert set(np.unique(shown)) == {0, 255}
    assert {int(column) for column in np.nonzero(shown)[2]} <= {22, 23, 24, 25}
    assert picture("edge", {Channel.RGB: rgb}).shape == rgb.shape


def test_edges_need_the_picture_alone_and_heed_what_else_is_there() -> None:
    assert can_show("edge", {Channel.RGB})
    assert not can_show("edge", {Channel.DEPTH, Channel.NORMAL, Channel.INSTANCE_ID})
    rgb, ids = np.full((1, 32, 32, 3), 90, np.uint8), np.ones((1, 32, 32, 1), np.uint32)
    ids[:, 16:] = 2
    assert not picture("edge", {Channel.RGB: rgb}).any()
    drawn = picture("edge", {Channel.RGB: rgb, Channel.INSTANCE_ID: ids})
    assert {int(row) for row in np.nonzero(drawn)[1]} == {15}


def test_geometry_needs_both_of_its_channels() -> None:
    assert can_show("geometry", {Channel.NORMAL, Channel.DEPTH})
    assert not can_show("geometry", {Channel.NORMAL})
    assert reference_videos(["depth", "geometry"], {Channel.DEPTH: DEPTH})[0].shape == (1, 1, 2, 3)
    assert len(reference_videos(["depth", "geometry"], {Channel.DEPTH: DEPTH})) == 1
