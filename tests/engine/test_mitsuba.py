import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Channel
from renderlift.engine import mitsuba as tracer
from renderlift.engine.scene import Lamp, Material, Scene, SceneObject, Sky, Sun, image_from_camera, sky_radiance
from renderlift.engine.scenes import demo_courtyard, demo_truth, meshes, motions, random_scene
from renderlift.engine.scenes.camera_paths import look_at
from renderlift.engine.scenes.meshes import pose
from renderlift.engine.tone import picture

pytest.importorskip("mitsuba", exc_type=ImportError)

HEIGHT, WIDTH = 64, 112
DARK = Sky((0, 0, 0), (0, 0, 0), (0, 0, 0))
GREY = np.full((1, 1, 3), 0.5, np.float32)


def scene_of(*objects: SceneObject, sky: Sky = DARK, sun: Sun | None = None, lamps: tuple[Lamp, ...] = ()) -> Scene:
    """Seen from 4 m above the origin, looking down almost vertically."""
    camera = look_at(np.array([[0.0, -0.4, 4.0]]), np.zeros((1, 3)))
    return Scene("test", objects, camera, 40.0, sky, sun, lamps)


def floor(material: Material) -> SceneObject:
    return SceneObject("floor", "floor", meshes.block((-9, -9, -1), (9, 9, 0)), material, np.eye(4))


def rays(scene: Scene) -> NDArray[np.float64]:
    """World direction (H, W, 3) through the centre of each pixel."""
    u, v = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    intrinsics = image_from_camera(scene.vertical_fov_deg, HEIGHT, WIDTH)
    direction = (
        np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(intrinsics).T @ scene.world_from_camera[0, :3, :3].T
    )
    return direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def test_a_matt_floor_in_the_sun_has_the_radiance_of_the_textbook() -> None:
    sun = Sun((0.0, 0.0, 1.0), (3.0, 2.0, 1.0))
    scene = scene_of(floor(Material(GREY, roughness=1.0)), sun=sun)
    seen = tracer.path_trace_linear(scene, 0, HEIGHT, WIDTH, samples=16, denoise=False).mean((0, 1))
    np.testing.assert_allclose(seen, 0.5 * np.array(sun.irradiance) / np.pi, rtol=0.06)


def test_the_picture_is_radiance_through_exposure_and_tone_curve() -> None:
    scene = replace(
        scene_of(floor(Material(GREY, roughness=1.0)), sun=Sun((0, 0, 1), (2.0, 2.0, 2.0))), exposure=0.7
    )
    seen = tracer.path_trace(scene, 0, HEIGHT, WIDTH, samples=16, denoise=False)
    expected = picture(np.full((1, 1, 3), 0.5 * 2.0 / np.pi), 0.7)
    assert seen.dtype == np.uint8 and seen.shape == (HEIGHT, WIDTH, 3)
    assert abs(float(seen.mean()) - float(expected.mean())) < 5


def test_a_lamp_lights_the_floor_below_as_its_size_and_radiance_say() -> None:
    size, height_m, radiance = (0.8, 0.5), 1.5, (4.0, 4.0, 4.0)
    lamp = Lamp(pose((0, 0, height_m)), size, radiance)
    scene = scene_of(floor(Material(GREY, roughness=1.0)), lamps=(lamp,))
    # From the side and below the lamp, so that it does not hide what it lights.
    scene = replace(
        scene, world_from_camera=look_at(np.array([[0.0, -2.0, 1.3]]), np.zeros((1, 3))), vertical_fov_deg=2.0
    )
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 101) * size[0], np.linspace(-0.5, 0.5, 101) * size[1])
    distance_2 = x**2 + y**2 + height_m**2
    irradiance = radiance[0] * size[0] * size[1] * np.mean(height_m**2 / distance_2**2)
    seen = tracer.path_trace_linear(scene, 0, 16, 28, samples=64, denoise=False).mean()
    # Seen at a slant, the retro-reflection of the principled BSDF adds a little.
    assert seen == pytest.approx(0.5 * irradiance / np.pi, rel=0.12)


