"""Our scenes as a game draws them: the description's own numbers come out of the pixels."""

import gc
from dataclasses import replace

import numpy as np
import psutil
import pytest

from renderlift.bridge.frame import Array, Channel, Frame, check_channels
from renderlift.engine.panda3d import render_frames
from renderlift.engine.scene import (
    Lamp,
    Material,
    Mesh,
    Scene,
    SceneObject,
    Sky,
    Sun,
    class_ids,
    image_from_camera,
    sky_radiance,
)
from renderlift.engine.scenes import random_scene
from renderlift.engine.tone import picture

BLACK_SKY = Sky((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
# Columns: the camera's x, y and z axis in the world, and its place. It looks along +Y from the origin.
FORWARD = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)


def at(x: float, y: float, z: float) -> Array:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def colour(red: float, green: float, blue: float) -> Array:
    return np.array([[[red, green, blue]]], np.float32)


def wall(half: float = 50.0) -> Mesh:
    """A square in the XZ plane that faces -Y; its texture's top left is at its upper left."""
    corners = np.array([[-half, 0, -half], [half, 0, -half], [half, 0, half], [-half, 0, half]], np.float32)
    uvs = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    normals = np.tile(np.array([0, -1, 0], np.float32), (4, 1))
    return Mesh(corners, normals, uvs, np.array([[0, 1, 2], [0, 2, 3]], np.int32))


def thing(
    name: str, material: Material, pose: Array, *, class_name: str = "wall", half: float = 50.0
) -> SceneObject:
    return SceneObject(name, class_name, wall(half), material, pose)


def scene(*objects: SceneObject, frames: int = 1, **more: object) -> Scene:
    base = Scene("test", objects, np.tile(FORWARD, (frames, 1, 1)), 50.0, BLACK_SKY, ambient=(0.0, 0.0, 0.0))
    return replace(base, **more)  # type: ignore[arg-type]


def only_frame(of: Scene, *, height: int = 90, width: int = 160, supersample: int = 2) -> Frame:
    (frame,) = render_frames(of, height, width, supersample=supersample)
    return frame


def test_every_channel_comes_with_every_frame() -> None:
    moving = np.stack([at(0.1 * t, 5, 0) for t in range(3)])
    frames = list(render_frames(scene(thing("a", Material(colour(1, 1, 1)), moving), frames=3, fps=25.0), 90, 160))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.engine_time_ns for frame in frames] == [0, 40_000_000, 80_000_000]
    for frame in frames:
        check_channels(frame.channels)
        assert set(frame.channels) == set(Channel) - {Channel.ENVIRONMENT}
    assert np.isnan(frames[0].channels[Channel.FLOW]).all()
    focal = frames[0].camera.image_from_camera[0, 0]
    assert np.allclose(frames[2].channels[Channel.FLOW], [-focal * 0.1 / 5, 0], atol=0.01)


def test_pose_and_intrinsics_are_the_scenes_own() -> None:
    pose = at(1, 2, 3) @ FORWARD
    frame = only_frame(scene(world_from_camera=pose[None], vertical_fov_deg=37.0), height=123, width=217)
    assert np.allclose(frame.camera.world_from_camera, pose, atol=1e-6)
    assert np.allclose(frame.camera.image_from_camera, image_from_camera(37.0, 123, 217), atol=1e-3)


def test_ids_are_the_places_in_the_scene_and_its_class_ids() -> None:
    objects = (
        thing("left", Material(colour(1, 0, 0)), at(-1, 5, 0), class_name="zebra", half=0.5),
        thing("right", Material(colour(0, 1, 0)), at(1, 5, 0), class_name="ant", half=0.5),
    )
    frame = only_frame(scene(*objects))
    instances, classes = frame.channels[Channel.INSTANCE_ID][45, :, 0], frame.channels[Channel.CLASS_ID][45, :, 0]
    ids = class_ids(objects)
    assert dict(zip(instances.tolist(), classes.tolist(), strict=True)) == {0: 0, 1: ids["zebra"], 2: ids["ant"]}
    assert instances[np.flatnonzero(np.diff(instances, prepend=9))].tolist() == [0, 1, 0, 2, 0]


