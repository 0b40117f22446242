"""What MuJoCo's renderer draws of one scene: the picture, then everything else about the same view.

MuJoCo 4 draws colours, depth and segmentation. The rest is drawn by it too, under lights of our
own: white ambient light alone shows the base colour, and coloured lights along the camera's axes
paint the normal, for they are interpolated as its shading interpolates them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import Array
from renderlift.engine.mujoco.library import Data, Model, Scene, core, open_gl

SEEN_FROM_ALPHA = 0.5  # docs/conventions.md, see-through surfaces
OUT_OF_SIGHT_M = 1e9
CHANNELS_WITHOUT = ("SHADOW", "REFLECTION", "SKYBOX", "FOG", "HAZE", "WIREFRAME", "ADDITIVE")


class Passes:
    """Holds OpenGL open for pictures of one size. Use it in one thread.

    Args:
        size: (height, width) of the pictures.
        max_geoms: how many things, decoration included, a scene may show.

    Raises:
        SetupError: no OpenGL on this machine.
    """

    def __init__(self, model: Model, size: tuple[int, int], *, max_geoms: int) -> None:
        self.height, self.width = size
        self._model = model
        self._gl = open_gl(*size)
        self._gl.make_current()
        self._smooth = _context(model, size, samples=model.vis.quality.offsamples)
        self._exact = _context(model, size, samples=0)  # one sample, at the pixel's centre
        self._rectangle = core.MjrRect(0, 0, self.width, self.height)
        self.scene: Scene = core.MjvScene(model, maxgeom=max_geoms)
        self._flags = self.scene.flags.copy()

    def update(self, data: Data, camera: Any, options: Any) -> None:
        """Take the scene as it stands; all that is drawn until the next update is of this instant.

        Args:
            camera: an MjvCamera.
            options: an MjvOption: what is visible.
        """
        self.scene.flags[:] = self._flags  # which updating leaves as the passes have set them
        everything = core.mjtCatBit.mjCAT_ALL.value
        core.mjv_updateScene(self._model, data, options, None, camera, everything, self.scene)
        self._gl.make_current()

    def picture(self) -> NDArray[np.uint8]:
        """The picture (H, W, 3) as MuJoCo shows it. Draw it before the others, which alter the scene."""
        return self._colors(self._smooth)

    def geoms_and_depth(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Place of the visible thing in `scene.geoms` (H, W), -1 for sky; depth (H, W) in metres, +inf for sky."""
        self._prepare()
        flags = self.scene.flags
        flags[core.mjtRndFlag.mjRND_SEGMENT] = flags[core.mjtRndFlag.mjRND_IDCOLOR] = 1
        raw_depth = np.empty((self.height, self.width), np.float32)
        colors = self._colors(self._exact, raw_depth).astype(np.int32)
        flags[core.mjtRndFlag.mjRND_SEGMENT] = flags[core.mjtRndFlag.mjRND_IDCOLOR] = 0
        segments = colors[..., 0] + (colors[..., 1] << 8) + (colors[..., 2] << 16)
        place = np.full(self.scene.ngeom + 1, -1, np.int32)
        for i, geom in enumerate(self.scene.geoms[: self.scene.ngeom]):
            place[geom.segid + 1] = i if geom.segid >= 0 else -1
        return place[segments], self._metres(raw_depth[::-1])

    def albedo(self) -> NDArray[np.uint8]:
        """Base colour (H, W, 3), textures included, as MuJoCo has it: sRGB code values."""
        self._prepare()
        for geom in self.scene.geoms[: self.scene.ngeom]:
            geom.emission = 0
            geom.rgba[3] = 1
        self._light([((0, 0, -1), (1, 1, 1), (0, 0, 0))])
        return self._colors(self._exact)

    def normals(self, world_from_camera: NDArray[np.float64]) -> NDArray[np.float32]:
        """Normals (H, W, 3) in camera axes as shaded, not yet of length 1; anything where there is sky."""
        self._prepare()
        for geom in self.scene.geoms[: self.scene.ngeom]:
            geom.matid = -1
            geom.emission = 0
            geom.rgba[:] = 1
        axes = world_from_camera[:3, :3].T
        facing = self._colors_lit_along(-axes).astype(np.float32)
        facing -= self._colors_lit_along(axes)
        return facing / np.float32(255)

    def close(self) -> None:
        self._gl.make_current()
        self._smooth.free()
        self._exact.free()
        self._gl.free()

    def _prepare(self) -> None:
        """Leave nothing in the scene but what counts as surface, and no effects."""
        for flag in CHANNELS_WITHOUT:
            self.scene.flags[getattr(core.mjtRndFlag, f"mjRND_{flag}")] = 0
        for geom in self.scene.geoms[: self.scene.ngeom]:
            if geom.rgba[3] < SEEN_FROM_ALPHA:
                geom.pos[:] = (0, 0, OUT_OF_SIGHT_M)
            geom.transparent = 0

    def _light(self, lights: Sequence[tuple[Any, Any, Any]]) -> None:
        """Directional lights of (direction, ambient, diffuse) in place of the scene's own."""
        self.scene.nlight = len(lights)
        for light, (direction, ambient, diffuse) in zip(self.scene.lights, lights, strict=False):
            light.headlight = light.castshadow = 0
            light.type = core.mjtLightType.mjLIGHT_DIRECTIONAL
            light.texid = -1
            light.dir[:], light.ambient[:], light.diffuse[:], light.specular[:] = direction, ambient, diffuse, 0

    def _colors_lit_along(self, directions: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The scene in red, green and blue light of three directions (3, 3)."""
        colors = np.eye(3)
        self._light([(direction, (0, 0, 0), color) for direction, color in zip(directions, colors, strict=True)])
        return self._colors(self._exact)

    def _colors(self, context: Any, raw_depth: Array | None = None) -> NDArray[np.uint8]:
        """Draw and read colours, top row first, and depth, bottom row first."""
        core.mjr_setBuffer(core.mjtFramebuffer.mjFB_OFFSCREEN.value, context)
        core.mjr_render(self._rectangle, self.scene, context)
        colors = np.empty((self.height, self.width, 3), np.uint8)
        core.mjr_readPixels(colors, raw_depth, self._rectangle, context)
        return np.ascontiguousarray(colors[::-1])

    def _metres(self, raw_depth: Array) -> NDArray[np.float32]:
        """Reversed depth, 1 at the near plane and 0 at the far one, to metres."""
        eye = self.scene.camera[0]
        near, far = np.float64(eye.frustum_near), np.float64(eye.frustum_far)
        depth_m = near * far / (near + raw_depth.astype(np.float64) * (far - near))
        return np.where(raw_depth == 0, np.inf, depth_m).astype(np.float32)


def _context(model: Model, size: tuple[int, int], *, samples: int) -> Any:
    """A renderer with buffers of that size, whatever the model asks for."""
    quality, before = model.vis.quality, model.vis.quality.offsamples
    try:
        quality.offsamples = samples
        context = core.MjrContext(model, core.mjtFontScale.mjFONTSCALE_100.value)
    finally:
        quality.offsamples = before
    core.mjr_resizeOffscreen(size[1], size[0], context)
    context.readDepthMap = core.mjtDepthMap.mjDEPTH_ZEROFAR
    return context
