"""Path-traced truth of a scene, by Mitsuba 3, pixel for pixel with the game look.

Everything is a `principled` BSDF with a bitmap for its base colour, whatever it is made of:
Dr.Jit then finds the same kernels again for every scene instead of compiling new ones.
"""

import ctypes
import ctypes.util
import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError
from renderlift.engine.scene import (
    FloatArray,
    Lamp,
    Material,
    Mesh,
    Scene,
    SceneObject,
    Sky,
    Sun,
    object_pose,
    sky_radiance,
)
from renderlift.engine.tone import picture

# Dr.Jit aborts with LLVM 15 and 16, so those are never offered to it.
LLVM_VERSIONS = (19, 20, 21, 18, 17)
MAX_DEPTH = 6
ROULETTE_DEPTH = 3  # paths may end early from here on: a fifth less time for a tenth of a decibel
SUN_DISTANCE_M = 500.0
# No surface that matters is brighter than this after exposure; what is, is a firefly or a lamp.
BRIGHTEST = 24.0


def path_trace(
    scene: Scene,
    time_index: int,
    height: int,
    width: int,
    *,
    samples: int = 16,
    denoise: bool = True,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """One frame as an sRGB picture (H, W, 3), through the same tone curve as the game look.

    Args:
        samples: light paths per pixel.
        denoise: clean the result with OIDN, guided by albedo and normals.

    Raises:
        SetupError: Mitsuba or, for `denoise`, pyoidn is not installed.
    """
    frames = path_trace_frames(scene, height, width, [time_index], samples=samples, denoise=denoise, seed=seed)
    return next(frames)


def path_trace_frames(
    scene: Scene,
    height: int,
    width: int,
    times: list[int] | None = None,
    *,
    samples: int = 16,
    denoise: bool = True,
    seed: int = 0,
) -> Iterator[NDArray[np.uint8]]:
    """The frames named by `times` (default: all) as sRGB pictures (H, W, 3); the scene is loaded once."""
    for light in radiance_frames(scene, height, width, times, samples=samples, denoise=denoise, seed=seed):
        yield picture(light, scene.exposure)


def radiance_frames(
    scene: Scene,
    height: int,
    width: int,
    times: list[int] | None = None,
    *,
    samples: int = 16,
    denoise: bool = True,
    seed: int = 0,
) -> Iterator[FloatArray]:
    """Like `path_trace_frames`, but linear radiance (H, W, 3) float32 before exposure."""
    mi = _mitsuba()
    clean = _denoiser() if denoise else None
    times = list(range(len(scene))) if times is None else times
    loaded = mi.load_dict(_scene_dict(mi, scene, times[0], height, width))
    parameters = mi.traverse(loaded)
    paths = mi.load_dict({"type": "path", "max_depth": MAX_DEPTH, "rr_depth": ROULETTE_DEPTH})
    # Wrapping the path integrator in the guides would save a ray per sample, and take twice as long.
    guides = mi.load_dict({"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"})
    for time_index in times:
        _move(mi, parameters, scene, time_index)
        draw = {"spp": samples, "seed": seed + 7919 * time_index}
        light = np.minimum(np.array(mi.render(loaded, integrator=paths, **draw)), BRIGHTEST / scene.exposure)
        if clean is not None:
            layers = np.array(mi.render(loaded, integrator=guides, **draw))
            light = clean(light, layers[..., :3], layers[..., 3:])
        yield np.ascontiguousarray(light, np.float32)


@cache
def _mitsuba() -> Any:
    """The module with a variant set: vectorised where LLVM is found, else the slower scalar one."""
    library = _llvm_library()
    if library:
        os.environ.setdefault("DRJIT_LIBLLVM_PATH", library)
    try:
        import mitsuba
    except ImportError as error:
        raise SetupError("path tracing needs Mitsuba", fix="pip install 'renderlift[truth]'") from error
    mi: Any = mitsuba
    mi.set_variant("llvm_ad_rgb" if library else "scalar_rgb")
    mi.set_log_level(mi.LogLevel.Error)
    return mi


def variant() -> str:
    """The Mitsuba variant in use; `scalar_rgb` means that no LLVM was found: install libllvm19 for speed."""
    return str(_mitsuba().variant())


def _llvm_library() -> str:
    """A loadable libLLVM that Dr.Jit works with, or nothing."""
    chosen = os.environ.get("DRJIT_LIBLLVM_PATH", "")
    if chosen:
        return chosen
    for version in LLVM_VERSIONS:
        for name in (
            f"libLLVM.so.{version}.1",
            f"libLLVM-{version}.so.1",
            f"libLLVM-{version}.so",
            f"LLVM-{version}",
        ):
            found = name if ".so" in name else ctypes.util.find_library(name)
            if found and _loads(found):
                return found
    return ""


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@cache
def _denoiser() -> Any:
    """(light, albedo, normal), each (H, W, 3), to clean light."""
    try:
        import pyoidn
    except ImportError as error:
        raise SetupError(
            "denoising needs pyoidn", fix="pip install 'renderlift[truth]', or denoise=False"
        ) from error
    oidn: Any = pyoidn

    def clean(light: FloatArray, albedo: FloatArray, normal: FloatArray) -> FloatArray:
        light, albedo, normal = (np.ascontiguousarray(a, np.float32) for a in (light, albedo, normal))
        return np.asarray(oidn.denoise(light, albedo=np.clip(albedo, 0, 1), normal=normal, hdr=True), np.float32)

    return clean


def _scene_dict(mi: Any, scene: Scene, time_index: int, height: int, width: int) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "scene", "sensor": _sensor(mi, scene, time_index, height, width)}
    result["sky"] = _sky(mi, scene.sky)
    if scene.sun is not None:
        result["sun"] = _sun(mi, scene.sun)
    for number, lamp in enumerate(scene.lamps):
        result[f"lamp_{number}"] = _lamp(mi, lamp)
    for number, item in enumerate(scene.objects):
        result[_key(number)] = _mesh(mi, _key(number), item, time_index)
    return result


