import numpy as np

from renderlift.bridge.frame import Channel
from renderlift.model.references import can_show, picture, reference_videos

NORMAL = np.array([[[[0.6, 0.0, -0.8], [0.0, -1.0, 0.0]]]], np.float32)  # right and near; up, at the sky's edge
DEPTH = np.array([[[[4.0], [np.inf]]]], np.float32)


def test_geometry_is_normals_and_nearness_in_one_picture() -> None:
    shown = picture("geometry", {Channel.NORMAL: NORMAL, Channel.DEPTH: DEPTH})
    assert shown.tolist() == [[[[204, 128, 128], [128, 255, 0]]]]


def test_geometry_needs_both_of_its_channels() -> None:
    assert can_show("geometry", {Channel.NORMAL, Channel.DEPTH})
    assert not can_show("geometry", {Channel.NORMAL})
    assert reference_videos(["depth", "geometry"], {Channel.DEPTH: DEPTH})[0].shape == (1, 1, 2, 3)
    assert len(reference_videos(["depth", "geometry"], {Channel.DEPTH: DEPTH})) == 1
