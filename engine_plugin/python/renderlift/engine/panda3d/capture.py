"""Every channel of one camera, from one frame of a running Panda3D scene.

The picture is the user's own, read before the HUD is drawn over it. The G-buffer is one more
pass, into several targets at once, by a camera that shares the user's camera node and lens,
with its own shader laid over the scene's states. One call of `renderFrame` draws both, and
the pose is read while the pass is culled, so all of a frame belongs together.
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Array, CameraPose, Channel, Frame, IdName
from renderlift.engine.panda3d import axes
from renderlift.engine.panda3d.gbuffer import GBuffer
from renderlift.engine.panda3d.gl import Pixels, Plane, Transfer, borrow_transfers, give_back_transfers
from renderlift.engine.panda3d.nodes import Nodes
from renderlift.engine.panda3d.panda import GraphicsOutput, NodePath, Texture, core, output_texture

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
BEFORE_THE_HUD = 8  # sort of the display region that reads the picture; Panda3D draws 2-d from 10 on
GPU_PATIENCE_S = 10.0  # for one frame, when we wait for it
TRANSFERS = 3  # one being drawn, one on its way, one being read


@dataclass
class Shot:
    """One rendered frame as the GPU gave it; `Capture.frame` makes a frame of it, in any thread."""

    index: int
    engine_time_ns: int
    capture_time_ns: int
    camera: CameraPose
    names: tuple[IdName, ...]
    transfer: Transfer
    begun: bool = False
    planes: list[Pixels] = field(default_factory=lambda: [])  # picture, then the G-buffer; bottom row first


class Capture:
    """Holds the G-buffer pass of one camera open.

    Either `grab()` each frame, which renders and waits; or `arm()`, let the game render, and
    `take()` what has arrived, which never waits.

    Args:
        output: the window or buffer that shows the user's picture.
        camera: NodePath of the `Camera` that draws it.
        size: (height, width) of the frames; the output's, also when it changes, by default.
        class_ids: class ids already dealt; further classes are numbered after them.
        metres_per_unit: length of one unit of the scene.
        linear_colors: whether textures and colours are linear. By default they are taken
            as sRGB unless the output has an sRGB framebuffer.

    Raises:
        SetupError: a camera, an OpenGL or a threading model that cannot be captured.
    """

    def __init__(
        self,
        output: GraphicsOutput,
        camera: NodePath,
        *,
        size: tuple[int, int] | None = None,
        camera_name: str = "main",
        class_ids: Mapping[str, int] | None = None,
        metres_per_unit: float = 1.0,
        linear_colors: bool | None = None,
    ) -> None:
        _check(output, camera)
        self.camera_name = camera_name
        self._output = output
        self._camera = camera
        self._engine = output.getEngine()
        self._metres_per_unit = metres_per_unit
        self._srgb_colors = not (
            output.getFbProperties().getSrgbColor() if linear_colors is None else linear_colors
        )
        self._wanted_size = size
        self._index = 0
        self._before: CameraPose | None = None  # pose of the last captured frame, scene units
        self._shot: Shot | None = None  # being rendered
        self._engine_time_ns: int | None = None  # of the frame to capture next, if any
        self._waits = True  # for the pixels, at the end of each captured frame
        self._failure: BaseException | None = None
        self._idle = borrow_transfers(output.getGsg().this, TRANSFERS)
        self._under_way: deque[Shot] = deque()
        self._arrived: deque[Shot] = deque()

        self._gbuffer = GBuffer(output, camera, *self._size(), self._on_cull, self._on_gbuffer)
        self._nodes = Nodes(camera.getTop(), self._gbuffer.eye.node(), class_ids)
        self._resolved = _resolved_picture(output)
        self._picture_region = output.makeDisplayRegion()
        self._picture_region.setSort(BEFORE_THE_HUD)
        self._picture_region.setDrawCallback(core.PythonCallbackObject(self._on_picture))

    @property
    def names(self) -> tuple[IdName, ...]:
        """The id table as far as it is known: nodes are met when they are first rendered."""
        return self._nodes.names

    def grab(self, engine_time_ns: int) -> Frame:
        """Render one frame now and wait for all of it."""
        self.arm(engine_time_ns, wait=True)
        self._engine.renderFrame()
        shot = self.take()
        if shot is None:
            raise SetupError(
                f"Panda3D rendered nothing within {GPU_PATIENCE_S:g} s", fix="Keep the window open while capturing."
            )
        return self.frame(shot)

    def arm(self, engine_time_ns: int, *, wait: bool = False) -> bool:
        """Capture the next frame that is rendered.

        Args:
            wait: let that frame's rendering last until its pixels are here, to `take()` at once.

        Returns:
            False, and nothing is captured, if too many earlier frames are still under way.
        """
        self._raise_failure()
        if not self._idle:
            return False
        self._waits = wait
        if (self._gbuffer.height, self._gbuffer.width) != self._size():
            self._gbuffer.resize(*self._size())
            self.cut()
        self._gbuffer.ask()
        self._engine_time_ns = engine_time_ns
        return True

    def cut(self) -> None:
        """The next frame does not continue the last one: it has no flow."""
        self._before = None

    def skip_to(self, index: int) -> None:
        """Give the next frame this index."""
        self._index = index

    def take(self) -> Shot | None:
        """The oldest frame that has arrived and was not taken yet."""
        self._raise_failure()
        return self._arrived.popleft() if self._arrived else None

    def frame(self, shot: Shot) -> Frame:
        """Make a frame of a shot, once. Safe in another thread than the game's."""
        frame = _frame(shot, self.camera_name)
        self._idle.append(shot.transfer)
        return frame

    def close(self) -> None:
        """Take the pass off the scene. Frames not taken are lost."""
        self._picture_region.clearDrawCallback()
        self._output.removeDisplayRegion(self._picture_region)
        self._nodes.close()
        self._gbuffer.close()
        left = [shot.transfer for shot in (*self._under_way, *self._arrived)]
        give_back_transfers(self._output.getGsg().this, [*self._idle, *left])

    def _size(self) -> tuple[int, int]:
        return self._wanted_size or (self._output.getYSize(), self._output.getXSize())

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _on_cull(self) -> None:
        """The user's own cull has run: nothing moves from here on."""
        try:
            if self._engine_time_ns is not None:
                self._shot = self._begin(self._engine_time_ns)
                self._engine_time_ns = None
        except Exception as failure:  # Panda3D would print it and go on
            self._failure = failure

    def _begin(self, engine_time_ns: int) -> Shot:
        height, width = self._gbuffer.height, self._gbuffer.width
        intrinsics = axes.image_from_camera(self._camera.node().getLens(), height, width)
        now = CameraPose(axes.world_from_camera(self._camera), intrinsics)
        self._nodes.update(now)
        self._gbuffer.see(now, self._before, self._metres_per_unit, self._srgb_colors)
        self._before = now
        shot = Shot(
            index=self._index,
            engine_time_ns=engine_time_ns,
            capture_time_ns=time.time_ns(),
            camera=_in_metres(now, self._metres_per_unit),
            names=self._nodes.names,
            transfer=self._idle.popleft(),
        )
        self._index += 1
        return shot

    def _on_picture(self, _: Any) -> None:
        """The user's camera has drawn, the HUD has not."""
        try:
            while self._under_way and self._under_way[0].transfer.arrived():
                self._arrive(self._under_way.popleft())
            if self._shot is not None:
                self._shot.transfer.start([self._picture_plane(), *self._gbuffer.planes])
                self._shot.begun = True
                if self._resolved is None:
                    self._shot.transfer.read_buffer(self._picture_plane())
        except Exception as failure:
            self._failure = failure

    def _on_gbuffer(self) -> None:
        """The pass has drawn, and with it the frame is whole."""
        try:
            shot, self._shot = self._shot, None
            if shot is None:
                return
            self._nodes.remember()
            if not shot.begun:  # the user's output was not drawn, as of a minimised window
                self._idle.append(shot.transfer)
                return
            if self._resolved is not None:
                shot.transfer.read_texture(self._picture_plane(), _native_name(self._resolved, self._output))
            for attachment, plane in enumerate(self._gbuffer.planes):
                shot.transfer.read_buffer(plane, attachment)
            shot.transfer.seal()
            if self._waits and shot.transfer.arrived(timeout_s=GPU_PATIENCE_S):
                self._arrive(shot)
            else:
                self._under_way.append(shot)
        except Exception as failure:
            self._failure = failure

    def _arrive(self, shot: Shot) -> None:
        shot.planes = shot.transfer.map()
        self._arrived.append(shot)

    def _picture_plane(self) -> Plane:
        return (self._output.getYSize(), self._output.getXSize(), np.uint8)