def test_the_sky_is_the_gradient_of_the_scene_in_every_direction() -> None:
    sky = Sky((0.1, 0.2, 0.9), (0.8, 0.7, 0.5), (0.2, 0.1, 0.05))
    eye = np.array([[3.0, 1.0, 2.0]])
    scene = replace(
        scene_of(sky=sky), world_from_camera=look_at(eye, eye + np.array([[1.0, 0.7, 0.3]])), vertical_fov_deg=70.0
    )
    seen = tracer.path_trace_linear(scene, 0, HEIGHT, WIDTH, samples=16, denoise=False)
    expected = sky_radiance(sky, rays(scene)[..., 2])
    at_horizon = np.abs(rays(scene)[..., 2]) < 0.06
    np.testing.assert_allclose(seen[~at_horizon], expected[~at_horizon], atol=0.02)
    assert np.abs(seen - expected).max() < 0.25


def test_a_pane_lets_through_what_its_opacity_leaves() -> None:
    sky = Sky((1, 1, 1), (1, 1, 1), (1, 1, 1))
    black = np.full((1, 1, 3), 0.0, np.float32)
    pane = SceneObject(
        "pane",
        "window",
        meshes.block((-9, -9, 0), (9, 9, 0.001)),
        Material(black, 1.0, 1.0, opacity=0.4),
        np.eye(4),
    )
    seen = tracer.path_trace_linear(scene_of(pane, sky=sky), 0, 16, 28, samples=64, denoise=False).mean()
    assert seen == pytest.approx((1 - 0.4) ** 2, abs=0.04)  # through its front and its back


def test_the_textures_first_row_is_the_top_of_the_uvs() -> None:
    colours = np.array([[[0.8, 0, 0], [0, 0.8, 0]], [[0, 0, 0.8], [0.8, 0.8, 0]]], np.float32)
    corners = np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]], np.float32)
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    sheet = meshes.Mesh(
        corners, np.tile(np.float32([0, 0, 1]), (4, 1)), uvs, np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    )
    # 8 pixels per colour, so that filtering blurs the borders alone.
    material = Material(np.kron(colours, np.ones((8, 8, 1), np.float32)), roughness=1.0)
    scene = scene_of(SceneObject("sheet", "sheet", sheet, material, np.eye(4)), sun=Sun((0, 0, 1), (3, 3, 3)))
    seen = tracer.path_trace_linear(scene, 0, HEIGHT, WIDTH, samples=8, denoise=False)
    y, x, reach = HEIGHT // 2, WIDTH // 2, 8
    corners_seen = [seen[y + dy, x + dx] for dy in (-reach, reach) for dx in (-reach, reach)]
    lit = np.array(corners_seen) > 0.1
    np.testing.assert_array_equal(
        lit, [[True, False, False], [False, True, False], [False, False, True], [True, True, False]]
    )


def test_small_things_appear_where_the_pinhole_projects_them() -> None:
    spots = np.array([[0.9, 0.5, 0.3], [-1.1, 0.6, 0.0], [0.2, -0.7, 1.0]])
    balls = [
        SceneObject(f"ball {i}", "ball", meshes.sphere(0.06), Material(GREY), pose(spot))
        for i, spot in enumerate(spots)
    ]
    scene = scene_of(*balls)
    _, ids = tracer.primary_hits(scene, 0, 256, 448)
    camera_from_world = np.linalg.inv(scene.world_from_camera[0])
    for number, spot in enumerate(spots):
        uvw = image_from_camera(scene.vertical_fov_deg, 256, 448) @ (camera_from_world @ [*spot, 1])[:3]
        rows, columns = np.nonzero(ids == number + 1)
        centre = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
        np.testing.assert_allclose(centre, uvw[:2] / uvw[2], atol=0.25)


@pytest.mark.parametrize("kind", ["room", "street"])
def test_engine_and_path_tracer_see_the_same_thing_in_every_pixel(kind: str) -> None:
    panda = pytest.importorskip("renderlift.engine.panda3d.scene_graph", exc_type=ImportError)
    scene = random_scene(3, frames=3, kind=kind)
    frame = list(panda.render_frames(scene, 128, 224))[2]
    depth, ids = tracer.primary_hits(scene, 2, 128, 224)
    engine_depth = frame.channels[Channel.DEPTH][..., 0]
    engine_ids = frame.channels[Channel.INSTANCE_ID][..., 0]
    is_lamp = engine_ids > len(scene.objects)
    assert (np.where(is_lamp, 0, engine_ids) == ids).mean() > 0.998
    surface = np.isfinite(depth) & np.isfinite(engine_depth)
    assert (surface == np.isfinite(depth)).mean() > 0.999
    error = np.abs(depth[surface] - engine_depth[surface]) / depth[surface]
    assert (error < 1e-3).mean() > 0.998


