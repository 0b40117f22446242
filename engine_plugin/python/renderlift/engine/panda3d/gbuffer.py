"""The G-buffer pass: one camera more, four targets at once, over whatever the user's scene is."""

from collections.abc import Callable
from typing import Any

import numpy as np

from renderlift.bridge.frame import CameraPose
from renderlift.engine.panda3d import axes, shaders
from renderlift.engine.panda3d.backdrop import add_backdrop
from renderlift.engine.panda3d.gl import Plane
from renderlift.engine.panda3d.panda import GraphicsOutput, NodePath, close_buffer, core, open_buffer
from renderlift.engine.panda3d.shaders import ABOVE_EVERYTHING
from renderlift.engine.panda3d.textures import flat_relief

TARGETS = (np.uint8, np.uint8, np.float32, np.float32)  # in the order of shaders.py


class GBuffer:
    """Holds the pass of one camera open. It draws only in frames it was asked for.

    Args:
        output: what the user's camera draws to; the pass comes right after it.
        camera: the user's camera, whose pose and lens the pass shares.
        on_cull: called when all is in place for the frame and the pass is about to be culled.
        on_drawn: called when the pass has drawn, while its buffer can be read.
    """

    def __init__(
        self,
        output: GraphicsOutput,
        camera: NodePath,
        height: int,
        width: int,
        on_cull: Callable[[], None],
        on_drawn: Callable[[], None],
    ) -> None:
        self._output = output
        self._user = camera
        self._on_cull, self._on_drawn = on_cull, on_drawn
        self.eye: NodePath = camera.attachNewNode(core.Camera("renderlift-gbuffer"))
        self._view = core.PTALVecBase4f([core.LVecBase4f(0)])
        self._previous_image_from_eye = core.PTALMatrix4f([core.LMatrix4f.identMat()])
        self._eye_from_ndc = core.PTALMatrix4f([core.LMatrix4f.identMat()])
        self.eye.node().setInitialState(self._surface_state())
        self._open(height, width)

    @property
    def planes(self) -> list[Plane]:
        """What there is to read when the pass has drawn."""
        return [(self.height, self.width, dtype) for dtype in TARGETS]

    def ask(self) -> None:
        """Draw with the next frame that is rendered."""
        self.eye.node().setLens(self._user.node().getLens())
        self.eye.node().setCameraMask(self._user.node().getCameraMask())
        self._buffer.setActive(True)

    def see(self, now: CameraPose, before: CameraPose | None, metres_per_unit: float, srgb_colors: bool) -> None:
        """Set what the shaders must know of this frame; poses in scene units."""
        view = (self.height, metres_per_unit, before is not None, srgb_colors)
        self._view.setElement(0, core.LVecBase4f(*view))
        previous = axes.previous_image_from_eye(before or now, now)
        self._previous_image_from_eye.setElement(0, axes.panda_matrix(previous))
        eye_from_ndc = axes.eye_from_ndc(now.image_from_camera, self.height, self.width)
        self._eye_from_ndc.setElement(0, axes.panda_matrix(eye_from_ndc))

    def resize(self, height: int, width: int) -> None:
        """Draw frames of another size from now on."""
        self._close()
        self._open(height, width)

    def close(self) -> None:
        """Take the pass off the scene."""
        self._close()
        self.eye.removeNode()

    def _open(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._buffer = self._open_buffer()
        surfaces = self._buffer.makeDisplayRegion()
        surfaces.setCamera(self.eye)
        surfaces.setCullCallback(core.PythonCallbackObject(self._cull))
        self._sky = add_backdrop(self._buffer, self._sky_state())
        reader = self._buffer.makeDisplayRegion()
        reader.setSort(1)
        reader.setDrawCallback(core.PythonCallbackObject(self._drawn))

    def _open_buffer(self) -> GraphicsOutput:
        wanted = core.FrameBufferProperties()
        wanted.setRgbaBits(8, 8, 8, 8)
        wanted.setDepthBits(24)
        wanted.setAuxRgba(1)
        wanted.setAuxFloat(2)
        sort = self._output.getSort() + 1
        buffer = open_buffer(self._output, "renderlift-gbuffer", self.height, self.width, wanted, sort=sort)
        buffer.setClearColorActive(False)  # the backdrop writes every pixel of every target
        buffer.setClearDepthActive(True)
        buffer.setActive(False)
        return buffer

    def _close(self) -> None:
        for region in self._buffer.getDisplayRegions():
            region.clearCullCallback()
            region.clearDrawCallback()
        self._sky.removeNode()
        close_buffer(self._buffer)

    def _cull(self, data: Any) -> None:
        self._on_cull()
        data.upcall()

    def _drawn(self, _: Any) -> None:
        self._buffer.setActive(False)
        self._on_drawn()

    def _surface_state(self) -> Any:
        state = core.NodePath("state")
        state.setShader(shaders.gbuffer_shader(), ABOVE_EVERYTHING)
        state.setShaderInput("u_labels", core.LVecBase4f(0))
        state.setShaderInput("u_surface", core.LVecBase4f(1, 0, 0, 0))
        state.setShaderInput("u_relief", flat_relief())
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
