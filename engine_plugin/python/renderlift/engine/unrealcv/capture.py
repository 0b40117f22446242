"""Frames from any running UnrealCV server.

UnrealCV renders each channel by a capture of its own. They belong together if the server runs a
batch in one tick of the game, or nothing moves. Neither is taken on trust: pose and depth are asked
for first and last, and a frame during which either changed is asked for again.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import TransportError
from renderlift.bridge.frame import Array, CameraPose, Channel, Frame, IdName
from renderlift.engine.flow import backward_flow
from renderlift.engine.unrealcv import axes
from renderlift.engine.unrealcv.labels import Labels
from renderlift.engine.unrealcv.server import Server, numbers, picture, plane

_log = logging.getLogger(__name__)

COMMANDS = {"lit": "png", "depth": "npy", "normal": "png", "object_mask": "png"}
HALF_FLOAT_MAX = 65504.0  # depth comes from half floats; beyond is the sky
ATTEMPTS = 4  # at a frame whose channels belong together
MOVED_CM, TURNED_DEGREES = 0.01, 0.01
PIXELS_THAT_MAY_DIFFER = 0.0005  # of two depths of one instant: temporal antialiasing flickers at edges


@dataclass(frozen=True)
class Answers:
    """What the server said about one frame of one camera."""

    location_cm: tuple[float, float, float]
    rotation: tuple[float, float, float]
    fov_degrees: float
    pictures: Mapping[str, NDArray[Any]]  # by the name of UnrealCV's view mode
    together: bool  # whether nothing is seen to have changed in between


class Capture:
    """Holds the connection open. Each `grab` asks for one frame of every camera, and waits for it.

    Args:
        address: HOST:PORT of the server.
        cameras: numbers of UnrealCV's cameras; 0 is the player's.
        size: (height, width) to ask for; the server's own if it cannot change it.
        class_ids: class ids already dealt; further classes are numbered after them.
        metres_per_depth_unit: 0.01 for today's servers. Some old ones gave metres: 1.
        static: nothing but the camera moves. Then flow is known everywhere, else only on objects
            whose mobility the server calls static.
        check: ask for pose and depth twice, to see whether the channels belong together.

    Raises:
        TransportError: no server there, no picture from it, or answers that are none.
    """

    def __init__(
        self,
        address: str,
        *,
        cameras: Sequence[int] = (0,),
        size: tuple[int, int] | None = None,
        class_ids: Mapping[str, int] | None = None,
        metres_per_depth_unit: float = axes.METRES_PER_UNIT,
        static: bool = False,
        check: bool = True,
    ) -> None:
        self.server = Server(address)
        self._cameras = tuple(cameras)
        self._metres_per_depth_unit = metres_per_depth_unit
        self._static = static
        self._check = check
        self._index = 0
        self._before: dict[int, CameraPose] = {}
        self.torn_frames = 0  # frames whose channels did not belong together, after all attempts
        first = self._cameras[0]
        if size is not None:
            for camera in self._cameras:
                self.server.answers(f"vset /camera/{camera}/size {size[1]} {size[0]}")
        self._has = [mode for mode in COMMANDS if self.server.answers(_command(first, mode))]
        if "lit" not in self._has:
            raise TransportError(f"the UnrealCV server gives no picture of camera {first}")
        self._fov = next(
            (f for f in ("fov", "horizontal_fieldofview") if self.server.answers(f"vget /camera/{first}/{f}")), ""
        )
        self._labels = Labels(self.server, class_ids) if "object_mask" in self._has else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def names(self) -> tuple[IdName, ...]:
        """The id table as far as it is known."""
        return self._labels.names if self._labels else ()

    @property
    def camera_names(self) -> tuple[str, ...]:
        return tuple(str(camera) for camera in self._cameras)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What this server's frames hold."""
        found: list[Channel] = [Channel.RGB]
        if "depth" in self._has:
            found.append(Channel.DEPTH)
        if "normal" in self._has:
            found.append(Channel.NORMAL)
        if self._labels:
            found += [Channel.INSTANCE_ID, Channel.CLASS_ID]
        if self._knows_flow:
            found.append(Channel.FLOW)
        return tuple(found)

    @property
    def _knows_flow(self) -> bool:
        told = self._labels is not None and self._labels.knows_mobility
        return "depth" in self._has and (self._static or told)

    def place(self, camera: int, location_cm: Iterable[float], rotation: Iterable[float]) -> None:
        """Set a camera's location in centimetres and its pitch, yaw, roll in degrees, as Unreal has them."""
        x, y, z = location_cm
        pitch, yaw, roll = rotation
        self.server.ask(
            [f"vset /camera/{camera}/location {x} {y} {z}", f"vset /camera/{camera}/rotation {pitch} {yaw} {roll}"]
        )

    def grab(self, engine_time_ns: int) -> tuple[Frame, ...]:
        """A frame of each camera, in the order of `camera_names`.

        Raises:
            TransportError: the server is gone, or its answers are none.
        """
        frames = tuple(self._frame(camera, engine_time_ns) for camera in self._cameras)
        self._index += 1
        return frames

    def cut(self) -> None:
        """The next frame does not continue the last one: it has no flow."""
        self._before.clear()

    def skip_to(self, index: int) -> None:
        """Give the next frames this index."""
        self._index = index

    def close(self) -> None:
        self.server.close()

    def _frame(self, camera: int, engine_time_ns: int) -> Frame:
        answers = self._ask_until_together(camera)
        height, width = answers.pictures["lit"].shape[:2]
        pose = CameraPose(
            axes.world_from_camera(answers.location_cm, answers.rotation),
            axes.image_from_camera(answers.fov_degrees, height, width),
        )
        frame = Frame(
            index=self._index,
            engine_time_ns=engine_time_ns,
            capture_time_ns=time.time_ns(),
            camera=pose,
            channels=self._convert(answers.pictures, pose, self._before.get(camera)),
            camera_name=str(camera),
            engine="unrealcv",
            names=self.names,
        )
        self._before[camera] = pose
        return frame

    def _ask_until_together(self, camera: int) -> Answers:
        answers = self._ask(camera)
        for _ in range(ATTEMPTS - 1):
            if answers.together:
                break
            answers = self._ask(camera)
        if answers.together:
            return answers
        self.torn_frames += 1
        _log.warning(
            "frame %d of camera %d: the scene moved between its channels (%d such frames). Pause the game,"
            " or move the camera only between frames.", self._index, camera, self.torn_frames
        )  # fmt: skip
        return answers

    def _ask(self, camera: int) -> Answers:
        modes = list(self._has)
        again = ["depth"] if self._check and "depth" in modes else []
        pose = [f"vget /camera/{camera}/location", f"vget /camera/{camera}/rotation"]
        fov = [f"vget /camera/{camera}/{self._fov}"] if self._fov else []
        commands = [
            *pose,
            *fov,
            *(_command(camera, mode) for mode in [*modes, *again]),
            *(pose if self._check else []),
        ]
        said = self.server.ask(commands)
        start = len(pose) + len(fov)
        pictures = {
            mode: (plane if COMMANDS[mode] == "npy" else picture)(answer)
            for mode, answer in zip(modes, said[start:], strict=False)
        }
        _check_sizes(pictures)
        together = True
        if self._check:
            together = _same_pose(said[:2], said[-2:])
            if again:
                together = together and _same_depth(pictures["depth"], plane(said[start + len(modes)]))
        location, rotation = _triple(said[0]), _triple(said[1])
        degrees = numbers(said[2], 1)[0] if fov else 90.0  # Unreal's default
        return Answers(location, rotation, degrees, pictures, together)

    def _convert(
        self, pictures: Mapping[str, NDArray[Any]], pose: CameraPose, before: CameraPose | None
    ) -> dict[Channel, Array]:
        channels: dict[Channel, Array] = {Channel.RGB: pictures["lit"]}
        if "depth" in pictures:
            raw = pictures["depth"]
            sky = ~np.isfinite(raw) | (raw >= HALF_FLOAT_MAX) | (raw <= 0)
            depth_m = np.where(sky, np.inf, raw * self._metres_per_depth_unit).astype(np.float32)
            channels[Channel.DEPTH] = depth_m[..., None]
        if self._labels and "object_mask" in pictures:
            channels[Channel.INSTANCE_ID], channels[Channel.CLASS_ID] = self._labels.of(pictures["object_mask"])
        if "normal" in pictures:
            channels[Channel.NORMAL] = _normals(pictures["normal"], pose, channels.get(Channel.DEPTH))
        if self._knows_flow:
            channels[Channel.FLOW] = self._flow(channels, pose, before)
        return channels

    def _flow(self, channels: Mapping[Channel, Array], pose: CameraPose, before: CameraPose | None) -> Array:
        depth_m = channels[Channel.DEPTH][..., 0]
        if before is None:
            return np.full((*depth_m.shape, 2), np.nan, np.float32)
        things = np.zeros(depth_m.shape, np.int32)
        flow = backward_flow(depth_m, pose, before, {}, things)
        if not self._static and self._labels:
            ids = channels[Channel.INSTANCE_ID][..., 0]
            unknown = np.isin(ids, list(self._labels.movable)) | ((ids == 0) & np.isfinite(depth_m))
            flow[unknown] = np.nan
        return flow


