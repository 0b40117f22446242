"""What Godot sends, held against geometry that is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.frame import CHANNELS, Array, Channel, Frame
from renderlift.bridge.receive import Receiver

FRAMES = 200
WIDTH, HEIGHT = 161, 91  # odd: rows of no round length
WALL, BOX, BALL, THIN, THICK, CARD, RAISED, CROWD, PUPPET = 11, 22, 33, 44, 55, 66, 77, 88, 99
COLORS = {WALL: (128, 26, 26), BOX: (26, 204, 26), BALL: (51, 102, 204), 0: (0, 0, 0)}


@pytest.fixture(scope="module")
def streams(start: Callable[..., Any]) -> dict[str, list[Frame]]:
    """200 steps of the scene project/exact.gd, from both its cameras."""
    frames: dict[str, list[Frame]] = {"Main": [], "Side": []}
    with Receiver("tcp://127.0.0.1:*") as receiver:
        game = start(
            "exact.tscn",
            "--renderlift-mode=capture",
            f"--renderlift-endpoint={receiver.endpoint}",
            f"--renderlift-frames={FRAMES}",
            f"--renderlift-size={WIDTH}x{HEIGHT}",
            engine=("--fixed-fps", "24"),
        )
        for frame in receiver.frames(timeout_s=300, until_bye=True):
            receiver.acknowledge(frame)
            frames[frame.camera_name].append(frame)
    assert game.end() == 0, game.output
    assert not game.complaints, game.output
    return frames


@pytest.fixture
def main(streams: dict[str, list[Frame]]) -> list[Frame]:
    return streams["Main"]


def of(frame: Frame, channel: Channel) -> Array:
    array = frame.channels[channel]
    return array[..., 0] if array.shape[2] == 1 else array.astype(np.float64)


def inside(frame: Frame, instance: int) -> Array:
    """Pixels of an instance whose neighbours are of it too."""
    mask = of(frame, Channel.INSTANCE_ID) == instance
    mask[1:-1, 1:-1] &= mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return mask


def points(frame: Frame) -> Array:
    """World point of each pixel with a surface, H x W x 3."""
    v, u = np.mgrid[: frame.height, : frame.width] + 0.5
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(frame.camera.image_from_camera).T
    depth_m = np.where(np.isinf(of(frame, Channel.DEPTH)), 1.0, of(frame, Channel.DEPTH))
    in_camera = rays * depth_m[..., None]
    pose = frame.camera.world_from_camera
    return in_camera @ pose[:3, :3].T + pose[:3, 3]


def seen_at(frame: Frame, world: Array) -> Array:
    """Where points are in a frame's image, pixels."""
    pose = np.linalg.inv(frame.camera.world_from_camera)
    image = (world @ pose[:3, :3].T + pose[:3, 3]) @ frame.camera.image_from_camera.T
    return image[..., :2] / image[..., 2:]


def centres(frame: Frame) -> Array:
    v, u = np.mgrid[: frame.height, : frame.width] + 0.5
    return np.stack([u, v], -1)


def test_200_frames_of_both_cameras_arrive_without_a_gap(streams: dict[str, list[Frame]]) -> None:
    for frames in streams.values():
        assert [frame.index for frame in frames] == list(range(FRAMES))
        steps_ns = np.diff([frame.engine_time_ns for frame in frames])
        assert np.abs(steps_ns - 1e9 / 24).max() < 1000
        assert set(frames[0].channels) == set(CHANNELS) - {Channel.ENVIRONMENT}


def test_both_cameras_show_the_same_instant(streams: dict[str, list[Frame]]) -> None:
    for main, side in zip(streams["Main"][8:16], streams["Side"][8:16], strict=True):
        assert main.engine_time_ns == side.engine_time_ns
        for frame in (main, side):
            ball = points(frame)[inside(frame, BALL)]
            centre = np.array([1.5, 5.0, 0.4 + 0.1 * np.clip(main.index - 8, 0, 3)])
            assert np.abs(np.linalg.norm(ball - centre, axis=1) - 1.0).max() < 0.01