def test_a_texture_lies_with_its_top_left_at_the_meshs_top_left() -> None:
    corners = np.zeros((64, 64, 3), np.float32)
    corners[:32, :32], corners[:32, 32:], corners[32:, :32] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    albedo = only_frame(scene(thing("a", Material(corners), at(0, 5, 0), half=1.0))).channels[Channel.ALBEDO]
    assert albedo[35, 70].tolist() == [255, 0, 0]
    assert albedo[35, 90].tolist() == [0, 255, 0]
    assert albedo[55, 70].tolist() == [0, 0, 255]


@pytest.mark.parametrize("base", [(0.8, 0.31, 0.052), (0.002, 0.01, 1.0)])
def test_albedo_is_the_linear_base_colour(base: tuple[float, float, float]) -> None:
    albedo = only_frame(scene(thing("a", Material(colour(*base)), at(0, 5, 0)))).channels[Channel.ALBEDO]
    assert np.abs(albedo / 255 - base).max() <= 1 / 255


def test_roughness_and_metallic_are_the_materials() -> None:
    rough = Material(colour(1, 1, 1), roughness=0.35, metallic=0.8)
    material = only_frame(scene(thing("a", rough, at(0, 5, 0)))).channels[Channel.MATERIAL]
    assert np.abs(material / 255 - [0.35, 0.8]).max() <= 1 / 255


def test_emission_leaves_through_the_tone_curve() -> None:
    glowing = Material(colour(0, 0, 0), emission=(0.1, 0.4, 2.0))
    rgb = only_frame(scene(thing("a", glowing, at(0, 5, 0)), exposure=0.7)).channels[Channel.RGB]
    wanted = picture(np.array([0.1, 0.4, 2.0]), 0.7).astype(int)
    assert np.abs(rgb.astype(int) - wanted).max() <= 1


def test_the_sky_is_the_scenes_gradient() -> None:
    sky = Sky((0.1, 0.2, 0.6), (0.7, 0.6, 0.5), (0.2, 0.15, 0.1))
    frame = only_frame(scene(sky=sky))
    rows, columns = np.mgrid[0:90, 0:160] + 0.5
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(frame.camera.image_from_camera).T
    up = (rays @ frame.camera.world_from_camera[:3, :3].T)[..., 2] / np.linalg.norm(rays, axis=-1)
    wanted = picture(sky_radiance(sky, up), 1.0).astype(int)
    assert np.abs(frame.channels[Channel.RGB].astype(int) - wanted).max() <= 2


def test_a_rough_wall_under_the_sun_is_lambert() -> None:
    sun = Sun((0.0, -0.8, 0.6), (3.0, 2.0, 1.0))
    lit = thing("a", Material(colour(0.5, 0.5, 0.5), roughness=1.0), at(0, 5, 0))
    rgb = only_frame(scene(lit, sun=sun)).channels[Channel.RGB][45, 80]
    diffuse = 0.5 / np.pi * 0.8 * np.array([3.0, 2.0, 1.0])
    wanted = picture(diffuse, 1.0).astype(int)
    # The highlight of even the roughest dielectric adds a little.
    assert (rgb >= wanted - 1).all()
    assert (rgb <= wanted + 12).all()


def test_moving_and_still_things_cast_shadows_that_follow_them() -> None:
    sun = Sun((0.0, -0.7071, 0.7071), (3.0, 3.0, 3.0))
    blocker = np.stack([at(-1.0 + 2 * t, 3, 2) for t in range(2)])
    objects = (
        thing("wall", Material(colour(0.5, 0.5, 0.5)), at(0, 5, 0), half=8.0),
        thing("moving", Material(colour(1, 1, 1)), blocker, class_name="blocker", half=0.3),
        thing("still", Material(colour(1, 1, 1)), at(0, 3, 1.2), class_name="blocker", half=0.3),
    )
    frames = [f.channels[Channel.RGB] for f in render_frames(scene(*objects, frames=2, sun=sun), 180, 320)]
    camera = image_from_camera(50.0, 180, 320)

    def lit(frame: Array, x: float, z: float) -> float:
        """Brightness of the wall where something at x, z two metres before it casts its shadow."""
        column, row, one = camera @ [x, -(z - 2), 5]
        return float(frame[int(row / one), int(column / one)].mean())

    assert lit(frames[0], -1, 2) < 30 < 100 < lit(frames[0], 1, 2)
    assert lit(frames[1], 1, 2) < 30 < 100 < lit(frames[1], -1, 2)
    assert lit(frames[0], 0, 1.2) < 30
    assert lit(frames[1], 0, 1.2) < 30


