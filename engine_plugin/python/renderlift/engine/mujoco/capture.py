"""Every channel of a simulation's cameras, from one instant of it.

The simulation is copied before it is drawn, so capture changes nothing that a controller reads, and
what is drawn is the state at `data.time`: after `mj_step` MuJoCo's own positions lag one step behind.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Array, CameraPose, Channel, Frame, IdName
from renderlift.engine.flow import backward_flow
from renderlift.engine.mujoco import axes
from renderlift.engine.mujoco.labels import Instances, label
from renderlift.engine.mujoco.library import Data, Model, core
from renderlift.engine.mujoco.passes import Passes

CHANNELS = (
    Channel.RGB,
    Channel.DEPTH,
    Channel.NORMAL,
    Channel.CLASS_ID,
    Channel.INSTANCE_ID,
    Channel.FLOW,
    Channel.ALBEDO,
    Channel.MATERIAL,
)
MAX_GEOMS = 10_000  # shown at once, as in MuJoCo's own Renderer


@dataclass(frozen=True)
class Instant:
    """What flow needs to know of a captured frame: poses (N, 4, 4) of geoms and sites, and of each camera."""

    objects: Mapping[int, NDArray[np.float64]]  # by type of MuJoCo's objects
    cameras: dict[str, CameraPose]


class Capture:
    """Holds the renderer open. Each `grab` draws every camera, and waits for it.

    Args:
        model: an MjModel, not changed.
        cameras: names of the model's cameras; or cameras by name, as {"viewer": viewer.cam}. By
            default all of the model's, and one that sees all of it if it has none.
        size: (height, width) of the frames; the model's offscreen size by default.
        channels: what to capture; each but ids, depth and flow costs a drawing of its own.
        instances: whether a body or each of its geoms is one object.
        class_ids: class ids already dealt; further classes are numbered after them.
        options: an MjvOption, what is visible; MuJoCo's defaults otherwise.

    Raises:
        SetupError: no such camera, one that is orthographic, or no OpenGL.
    """

    def __init__(
        self,
        model: Model,
        *,
        cameras: Sequence[str] | Mapping[str, Any] | None = None,
        size: tuple[int, int] | None = None,
        channels: Iterable[Channel] = CHANNELS,
        instances: Instances = Instances.BODY,
        class_ids: Mapping[str, int] | None = None,
        options: Any = None,
    ) -> None:
        self._model = model
        self._cameras = _cameras(model, cameras)
        self._channels = frozenset(channels) | {Channel.RGB}
        self._labels = label(model, instances=instances, class_ids=class_ids)
        self._options = options or core.MjvOption()
        self._shown = core.MjData(model)
        self._material = _material_table(model)
        self._index = 0
        self._before: Instant | None = None
        height, width = size or (int(model.vis.global_.offheight), int(model.vis.global_.offwidth))
        self._passes = Passes(model, (height, width), max_geoms=MAX_GEOMS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def names(self) -> tuple[IdName, ...]:
        """The id table of the model."""
        return self._labels.names

    @property
    def camera_names(self) -> tuple[str, ...]:
        return tuple(self._cameras)

    def grab(self, data: Data, engine_time_ns: int | None = None) -> tuple[Frame, ...]:
        """Draw the simulation now: a frame for each camera, in the order of `camera_names`.

        Args:
            engine_time_ns: `data.time` by default.
        """
        core.mj_copyData(self._shown, self._model, data)
        for update in (core.mj_kinematics, core.mj_comPos, core.mj_camlight, core.mj_flex, core.mj_tendon):
            update(self._model, self._shown)
        if engine_time_ns is None:
            engine_time_ns = round(float(data.time) * 1e9)
        instant = Instant(_poses(self._shown), {})
        frames = tuple(self._frame(name, engine_time_ns, instant) for name in self._cameras)
        self._before = instant
        self._index += 1
        return frames

    def cut(self) -> None:
        """The next frame does not continue the last one, as after a reset: it has no flow."""
        self._before = None

    def skip_to(self, index: int) -> None:
        """Give the next frames this index."""
        self._index = index

    def close(self) -> None:
        self._passes.close()

    def _frame(self, camera_name: str, engine_time_ns: int, instant: Instant) -> Frame:
        passes = self._passes
        passes.update(self._shown, self._cameras[camera_name], self._options)
        pose = axes.camera_pose(passes.scene.camera, passes.height, passes.width)
        instant.cameras[camera_name] = pose
        capture_time_ns = time.time_ns()
        return Frame(
            index=self._index,
            engine_time_ns=engine_time_ns,
            capture_time_ns=capture_time_ns,
            camera=pose,
            channels=self._draw(camera_name, pose, instant),
            camera_name=camera_name,
            engine="mujoco",
            names=self.names,
        )

    def _draw(self, camera_name: str, pose: CameraPose, instant: Instant) -> dict[Channel, Array]:
        passes, wanted = self._passes, self._channels
        shown = [(geom.objtype, geom.objid, geom.matid) for geom in passes.scene.geoms[: passes.scene.ngeom]]
        objects = np.array([*shown, (-1, -1, -1)], np.int32)  # sky is place -1, so the last
        channels: dict[Channel, Array] = {Channel.RGB: passes.picture()}
        if len(wanted) == 1:
            return channels
        places, depth_m = passes.geoms_and_depth()
        ids = self._labels.of(objects[:, :2])[places]
        channels[Channel.DEPTH] = depth_m[..., None]
        channels[Channel.INSTANCE_ID] = np.ascontiguousarray(ids[..., :1])
        channels[Channel.CLASS_ID] = np.ascontiguousarray(ids[..., 1:])
        if Channel.MATERIAL in wanted:
            surface = self._material[objects[:, 2]]
            surface[-1] = 0
            channels[Channel.MATERIAL] = surface[places]
        if Channel.FLOW in wanted:
            channels[Channel.FLOW] = self._flow(camera_name, pose, instant, objects, places, depth_m)
        sky = places < 0
        if Channel.ALBEDO in wanted:
            channels[Channel.ALBEDO] = _LINEAR_FROM_SRGB[passes.albedo()]
            channels[Channel.ALBEDO][sky] = 0
        if Channel.NORMAL in wanted:
            normals = passes.normals(pose.world_from_camera)
            channels[Channel.NORMAL] = _facing(normals, pose, sky)
        return {channel: array for channel, array in channels.items() if channel in wanted}

    def _flow(
        self,
        camera_name: str,
        pose: CameraPose,
        instant: Instant,
        objects: NDArray[np.int32],
        places: NDArray[np.int32],
        depth_m: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        if self._before is None:
            return np.full((*depth_m.shape, 2), np.nan, np.float32)
        moving: dict[int, NDArray[np.float64] | None] = {}
        for place in np.flatnonzero(np.bincount(places.ravel() + 1, minlength=len(objects))) - 1:
            kind, number = int(objects[place, 0]), int(objects[place, 1])
            if place < 0:
                continue
            if kind not in instant.objects or number < 0:  # tendons, skins: they bend
                moving[int(place)] = None
                continue
            now, before = instant.objects[kind][number], self._before.objects[kind][number]
            if not np.array_equal(now, before):
                moving[int(place)] = before @ np.linalg.inv(now)
        return backward_flow(depth_m, pose, self._before.cameras[camera_name], moving, places)


def _cameras(model: Model, wanted: Sequence[str] | Mapping[str, Any] | None) -> dict[str, Any]:
    if isinstance(wanted, Mapping):
        return dict(wanted)
    there = [model.camera(i).name or f"camera.{i}" for i in range(model.ncam)]
    if not there and not wanted:
        camera = core.MjvCamera()
        core.mjv_defaultFreeCamera(model, camera)
        return {"free": camera}
    unknown = [name for name in wanted or () if name not in there]
    if unknown:
        raise SetupError(
            f"the model has no camera {unknown[0]!r}",
            fix=f"It has: {', '.join(there) or 'none; leave cameras out to see all of it'}.",
        )
    return {name: _fixed(there.index(name)) for name in wanted or there}


def _fixed(number: int) -> Any:
    camera = core.MjvCamera()
    camera.type = core.mjtCamera.mjCAMERA_FIXED
    camera.fixedcamid = number
    return camera


def _poses(data: Data) -> dict[int, NDArray[np.float64]]:
    kinds = core.mjtObj
    return {
        kinds.mjOBJ_GEOM.value: axes.world_from_object(data.geom_xpos, data.geom_xmat),
        kinds.mjOBJ_SITE.value: axes.world_from_object(data.site_xpos, data.site_xmat),
    }


def _material_table(model: Model) -> NDArray[np.uint8]:
    """Roughness, metallic (N + 1, 2) of the model's materials, the last row for things without one."""
    table = np.tile(np.array([1.0, 0.0]), (model.nmat + 1, 1))
    table[:-1, 0] = np.where(model.mat_roughness >= 0, model.mat_roughness, 1)
    table[:-1, 1] = np.where(model.mat_metallic >= 0, model.mat_metallic, 0)
    return np.round(255 * np.clip(table, 0, 1)).astype(np.uint8)


def _facing(normals: NDArray[np.float32], pose: CameraPose, sky: NDArray[np.bool_]) -> NDArray[np.float16]:
    """Length 1, none past the silhouette, zero in the sky."""
    height, width = sky.shape
    pixels = np.ones((height, width, 3))
    pixels[..., 0] = np.arange(width) + 0.5
    pixels[..., 1] = np.arange(height)[:, None] + 0.5
    rays = pixels @ np.linalg.inv(pose.image_from_camera).T
    rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).astype(np.float32)
    past = np.maximum((normals * rays).sum(axis=-1, keepdims=True), 0)
    normals = normals - past * rays
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.where((length > 1e-3) & ~sky[..., None], normals / np.maximum(length, 1e-3), 0)
    return normals.astype(np.float16)


def _linear_from_srgb() -> NDArray[np.uint8]:
    """The 256 linear values of sRGB's code values (IEC 61966-2-1)."""
    x = np.arange(256) / 255
    return np.round(255 * np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)).astype(np.uint8)


_LINEAR_FROM_SRGB = _linear_from_srgb()
