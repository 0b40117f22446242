"""Path-traced truth of a scene, by Mitsuba 3, pixel for pixel with the game look.

for picture in path_trace_frames(scene, 256, 448, samples=32): ...
python -m renderlift.engine.mitsuba demo --frames 0,24,48 --out stills
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
from renderlift.engine.mitsuba_scene import KEY, camera_pose, in_world, scene_dict
from renderlift.engine.photo import PERFECT, CameraResponse, photograph
from renderlift.engine.scene import FloatArray, Scene

log = logging.getLogger(__name__)

# Dr.Jit aborts with LLVM 15 and 16, so those are never offered to it.
LLVM_VERSIONS = (19, 20, 21, 18, 17)
MAX_DEPTH = 6
ROULETTE_DEPTH = 3  # paths may end early from here on: a fifth less time for a tenth of a decibel
SAMPLES_PER_PASS = 32
# Guides cost a tenth of what paths do, and OIDN keeps edges the better the cleaner they are.
GUIDE_SAMPLES = 16
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
    loaded = mi.load_dict(scene_dict(mi, scene, time_index, height, width))
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
        if shape.id().startswith(KEY):
            ids[np.array(hits.shape == mi.ShapePtr(shape)).reshape(height, width)] = int(shape.id()[len(KEY) :]) + 1
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
    loaded = mi.load_dict(scene_dict(mi, scene, times[0], height, width, response))
    parameters = mi.traverse(loaded)
    paths = mi.load_dict({"type": "path", "max_depth": MAX_DEPTH, "rr_depth": ROULETTE_DEPTH})
    # Wrapping the path integrator in the guides would save a ray per sample, and takes twice as long.
    guides = _guides()
    for time_index in times:
        _move(mi, parameters, scene, time_index)
        first_seed = seed + 7919 * time_index
        light = _mean(mi, loaded, paths, samples, first_seed, BRIGHTEST / scene.exposure)
        if clean is not None:
            layers = _mean(mi, loaded, guides, max(samples, GUIDE_SAMPLES), first_seed, np.inf)
            # Through a lens the guides are as noisy as the light where they are out of focus.
            light = clean(light, layers[..., -6:-3], layers[..., -3:], not response.aperture_mm)
        yield light


@cache
def _guides() -> Any:
    """An integrator that gives albedo and, relief and all, the shading normal in the world: 3 + 3 channels."""
    mi = _mitsuba()

    # Where a material bends the shading normal, and all do, it comes in the frame of the smooth surface.
    inner = mi.load_dict({"type": "aov", "aovs": "albedo:albedo,bent:sh_normal"})

    class Guides(mi.SamplingIntegrator):  # type: ignore[misc, name-defined]
        def sample(self, scene: Any, sampler: Any, ray: Any, medium: Any = None, active: Any = True) -> Any:
            color, valid, (*albedo, x, y, z) = inner.sample(scene, sampler, ray, medium, active)
            normal = scene.ray_intersect(ray, active).to_world(mi.Vector3f(x, y, z))
            return color, valid, [*albedo, normal.x, normal.y, normal.z]

        def aov_names(self) -> list[str]:
            return ["albedo.R", "albedo.G", "albedo.B", "normal.X", "normal.Y", "normal.Z"]

    return Guides(mi.Properties())


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


def _move(mi: Any, parameters: Any, scene: Scene, time_index: int) -> None:
    """Set the camera and whatever moves to frame `time_index`; all else stays loaded as it is."""
    parameters["sensor.to_world"] = mi.Transform4f(camera_pose(scene.world_from_camera[time_index]))
    for number, item in enumerate(scene.objects):
        if item.world_from_object.ndim == 3:
            positions, normals = in_world(item, time_index)
            parameters[f"{KEY}{number}.vertex_positions"] = positions.ravel()
            parameters[f"{KEY}{number}.vertex_normals"] = normals.ravel()
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