def test_a_wall_in_grazing_sun_does_not_shadow_itself() -> None:
    slope = np.radians(8)
    sun = Sun((float(np.cos(slope)), -float(np.sin(slope)), 0.0), (9.0, 9.0, 9.0))
    grazed = thing("wall", Material(colour(0.8, 0.8, 0.8), roughness=1.0), at(0, 5, 0), half=8.0)
    rgb = only_frame(scene(grazed, sun=sun), height=180, width=320).channels[Channel.RGB]
    assert rgb.min() > 100
    assert rgb[..., 0].std() < 3


def test_a_lamp_shines_to_one_side_and_is_seen() -> None:
    towards_wall = at(0, 3, 0) @ np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float64)
    lamp = Lamp(towards_wall, (0.4, 0.4), (20.0, 20.0, 20.0))
    lit = thing("wall", Material(colour(0.8, 0.8, 0.8)), at(0, 5, 0))
    frame = only_frame(scene(lit, lamps=(lamp,)))
    on_lamp = frame.channels[Channel.INSTANCE_ID][..., 0] == 2
    assert on_lamp[45, 80]
    assert frame.channels[Channel.RGB][on_lamp].max() == 0  # we look at its dark back
    assert frame.channels[Channel.RGB][45, 95].mean() > 60  # and at the wall it shines on
    turned = replace(lamp, world_from_lamp=lamp.world_from_lamp @ np.diag([1.0, -1.0, -1.0, 1.0]))
    frame = only_frame(scene(lit, lamps=(turned,)))
    assert frame.channels[Channel.RGB][45, 80].min() > 240
    assert frame.channels[Channel.RGB][45, 95].max() == 0


def test_the_picture_is_antialiased_and_the_other_channels_are_not() -> None:
    tilted = at(0, 5, 0)
    tilted[:3, :3] = [[np.cos(0.3), 0, np.sin(0.3)], [0, 1, 0], [-np.sin(0.3), 0, np.cos(0.3)]]
    of = scene(thing("a", Material(colour(0, 0, 0), emission=(9.0, 9.0, 9.0)), tilted, half=1.0))
    plain, smooth = only_frame(of, supersample=1), only_frame(of, supersample=2)
    levels = [len(np.unique(frame.channels[Channel.RGB])) for frame in (plain, smooth)]
    assert levels[0] == 2
    assert levels[1] > 3
    for channel in (Channel.DEPTH, Channel.INSTANCE_ID, Channel.ALBEDO, Channel.NORMAL):
        assert np.array_equal(plain.channels[channel], smooth.channels[channel])


def test_scenes_come_one_after_another_without_leaking() -> None:
    process = psutil.Process()
    resident: list[int] = []
    for turn in range(9):
        frames = list(render_frames(random_scene(turn % 3, frames=1, kind="room"), 128, 224))
        assert all(frame.channels[Channel.INSTANCE_ID].any() for frame in frames)
        frames.clear()
        gc.collect()
        resident.append(process.memory_info().rss)
    # The first round fills pools that are kept; a leak of textures alone would be 10 MB a scene.
    assert resident[8] - resident[5] < 15 * 2**20


def test_a_scene_left_halfway_gives_the_next_one_a_clean_start() -> None:
    moving = scene(thing("a", Material(colour(1, 0, 0)), np.stack([at(0, 5, 0)] * 5)), frames=5)
    next(frames := render_frames(moving, 90, 160))
    frames.close()
    frame = only_frame(scene(thing("b", Material(colour(0, 0, 1)), at(0, 6, 0))))
    assert np.allclose(frame.channels[Channel.DEPTH], 6, atol=1e-4)
    assert np.isnan(frame.channels[Channel.FLOW]).all()