def _command(camera: int, mode: str) -> str:
    return f"vget /camera/{camera}/{mode} {COMMANDS[mode]}"


def _triple(answer: Any) -> tuple[float, float, float]:
    first, second, third = numbers(answer, 3)
    return first, second, third


def _check_sizes(pictures: Mapping[str, NDArray[Any]]) -> None:
    sizes = {mode: image.shape[:2] for mode, image in pictures.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{mode} {width}x{height}" for mode, (height, width) in sizes.items())
        raise TransportError(
            f"the UnrealCV server's channels differ in size: {told}",
            fix="Set Width and Height in its unrealcv.ini, or give --size.",
        )


def _same_pose(before: Sequence[Any], after: Sequence[Any]) -> bool:
    moved = np.subtract(_triple(before[0]), _triple(after[0]))
    turned = (np.subtract(_triple(before[1]), _triple(after[1])) + 180) % 360 - 180
    return bool(np.abs(moved).max() <= MOVED_CM and np.abs(turned).max() <= TURNED_DEGREES)


def _same_depth(one: NDArray[Any], other: NDArray[Any]) -> bool:
    differs = ~np.isclose(one, other, rtol=2e-3, atol=0.0)  # two half floats apart
    return float(differs.mean()) <= PIXELS_THAT_MAY_DIFFER


def _normals(colors: NDArray[np.uint8], pose: CameraPose, depth_m: Array | None) -> NDArray[np.float16]:
    """World normals painted as (n + 1) / 2, in 8 bits, to camera axes; zero where that is not a direction."""
    normals = axes.camera_normals(colors.astype(np.float32) / 127.5 - 1, pose.world_from_camera)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    known = np.abs(length - 1) < 0.1
    if depth_m is not None:
        known &= np.isfinite(depth_m)
    return np.where(known, normals / np.maximum(length, 0.1), 0).astype(np.float16)
