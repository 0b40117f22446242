"""Path-traced truth of a scene, by Mitsuba 3, pixel for pixel with the game look.

    for picture in path_trace_frames(scene, 256, 448, samples=32): ...
    python -m renderlift.engine.mitsuba demo --frames 0,24,48 --out stills

Every material is the `principled` BSDF with a bitmap for its base colour, whatever it is made
of: Dr.Jit then finds the same kernels again for every scene instead of compiling new ones.
"""

import argparse
import ctypes
import importlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError, install_fix
from renderlift.engine.photo import PERFECT, CameraResponse, photograph
from renderlift.engine.scene import (
    FloatArray,
    Lamp,
    Material,
    Scene,
    SceneObject,
    Sky,
    Sun,
    object_pose,
    sky_radiance,
)

log = logging.getLogger(__name__)

# Dr.Jit aborts with LLVM 15 and 16, so those are never offered to it.
LLVM_VERSIONS = (19, 20, 21, 18, 17)
MAX_DEPTH = 6
ROULETTE_DEPTH = 3  # paths may end early from here on: a fifth less time for a tenth of a decibel
SAMPLES_PER_PASS = 32
# Guides cost a tenth of what paths do, and OIDN keeps edges the better the cleaner they are.
GUIDE_SAMPLES = 16
SUN_DISTANCE_M = 500.0
# No surface that matters is brighter than this after exposure; what is, is a firefly or a lamp.
BRIGHTEST = 24.0
SMOOTHEST = 0.05  # smoother metal makes caustics that few samples cannot resolve
SKY_ROWS = 720  # a quarter of a degree each: the horizon's two-degree ramp stays a ramp


def path_trace(
    scene: Scene,
    time_index: int,
    height: int,
    width: int,
    *,
    samples: int = 16,
    denoise: bool = True,
    seed: int = 0,
    response: CameraResponse = PERFECT,
) -> NDArray[np.uint8]:
    """One frame as an sRGB picture (H, W, 3), through the same tone curve as the game look.

    Args:
        samples: light paths per pixel.
        denoise: clean the result with OIDN, guided by albedo and normals.
        response: what the camera does to it.

    Raises:
        SetupError: Mitsuba or, for `denoise`, pyoidn is not installed.
    """
    times = [time_index]
    return next(
        path_trace_frames(
            scene, height, width, times, samples=samples, denoise=denoise, seed=seed, response=response
        )
    )


def path_trace_linear(
    scene: Scene,
    time_index: int,
    height: int,
    width: int,
    *,
    samples: int = 16,
    denoise: bool = True,
    seed: int = 0,
) -> FloatArray:
    """Like `path_trace`, but linear radiance (H, W, 3) float32 before exposure."""
    return next(_radiance(scene, height, width, [time_index], samples=samples, denoise=denoise, seed=seed))


def path_trace_frames(
    scene: Scene,
    height: int,
    width: int,
    times: Sequence[int] | None = None,
    *,
    samples: int = 16,
    denoise: bool = True,
    seed: int = 0,
    response: CameraResponse = PERFECT,
) -> Iterator[NDArray[np.uint8]]:
    """The frames at `times` (default: all) as `path_trace` makes them; the scene is loaded only once."""
    times = range(len(scene)) if times is None else times
    lights = _radiance(scene, height, width, times, samples=samples, denoise=denoise, seed=seed, response=response)
    for light in lights:
        yield photograph(light, scene.exposure, response)