@pytest.mark.parametrize("kind", ["room", "courtyard", "street"])
def test_truth_and_game_look_lie_on_top_of_each_other(kind: str) -> None:
    panda = pytest.importorskip("renderlift.engine.panda3d.scene_graph", exc_type=ImportError)
    scene = random_scene(12, frames=2, kind=kind)
    game = next(panda.render_frames(scene, 256, 448)).channels[Channel.RGB]
    truth = tracer.path_trace(scene, 0, 256, 448, samples=4)
    edges = [np.hypot(*np.gradient(image.astype(np.float32).mean(-1)))[8:-8, 8:-8] for image in (game, truth)]
    shift, _ = cv2.phaseCorrelate(*(np.float32(e) for e in edges))
    assert max(np.abs(shift)) < 0.25, f"shifted by {shift} pixels"
    assert 30 < truth.mean() < 225, "badly exposed"


def test_a_frame_of_many_is_the_frame_alone() -> None:
    times = np.arange(4) / 24
    path = motions.thrown(np.array([-1.0, 0, 0.5]), np.array([6.0, 0, 1.0]), np.ones(3), times)
    ball = SceneObject("ball", "ball", meshes.sphere(0.4), Material(GREY), path)
    still = scene_of(floor(Material(GREY)), ball, sun=Sun((0.5, 0, 0.86), (3, 3, 3)))
    eyes = np.array([[0.0, -0.4, 4.0]]) + np.arange(4)[:, None] * [0.2, 0, 0]
    scene = replace(still, world_from_camera=look_at(eyes, np.zeros((4, 3))))
    together = list(tracer.path_trace_frames(scene, HEIGHT, WIDTH, samples=4, denoise=False))
    alone = tracer.path_trace(scene, 3, HEIGHT, WIDTH, samples=4, denoise=False)
    np.testing.assert_array_equal(together[3], alone)
    assert not np.array_equal(together[0], together[3])


def test_denoising_brings_few_samples_nearer_to_many() -> None:
    pytest.importorskip("pyoidn")
    scene = random_scene(3, frames=1, kind="room")
    many = tracer.path_trace(scene, 0, HEIGHT, WIDTH, samples=96, denoise=False).astype(np.float32)
    raw, clean = (tracer.path_trace(scene, 0, HEIGHT, WIDTH, samples=4, seed=1, denoise=d) for d in (False, True))
    assert np.square(clean - many).mean() < 0.5 * np.square(raw - many).mean()


def test_the_shipped_stills_show_the_demo_as_it_is_now() -> None:
    scene = demo_courtyard()
    stills = demo_truth()
    times = [min(stills), max(stills)]
    for time_index, now in zip(times, tracer.path_trace_frames(scene, 128, 224, times, samples=8), strict=True):
        shipped = cv2.resize(stills[time_index], (224, 128), interpolation=cv2.INTER_AREA)
        # Few samples against many leave 25 dB, a still of another frame only 12.
        assert cv2.PSNR(shipped, now) > 22, "run: python -m renderlift.engine.mitsuba demo --out <demo_truth>"


def test_the_command_writes_the_stills_it_is_asked_for(tmp_path: Path) -> None:
    tracer.main(
        ["demo", "--frames", "3,40", "--samples", "1", "--height", "36", "--width", "64", "--out", str(tmp_path)]
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0003.png", "0040.png"]
    still = cv2.imread(str(tmp_path / "0040.png"))
    assert still is not None and still.shape == (36, 64, 3)


def test_without_mitsuba_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    tracer._mitsuba.cache_clear()
    with pytest.raises(SetupError, match=r"(?s)\[truth\].*libllvm19"):
        tracer.variant()
