"""What docs/conventions.md promises of each channel, on real OpenGL."""

from typing import Any

import numpy as np
import pytest

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Channel, check_channels
from renderlift.engine.panda3d.panda import core

DEPTH, NORMAL, FLOW = Channel.DEPTH, Channel.NORMAL, Channel.FLOW
CLASS_ID, INSTANCE_ID, ALBEDO = Channel.CLASS_ID, Channel.INSTANCE_ID, Channel.ALBEDO


def floor_and_ball(game: Any) -> None:
    game.card("floor").setPosHpr(0, 0, -2, 0, -90, 0)
    game.sphere("ball").setPos(0.5, 6, 0)


# depth, normal, pose


def test_the_depth_of_a_plane_is_exact(game: Any, optics: Any) -> None:
    game.card("wall").setPosHpr(0, 7, 0, 30, 0, 0)
    game.camera.setPosHpr(0.3, -0.2, 0.5, 4, -3, 2)
    frame = game.capture().grab(0)
    points = optics.world_points(frame)
    off_plane = (points - [0, 7, 0]) @ [np.sin(np.radians(30)), -np.cos(np.radians(30)), 0]
    assert np.abs(off_plane / frame.channels[DEPTH][..., 0]).max() < 1e-5


def test_depth_runs_along_the_camera_axis_and_not_along_the_ray(game: Any) -> None:
    game.card("wall").setY(5)
    depth = game.capture().grab(0).channels[DEPTH]
    assert np.abs(depth - 5).max() < 1e-5


def test_a_known_point_lands_on_its_pixel_through_pose_and_intrinsics(game: Any, optics: Any) -> None:
    game.sphere("dot", radius=0.02).setPos(0.7, 4, -0.4)
    game.camera.setPosHpr(0.2, 0.1, -0.3, -6, 4, 11)
    frame = game.capture().grab(0)
    seen = optics.pixel_centres(frame)[frame.channels[INSTANCE_ID][..., 0] == 1]
    expected = optics.project(np.array([0.7, 4, -0.4]), frame)
    assert np.abs(seen.mean(axis=0) - expected).max() < 0.5


def test_an_off_centre_lens_keeps_pose_and_intrinsics_true(game: Any, optics: Any) -> None:
    game.camera.node().getLens().setFilmOffset(0.2, -0.1)
    game.card("wall").setPosHpr(0, 5, 0, 20, 0, 0)
    frame = game.capture().grab(0)
    points = optics.world_points(frame)
    off_plane = (points - [0, 5, 0]) @ [np.sin(np.radians(20)), -np.cos(np.radians(20)), 0]
    assert np.abs(off_plane).max() < 1e-4


def test_metres_per_unit_scales_depth_and_pose(game: Any) -> None:
    game.card("wall", size=2000).setY(500)
    game.camera.setPos(0, 100, 30)
    frame = game.capture(metres_per_unit=0.01).grab(0)
    assert np.allclose(frame.channels[DEPTH], 4.0, atol=1e-5)
    assert np.allclose(frame.camera.world_from_camera[:3, 3], [0, 1, 0.3])


def test_normals_are_in_camera_axes_with_y_down_and_z_forward(game: Any) -> None:
    game.card("floor").setPosHpr(0, 0, -2, 0, -90, 0)
    frame = game.capture().grab(0)
    on_floor = frame.channels[INSTANCE_ID][..., 0] == 1
    assert np.allclose(frame.channels[NORMAL][on_floor], [0, -1, 0], atol=1e-3)


@pytest.mark.parametrize("heading", [0, 180])
def test_normals_face_the_camera_from_either_side(game: Any, heading: float) -> None:
    wall = game.card("wall")
    wall.setPosHpr(0, 5, 0, heading, 0, 0)
    wall.setTwoSided(True)
    normals = game.capture().grab(0).channels[NORMAL]
    assert np.allclose(normals, [0, 0, -1], atol=1e-3)


