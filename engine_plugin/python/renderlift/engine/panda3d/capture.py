"""Every channel of one camera, from one frame of a running Panda3D scene.

The picture is the user's own. The G-buffer is one more pass, into several targets at once,
by a camera that shares the user's camera node and lens, with its own shader laid over the
scene's states. Both are rendered by the same call of `renderFrame`.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Array, CameraPose, Channel, Frame
from renderlift.engine.panda3d import shaders
from renderlift.engine.panda3d.axes import (
    eye_from_ndc,
    image_from_camera,
    panda_matrix,
    previous_image_from_eye,
    world_from_camera,
)
from renderlift.engine.panda3d.backdrop import add_backdrop
from renderlift.engine.panda3d.nodes import Nodes
from renderlift.engine.panda3d.panda import GraphicsOutput, NodePath, Texture, core

ABOVE_EVERYTHING = 1_000_000  # priority of the pass's states over any of the user's


class Capture:
    """Holds the G-buffer pass of one camera open.

    Args:
        output: the window or buffer that shows the user's picture.
        camera: NodePath of the `Camera` that draws it.
        scene: root of what the camera sees; the camera's own topmost node by default.
        size: (height, width) of the frames; the output's by default.
        class_ids: class ids already dealt; further classes are numbered after them.
        metres_per_unit: length of one unit of the scene.
        linear_colors: whether textures and colours are linear. By default they are taken
            as sRGB unless the output has an sRGB framebuffer.
    """

    def __init__(
        self,
        output: GraphicsOutput,
        camera: NodePath,
        *,
        scene: NodePath | None = None,
        size: tuple[int, int] | None = None,
        camera_name: str = "main",
        class_ids: Mapping[str, int] | None = None,
        metres_per_unit: float = 1.0,
        linear_colors: bool | None = None,
    ) -> None:
        self.height, self.width = size or (output.getYSize(), output.getXSize())
        self.camera_name = camera_name
        self._output = output
        self._camera = camera
        self._engine = output.getEngine()
        self._metres_per_unit = metres_per_unit
        self._linear_colors = output.getFbProperties().getSrgbColor() if linear_colors is None else linear_colors
        self._before: CameraPose | None = None
        self._now: CameraPose | None = None
        self._index = 0

        self._picture: Texture = core.Texture("renderlift-picture")
        output.addRenderTexture(self._picture, core.GraphicsOutput.RTMBindOrCopy, core.GraphicsOutput.RTPColor)
        self._buffer, self._targets = _gbuffer(output, self.height, self.width)
        self._eye = camera.attachNewNode(core.Camera("renderlift-gbuffer"))
        self._view = core.PTALVecBase4f([core.LVecBase4f(0)])
        self._previous_image_from_eye = core.PTALMatrix4f([core.LMatrix4f.identMat()])
        self._eye_from_ndc = core.PTALMatrix4f([core.LMatrix4f.identMat()])
        self._eye.node().setInitialState(self._state())
        region = self._buffer.makeDisplayRegion()
        region.setCamera(self._eye)
        self._sky = add_backdrop(self._buffer, self._sky_state())
        self._nodes = Nodes(scene or camera.getTop(), self._eye.node(), class_ids)

    def grab(self, engine_time_ns: int) -> Frame:
        """Render one frame now and wait for all of it."""
        self.before_render()
        self._engine.renderFrame()
        return self.frame(engine_time_ns)

    def before_render(self) -> None:
        """Bring the pass to the scene as it stands. Call right before the engine renders."""
        lens = self._camera.node().getLens()
        self._eye.node().setLens(lens)
        self._eye.node().setCameraMask(self._camera.node().getCameraMask())
        now = CameraPose(world_from_camera(self._camera), image_from_camera(lens, self.height, self.width))
        self._nodes.update(now)
        before = self._before
        self._view.setElement(
            0,
            core.LVecBase4f(self.height, self._metres_per_unit, before is not None, not self._linear_colors),
        )
        self._previous_image_from_eye.setElement(0, panda_matrix(previous_image_from_eye(before or now, now)))
        self._eye_from_ndc.setElement(0, panda_matrix(eye_from_ndc(now.image_from_camera, self.height, self.width)))
        self._before, self._now = now, now

    def frame(self, engine_time_ns: int) -> Frame:
        """The frame just rendered."""
        if self._now is None:
            raise SetupError("no frame was rendered yet", fix="Call before_render() and render a frame first.")
        gsg = self._output.getGsg()
        for texture in (self._picture, *self._targets):
            self._engine.extractTextureData(texture, gsg)
        albedo, material, normal_depth, flow_labels = (_pixels(target) for target in self._targets)
        picture = _pixels(self._picture)
        frame = Frame(
            index=self._index,
            engine_time_ns=engine_time_ns,
            capture_time_ns=time.time_ns(),
            camera=_in_metres(self._now, self._metres_per_unit),
            channels={
                Channel.RGB: np.ascontiguousarray(picture[..., :3]),
                Channel.DEPTH: np.ascontiguousarray(normal_depth[..., 3:]),
                Channel.NORMAL: np.ascontiguousarray(normal_depth[..., :3]),
                Channel.CLASS_ID: flow_labels[..., 3:].astype(np.uint32),
                Channel.INSTANCE_ID: flow_labels[..., 2:3].astype(np.uint32),
                Channel.FLOW: np.ascontiguousarray(flow_labels[..., :2]),
                Channel.ALBEDO: np.ascontiguousarray(albedo[..., :3]),
                Channel.MATERIAL: np.ascontiguousarray(material[..., :2]),
            },
            camera_name=self.camera_name,
            engine="panda3d",
            names=self._nodes.names,
        )
        self._index += 1
        return frame

    def close(self) -> None:
        """Take the pass off the scene and give its memory back."""
        self._nodes.close()
        self._engine.removeWindow(self._buffer)
        self._eye.removeNode()
        self._sky.removeNode()

    def _state(self) -> Any:
        state = core.NodePath("state")
        state.setShader(shaders.gbuffer_shader(), ABOVE_EVERYTHING)
        state.setShaderInput("u_labels", core.LVecBase4f(0))
        state.setShaderInput("u_surface", core.LVecBase4f(1, 0, 0, 0))
        state.setShaderInput("u_motion", core.LMatrix4f.identMat())
        state.setShaderInput("u_view", self._view)
        state.setShaderInput("u_previous_image_from_eye", self._previous_image_from_eye)
        state.setTransparency(core.TransparencyAttrib.MNone, ABOVE_EVERYTHING)
        state.setAttrib(core.ColorBlendAttrib.makeOff(), ABOVE_EVERYTHING)
        state.setAttrib(core.AlphaTestAttrib.makeDefault(), ABOVE_EVERYTHING)
        state.setLightOff(ABOVE_EVERYTHING)
        state.setFogOff(ABOVE_EVERYTHING)
        return state.getState()

    def _sky_state(self) -> Any:
        state = core.NodePath("state")
        state.setShader(shaders.gbuffer_sky_shader())
        state.setShaderInput("u_view", self._view)
        state.setShaderInput("u_previous_image_from_eye", self._previous_image_from_eye)
        state.setShaderInput("u_eye_from_ndc", self._eye_from_ndc)
        return state.getState()


def _gbuffer(output: GraphicsOutput, height: int, width: int) -> tuple[GraphicsOutput, list[Texture]]:
    wanted = core.FrameBufferProperties()
    wanted.setRgbaBits(8, 8, 8, 8)
    wanted.setDepthBits(24)
    wanted.setAuxRgba(1)
    wanted.setAuxFloat(2)
    buffer = output.getEngine().makeOutput(
        output.getPipe(),
        "renderlift-gbuffer",
        output.getSort() + 1,
        wanted,
        core.WindowProperties.size(width, height),
        core.GraphicsPipe.BFRefuseWindow,
        output.getGsg(),
        output,
    )
    if buffer is None or buffer.getFbProperties().getAuxFloat() < 2 or buffer.getFbProperties().getAuxRgba() < 1:
        raise SetupError(
            f"{output.getGsg().getDriverRenderer()} cannot draw to four targets at once, two of them 32-bit floats",
            fix="Update the OpenGL driver; OpenGL 3.3 is needed.",
        )
    buffer.setClearDepthActive(True)
    targets: list[Texture] = []
    for plane in ("RTPColor", "RTPAuxRgba0", "RTPAuxFloat0", "RTPAuxFloat1"):
        texture = core.Texture(f"renderlift-{plane}")
        buffer.addRenderTexture(texture, core.GraphicsOutput.RTMBindOrCopy, getattr(core.GraphicsOutput, plane))
        targets.append(texture)
    return buffer, targets


def _pixels(texture: Texture) -> Array:
    """A texture's pixels (H, W, 4), RGBA, top row first."""
    dtype: Any = np.uint8 if texture.getComponentType() == core.Texture.TUnsignedByte else np.float32
    flat: NDArray[Any] = np.frombuffer(texture.getRamImage(), dtype)
    shaped = flat.reshape(texture.getYSize(), texture.getXSize(), -1)
    return shaped[::-1, :, [2, 1, 0, 3][: shaped.shape[2]]]


def _in_metres(pose: CameraPose, metres_per_unit: float) -> CameraPose:
    moved = pose.world_from_camera.copy()
    moved[:3, 3] *= metres_per_unit
    return CameraPose(moved, pose.image_from_camera)