def _key(number: int) -> str:
    return f"object_{number:04d}"


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
        "rfilter": {"type": "box"},
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
        "sampler": {"type": "multijitter"},
    }


def _sky(mi: Any, sky: Sky) -> dict[str, Any]:
    """The gradient as an environment map; only its rows differ."""
    rows = 720
    angle_from_zenith = (np.arange(rows) + 0.5) / rows * np.pi
    column = sky_radiance(sky, np.cos(angle_from_zenith))
    image = np.repeat(column[:, None], 8, 1).astype(np.float32)
    z_up_from_y_up = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float64)
    return {"type": "envmap", "bitmap": mi.Bitmap(image), "to_world": _transform(mi, z_up_from_y_up)}


def _sun(mi: Any, sun: Sun) -> dict[str, Any]:
    """A far disk of the sun's apparent size, so that shadows have their true soft edges."""
    towards = np.asarray(sun.direction, np.float64) / np.linalg.norm(sun.direction)
    half_angle = np.radians(sun.angular_diameter_deg) / 2
    radiance = np.asarray(sun.irradiance) / (np.pi * np.sin(half_angle) ** 2)
    facing = mi.ScalarTransform4f().look_at(
        origin=(towards * SUN_DISTANCE_M).tolist(),
        target=[0, 0, 0],
        up=[0, 0, 1] if abs(towards[2]) < 0.99 else [0, 1, 0],
    )
    return {
        "type": "disk",
        "to_world": facing @ mi.ScalarTransform4f().scale(float(SUN_DISTANCE_M * np.tan(half_angle))),
        "emitter": {"type": "area", "radiance": _rgb(radiance)},
        "bsdf": {"type": "diffuse", "reflectance": _rgb(np.zeros(3))},
    }


def _lamp(mi: Any, lamp: Lamp) -> dict[str, Any]:
    half = np.diag([lamp.size[0] / 2, lamp.size[1] / 2, 1.0, 1.0])
    shines_along_minus_z = np.diag([1.0, -1.0, -1.0, 1.0])
    return {
        "type": "rectangle",
        "to_world": _transform(mi, lamp.world_from_lamp @ shines_along_minus_z @ half),
        "emitter": {"type": "area", "radiance": _rgb(np.asarray(lamp.radiance))},
        "bsdf": {"type": "diffuse", "reflectance": _rgb(np.zeros(3))},
    }


def _rgb(colour: NDArray[np.floating]) -> dict[str, Any]:
    return {"type": "rgb", "value": [float(c) for c in colour]}


def _mesh(mi: Any, key: str, item: SceneObject, time_index: int) -> Any:
    properties = mi.Properties()
    properties["bsdf"] = mi.load_dict(_bsdf(mi, item.material))
    if any(item.material.emission):
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": _rgb(np.asarray(item.material.emission))})
    mesh: Mesh = item.mesh
    shape = mi.Mesh(
        key,
        len(mesh.positions),
        len(mesh.triangles),
        has_vertex_normals=True,
        has_vertex_texcoords=True,
        props=properties,
    )
    parameters = mi.traverse(shape)
    positions, normals = _in_world(item, time_index)
    parameters["vertex_positions"] = positions.ravel()
    parameters["vertex_normals"] = normals.ravel()
    parameters["vertex_texcoords"] = np.ascontiguousarray(mesh.uvs, np.float32).ravel()
    parameters["faces"] = np.ascontiguousarray(mesh.triangles).astype(np.uint32).ravel()
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
        "roughness": max(material.roughness, 0.05),
        "metallic": material.metallic,
    }
    both_sides = {"type": "twosided", "bsdf": surface}
    if material.opacity == 1:
        return both_sides
    return {"type": "mask", "opacity": material.opacity, "bsdf": both_sides}


def _move(mi: Any, parameters: Any, scene: Scene, time_index: int) -> None:
    """Set the camera and whatever moves to frame `time_index`; the rest stays on the spot."""
    parameters["sensor.to_world"] = mi.Transform4f(_camera_pose(scene.world_from_camera[time_index]))
    for number, item in enumerate(scene.objects):
        if item.world_from_object.ndim == 3:
            positions, normals = _in_world(item, time_index)
            parameters[f"{_key(number)}.vertex_positions"] = positions.ravel()
            parameters[f"{_key(number)}.vertex_normals"] = normals.ravel()
    parameters.update()