def test_smooth_normals_face_the_camera_up_to_the_silhouette(game: Any, optics: Any) -> None:
    game.sphere("ball").setPos(0.5, 4, 0.3)
    frame = game.capture().grab(0)
    on_ball = frame.channels[INSTANCE_ID][..., 0] == 1
    normals = frame.channels[NORMAL][on_ball].astype(np.float64)
    rays = optics.pixel_rays(frame)[on_ball]
    assert (np.sum(normals * rays, axis=-1) < 2e-3).all()
    assert np.allclose(np.linalg.norm(normals, axis=-1), 1, atol=2e-3)
    outward = (optics.world_points(frame)[on_ball] - [0.5, 4, 0.3]) @ frame.camera.world_from_camera[:3, :3]
    assert np.median(np.sum(normals * outward, axis=-1)) > 0.995


def test_a_mesh_without_normals_gets_flat_ones(game: Any) -> None:
    maker = core.CardMaker("bare")
    maker.setFrame(-50, 50, -50, 50)
    game.root.attachNewNode(maker.generate()).setPosHpr(0, 5, 0, 30, 0, 0)
    normals = game.capture().grab(0).channels[NORMAL]
    assert np.allclose(normals, [0.5, 0, -np.cos(np.radians(30))], atol=2e-3)


# ids


def test_ids_are_exact_at_every_pixel(new_game: Any, optics: Any) -> None:
    game = new_game(240, 320, multisamples=4)
    rng = np.random.default_rng(0)
    expected = {}
    for row in range(12):
        for column in range(16):
            number = int(rng.integers(1, 1 << 24))
            tile = game.card(f"tile {number}", size=0.9)
            tile.setPos(column - 7.5, 10, row - 5.5)
            tile.setTag("renderlift_instance", str(number))
            expected[column, row] = number
    frame = game.capture().grab(0)
    points = optics.world_points(frame)
    ids = frame.channels[INSTANCE_ID][..., 0]
    on_tile = ids > 0
    columns, rows = (points[on_tile][:, [0, 2]] + [8, 6]).astype(int).T
    wanted = np.array([expected[c, r] for c, r in zip(columns, rows, strict=True)])
    assert on_tile.mean() > 0.5
    assert (ids[on_tile] == wanted).all()


def test_tags_name_classes_and_the_rest_go_by_their_own_names(game: Any) -> None:
    left, right, other = game.card("chair.001", size=1), game.card("chair.002", size=1), game.card("a", size=1)
    for node, x in ((left, -2), (right, 0), (other, 2)):
        node.setPos(x, 6, 0)
    other.setTag("renderlift_class", "table")
    frame = game.capture(class_ids={"table": 9}).grab(0)
    assert [(n.id, n.name, n.class_name) for n in frame.names] == [
        (1, "chair.001", "chair"),
        (2, "chair.002", "chair"),
        (3, "a", "table"),
        (9, "table", "table"),
        (10, "chair", "chair"),
    ]
    instances, classes = frame.channels[INSTANCE_ID].ravel(), frame.channels[CLASS_ID].ravel()
    row = dict(zip(instances.tolist(), classes.tolist(), strict=True))
    assert row == {0: 0, 1: 10, 2: 10, 3: 9}


def test_a_tagged_node_is_one_object_with_all_below_it(game: Any) -> None:
    cart = game.root.attachNewNode("cart")
    cart.setTag("renderlift_class", "vehicle")
    for x in (-1, 1):
        game.card("wheel", size=1).reparentTo(cart)
        cart.getChildren()[-1].setPos(x, 6, 0)
    frame = game.capture().grab(0)
    assert set(np.unique(frame.channels[INSTANCE_ID])) == {0, 1}
    assert frame.names[0].path == "cart"


def test_nodes_that_come_and_go_keep_their_ids(game: Any) -> None:
    first, second = game.card("first", size=2), game.card("second", size=2)
    first.setPos(-1.5, 6, 0)
    second.setPos(1.5, 6, 0)
    capture = game.capture()
    capture.grab(0)
    first.detachNode()
    assert set(np.unique(capture.grab(1).channels[INSTANCE_ID])) == {0, 2}
    first.reparentTo(game.root)
    assert set(np.unique(capture.grab(2).channels[INSTANCE_ID])) == {0, 1, 2}


# albedo and material


