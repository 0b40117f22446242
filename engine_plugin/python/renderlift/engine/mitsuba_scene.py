"""A scene as Mitsuba 3 takes it: camera, lights, meshes and materials.

Every material is the same BSDF with bitmaps of one kind, whatever it is made of: Dr.Jit then
finds the same kernels again for every scene instead of compiling new ones.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.photo import PERFECT, CameraResponse
from renderlift.engine.relief import heights_m, refined
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

SUN_DISTANCE_M = 500.0
SMOOTHEST = 0.05  # smoother metal makes caustics that few samples cannot resolve
SKY_ROWS = 720  # a quarter of a degree each: the horizon's two-degree ramp stays a ramp
RELIEF_TEXELS = 512  # along each side, of every relief: Mitsuba writes their number into its kernels

KEY = "object_"


def scene_dict(
    mi: Any, scene: Scene, time_index: int, height: int, width: int, response: CameraResponse = PERFECT
) -> dict[str, Any]:
    """What `mi.load_dict` makes the scene of, as it is at frame `time_index`; `mi` has a variant set."""
    sensor = _sensor(mi, scene, time_index, height, width) | _lens(response)
    result: dict[str, Any] = {"type": "scene", "sensor": sensor}
    result["sky"] = _sky(mi, scene.sky)
    if scene.sun is not None:
        result["sun"] = _sun(mi, scene.sun)
    for number, lamp in enumerate(scene.lamps):
        result[f"lamp_{number}"] = _lamp(mi, lamp)
    surfaces = _Surfaces(mi)
    for number, item in enumerate(scene.objects):
        bsdf = surfaces.bsdf(item.material)
        result[f"{KEY}{number}"] = _mesh(mi, f"{KEY}{number}", item, time_index, bsdf)
    return result


def _transform(mi: Any, matrix: NDArray[np.float64]) -> Any:
    return mi.ScalarTransform4f(np.asarray(matrix, np.float64))


def camera_pose(world_from_camera: NDArray[np.float64]) -> NDArray[np.float64]:
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
        "to_world": _transform(mi, camera_pose(scene.world_from_camera[time_index])),
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


def _mesh(mi: Any, key: str, item: SceneObject, time_index: int, bsdf: Any) -> Any:
    properties = mi.Properties()
    properties["bsdf"] = bsdf
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
    positions, normals = in_world(item, time_index)
    parameters["vertex_positions"] = positions.ravel()
    parameters["vertex_normals"] = normals.ravel()
    parameters["vertex_texcoords"] = np.ascontiguousarray(item.mesh.uvs, np.float32).ravel()
    parameters["faces"] = np.ascontiguousarray(item.mesh.triangles).astype(np.uint32).ravel()
    parameters.update()
    return shape


def in_world(item: SceneObject, time_index: int) -> tuple[FloatArray, FloatArray]:
    """Vertex positions and unit normals (V, 3) in world space."""
    matrix = object_pose(item, time_index)
    positions = item.mesh.positions @ matrix[:3, :3].T + matrix[:3, 3]
    normals = item.mesh.normals @ np.linalg.inv(matrix[:3, :3])
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return positions.astype(np.float32), normals.astype(np.float32)


class _Surfaces:
    """The scene's materials in Mitsuba; many objects share one texture, so it is loaded once."""

    def __init__(self, mi: Any) -> None:
        self._mi = mi
        self._colours: dict[int, Any] = {}  # by identity
        self._reliefs: dict[tuple[int, float] | None, Any] = {}

    def bsdf(self, material: Material) -> Any:
        surface = {
            "type": "principled",
            "base_color": self._colour(material),
            "specular": 0.5,
            "roughness": max(material.roughness, SMOOTHEST),
            "metallic": material.metallic,
        }
        both_sides = {"type": "twosided", "bsdf": surface}
        # Around and not inside: a two-sided surface would keep the bent normal from the denoiser.
        bent: dict[str, Any] = {"type": "bumpmap", "map": self._relief(material), "bsdf": both_sides}
        if material.opacity < 1:
            bent = {"type": "mask", "opacity": material.opacity, "bsdf": bent}
        return self._mi.load_dict(bent)

    def _colour(self, material: Material) -> Any:
        key = id(material.base_color)
        if key not in self._colours:
            self._colours[key] = self._texture(material.base_color)
        return self._colours[key]

    def _relief(self, material: Material) -> Any:
        key = None if material.relief is None else (id(material.relief), material.relief_m)
        if key not in self._reliefs:
            heights = heights_m(material)
            self._reliefs[key] = self._texture(refined(heights, max(RELIEF_TEXELS, *heights.shape))[..., None])
        return self._reliefs[key]

    def _texture(self, texels: FloatArray) -> Any:
        bitmap = self._mi.Bitmap(np.ascontiguousarray(texels, np.float32))
        settings = {"raw": True, "filter_type": "bilinear", "wrap_mode": "repeat"}
        return self._mi.load_dict({"type": "bitmap", "bitmap": bitmap, **settings})