def test_pose_is_that_of_the_camera_in_our_axes(main: list[Frame]) -> None:
    for index, position in ((0, (0, 0, 0)), (5, (0.15, 0, 0)), (8, (0.15, 0, 0.15))):
        pose = main[index].camera.world_from_camera
        assert pose[:3, 3] == pytest.approx(position, abs=1e-6)
        assert pose[:3, 2] == pytest.approx((0, 1, 0), abs=1e-6)  # Godot's -Z is our +Y
    focal_px = 0.5 * HEIGHT / np.tan(np.radians(30))
    expected = [[focal_px, 0, WIDTH / 2], [0, focal_px, HEIGHT / 2], [0, 0, 1]]
    assert main[0].camera.image_from_camera == pytest.approx(np.array(expected), abs=1e-3)


def test_a_wall_ten_metres_away_is_within_a_millimetre(main: list[Frame]) -> None:
    depth_m = of(main[0], Channel.DEPTH)[of(main[0], Channel.INSTANCE_ID) == WALL]
    assert depth_m.size > 5000
    assert np.abs(depth_m - 10.0).max() < 1e-3


def test_depth_is_along_the_axis_and_the_sky_is_infinite(main: list[Frame]) -> None:
    turned = main[24]  # by 48 degrees: the wall recedes
    world = points(turned)[inside(turned, WALL)]
    assert world.size
    assert np.abs(world[:, 1] - 10.0).max() < 1e-3
    sky = of(turned, Channel.INSTANCE_ID) == 0
    assert sky.any()
    assert np.isinf(of(turned, Channel.DEPTH)[sky]).all()


def test_ids_are_those_that_the_scene_says_and_nothing_else(main: list[Frame]) -> None:
    assert set(np.unique(of(main[0], Channel.INSTANCE_ID))) == {
        WALL, BOX, BALL, THICK, CARD, RAISED, CROWD, PUPPET,
    }  # fmt: skip
    classes = {row.id: row.class_name for row in main[0].names if not row.path}
    named = {row.id: row for row in main[0].names if row.path}
    assert named[BOX].class_name == "box"  # of a node called box_001
    assert named[CROWD].class_name == "people"
    for instance in (WALL, BOX, BALL, CROWD):
        ids = np.unique(of(main[0], Channel.CLASS_ID)[of(main[0], Channel.INSTANCE_ID) == instance])
        assert [classes[int(i)] for i in ids] == [named[instance].class_name]


def test_normals_of_a_ball_are_within_a_degree(main: list[Frame]) -> None:
    frame = main[0]
    ball = inside(frame, BALL)
    outward = points(frame)[ball] - np.array([1.5, 5.0, 0.4])
    expected = outward @ frame.camera.world_from_camera[:3, :3]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    normal = of(frame, Channel.NORMAL)[ball]
    angles = np.degrees(np.arccos(np.clip((normal * expected).sum(1), -1, 1)))
    assert angles.mean() < 1.0
    assert np.abs(np.linalg.norm(normal, axis=1) - 1).max() < 1e-2
    assert not of(frame, Channel.NORMAL)[of(frame, Channel.INSTANCE_ID) == 0].any()


def test_albedo_and_material_are_the_materials_own(main: list[Frame]) -> None:
    ball = inside(main[0], BALL)
    linear = np.array([0.2, 0.4, 0.8])
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    assert np.abs(of(main[0], Channel.ALBEDO)[ball] - 255 * linear).max() <= 1
    assert np.abs(of(main[0], Channel.MATERIAL)[ball] - (0.6 * 255, 0.25 * 255)).max() <= 2
    own = inside(main[0], RAISED)
    assert np.abs(of(main[0], Channel.ALBEDO)[own] - 255 * np.array([0.25, 0.5, 0.75])).max() <= 1
    assert np.abs(of(main[0], Channel.MATERIAL)[own] - (0.2 * 255, 255)).max() <= 2


def test_see_through_things_count_from_alpha_one_half(main: list[Frame]) -> None:
    ids = of(main[0], Channel.INSTANCE_ID)
    assert not (ids == THIN).any()
    assert np.abs(of(main[0], Channel.DEPTH)[ids == THICK] - 4.0).max() < 1e-3


