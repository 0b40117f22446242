from dataclasses import fields

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from renderlift.engine.relief import heights_m, slopes
from renderlift.engine.scene import Mesh, Scene, image_from_camera, object_pose
from renderlift.engine.scenes import (
    GENERATOR,
    KINDS,
    UNSEEN_KINDS,
    demo_courtyard,
    demo_truth,
    meshes,
    motions,
    random_scene,
    textures,
)
from renderlift.engine.scenes.camera_paths import bounding_boxes, distance_to_boxes, look_at, spline

HEIGHT, WIDTH = 256, 448
# Kind, objects, their colour, the camera's way and the exposure of seeds 0, 1, 2 and 900000 in five frames.
LOOKS = (
    ("courtyard", 60, 19.6, 66.1, 0.759),
    ("courtyard", 61, 20.87, 52.62, 0.94),
    ("room", 44, 19.18, 44.65, 2.302),
    ("room", 104, 42.17, 49.89, 1.54),
)


@pytest.fixture(scope="module", params=[*KINDS, *UNSEEN_KINDS, "demo"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return demo_courtyard() if request.param == "demo" else random_scene(11, frames=9, kind=request.param)


def face_normals(mesh: Mesh) -> NDArray[np.float64]:
    """Of each triangle, (F, 3), as long as twice its area."""
    corners = mesh.positions.astype(np.float64)[mesh.triangles]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def volume(mesh: Mesh) -> float:
    """Of a closed mesh, by the divergence theorem; negative where triangles face inwards."""
    corners = mesh.positions.astype(np.float64)[mesh.triangles]
    return float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def in_picture(scene: Scene, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a moving point (T, 3) lies inside the picture of each frame, (T,)."""
    camera_from_world = np.linalg.inv(scene.world_from_camera)
    seen = np.einsum("tij,tj->ti", camera_from_world[:, :3, :3], points) + camera_from_world[:, :3, 3]
    uv = seen @ image_from_camera(scene.vertical_fov_deg, HEIGHT, WIDTH).T
    u, v = uv[:, 0] / uv[:, 2], uv[:, 1] / uv[:, 2]
    return (seen[:, 2] > 0) & (u > 0) & (u < WIDTH) & (v > 0) & (v < HEIGHT)


def test_meshes_are_whole(scene: Scene) -> None:
    for item in scene.objects:
        mesh = item.mesh
        assert all(np.isfinite(getattr(mesh, field.name)).all() for field in fields(mesh)), item.name
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-3, err_msg=item.name)
        assert mesh.triangles.min() >= 0 and mesh.triangles.max() < len(mesh.positions), item.name
        shading = mesh.normals[mesh.triangles].mean(1)
        assert ((face_normals(mesh) * shading).sum(1) > 0).all(), f"{item.name}: a triangle faces inwards"


def test_colours_are_what_real_surfaces_reflect(scene: Scene) -> None:
    for item in scene.objects:
        base = item.material.base_color
        assert base.dtype == np.float32 and base.ndim == 3 and base.shape[2] == 3, item.name
        assert base.min() >= 0 and base.max() <= 0.96, item.name


def test_reliefs_are_millimetres_high_and_of_many_strengths() -> None:
    materials = [item.material for item in random_scene(11, frames=2, kind="courtyard").objects]
    rough = [material for material in materials if material.relief is not None]
    assert len(rough) > 0.3 * len(materials)
    spans_m = [float(np.ptp(heights_m(material))) for material in rough]
    assert min(spans_m) > 1e-4 and max(spans_m) < 0.06
    steepness = [float(np.sqrt(np.square(slopes(heights_m(material))).mean())) for material in rough]
    assert max(steepness) > 2 * min(steepness)


def test_joints_lie_deeper_than_what_they_join() -> None:
    brick = textures.brick(np.random.default_rng(0), (0.4, 0.1, 0.1), mortar=(0.1, 0.1, 0.9))
    is_mortar = brick.colour[..., 2] > brick.colour[..., 0]
    assert brick.height[is_mortar].mean() < brick.height[~is_mortar].mean() - 0.003


def test_every_object_has_its_own_name_and_a_class(scene: Scene) -> None:
    names = [item.name for item in scene.objects]
    assert len(set(names)) == len(names)
    assert all(item.class_name for item in scene.objects)


def test_the_camera_keeps_out_of_everything(scene: Scene) -> None:
    eyes = scene.world_from_camera[:, :3, 3]
    assert distance_to_boxes(eyes, bounding_boxes(scene.objects)).min() > 0.1


def test_camera_poses_are_upright_and_rigid(scene: Scene) -> None:
    rotation = scene.world_from_camera[:, :3, :3]
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), rotation.shape), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    np.testing.assert_allclose(rotation[:, 2, 0], 0, atol=1e-9, err_msg="the horizon is not level")
    assert (rotation[:, 2, 1] < 0).all(), "the picture is upside down"


def test_scenes_stay_small_enough_to_draw_live(scene: Scene) -> None:
    assert sum(len(item.mesh.triangles) for item in scene.objects) < 200_000
    assert len(scene.objects) < 256


def test_moving_objects_move_smoothly(scene: Scene) -> None:
    moving = [item for item in scene.objects if item.world_from_object.ndim == 3]
    assert moving
    for item in moving:
        assert len(item.world_from_object) == len(scene)
        steps = np.abs(np.diff(item.world_from_object, axis=0))
        assert 0 < steps.max() < 1, f"{item.name} jumps or stands still"


def test_a_seed_gives_the_same_scene_again() -> None:
    one, two, other = (random_scene(seed, frames=3) for seed in (5, 5, 6))
    assert [item.name for item in one.objects] == [item.name for item in two.objects]
    for a, b in zip(one.objects, two.objects, strict=True):
        assert np.array_equal(a.mesh.positions, b.mesh.positions)
        assert np.array_equal(a.material.base_color, b.material.base_color)
        assert np.array_equal(a.world_from_object, b.world_from_object)
        assert np.array_equal(heights_m(a.material), heights_m(b.material))
    assert np.array_equal(one.world_from_camera, two.world_from_camera)
    assert one.exposure == two.exposure
    assert not np.array_equal(one.world_from_camera, other.world_from_camera)


@pytest.mark.parametrize(("seed", "looks"), list(zip((0, 1, 2, 900_000), LOOKS, strict=True)))
def test_seeds_look_as_they_did_when_their_generator_was_numbered(seed: int, looks: tuple[object, ...]) -> None:
    scene = random_scene(seed, frames=5)
    light = round(sum(float(item.material.base_color.mean()) for item in scene.objects), 2)
    where = round(float(np.abs(scene.world_from_camera).sum()), 2)
    seen = (scene.tags["kind"], len(scene.objects), light, where, round(scene.exposure, 3))
    assert (GENERATOR, seen) == (2, looks), "raise scenes.GENERATOR: datasets of two generators must not mix"


def test_kinds_kept_for_tests_never_come_by_chance() -> None:
    assert not UNSEEN_KINDS.keys() & KINDS.keys()
    assert {random_scene(seed, frames=1).tags["kind"] for seed in range(12)} <= KINDS.keys()


def test_more_frames_only_lengthen_the_clock_not_change_the_place() -> None:
    short, long = (random_scene(8, frames=frames, kind="room") for frames in (5, 17))
    assert (len(short), len(long)) == (5, 17)
    assert short.objects[0].material.roughness == long.objects[0].material.roughness


def test_something_enters_or_leaves_within_most_sequences() -> None:
    crossings = 0
    for seed in range(8):
        scene = random_scene(seed, frames=9)
        for item in scene.objects:
            if item.name.startswith("thrown"):
                seen = in_picture(scene, item.world_from_object[:, :3, 3])
                crossings += bool(seen.any() and not seen.all())
                break
    assert crossings >= 6


def test_things_come_into_the_demos_picture_and_leave_it() -> None:
    scene = demo_courtyard()
    come_and_go = [item for item in scene.objects if item.name == "ball" or item.class_name == "bird"]
    assert len(come_and_go) == 4
    for item in come_and_go:
        seen = in_picture(scene, item.world_from_object[:, :3, 3])
        assert not seen[0] and seen[30:70].any() and not seen[-1], item.name


def test_a_shorter_demo_is_the_beginning_of_the_longer_one() -> None:
    short, full, long = (demo_courtyard(frames) for frames in (24, 96, 150))
    for a, b, c in zip(short.objects, full.objects, long.objects, strict=True):
        np.testing.assert_array_equal(object_pose(a, 20), object_pose(b, 20))
        np.testing.assert_array_equal(object_pose(b, 95), object_pose(c, 95))
        assert np.isfinite(c.world_from_object).all()
    np.testing.assert_array_equal(short.world_from_camera, full.world_from_camera[:24])
    np.testing.assert_allclose(long.world_from_camera[95 + 40], full.world_from_camera[95 - 40])


def test_shipped_stills_have_the_demos_size_and_frames() -> None:
    stills = demo_truth()
    assert len(stills) >= 5
    for time_index, still in stills.items():
        assert 0 <= time_index < len(demo_courtyard())
        assert still.shape == (HEIGHT, WIDTH, 3) and still.dtype == np.uint8
        assert 60 < cv2.cvtColor(still, cv2.COLOR_RGB2GRAY).mean() < 190


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (meshes.box(1, 2, 3), 6.0),
        (meshes.block((-1, 0, 2), (1, 3, 3)), 6.0),
        (meshes.rounded_box(1, 1, 1, 0.5, 12), np.pi / 6),
        (meshes.cylinder(1, 2, 96), 2 * np.pi),
        (meshes.sphere(1, 96), 4 / 3 * np.pi),
        (meshes.torus(2, 0.5, 96), 2 * np.pi**2 * 2 * 0.25),
    ],
)
def test_shapes_are_closed_and_have_the_volume_they_should(mesh: Mesh, expected: float) -> None:
    assert volume(mesh) == pytest.approx(expected, rel=0.03)


def test_an_arch_opens_the_wall_where_it_says() -> None:
    arch = meshes.arch_panel(3, 4, 0.5, opening=2, spring=2, steps=24)
    inside_opening = np.hypot(arch.positions[:, 0], np.maximum(arch.positions[:, 2] - 2, 0)) < 0.98
    assert not inside_opening.any()
    solid = 3 * 4 - 2 * 2 - np.pi / 2
    front = face_normals(arch)[:, 1]
    assert -front[front < 0].sum() / 2 == pytest.approx(solid, rel=0.01)


def test_textures_tile_without_a_seam() -> None:
    rng = np.random.default_rng(0)
    for picture in (
        textures.wood(rng, (0.4, 0.3, 0.2)).colour,
        textures.stone(rng, (0.4, 0.4, 0.4)).colour,
        textures.stone(rng, (0.4, 0.4, 0.4)).height,
        textures.plaster(rng, (0.4, 0.4, 0.4)).height,
        textures.noise(rng, 64),
    ):
        inside = np.abs(np.diff(picture, axis=0)).mean()
        across = np.abs(picture[0] - picture[-1]).mean()
        assert across < 2 * inside


def test_a_spline_passes_its_knots_at_even_times() -> None:
    knots = np.array([(0, 0, 1), (2, 1, 1), (3, 3, 2.0)])
    curve = spline(knots, np.linspace(0, 1, 21))
    np.testing.assert_allclose(curve[[0, 10, 20]], knots, atol=1e-12)
    assert np.linalg.norm(np.diff(curve, axis=0), axis=1).max() < 0.5


def test_look_at_puts_the_target_in_the_middle_of_the_picture() -> None:
    eye, target = np.array([[1.0, 2, 3]]), np.array([[4.0, -1, 2]])
    seen = np.linalg.inv(look_at(eye, target)[0]) @ [*target[0], 1]
    np.testing.assert_allclose(seen[:2], 0, atol=1e-12)
    assert seen[2] == pytest.approx(np.linalg.norm(target - eye))


def test_a_rolling_ball_does_not_slip() -> None:
    times = np.arange(5) / 1000
    path = motions.rolling(np.array([0, 0, 0.2]), np.array([1.0, 2.0, 0]), 0.2, times)
    contact = np.linalg.inv(path[2]) @ [*path[2][:2, 3], 0, 1]
    speed = np.linalg.norm((path[3] @ contact - path[1] @ contact)[:3]) / (times[3] - times[1])
    assert speed < 0.01 * np.hypot(1, 2)


def test_a_thrown_thing_falls_as_things_fall() -> None:
    path = motions.thrown(np.zeros(3), np.array([1.0, 0, 2.0]), np.ones(3), np.array([0.0, 0.5]))
    np.testing.assert_allclose(path[1, :3, 3], [0.5, 0, 1.0 - 9.81 / 8])


def test_object_pose_of_a_still_object_is_the_same_at_all_times() -> None:
    scene = demo_courtyard(2)
    still = next(item for item in scene.objects if item.name == "paving")
    assert np.array_equal(object_pose(still, 0), object_pose(still, 1))