def primary_hits(
    scene: Scene, time_index: int, height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """What the path tracer sees through the centre of each pixel.

    Returns:
        depth (H, W) along camera +Z in metres, +inf = sky; and instance id (H, W) as
        `SceneObject` counts them, 0 for sky, sun and lamps.

    Raises:
        SetupError: no LLVM for Mitsuba's vectorised variant.
    """
    mi = _mitsuba()
    if variant() == "scalar_rgb":
        raise SetupError("primary hits need Mitsuba's LLVM variant", fix="apt-get install libllvm19")
    loaded = mi.load_dict(_scene_dict(mi, scene, time_index, height, width))
    pixel = np.arange(height * width)
    film = mi.Point2f(
        ((pixel % width + 0.5) / width).astype(np.float32), ((pixel // width + 0.5) / height).astype(np.float32)
    )
    rays, _ = loaded.sensors()[0].sample_ray(mi.Float(0), mi.Float(0.5), film, mi.Point2f(0.5, 0.5))
    hits = loaded.ray_intersect(rays)
    valid = np.array(hits.is_valid()).reshape(height, width)
    camera = scene.world_from_camera[time_index]
    depth = ((np.array(hits.p).T - camera[:3, 3]) @ camera[:3, 2]).reshape(height, width)
    ids = np.zeros((height, width), np.uint32)
    for shape in loaded.shapes():
        if shape.id().startswith(_KEY):
            ids[np.array(hits.shape == mi.ShapePtr(shape)).reshape(height, width)] = (
                int(shape.id()[len(_KEY) :]) + 1
            )
    return np.where(valid, depth, np.inf).astype(np.float32), np.where(valid, ids, 0).astype(np.uint32)


def _radiance(
    scene: Scene,
    height: int,
    width: int,
    times: Sequence[int],
    *,
    samples: int,
    denoise: bool,
    seed: int,
    response: CameraResponse = PERFECT,
) -> Iterator[FloatArray]:
    mi = _mitsuba()
    clean = _denoiser() if denoise else None
    loaded = mi.load_dict(_scene_dict(mi, scene, times[0], height, width, response))
    parameters = mi.traverse(loaded)
    paths = mi.load_dict({"type": "path", "max_depth": MAX_DEPTH, "rr_depth": ROULETTE_DEPTH})
    # Wrapping the path integrator in the guides would save a ray per sample, and takes twice as long.
    guides = mi.load_dict({"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"})
    for time_index in times:
        _move(mi, parameters, scene, time_index)
        first_seed = seed + 7919 * time_index
        light = _mean(mi, loaded, paths, samples, first_seed, BRIGHTEST / scene.exposure)
        if clean is not None:
            layers = _mean(mi, loaded, guides, max(samples, GUIDE_SAMPLES), first_seed, np.inf)
            # Through a lens the guides are as noisy as the light where they are out of focus.
            light = clean(light, layers[..., :3], layers[..., 3:], not response.aperture_mm)
        yield light


def _mean(mi: Any, loaded: Any, integrator: Any, samples: int, seed: int, brightest: float) -> FloatArray:
    """Mean (H, W, C) of passes that fit into memory, each clamped to `brightest`."""
    passes = -(-samples // SAMPLES_PER_PASS)
    total = 0.0
    for number in range(passes):
        spp = samples * (number + 1) // passes - samples * number // passes
        layer = np.array(mi.render(loaded, integrator=integrator, spp=spp, seed=seed + number))
        total = total + np.minimum(layer, brightest) * spp / samples
    return np.ascontiguousarray(total, np.float32)


@cache
def _mitsuba() -> Any:
    """The module with a variant set: vectorised where LLVM is found, else the much slower scalar one."""
    library = _llvm_library()
    if library:
        os.environ.setdefault("DRJIT_LIBLLVM_PATH", library)
    try:
        mi: Any = importlib.import_module("mitsuba")
    except ImportError as error:
        fix = f"{install_fix('truth')}, and for speed: apt-get install libllvm19 libatomic1"
        raise SetupError(f"path tracing needs Mitsuba: {error}", fix=fix) from error
    mi.set_variant("llvm_ad_rgb" if library else "scalar_rgb")
    mi.set_log_level(mi.LogLevel.Error)
    if threads := os.environ.get("OMP_NUM_THREADS", ""):  # what else computes here heeds it too
        importlib.import_module("drjit").set_thread_count(max(1, int(threads)))
    if not library:
        log.warning("no LLVM 17 to 21 found, path tracing is several times slower; apt-get install libllvm19")
    return mi


def variant() -> str:
    """The Mitsuba variant in use: `llvm_ad_rgb`, or `scalar_rgb` where no LLVM was found."""
    return str(_mitsuba().variant())


def _llvm_library() -> str:
    """A libLLVM that loads and that Dr.Jit works with, or nothing."""
    chosen = os.environ.get("DRJIT_LIBLLVM_PATH", "")
    if chosen:
        return chosen
    for version in LLVM_VERSIONS:
        for name in (f"libLLVM.so.{version}.1", f"libLLVM-{version}.so.1", f"libLLVM-{version}.so"):
            if _loads(name):
                return name
    return ""


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@cache
def _denoiser() -> Callable[[FloatArray, FloatArray, FloatArray, bool], FloatArray]:
    """A function from light, albedo and normal, each (H, W, 3), and whether those two are clean, to clean light."""
    try:
        oidn: Any = importlib.import_module("pyoidn")
    except ImportError as error:
        fix = f"{install_fix('truth')}, or pass denoise=False"
        raise SetupError(f"denoising needs pyoidn: {error}", fix=fix) from error

    def clean(light: FloatArray, albedo: FloatArray, normal: FloatArray, clean_guides: bool) -> FloatArray:
        light, albedo, normal = (np.ascontiguousarray(a, np.float32) for a in (light, albedo, normal))
        guides = {"albedo": np.clip(albedo, 0, 1), "normal": normal, "clean_aux": clean_guides}
        return np.asarray(oidn.denoise(light, hdr=True, **guides), np.float32)

    return clean


_KEY = "object_"


def _scene_dict(
    mi: Any, scene: Scene, time_index: int, height: int, width: int, response: CameraResponse = PERFECT
) -> dict[str, Any]:
    sensor = _sensor(mi, scene, time_index, height, width) | _lens(response)
    result: dict[str, Any] = {"type": "scene", "sensor": sensor}
    result["sky"] = _sky(mi, scene.sky)
    if scene.sun is not None:
        result["sun"] = _sun(mi, scene.sun)
    for number, lamp in enumerate(scene.lamps):
        result[f"lamp_{number}"] = _lamp(mi, lamp)
    for number, item in enumerate(scene.objects):
        result[f"{_KEY}{number}"] = _mesh(mi, f"{_KEY}{number}", item, time_index)
    return result


def _transform(mi: Any, matrix: NDArray[np.float64]) -> Any:
    return mi.ScalarTransform4f(np.asarray(matrix, np.float64))


def _camera_pose(world_from_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mitsuba looks along +z with x to the left and y up; ours has x right and y down."""
    return world_from_camera @ np.diag([-1.0, -1.0, 1.0, 1.0])


def _sensor(mi: Any, scene: Scene, time_index: int, height: int, width: int) -> dict[str, Any]:
    film = {
        "type": "hdrfilm",
        "width": width,
        "height": height,
        "rfilter": {"type": "box"},  # a pixel is its own area, as in the game look
        "pixel_format": "rgb",
        "component_format": "float32",
    }
    return {
        "type": "perspective",
        "fov": scene.vertical_fov_deg,
        "fov_axis": "y",
        "near_clip": 0.01,
        "far_clip": 10000.0,
        "to_world": _transform(mi, _camera_pose(scene.world_from_camera[time_index])),
        "film": film,
        # Stratified: as clean at 4 samples as independent ones at 8.
        "sampler": {"type": "multijitter"},
    }


def _lens(response: CameraResponse) -> dict[str, Any]:
    if not response.aperture_mm:
        return {}
    radius_m = response.aperture_mm / 2000
    return {"type": "thinlens", "aperture_radius": radius_m, "focus_distance": response.focus_m}


def _sky(mi: Any, sky: Sky) -> dict[str, Any]:
    """The gradient as an environment map; only its rows differ."""
    angle_from_zenith = (np.arange(SKY_ROWS) + 0.5) / SKY_ROWS * np.pi
    column = sky_radiance(sky, np.cos(angle_from_zenith))
    image = np.repeat(column[:, None], 8, 1).astype(np.float32)
    z_up_from_y_up = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float64)
    return {"type": "envmap", "bitmap": mi.Bitmap(image), "to_world": _transform(mi, z_up_from_y_up)}


def _sun(mi: Any, sun: Sun) -> dict[str, Any]:
    """A far disk of the sun's apparent size, so that shadows have their true soft edges."""
    towards = np.asarray(sun.direction, np.float64) / np.linalg.norm(sun.direction)
    half_angle = np.radians(sun.angular_diameter_deg) / 2
    radiance = np.asarray(sun.irradiance) / (np.pi * np.sin(half_angle) ** 2)
    up = [0, 0, 1] if abs(towards[2]) < 0.99 else [0, 1, 0]
    facing = mi.ScalarTransform4f().look_at(origin=(towards * SUN_DISTANCE_M).tolist(), target=[0, 0, 0], up=up)
    size = mi.ScalarTransform4f().scale(float(SUN_DISTANCE_M * np.tan(half_angle)))
    return {"type": "disk", "to_world": facing @ size, **_shines(radiance)}


def _lamp(mi: Any, lamp: Lamp) -> dict[str, Any]:
    half = np.diag([lamp.size[0] / 2, lamp.size[1] / 2, 1.0, 1.0])
    shines_along_minus_z = np.diag([1.0, -1.0, -1.0, 1.0])
    to_world = _transform(mi, lamp.world_from_lamp @ shines_along_minus_z @ half)
    return {"type": "rectangle", "to_world": to_world, **_shines(np.asarray(lamp.radiance))}


def _shines(radiance: NDArray[np.floating]) -> dict[str, Any]:
    """A black surface that emits to its front."""
    return {
        "emitter": {"type": "area", "radiance": _rgb(radiance)},
        "bsdf": {"type": "diffuse", "reflectance": _rgb(np.zeros(3))},
    }


def _rgb(colour: NDArray[np.floating]) -> dict[str, Any]:
    return {"type": "rgb", "value": [float(c) for c in colour]}


def _mesh(mi: Any, key: str, item: SceneObject, time_index: int) -> Any:
    properties = mi.Properties()
    properties["bsdf"] = mi.load_dict(_bsdf(mi, item.material))
    if any(item.material.emission):
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": _rgb(np.asarray(item.material.emission))})
    shape = mi.Mesh(
        key,
        len(item.mesh.positions),
        len(item.mesh.triangles),
        has_vertex_normals=True,
        has_vertex_texcoords=True,
        props=properties,
    )
    parameters = mi.traverse(shape)
    positions, normals = _in_world(item, time_index)
    parameters["vertex_positions"] = positions.ravel()
    parameters["vertex_normals"] = normals.ravel()
    parameters["vertex_texcoords"] = np.ascontiguousarray(item.mesh.uvs, np.float32).ravel()
    parameters["faces"] = np.ascontiguousarray(item.mesh.triangles).astype(np.uint32).ravel()
    parameters.update()
    return shape


def _in_world(item: SceneObject, time_index: int) -> tuple[FloatArray, FloatArray]:
    """Vertex positions and unit normals (V, 3) in world space."""
    matrix = object_pose(item, time_index)
    positions = item.mesh.positions @ matrix[:3, :3].T + matrix[:3, 3]
    normals = item.mesh.normals @ np.linalg.inv(matrix[:3, :3])
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return positions.astype(np.float32), normals.astype(np.float32)


def _bsdf(mi: Any, material: Material) -> dict[str, Any]:
    texture = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(material.base_color, np.float32)),
        "raw": True,
        "filter_type": "bilinear",
        "wrap_mode": "repeat",
    }
    surface = {
        "type": "principled",
        "base_color": texture,
        "specular": 0.5,
        "roughness": max(material.roughness, SMOOTHEST),
        "metallic": material.metallic,
    }
    both_sides = {"type": "twosided", "bsdf": surface}
    if material.opacity == 1:
        return both_sides
    return {"type": "mask", "opacity": material.opacity, "bsdf": both_sides}


def _move(mi: Any, parameters: Any, scene: Scene, time_index: int) -> None:
    """Set the camera and whatever moves to frame `time_index`; all else stays loaded as it is."""
    parameters["sensor.to_world"] = mi.Transform4f(_camera_pose(scene.world_from_camera[time_index]))
    for number, item in enumerate(scene.objects):
        if item.world_from_object.ndim == 3:
            positions, normals = _in_world(item, time_index)
            parameters[f"{_KEY}{number}.vertex_positions"] = positions.ravel()
            parameters[f"{_KEY}{number}.vertex_normals"] = normals.ravel()
    parameters.update()


def main(arguments: Sequence[str] | None = None) -> None:
    """Path-trace stills of the demo's courtyard to `NNNN.png`, as `scenes.demo_truth` reads them."""
    parser = argparse.ArgumentParser(prog="python -m renderlift.engine.mitsuba", description=main.__doc__)
    parser.add_argument("scene", choices=["demo"])
    parser.add_argument("--frames", default="0,24,48,72,95", help="time indices, separated by commas")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--samples", type=int, default=256, help="light paths per pixel")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=448)
    chosen = parser.parse_args(arguments)

    from renderlift.engine.scenes import demo_courtyard

    times = [int(number) for number in chosen.frames.split(",")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    stills = path_trace_frames(demo_courtyard(), chosen.height, chosen.width, times, samples=chosen.samples)
    for time_index, still in zip(times, stills, strict=True):
        path = chosen.out / f"{time_index:04d}.png"
        cv2.imwrite(str(path), cv2.cvtColor(still, cv2.COLOR_RGB2BGR))
        log.info("wrote %s", path)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