def test_a_shader_of_the_users_own_cuts_and_moves_as_it_does_in_the_picture(main: list[Frame]) -> None:
    card = points(main[0])[of(main[0], Channel.INSTANCE_ID) == CARD]
    assert -2.31 < card[:, 0].min() < card[:, 0].max() < -1.79  # the left half of a card at -1.8
    raised = points(main[0])[of(main[0], Channel.INSTANCE_ID) == RAISED]
    assert -1.71 < raised[:, 2].min() < raised[:, 2].max() < -0.69  # half a metre above where its node is


def test_a_skinned_thing_is_where_its_bones_put_it(main: list[Frame]) -> None:
    for index in (0, 14, 19):
        puppet = points(main[index])[of(main[index], Channel.INSTANCE_ID) == PUPPET]
        shift = 0.15 * np.clip(index - 11, 0, 3)
        front = puppet[np.abs(puppet[:, 1] - 4.75) < 1e-3]
        assert front[:, 0].min() == pytest.approx(-2.45 + shift, abs=0.06)
        assert front[:, 0].max() == pytest.approx(-1.95 + shift, abs=0.06)


@pytest.mark.parametrize("index", [1, 4, 7, 24])
def test_flow_of_what_rests_is_the_cameras_own_motion(main: list[Frame], index: int) -> None:
    now, before = main[index], main[index - 1]
    wall = of(now, Channel.INSTANCE_ID) == WALL
    expected = seen_at(before, points(now)) - centres(now)
    flow = of(now, Channel.FLOW)
    assert wall.any()
    assert np.abs(flow[wall] - expected[wall]).max() < 0.02
    if index == 4:  # the camera goes right: things came from the right
        assert flow[wall][:, 0].min() > 0.1
    if index == 7:  # the camera goes up: things came from above
        assert flow[wall][:, 1].max() < -0.1


def test_flow_of_what_moves_holds_its_own_motion(main: list[Frame]) -> None:
    now, before = main[10], main[9]
    ball = inside(now, BALL)
    expected = seen_at(before, points(now) - (0, 0, 0.1)) - centres(now)
    assert np.abs(of(now, Channel.FLOW)[ball] - expected[ball]).max() < 0.02
    assert of(now, Channel.FLOW)[ball][:, 1].min() > 0.5  # it rises: it came from below


def test_flow_of_what_is_skinned_holds_the_motion_of_its_bones(main: list[Frame]) -> None:
    now, before = main[13], main[12]
    puppet = inside(now, PUPPET)
    expected = seen_at(before, points(now) - (0.15, 0, -0.1)) - centres(now)
    assert puppet.sum() > 10
    assert np.abs(of(now, Channel.FLOW)[puppet] - expected[puppet]).max() < 0.1


def test_flow_is_unknown_in_the_first_frame_and_infinitely_far_in_the_sky(main: list[Frame]) -> None:
    assert np.isnan(of(main[0], Channel.FLOW)).all()
    now, before = main[30], main[29]
    sky = of(now, Channel.INSTANCE_ID) == 0
    far = points(now) - now.camera.world_from_camera[:3, 3]
    far = before.camera.world_from_camera[:3, 3] + far * 1e9
    expected = seen_at(before, far) - centres(now)
    assert sky.any()
    assert np.abs(of(now, Channel.FLOW)[sky] - expected[sky]).max() < 0.05


def test_edges_of_picture_depth_and_ids_agree_while_the_camera_turns_fast(main: list[Frame]) -> None:
    names = np.array(list(COLORS))
    for frame in main[20:50]:  # 12 degrees a frame
        ids = of(frame, Channel.INSTANCE_ID)
        away = np.abs(of(frame, Channel.RGB)[..., None, :] - np.array(list(COLORS.values()))).sum(-1)
        shown = np.where(away.min(-1) < 12, names[away.argmin(-1)], -1)
        known = np.isin(ids, names) & (shown >= 0)
        near = np.zeros_like(known)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                near |= np.roll(shown, (dy, dx), (0, 1)) == ids
        assert known.sum() > 1000
        assert (near | ~known).all()
        assert np.array_equal(np.isinf(of(frame, Channel.DEPTH)), ids == 0)
