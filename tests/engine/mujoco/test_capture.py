"""What docs/conventions.md promises of each channel, drawn by MuJoCo on real OpenGL."""

from typing import Any

import cv2
import numpy as np
import pytest

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Channel, check_channels

mujoco = pytest.importorskip("mujoco")
from renderlift.engine.mujoco.library import open_gl  # noqa: E402

RGB, DEPTH, NORMAL, FLOW = Channel.RGB, Channel.DEPTH, Channel.NORMAL, Channel.FLOW
CLASS_ID, INSTANCE_ID, ALBEDO, MATERIAL = Channel.CLASS_ID, Channel.INSTANCE_ID, Channel.ALBEDO, Channel.MATERIAL

WALL = '<geom name="wall" type="box" size="50 .5 50" pos="0 7.5 0"/>'
BALL = '<body name="ball" pos="{x} {y} {z}"><freejoint/><geom type="sphere" size="{r}"/></body>'


def ball(x: float, y: float, z: float, r: float = 0.5) -> str:
    return BALL.format(x=x, y=y, z=z, r=r)


# depth, pose


def test_the_depth_of_a_plane_ten_metres_away_is_right_to_the_millimetre(world: Any) -> None:
    depth = world('<geom type="box" size="50 .5 50" pos="0 10.5 0"/>').grab().channels[DEPTH]
    assert np.abs(depth - 10).max() < 1e-3


def test_a_tilted_wall_is_flat_for_a_rolled_off_centre_camera(world: Any, optics: Any) -> None:
    frame = world('<geom type="box" size="50 .5 50" pos="0 8 0" euler="10 0 30"/>', cameras=["odd"]).grab()
    points = optics.world_points(frame)
    turned = np.empty(9)
    quaternion = np.empty(4)
    mujoco.mju_euler2Quat(quaternion, np.radians([10, 0, 30]), "xyz")
    mujoco.mju_quat2Mat(turned, quaternion)
    outward = -turned.reshape(3, 3)[:, 1]
    assert np.abs((points - [0, 8, 0]) @ outward - 0.5).max() < 1e-3


@pytest.mark.parametrize("camera", ["eye", "odd"])
def test_a_known_point_lands_on_its_pixel_through_pose_and_intrinsics(world: Any, optics: Any, camera: str) -> None:
    frame = world(ball(0.7, 4, -0.4, 0.03), cameras=[camera], size=(240, 320)).grab()
    seen = optics.pixel_centres(frame)[frame.channels[INSTANCE_ID][..., 0] == 1]
    assert len(seen) > 4
    assert np.abs(seen.mean(axis=0) - optics.project(np.array([0.7, 4, -0.4]), frame)).max() < 0.5


def test_the_sky_is_infinitely_far_and_nothing_else(world: Any) -> None:
    frame = world(ball(0, 4, 0)).grab()
    sky = frame.channels[INSTANCE_ID][..., 0] == 0
    assert np.isposinf(frame.channels[DEPTH][sky]).all()
    assert np.isfinite(frame.channels[DEPTH][~sky]).all()
    assert 0.5 < sky.mean() < 1
    for channel in (NORMAL, CLASS_ID, ALBEDO, MATERIAL):
        assert not frame.channels[channel][sky].any(), channel