def _check(output: GraphicsOutput, camera: NodePath) -> None:
    threads = output.getEngine().getThreadingModel()
    if threads.getCullName() or threads.getDrawName():
        raise SetupError(
            "Panda3D renders in threads of its own here, Renderlift reads pixels in the game's",
            fix="Remove threading-model from your configuration.",
        )
    if core.getDefaultCoordinateSystem() != core.CSZupRight:
        raise SetupError(
            "this scene's coordinate-system is not zup-right, Panda3D's default",
            fix="Remove coordinate-system from your configuration.",
        )
    axes.image_from_camera(camera.node().getLens(), 1, 1)


def _resolved_picture(output: GraphicsOutput) -> Texture | None:
    """The texture that holds an antialiased buffer's picture once drawn; other outputs are read directly."""
    if output.isOfType(core.GraphicsWindow.getClassType()) or output.getFbProperties().getMultisamples() < 2:
        return None
    return output_texture(output, core.GraphicsOutput.RTPColor)


def _native_name(texture: Texture, output: GraphicsOutput) -> int:
    gsg = output.getGsg()
    return int(texture.prepareNow(0, gsg.getPreparedObjects(), gsg).getNativeId())


def _frame(shot: Shot, camera_name: str) -> Frame:
    picture, albedo, material, normal_depth, flow_labels = (plane[::-1] for plane in shot.planes)
    return Frame(
        index=shot.index,
        engine_time_ns=shot.engine_time_ns,
        capture_time_ns=shot.capture_time_ns,
        camera=shot.camera,
        channels={
            Channel.RGB: _resized(np.ascontiguousarray(picture[..., :3]), albedo.shape[:2]),
            Channel.DEPTH: np.ascontiguousarray(normal_depth[..., 3:]),
            Channel.NORMAL: normal_depth[..., :3].astype(np.float16),
            Channel.CLASS_ID: flow_labels[..., 3:].astype(np.uint32),
            Channel.INSTANCE_ID: flow_labels[..., 2:3].astype(np.uint32),
            Channel.FLOW: np.ascontiguousarray(flow_labels[..., :2]),
            Channel.ALBEDO: np.ascontiguousarray(albedo[..., :3]),
            Channel.MATERIAL: np.ascontiguousarray(material[..., :2]),
        },
        camera_name=camera_name,
        engine="panda3d",
        names=shot.names,
    )


def _resized(picture: Array, size: tuple[int, ...]) -> Array:
    if picture.shape[:2] == size:
        return picture
    import cv2  # only here: it takes longer to load than the rest of the engine side

    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def _in_metres(pose: CameraPose, metres_per_unit: float) -> CameraPose:
    moved = pose.world_from_camera.copy()
    moved[:3, 3] *= metres_per_unit
    return CameraPose(moved, pose.image_from_camera)