def albedo_of(game: Any, **options: Any) -> list[float]:
    pixels = game.capture(**options).grab(0).channels[ALBEDO].reshape(-1, 3)
    assert (pixels == pixels[0]).all()
    return [float(value) for value in pixels[0] / 255]


def test_albedo_of_a_flat_colour_is_right_to_one_step(game: Any) -> None:
    wall = game.card()
    wall.setY(5)
    wall.setColor(0.8, 0.4, 0.1, 1)
    wall.setColorScale(0.5, 1, 1, 1)
    assert albedo_of(game) == pytest.approx([0.4, 0.4, 0.1], abs=1 / 255)


def test_albedo_multiplies_base_colour_and_texture(game: Any) -> None:
    wall = game.card()
    wall.setY(5)
    material = core.Material()
    material.setBaseColor((0.5, 1, 0.25, 1))
    material.setRoughness(0.3)
    material.setMetallic(0.9)
    wall.setMaterial(material)
    texture = core.Texture()
    texture.setup2dTexture(1, 1, core.Texture.TUnsignedByte, core.Texture.FRgb)
    texture.setClearColor((1, 0.6, 0.8, 1))
    wall.setTexture(texture)
    assert albedo_of(game) == pytest.approx([0.5, 0.6, 0.2], abs=1 / 255)
    rough_metal = game.capture().grab(0).channels[Channel.MATERIAL]
    assert np.abs(rough_metal / 255 - [0.3, 0.9]).max() <= 1 / 255


def test_a_classic_material_takes_the_place_of_the_vertex_colour(game: Any) -> None:
    wall = game.card()
    wall.setY(5)
    wall.setColor(0.1, 0.1, 0.1, 1)
    material = core.Material()
    material.setDiffuse((0.2, 0.5, 0.7, 1))
    wall.setMaterial(material)
    assert albedo_of(game) == pytest.approx([0.2, 0.5, 0.7], abs=1 / 255)


def test_a_normal_map_is_not_taken_for_a_colour(game: Any) -> None:
    wall = game.card()
    wall.setY(5)
    stage = core.TextureStage("bumps")
    stage.setMode(core.TextureStage.MNormal)
    texture = core.Texture()
    texture.setup2dTexture(1, 1, core.Texture.TUnsignedByte, core.Texture.FRgb)
    texture.setClearColor((0.5, 0.5, 1, 1))
    wall.setTexture(stage, texture)
    assert albedo_of(game) == [1, 1, 1]


def test_colours_of_a_gamma_naive_game_are_decoded_from_srgb(game: Any) -> None:
    wall = game.card()
    wall.setY(5)
    wall.setColor(0.5, 0.25, 1, 1)
    assert albedo_of(game, linear_colors=None) == pytest.approx([0.2140, 0.0509, 1], abs=1 / 255)


# flow


def flow_error(before: Any, now: Any, optics: Any, moved: Any = 0.0) -> Any:
    """How far flow is from where depth and both poses say each point of `now` stood before (H, W)."""
    came_from = optics.project(optics.world_points(now) - moved, before)
    return np.linalg.norm(came_from - optics.pixel_centres(now) - now.channels[FLOW], axis=-1)


def test_flow_of_a_flying_camera_reprojects_every_surface(game: Any, optics: Any) -> None:
    floor_and_ball(game)
    capture = game.capture()
    game.camera.setPosHpr(-0.3, -0.5, 0.2, 5, -8, 3)
    before = capture.grab(0)
    game.camera.setPosHpr(0.2, 0.1, -0.1, 2, -4, -2)
    now = capture.grab(1)
    surface = np.isfinite(now.channels[DEPTH][..., 0])
    assert surface.mean() > 0.5
    assert flow_error(before, now, optics)[surface].max() < 0.05


def test_flow_points_back_to_where_the_pixel_was(game: Any) -> None:
    game.card("wall").setY(5)
    capture = game.capture()
    focal = capture.grab(0).camera.image_from_camera[0, 0]
    game.camera.setPos(0.1, 0, 0.05)  # to the right and up: the wall slides left and down in the picture
    flow = capture.grab(1).channels[FLOW]
    assert np.allclose(flow, [focal * 0.1 / 5, -focal * 0.05 / 5], atol=0.01)