def test_the_picture_is_the_one_that_mujoco_shows_in_every_frame(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = world('<geom type="plane" size="0 0 1" pos="0 0 -1"/>' + WALL + ball(0, 4, 0))
    pictures = [opened.grab().channels[RGB] for _ in range(2)]
    monkeypatch.setattr(mujoco.rendering.classic.gl_context, "GLContext", lambda w, h: open_gl(h, w))
    mujoco.mj_forward(opened.model, opened.data)
    with mujoco.Renderer(opened.model, 120, 160) as renderer:
        renderer.update_scene(opened.data, "eye")
        assert all(np.array_equal(picture, renderer.render()) for picture in pictures)


# normals


def test_normals_are_in_camera_axes_and_face_the_camera(world: Any) -> None:
    frame = world('<geom name="floor" type="plane" size="0 0 1" pos="0 0 -2"/>' + WALL).grab()
    floor, wall = (frame.channels[INSTANCE_ID][..., 0] == number for number in (1, 2))
    assert np.allclose(frame.channels[NORMAL][floor], [0, -1, 0], atol=4e-3)
    assert np.allclose(frame.channels[NORMAL][wall], [0, 0, -1], atol=4e-3)


def test_normals_of_a_ball_are_within_a_degree(world: Any, optics: Any) -> None:
    frame = world(ball(0.5, 4, 0.3, 1.0), cameras=["odd"], size=(240, 320)).grab()
    on_ball = frame.channels[INSTANCE_ID][..., 0] == 1
    normals = frame.channels[NORMAL][on_ball].astype(np.float64)
    outward = (optics.world_points(frame)[on_ball] - [0.5, 4, 0.3]) @ frame.camera.world_from_camera[:3, :3]
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
    across = np.linalg.norm(np.cross(normals, outward), axis=-1)
    degrees = np.degrees(np.arctan2(across, (normals * outward).sum(-1)))
    assert np.allclose(np.linalg.norm(normals, axis=-1), 1, atol=2e-3)
    assert degrees.mean() < 1.0


def test_a_mesh_has_its_own_normals(world: Any, optics: Any) -> None:
    things = '<body pos="-.3 3 -.3"><geom type="mesh" mesh="wedge"/></body>'
    frame = world(things).grab()
    shown = frame.channels[INSTANCE_ID][..., 0] == 1
    assert np.allclose(frame.channels[NORMAL][shown], [0, 0, -1], atol=4e-3)


# ids


def test_ids_are_exact_at_every_pixel(world: Any, optics: Any) -> None:
    tiles = "".join(
        f'<geom name="tile.{column}.{row}" type="box" size=".45 .05 .45" pos="{column - 7.5} 10.05 {row - 5.5}"/>'
        for row in range(12)
        for column in range(16)
    )
    frame = world(tiles, size=(240, 320)).grab()
    names = {row.id: row.name for row in frame.names if row.path}
    ids = frame.channels[INSTANCE_ID][..., 0]
    on_tile = ids > 0
    columns, rows = (optics.world_points(frame)[on_tile][:, [0, 2]] + [8, 6]).astype(int).T
    assert 0.5 < on_tile.mean() < 0.95
    assert [names[i] for i in ids[on_tile]] == [f"tile.{c}.{r}" for c, r in zip(columns, rows, strict=True)]


def test_edges_of_picture_depth_and_ids_coincide_in_a_quick_pan(world: Any) -> None:
    opened = world('<geom type="box" size=".5 .1 .5" pos="0 4 0" rgba="1 1 1 1"/>')
    for degrees in (0, 12, -15):
        opened.model.cam_quat[0] = _turned_about_up(opened.model.cam_quat[0], degrees)
        frame = opened.grab()
        shown = frame.channels[INSTANCE_ID][..., 0] > 0
        bright = frame.channels[RGB].max(axis=-1) > 60
        inside, reach = cv2.erode(shown.astype(np.uint8), np.ones((3, 3))), cv2.dilate(shown * 1.0, np.ones((3, 3)))
        assert bright[inside > 0].all()
        assert not bright[reach == 0].any()
        assert np.array_equal(shown, np.isfinite(frame.channels[DEPTH][..., 0]))


# material


def test_albedo_is_the_base_colour_without_light_and_linear(world: Any) -> None:
    frame = world('<geom type="box" size="50 .5 50" pos="0 7 0" euler="0 0 40" material="enamel"/>').grab()
    linear = [round(255 * ((c + 0.055) / 1.055) ** 2.4) for c in (0.8, 0.4, 0.2)]
    assert np.abs(frame.channels[ALBEDO].astype(int) - linear).max() <= 2
    assert np.abs(frame.channels[MATERIAL] / 255 - [0.3, 0.6]).max() < 0.003


def test_what_is_nearly_transparent_is_in_the_picture_only(world: Any) -> None:
    pane = '<geom name="pane" type="box" size="9 .01 9" pos="0 3 0" rgba=".9 .1 .1 {alpha}"/>'
    clear, tinted = (world(WALL + pane.format(alpha=alpha)).grab() for alpha in (0.3, 0.7))
    assert np.abs(clear.channels[DEPTH] - 7).max() < 1e-3
    assert np.abs(tinted.channels[DEPTH] - 2.99).max() < 1e-3
    names = {row.id: row.name for row in clear.names if row.path}
    assert {names[i] for i in np.unique(clear.channels[INSTANCE_ID])} == {"wall"}
    assert {names[i] for i in np.unique(tinted.channels[INSTANCE_ID])} == {"pane"}
    assert (np.abs(tinted.channels[ALBEDO].astype(int) - [202, 3, 3]) <= 2).all()


# flow


def _turned_about_up(quaternion: Any, degrees: float) -> Any:
    turn, result = np.empty(4), np.empty(4)
    mujoco.mju_axisAngle2Quat(turn, np.array([0.0, 0.0, 1.0]), np.radians(degrees))
    mujoco.mju_mulQuat(result, turn, quaternion)
    return result


def test_the_first_frame_and_one_after_a_cut_have_no_flow(world: Any) -> None:
    opened = world(WALL)
    first, second = opened.grab(), opened.grab()
    opened.capture.cut()
    third = opened.grab()
    assert np.isnan(first.channels[FLOW]).all()
    assert np.abs(second.channels[FLOW]).max() < 1e-9
    assert np.isnan(third.channels[FLOW]).all()


@pytest.mark.parametrize(("axis", "moved"), [(0, [0.1, 0, 0]), (1, [0, 0, 0.1])])
def test_flow_points_back_to_where_a_moving_thing_was(world: Any, axis: int, moved: list[float]) -> None:
    opened = world('<body name="box"><freejoint/><geom type="box" size=".5 .5 .5"/></body>')
    opened.data.qpos[:3] = [0, 5, 0]
    opened.grab()
    opened.data.qpos[:3] += moved
    frame = opened.grab()
    flow = frame.channels[FLOW][frame.channels[INSTANCE_ID][..., 0] == 1]
    pixels = 0.1 * frame.camera.image_from_camera[axis, axis] / 4.5
    # It went right, so it was to the left; it went up, so it was below, and v runs down.
    wanted = [-pixels, 0] if axis == 0 else [0, pixels]
    assert np.abs(flow - wanted).max() < 1e-3
    sky = frame.channels[INSTANCE_ID][..., 0] == 0
    assert np.abs(frame.channels[FLOW][sky]).max() < 1e-9


def test_flow_of_turning_things_and_a_turning_camera_is_exact(world: Any, optics: Any) -> None:
    opened = world(WALL + '<body name="box"><freejoint/><geom type="box" size=".6 .6 .6"/></body>', cameras=["odd"])
    opened.data.qpos[:3] = [0.3, 4, 0.2]
    before = opened.grab()
    mujoco.mju_euler2Quat(opened.data.qpos[3:], np.array([0.10, 0.07, 0.12]), "xyz")
    opened.data.qpos[:3] += [0.08, -0.3, 0.05]
    opened.model.cam_pos[1] += [0.05, 0.1, -0.04]
    opened.model.cam_quat[1] = _turned_about_up(opened.model.cam_quat[1], 3)
    now = opened.grab()
    on_box = now.channels[INSTANCE_ID][..., 0] == 2
    points = optics.world_points(now)
    turned = np.empty(9)
    mujoco.mju_quat2Mat(turned, opened.data.qpos[3:])
    points[on_box] = (points[on_box] - opened.data.qpos[:3]) @ turned.reshape(3, 3) + [0.3, 4, 0.2]
    wanted = optics.project(points, before) - optics.pixel_centres(now)
    assert on_box.sum() > 500
    assert np.abs(now.channels[FLOW] - wanted).max() < 0.01


def test_the_picture_before_warped_by_flow_is_the_picture_now(world: Any) -> None:
    texture = """<asset><texture name="noise" type="2d" builtin="checker" rgb1=".2 .2 .2" rgb2=".9 .9 .9"
        width="64" height="64"/><material name="noise" texture="noise" texrepeat="8 8"/></asset>"""
    things = """<geom type="plane" size="6 6 1" pos="0 7 0" euler="90 0 0" material="noise"/>
        <body name="box"><freejoint/><geom type="box" size=".8 .8 .8" rgba="1 .2 .1 1"/></body>"""
    opened = world(things, texture, size=(240, 320))
    opened.data.qpos[:3] = [-0.5, 4, 0.3]
    before = opened.grab()
    opened.data.qpos[:3] += [0.15, 0, -0.1]
    opened.model.cam_pos[0] += [0.2, 0, 0.15]
    now = opened.grab()
    rows, columns = np.mgrid[0:240, 0:320].astype(np.float32)
    u, v = (columns + now.channels[FLOW][..., 0], rows + now.channels[FLOW][..., 1])
    warped = cv2.remap(before.channels[RGB], u, v, cv2.INTER_LINEAR).astype(float)
    ids = [frame.channels[INSTANCE_ID][..., 0].astype(np.float32) for frame in (before, now)]
    seen_before = cv2.remap(ids[0], u, v, cv2.INTER_NEAREST, borderValue=-1) == ids[1]
    changed, left = (
        np.abs(now.channels[RGB] - picture)[seen_before].mean() for picture in (before.channels[RGB] * 1.0, warped)
    )
    assert seen_before.mean() > 0.8
    assert left < 0.2 * changed


def test_flow_of_what_bends_is_not_known(world: Any) -> None:
    tendon = """<tendon><spatial width=".1"><site site="a"/><site site="b"/></spatial></tendon>"""
    opened = world('<site name="a" pos="-1 4 0"/><body><freejoint/>' + '<geom size=".1"/>'
                   '<site name="b" pos="1 4 0"/></body>', tendon)  # fmt: skip
    opened.grab()
    frame = opened.grab()
    named = {row.name: row.id for row in frame.names if row.path}
    on_tendon = frame.channels[INSTANCE_ID][..., 0] == named["tendon.0"]
    assert on_tendon.any()
    assert np.isnan(frame.channels[FLOW][on_tendon]).all()


# what is captured, and what it does to the simulation


def test_frames_show_the_state_at_their_own_time(world: Any) -> None:
    opened = world('<body name="box"><freejoint/><geom type="box" size=".5 .5 .5"/></body>')
    opened.data.qpos[:3] = [0, 5, 0]
    opened.data.qvel[:3] = [0, 1.0, 0]
    mujoco.mj_step(opened.model, opened.data)
    frame = opened.grab()
    assert frame.engine_time_ns == round(opened.data.time * 1e9)
    assert frame.channels[DEPTH].min() == pytest.approx(opened.data.qpos[1] - 0.5, abs=1e-4)


def test_capture_changes_nothing_in_the_simulation(world: Any) -> None:
    opened = world(WALL + ball(0, 4, 0))
    opened.data.qvel[:] = 0.1
    before = opened.data.qpos.copy(), opened.data.xpos.copy(), opened.model.vis.quality.offsamples
    opened.grab()
    assert np.array_equal(opened.data.qpos, before[0])
    assert np.array_equal(opened.data.xpos, before[1])
    assert opened.model.vis.quality.offsamples == before[2]


def test_several_cameras_see_the_same_instant(world: Any) -> None:
    opened = world(WALL, cameras=None)
    frames = [frame for _ in range(3) for frame in opened.capture.grab(opened.data)]
    assert [(frame.camera_name, frame.index) for frame in frames] == [
        ("eye", 0), ("odd", 0), ("eye", 1), ("odd", 1), ("eye", 2), ("odd", 2),
    ]  # fmt: skip
    assert frames[0].engine_time_ns == frames[1].engine_time_ns
    for frame in frames:
        check_channels(frame.channels)


def test_only_the_channels_that_were_asked_for_come(world: Any) -> None:
    frame = world(WALL, channels=[DEPTH, FLOW]).grab()
    assert set(frame.channels) == {RGB, DEPTH, FLOW}


def test_two_runs_are_identical(world: Any) -> None:
    def run() -> list[Any]:
        opened = world(WALL + ball(0.2, 4, 0.1))
        opened.data.qvel[:] = [0.5, -1, 0.3, 1, 2, 3]
        frames = []
        for _ in range(3):
            for _ in range(10):
                mujoco.mj_step(opened.model, opened.data)
            frames.append(opened.grab())
        return frames

    for one, other in zip(run(), run(), strict=True):
        assert one.engine_time_ns == other.engine_time_ns
        for channel, array in one.channels.items():
            assert array.tobytes() == other.channels[channel].tobytes(), channel


def test_an_orthographic_camera_is_refused_with_the_fix(world: Any) -> None:
    opened = world(WALL + '<camera name="plan" projection="orthographic" pos="0 0 9"/>', cameras=["plan"])
    with pytest.raises(SetupError, match="orthographic"):
        opened.grab()


def test_an_unknown_camera_is_told_with_what_there_is(world: Any) -> None:
    with pytest.raises(SetupError, match=r"no camera 'top'(.|\n)*eye, odd"):
        world(WALL, cameras=["top"])
