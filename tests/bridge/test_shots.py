from dataclasses import replace

import numpy as np
import pytest

from renderlift.bridge.clip import clips
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.shots import is_cut


def frame(
    index: int, *, x_m: float = 0.0, turned_degrees: float = 0.0, place: int = 0, depth_m: float = 10.0
) -> Frame:
    """A picture of blocks; each `place` has colours of its own."""
    rng = np.random.default_rng(place)
    blocks = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8) // 2 + (128 if place % 2 else 0)
    rgb = np.kron(blocks, np.ones((8, 8, 1), np.uint8)).astype(np.uint8)
    angle = np.radians(turned_degrees)
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    pose[0, 3] = x_m
    depth = np.full((32, 48, 1), depth_m, np.float32)
    camera = CameraPose(pose, np.array([[40.0, 0, 24], [0, 40.0, 16], [0, 0, 1]]))
    return Frame(index, index * 41_000_000, 0, camera, {Channel.RGB: rgb, Channel.DEPTH: depth})


@pytest.mark.parametrize(("x_m", "degrees"), [(0.3, 0), (2.0, 0), (0, 10), (1.0, 20)])
def test_a_fast_camera_is_no_cut(x_m: float, degrees: float) -> None:
    assert not is_cut(frame(0), frame(1, x_m=x_m, turned_degrees=degrees))


@pytest.mark.parametrize(("x_m", "degrees"), [(40.0, 0), (0, 90), (8.0, 180)])
def test_a_camera_that_jumps_is_a_cut_whatever_the_picture(x_m: float, degrees: float) -> None:
    assert is_cut(frame(0), frame(1, x_m=x_m, turned_degrees=degrees))


def test_how_far_is_a_jump_depends_on_how_far_one_sees() -> None:
    assert is_cut(frame(0, depth_m=2.0), frame(1, x_m=2.0, depth_m=2.0))
    assert not is_cut(frame(0, depth_m=200.0), frame(1, x_m=2.0, depth_m=200.0))


def test_where_the_camera_stands_still_the_picture_decides() -> None:
    assert is_cut(frame(0, place=0), frame(1, place=1))
    assert not is_cut(frame(0, place=0), frame(1, place=0))


def test_a_fade_to_black_is_no_cut() -> None:
    before = frame(0)
    black = replace(before, channels={Channel.RGB: np.zeros((32, 48, 3), np.uint8)})
    assert not is_cut(before, black)


def test_no_clip_reaches_over_a_cut() -> None:
    frames = [frame(t) for t in range(5)] + [frame(t, x_m=50.0) for t in range(5, 12)]
    cuts = list(clips(frames, length=4, overlap=1))
    assert [[f.index for f in c.frames] for c in cuts] == [[0, 1, 2, 3], [3, 4], [5, 6, 7, 8], [8, 9, 10, 11]]
    assert [c.shared for c in cuts] == [0, 1, 0, 1]
    assert [c.last for c in cuts] == [False, True, False, True]
