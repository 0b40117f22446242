"""Relief bends the light in both renderers alike, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from renderlift.bridge.frame import Channel
from renderlift.engine.relief import FLAT, heights_m, refined, slopes
from renderlift.engine.scene import FloatArray, Material, Scene, SceneObject, Sky, Sun
from renderlift.engine.scenes import meshes, random_scene, textures
from renderlift.engine.scenes.camera_paths import look_at
from renderlift.engine.scenes.things import solid

SIZE = (96, 168)
DARK = Sky((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
GREY = np.full((1, 1, 3), 0.5, np.float32)


def waves(n: int = 64, *, along_u: int = 0, along_v: int = 0) -> FloatArray:
    """Periodic heights (n, n) of so many waves along u and v, one high."""
    v, u = (np.mgrid[0:n, 0:n] + 0.5) / n
    return np.asarray(np.sin(2 * np.pi * (along_u * u + along_v * v)), np.float32)


def seen_from(eye: tuple[float, float, float], *objects: SceneObject, sun: Sun | None = None) -> Scene:
    """From `eye` towards the origin."""
    camera = look_at(np.array([eye], np.float64), np.zeros((1, 3)))
    return Scene("test", objects, camera, 40.0, DARK, sun, ambient=(0.0, 0.0, 0.0))


def traced_normals(scene: Scene, height: int, width: int) -> NDArray[np.float64]:
    """The path tracer's own shading normals (H, W, 3) at pixel centres, camera axes, as the denoiser gets them."""
    pytest.importorskip("mitsuba", exc_type=ImportError)
    from renderlift.engine import mitsuba, mitsuba_scene

    mi = mitsuba._mitsuba()
    loaded = mi.load_dict(mitsuba_scene.scene_dict(mi, scene, 0, height, width))
    pixel = np.arange(height * width)
    film = mi.Point2f(
        ((pixel % width + 0.5) / width).astype(np.float32), ((pixel // width + 0.5) / height).astype(np.float32)
    )
    rays, _ = loaded.sensors()[0].sample_ray(mi.Float(0), mi.Float(0.5), film, mi.Point2f(0.5, 0.5))
    sampler = mi.load_dict({"type": "independent"})
    sampler.seed(0, height * width)
    _, _, layers = mitsuba._guides().sample(loaded, sampler, rays)
    in_world = np.stack([np.array(layer) for layer in layers[-3:]], -1).reshape(height, width, 3)
    result: NDArray[np.float64] = in_world @ scene.world_from_camera[0, :3, :3]
    return result


def drawn(scene: Scene, *, size: tuple[int, int] = SIZE) -> dict[Channel, NDArray[np.generic]]:
    panda = pytest.importorskip("renderlift.engine.panda3d.scene_graph", exc_type=ImportError)
    return dict(next(panda.render_frames(scene, *size)).channels)


def degrees_between(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    # Half floats are up to 1e-4 too short, which arccos would take for most of a degree.
    lengths = np.linalg.norm(one.astype(np.float64), axis=-1) * np.linalg.norm(other.astype(np.float64), axis=-1)
    cosine = (one.astype(np.float64) * other).sum(-1) / np.maximum(lengths, 1e-9)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_slopes_are_what_heights_gain_per_repeat() -> None:
    v, u = (np.mgrid[0:64, 0:64] + 0.5) / 64
    gained = slopes(waves(along_u=2) + waves(along_v=3))
    np.testing.assert_allclose(gained[..., 0], 4 * np.pi * np.cos(4 * np.pi * u), atol=0.2)
    np.testing.assert_allclose(gained[..., 1], 6 * np.pi * np.cos(6 * np.pi * v), atol=0.4)


@pytest.mark.parametrize("n", [1, 64, 192])
def test_refined_heights_are_the_same_heights(n: int) -> None:
    fine = refined(0.5 + 0 * waves(n), 512) if n == 1 else refined(waves(n, along_u=2, along_v=1), 512)
    wanted = np.full((512, 512), 0.5) if n == 1 else waves(512, along_u=2, along_v=1)
    np.testing.assert_allclose(fine, wanted, atol=0.01)  # a spline rounds a wave of 32 texels by half a percent


def test_a_material_without_relief_is_flat() -> None:
    assert heights_m(Material(GREY)) is FLAT
    assert heights_m(Material(GREY, relief=np.ones((2, 2), np.float32), relief_m=0.01)).max() == np.float32(0.01)


def test_normals_lean_to_where_the_surface_falls() -> None:
    """A floor seen from above with its ridge along y at x = 0: u runs along +x, and so do the camera's columns."""
    ridge = np.roll(-np.abs(np.linspace(-1, 1, 128, dtype=np.float32)), 64)[None].repeat(128, 0)
    material = Material(GREY, relief=ridge, relief_m=0.1)
    floor = SceneObject("floor", "floor", meshes.block((-0.5, -0.5, -0.1), (0.5, 0.5, 0)), material, np.eye(4))
    channels = drawn(seen_from((0.0, -0.001, 1.4), floor))
    left, right = (channels[Channel.NORMAL][48, column].astype(float) for column in (64, 104))
    lean = 0.2 / np.sqrt(1.04)
    np.testing.assert_allclose(left, [-lean, 0, -lean / 0.2], atol=0.01)
    np.testing.assert_allclose(right, [lean, 0, -lean / 0.2], atol=0.01)


@pytest.mark.parametrize("eye", [(0.75, 0.6, 0.7), (-0.7, -0.65, -0.75)])
def test_engine_and_path_tracer_bend_the_normals_of_all_six_sides_alike(eye: tuple[float, float, float]) -> None:
    brick = textures.brick(np.random.default_rng(3), (0.4, 0.2, 0.1), n=128)
    cube = solid("cube", "box", meshes.block((-0.3, -0.3, -0.3), (0.3, 0.3, 0.3)), brick, metres=1.8)
    scene = seen_from(eye, cube)
    channels = drawn(scene, size=(256, 448))
    on = channels[Channel.INSTANCE_ID][..., 0] == 1
    off = degrees_between(channels[Channel.NORMAL], traced_normals(scene, 256, 448))[on]
    flat = replace(scene, objects=(replace(cube, material=replace(cube.material, relief=None)),))
    bent = degrees_between(channels[Channel.NORMAL], drawn(flat, size=(256, 448))[Channel.NORMAL])[on]
    assert on.mean() > 0.1 and bent.mean() > 4
    # Between texels the GPU blends slopes linearly, the path tracer follows the spline.
    assert off.mean() < 1.2


def test_curved_surfaces_and_their_insides_bend_alike_too() -> None:
    weave = textures.fabric(np.random.default_rng(3), (0.4, 0.2, 0.1))
    bowl = solid("bowl", "bowl", meshes.lathe([(0.1, 0.0), (0.3, 0.1), (0.4, 0.3)], 48), weave, metres=2.0)
    scene = seen_from((0.5, 0.4, 0.9), bowl)
    channels, traced = drawn(scene, size=(256, 448)), traced_normals(scene, 256, 448)
    on = channels[Channel.INSTANCE_ID][..., 0] == 1
    facing = np.where((channels[Channel.NORMAL].astype(float) * traced).sum(-1, keepdims=True) < 0, -traced, traced)
    assert np.mean(degrees_between(channels[Channel.NORMAL], facing)[on]) < 1


def test_the_side_of_a_bump_that_faces_the_sun_is_brighter_in_both_pictures() -> None:
    mitsuba = pytest.importorskip("renderlift.engine.mitsuba", exc_type=ImportError)
    pytest.importorskip("mitsuba", exc_type=ImportError)
    for along in ({"along_u": 1}, {"along_v": 1}):
        material = Material(GREY, roughness=1.0, relief=waves(128, **along), relief_m=0.05)
        wall = SceneObject("wall", "wall", meshes.block((-0.5, 0, -0.5), (0.5, 0.1, 0.5)), material, np.eye(4))
        towards = np.array([-0.5, -0.6, 0.5]) / np.linalg.norm([-0.5, -0.6, 0.5])
        scene = seen_from((0.0, -1.6, 0.001), wall, sun=Sun((towards[0], towards[1], towards[2]), (2.0, 2.0, 2.0)))
        channels = drawn(scene)
        on = channels[Channel.INSTANCE_ID][..., 0] == 1
        axes = scene.world_from_camera[0, :3, :3]
        facing_sun = (channels[Channel.NORMAL].astype(float) @ axes.T @ towards)[on]
        photo = mitsuba.path_trace(scene, 0, *SIZE, samples=16)
        for picture in (channels[Channel.RGB], photo):
            assert np.corrcoef(picture.mean(-1)[on], facing_sun)[0, 1] > 0.95


@pytest.mark.parametrize(("kind", "seed"), [("room", 10), ("workshop", 900_005)])
def test_relief_changes_light_and_normals_and_nothing_else(kind: str, seed: int) -> None:
    scene = random_scene(seed, frames=1, kind=kind)
    smooth = tuple(replace(item, material=replace(item.material, relief=None)) for item in scene.objects)
    bent, flat = drawn(scene), drawn(replace(scene, objects=smooth))
    for channel in (Channel.DEPTH, Channel.INSTANCE_ID, Channel.CLASS_ID, Channel.ALBEDO, Channel.MATERIAL):
        np.testing.assert_array_equal(bent[channel], flat[channel])
    assert degrees_between(bent[Channel.NORMAL], flat[Channel.NORMAL]).max() > 5
    assert np.abs(bent[Channel.RGB].astype(int) - flat[Channel.RGB]).max() > 10


def test_denoising_keeps_the_relief() -> None:
    mitsuba = pytest.importorskip("renderlift.engine.mitsuba", exc_type=ImportError)
    pytest.importorskip("pyoidn")
    material = Material(GREY, roughness=1.0, relief=waves(128, along_u=8), relief_m=0.005)
    wall = SceneObject("wall", "wall", meshes.block((-0.5, 0, -0.5), (0.5, 0.1, 0.5)), material, np.eye(4))
    scene = seen_from((0.0, -1.2, 0.001), wall, sun=Sun((-0.6, -0.8, 0.0), (2.0, 2.0, 2.0)))
    many = mitsuba.path_trace(scene, 0, *SIZE, samples=64, denoise=False).astype(float)
    clean = mitsuba.path_trace(scene, 0, *SIZE, samples=4).astype(float)
    on = drawn(scene)[Channel.INSTANCE_ID][..., 0] == 1
    assert many[on].std() > 8
    assert clean[on].std() == pytest.approx(many[on].std(), rel=0.1)