def test_flow_of_a_moving_object_is_its_own_and_the_rest_stands_still(game: Any, optics: Any) -> None:
    floor_and_ball(game)
    ball = game.root.find("ball")
    capture = game.capture()
    before = capture.grab(0)
    ball.setPos(0.8, 6.5, 0.4)
    now = capture.grab(1)
    on_ball = now.channels[INSTANCE_ID][..., 0] == 2
    assert flow_error(before, now, optics, moved=np.array([0.3, 0.5, 0.4]))[on_ball].max() < 0.05
    on_floor = now.channels[INSTANCE_ID][..., 0] == 1
    assert np.abs(now.channels[FLOW][on_floor]).max() < 1e-3


def test_flow_of_a_turning_and_growing_object_follows_its_points(game: Any, optics: Any) -> None:
    wall = game.card("wall", size=4)
    wall.setY(5)
    capture = game.capture()
    before = capture.grab(0)
    here = wall.getMat()
    wall.setPosHprScale(0.1, 5.2, 0.3, 10, 5, 20, 1.3, 1, 0.8)
    now = capture.grab(1)
    moved_back = np.array(core.LMatrix4f(core.invert(wall.getMat()) * here)).T
    points = optics.world_points(now)
    stood = points @ moved_back[:3, :3].T + moved_back[:3, 3]
    assert np.nanmax(flow_error(before, now, optics, moved=points - stood)) < 0.05


def test_flow_stays_exact_far_from_the_origin(game: Any, optics: Any) -> None:
    far = np.array([20_000.0, -30_000.0, 50.0])
    wall = game.card("wall", size=4)
    wall.setPos(*(far + np.array([0, 5, 0])))
    game.camera.setPos(*far)
    capture = game.capture()
    focal = capture.grab(0).camera.image_from_camera[0, 0]
    game.camera.setX(game.camera, 0.125)
    flow = capture.grab(1).channels[FLOW][60, 80]
    assert np.abs(flow - [focal * 0.125 / 5, 0]).max() < 0.05


def test_there_is_no_flow_in_the_first_frame_nor_after_a_cut(game: Any) -> None:
    game.card("wall").setY(5)
    capture = game.capture()
    assert np.isnan(capture.grab(0).channels[FLOW]).all()
    assert np.isfinite(capture.grab(1).channels[FLOW]).all()
    capture.cut()
    assert np.isnan(capture.grab(2).channels[FLOW]).all()


def test_an_object_that_just_appeared_has_no_flow(game: Any) -> None:
    game.card("wall").setY(9)
    capture = game.capture()
    capture.grab(0)
    game.sphere("ball").setPos(0, 5, 0)
    frame = capture.grab(1)
    on_ball = frame.channels[INSTANCE_ID][..., 0] == 2
    assert np.isnan(frame.channels[FLOW][on_ball]).all()
    assert np.isfinite(frame.channels[FLOW][~on_ball]).all()
    assert np.isfinite(capture.grab(2).channels[FLOW]).all()


def test_instances_of_one_node_have_a_flow_only_while_all_of_them_rest(game: Any) -> None:
    card = game.card("leaf", size=1)
    card.detachNode()
    holders = [game.root.attachNewNode("holder") for _ in range(2)]
    for holder, x in zip(holders, (-1, 1), strict=True):
        holder.setPos(x, 6, 0)
        card.instanceTo(holder)
    capture = game.capture()
    capture.grab(0)
    assert np.isfinite(capture.grab(1).channels[FLOW]).all()
    holders[0].setZ(0.2)
    frame = capture.grab(2)
    assert np.isnan(frame.channels[FLOW][frame.channels[INSTANCE_ID][..., 0] == 1]).all()


def test_a_billboard_has_no_flow(game: Any) -> None:
    card = game.card("sprite", size=2)
    card.setPos(0, 6, 0)
    card.setBillboardPointEye()
    capture = game.capture()
    capture.grab(0)
    game.camera.setX(0.5)
    frame = capture.grab(1)
    assert np.isnan(frame.channels[FLOW][frame.channels[INSTANCE_ID][..., 0] == 1]).all()


