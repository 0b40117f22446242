import numpy as np
import pytest

from renderlift.bridge.errors import ChannelError
from renderlift.bridge.frame import CHANNELS, CameraPose, Channel, check_channels


def rgb(height=4, width=6):
    return np.zeros((height, width, 3), np.uint8)


def test_every_channel_has_a_row_in_the_table():
    assert set(CHANNELS) == set(Channel)


@pytest.mark.parametrize("channel", Channel)
def test_every_dtype_of_the_table_is_accepted(channel):
    for dtype in CHANNELS[channel].dtypes:
        array = np.zeros((4, 6, CHANNELS[channel].components), dtype)
        check_channels({Channel.RGB: rgb(), channel: array})


@pytest.mark.parametrize("channel", Channel)
def test_another_dtype_is_refused_by_name(channel):
    wrong = np.zeros((4, 6, CHANNELS[channel].components), np.float64)
    with pytest.raises(
        ChannelError, match=f"{channel} holds float64, the table wants {CHANNELS[channel].dtypes[0]}"
    ):
        check_channels({Channel.RGB: rgb(), channel: wrong})


def test_a_frame_without_rgb_is_refused():
    with pytest.raises(ChannelError, match="rgb"):
        check_channels({Channel.DEPTH: np.zeros((4, 6, 1), np.float32)})


def test_a_missing_component_axis_is_refused():
    with pytest.raises(ChannelError, match=r"depth has shape \(4, 6\), the table wants \(H, W, 1\)"):
        check_channels({Channel.RGB: rgb(), Channel.DEPTH: np.zeros((4, 6), np.float32)})


def test_channels_of_one_view_must_share_its_size():
    with pytest.raises(ChannelError, match=r"depth is \(4, 7\), rgb of the same frame is \(4, 6\)"):
        check_channels({Channel.RGB: rgb(), Channel.DEPTH: np.zeros((4, 7, 1), np.float32)})


def test_the_environment_brings_its_own_size():
    check_channels({Channel.RGB: rgb(), Channel.ENVIRONMENT: np.zeros((64, 128, 3), np.float16)})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pose_that_is_not_finite_is_refused(value):
    pose = np.eye(4)
    pose[0, 3] = value
    with pytest.raises(ChannelError, match="world_from_camera"):
        CameraPose(pose, np.eye(3))


def test_a_pose_of_another_shape_is_refused():
    with pytest.raises(ChannelError, match=r"image_from_camera must be a finite \(3, 3\) matrix"):
        CameraPose(np.eye(4), np.eye(4))


def test_frames_of_two_cameras_or_sessions_are_different_streams(make_frame):
    streams = {make_frame(camera=camera, session=session).stream for camera in "ab" for session in "cd"}
    assert len(streams) == 4


def test_a_frame_has_the_size_of_its_rgb(make_frame):
    frame = make_frame(height=3, width=8)
    assert (frame.height, frame.width) == (3, 8)
