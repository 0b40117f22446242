"""A scene as plain data, so that a game engine and a path tracer render the very same thing.

`renderlift.engine.panda3d` draws it as a game would, `renderlift.engine.mitsuba`
path-traces it. Both read meshes, materials, lights and poses from here and nowhere else,
which is what makes the two pictures align to a fraction of a pixel.

World: right-handed, Z up, metres. Colours and radiance: linear, Rec. 709 primaries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Mesh:
    """Triangles, counter-clockwise seen from outside."""

    positions: FloatArray  # (V, 3) metres, object space
    normals: FloatArray  # (V, 3) unit
    uvs: FloatArray  # (V, 2); textures repeat, (0, 0) is the texture's top left
    triangles: NDArray[np.int32]  # (F, 3)


@dataclass(frozen=True)
class Material:
    """A dielectric or metal in the metallic-roughness model of glTF 2.0."""

    base_color: FloatArray  # (h, w, 3) linear in [0, 1]; (1, 1, 3) for one colour
    roughness: float = 0.6
    metallic: float = 0.0
    emission: tuple[float, float, float] = (0.0, 0.0, 0.0)  # radiance, linear
    opacity: float = 1.0  # below 1: thin see-through, e.g. a window pane
    # Heights (h, w) above the mesh, which only bend the light: joints, grain, dents. They lie on it as the
    # base colour does, and stand out along its normals.
    relief: FloatArray | None = None
    relief_m: float = 1.0  # what a height of 1 is in metres


@dataclass(frozen=True)
class SceneObject:
    """One instance. Its instance id is its place in `Scene.objects` plus 1."""

    name: str
    class_name: str  # e.g. "wall", "chair"; class ids are dealt by `class_ids`
    mesh: Mesh
    material: Material
    world_from_object: NDArray[np.float64]  # (4, 4), or (T, 4, 4) where it moves


@dataclass(frozen=True)
class Sun:
    """Light from infinitely far away."""

    direction: tuple[float, float, float]  # unit, from the scene towards the sun
    irradiance: tuple[float, float, float]  # on a plane facing it, linear
    angular_diameter_deg: float = 0.53


@dataclass(frozen=True)
class Sky:
    """A vertical gradient of radiance, linear."""

    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    ground: tuple[float, float, float]


@dataclass(frozen=True)
class Lamp:
    """A rectangle that shines to one side; it exists as light and as a visible emitter."""

    world_from_lamp: NDArray[np.float64]  # (4, 4); centred at 0, in the XY plane, shines along -Z
    size: tuple[float, float]  # metres, full width and height
    radiance: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """Everything needed to render T frames."""

    name: str
    objects: tuple[SceneObject, ...]
    world_from_camera: NDArray[np.float64]  # (T, 4, 4), OpenCV camera axes
    vertical_fov_deg: float
    sky: Sky
    sun: Sun | None = None
    lamps: tuple[Lamp, ...] = ()
    # Radiance that a game engine adds from all sides for want of bounced light, as a level's author
    # would set it; None lets the engine take it from the sky. The path tracer has no use for it.
    ambient: tuple[float, float, float] | None = None
    exposure: float = 1.0  # linear radiance is multiplied by this before the tone curve
    fps: float = 24.0
    tags: dict[str, str] = field(default_factory=lambda: {})  # e.g. kind, seed

    def __len__(self) -> int:
        return len(self.world_from_camera)


def object_pose(item: SceneObject, time_index: int) -> NDArray[np.float64]:
    """world_from_object (4, 4) of `item` at frame `time_index`."""
    pose = item.world_from_object
    return pose if pose.ndim == 2 else pose[time_index]


def class_ids(objects: Sequence[SceneObject]) -> dict[str, int]:
    """Class name to class id, dealt from 1 in alphabetical order."""
    return {name: i + 1 for i, name in enumerate(sorted({item.class_name for item in objects}))}


def image_from_camera(vertical_fov_deg: float, height: int, width: int) -> NDArray[np.float64]:
    """Pinhole intrinsics (3, 3) in pixels: square pixels, principal point at the centre."""
    focal = 0.5 * height / np.tan(np.radians(vertical_fov_deg) / 2)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float64)


def sky_radiance(sky: Sky, up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radiance (..., 3) of the sky in directions whose world Z component is `up` (...)."""
    blend = np.clip(np.abs(up), 0, 1)[..., None] ** 0.5
    horizon = np.asarray(sky.horizon)
    above = horizon + (np.asarray(sky.zenith) - horizon) * blend
    # The ground begins over two degrees, so that neither renderer aliases at the horizon.
    ground_share = np.clip(0.5 - up[..., None] / 0.035, 0, 1)
    result: NDArray[np.float64] = above * (1 - ground_share) + np.asarray(sky.ground) * ground_share
    return result