# sky and see-through


def test_the_sky_is_infinitely_far_and_flows_as_the_camera_turns(game: Any, optics: Any) -> None:
    capture = game.capture()
    before = capture.grab(0)
    game.camera.setPosHpr(3, 2, 1, 4, 3, 2)  # where it goes does not matter, only how it turns
    now = capture.grab(1)
    assert np.isposinf(now.channels[DEPTH]).all()
    for channel in (NORMAL, CLASS_ID, INSTANCE_ID, ALBEDO, Channel.MATERIAL):
        assert not now.channels[channel].any()
    directions = optics.pixel_rays(now) @ now.camera.world_from_camera[:3, :3].T
    came_from = optics.project(directions + before.camera.world_from_camera[:3, 3], before)
    assert np.abs(came_from - optics.pixel_centres(now) - now.channels[FLOW]).max() < 0.05


@pytest.mark.parametrize(("alpha", "seen"), [(0.3, "wall"), (0.8, "pane")])
def test_a_see_through_surface_is_there_from_half_opacity_on(game: Any, alpha: float, seen: str) -> None:
    game.card("wall").setY(9)
    pane = game.card("pane")
    pane.setY(4)
    pane.setColor(1, 1, 1, alpha)
    pane.setTransparency(core.TransparencyAttrib.MAlpha)
    frame = game.capture().grab(0)
    names = {name.id: name.name for name in frame.names if name.path}
    assert {names[int(i)] for i in np.unique(frame.channels[INSTANCE_ID])} == {seen}
    assert np.allclose(frame.channels[DEPTH], 9 if seen == "wall" else 4, atol=1e-4)


def test_alpha_of_an_opaque_surface_means_nothing(game: Any) -> None:
    wall = game.card("wall")
    wall.setY(5)
    wall.setColor(0.5, 0.5, 0.5, 0.0)
    assert np.allclose(game.capture().grab(0).channels[DEPTH], 5, atol=1e-4)


def test_what_writes_no_depth_counts_as_sky(game: Any) -> None:
    dome = game.sphere("dome", radius=50)
    dome.setTwoSided(True)
    dome.setBin("background", 0)
    dome.setDepthWrite(False)
    glow = game.card("glow")
    glow.setY(5)
    glow.setAttrib(core.ColorBlendAttrib.make(core.ColorBlendAttrib.MAdd))
    frame = game.capture().grab(0)
    assert np.isposinf(frame.channels[DEPTH]).all()
    assert frame.channels[Channel.RGB].std() > 0  # though the picture shows it


# the picture


def picture_without_capture(game: Any) -> Any:
    texture = core.Texture()
    game.output.addRenderTexture(texture, core.GraphicsOutput.RTMCopyRam, core.GraphicsOutput.RTPColor)
    game.output.getEngine().renderFrame()
    pixels = np.frombuffer(texture.getRamImageAs("RGB"), np.uint8)
    game.output.clearRenderTextures()
    return pixels.reshape(game.output.getYSize(), game.output.getXSize(), 3)[::-1]


@pytest.mark.parametrize("multisamples", [0, 4])
def test_the_picture_is_the_users_own_to_the_bit(new_game: Any, multisamples: int) -> None:
    game = new_game(120, 160, multisamples=multisamples)
    floor_and_ball(game)
    pane = game.card("pane", size=2)
    pane.setPos(-1, 4, 0)
    pane.setColor(1, 0, 0, 0.4)
    pane.setTransparency(core.TransparencyAttrib.MAlpha)
    plain = picture_without_capture(game)
    capture = game.capture()
    captured = capture.grab(0).channels[Channel.RGB]
    assert plain.std() > 10
    assert (captured == plain).all()
    assert (capture.grab(1).channels[Channel.RGB] == plain).all()


def test_closing_leaves_the_scene_as_it_was(game: Any) -> None:
    def everything() -> list[tuple[Any, ...]]:
        return [
            (
                path.getName(),
                path.node().getNumChildren(),
                str(path.getState()),
                list(path.node().getTagKeys()),
                list(path.node().getPythonTagKeys()),
            )
            for path in game.root.findAllMatches("**")
        ]

    floor_and_ball(game)
    before = everything()
    capture = game.capture()
    capture.grab(0)
    assert everything() != before
    capture.close()
    game.opened.remove(capture)
    assert everything() == before


def test_two_cameras_capture_one_scene_and_either_may_leave(game: Any, new_game: Any) -> None:
    floor_and_ball(game)
    other = new_game(100, 140)
    other.camera.reparentTo(game.root)
    other.camera.setPosHpr(3, 6, 1, 90, 0, 0)
    first, second = game.capture(), other.capture(camera_name="side")
    first.grab(0)
    assert second.grab(0).channels[INSTANCE_ID].any()
    first.close()
    game.opened.remove(first)
    frame = second.grab(1)
    assert frame.camera_name == "side"
    assert set(np.unique(frame.channels[INSTANCE_ID])) == {0, 1, 2}
    assert np.isfinite(frame.channels[FLOW]).all()


@pytest.mark.parametrize("multisamples", [0, 4])
def test_odd_sizes_come_out_whole(new_game: Any, optics: Any, multisamples: int) -> None:
    game = new_game(359, 641, multisamples=multisamples)
    game.card("wall").setPosHpr(0, 7, 0, 30, 0, 0)
    frame = game.capture().grab(0)
    check_channels(frame.channels)
    assert (frame.height, frame.width) == (359, 641)
    points = optics.world_points(frame)
    off_plane = (points - [0, 7, 0]) @ [np.sin(np.radians(30)), -np.cos(np.radians(30)), 0]
    assert np.abs(off_plane / frame.channels[DEPTH][..., 0]).max() < 1e-5


def test_a_smaller_size_than_the_windows_still_aligns(new_game: Any) -> None:
    game = new_game(240, 320)
    ball = game.sphere("ball")
    ball.setPos(0.4, 5, 0.3)
    ball.setColorScale(0, 0, 0, 1)
    frame = game.capture(size=(100, 150)).grab(0)
    assert (frame.height, frame.width) == (100, 150)
    dark = frame.channels[Channel.RGB][..., 2] < 76  # half way between ball and background
    on_ball = frame.channels[INSTANCE_ID][..., 0] == 1
    assert (dark != on_ball).sum() < 0.05 * on_ball.sum()


# asynchronous capture


def test_armed_frames_arrive_later_and_whole(game: Any) -> None:
    floor_and_ball(game)
    reference = game.capture()
    expected = []
    for step in range(4):
        game.camera.setX(0.1 * step)
        expected.append(reference.grab(step))
    reference.close()
    game.opened.remove(reference)

    capture, frames, step = game.capture(), [], 0
    for _ in range(40):
        if step < 4:
            game.camera.setX(0.1 * step)
            step += capture.arm(step)
        game.output.getEngine().renderFrame()
        while shot := capture.take():
            frames.append(capture.frame(shot))
    assert [(frame.index, frame.engine_time_ns) for frame in frames] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    for frame, wanted in zip(frames, expected, strict=True):
        assert np.array_equal(frame.camera.world_from_camera, wanted.camera.world_from_camera)
        for channel, array in wanted.channels.items():
            assert np.array_equal(frame.channels[channel], array, equal_nan=channel is FLOW), channel


def test_frames_that_nobody_takes_stop_the_capture_and_not_the_game(game: Any) -> None:
    game.card("wall").setY(5)
    capture = game.capture()
    armed = []
    for step in range(10):
        armed.append(capture.arm(step))
        game.output.getEngine().renderFrame()
    assert armed == [True] * 3 + [False] * 7


def test_frames_that_are_not_armed_are_not_captured(game: Any) -> None:
    game.card("wall").setY(5)
    capture = game.capture()
    for _ in range(3):
        game.output.getEngine().renderFrame()
    assert capture.take() is None
    assert capture.grab(0).index == 0


def test_a_camera_without_perspective_is_refused(game: Any) -> None:
    game.camera.node().setLens(core.OrthographicLens())
    with pytest.raises(SetupError, match="OrthographicLens"):
        game.capture()
