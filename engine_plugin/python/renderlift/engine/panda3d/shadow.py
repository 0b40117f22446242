"""The sun's shadow maps: one of what stands still, drawn once, and one of what moves, drawn every frame."""

from typing import Any

import numpy as np

from renderlift.engine.panda3d.axes import Matrix
from renderlift.engine.panda3d.game_look import shadow_shader
from renderlift.engine.panda3d.panda import (
    GraphicsOutput,
    NodePath,
    Texture,
    close_buffer,
    core,
    open_buffer,
    output_texture,
)
from renderlift.engine.scene import Scene, Sun

MAP_SIZE = 2048
REACH_M = 14.0  # half the side of the square that the maps cover, at most
STILL, MOVING = core.BitMask32.bit(20), core.BitMask32.bit(21)  # hide a node from both and it casts no shadow


class SunShadow:
    """Holds both maps of `sun` open. Each node below `world` must be hidden from STILL, MOVING or both."""

    def __init__(self, scene: Scene, sun: Sun, world: NodePath, output: GraphicsOutput) -> None:
        centre, reach, depth = _box(scene, world)
        self.texel_m = 2 * reach / MAP_SIZE
        lens = core.OrthographicLens()
        lens.setFilmSize(2 * reach, 2 * reach)
        lens.setNearFar(0, 2 * depth)
        self._sun: NodePath = world.attachNewNode("sun")
        self._sun.setPos(*(centre + np.asarray(sun.direction) * depth))
        self._sun.lookAt(*centre)
        self.shadow_from_world: Any = core.LMatrix4f(world.getMat(self._sun) * lens.getProjectionMat())
        self._buffers = [self._open(output, lens, mask) for mask in (STILL, MOVING)]
        self._buffers[0].setOneShot(True)
        self.still, self.moving = (_depth_map(buffer) for buffer in self._buffers)

    def close(self) -> None:
        """Give the maps back."""
        for buffer in self._buffers:
            close_buffer(buffer)
        self._sun.removeNode()

    def _open(self, output: GraphicsOutput, lens: Any, mask: Any) -> GraphicsOutput:
        wanted = core.FrameBufferProperties()
        wanted.setDepthBits(24)
        sort = output.getSort() - 1
        buffer = open_buffer(output, "renderlift-shadow", MAP_SIZE, MAP_SIZE, wanted, sort=sort)
        buffer.setClearColorActive(False)
        state = core.NodePath("state")
        state.setShader(shadow_shader(), 100)
        state.setDepthOffset(-2)  # away from the sun, or surfaces would shadow themselves
        camera = self._sun.attachNewNode(core.Camera("shadow", lens))
        camera.node().setCameraMask(mask)
        camera.node().setInitialState(state.getState())
        buffer.makeDisplayRegion().setCamera(camera)
        return buffer


def no_shadow() -> Texture:
    """A map by which everything is lit."""
    texture = core.Texture("no-shadow")
    texture.setup2dTexture(1, 1, core.Texture.TFloat, core.Texture.FDepthComponent)
    texture.setClearColor(core.LVecBase4f(1))
    texture.setMinfilter(core.SamplerState.FTShadow)
    return texture


def _depth_map(buffer: GraphicsOutput) -> Texture:
    texture = output_texture(buffer, core.GraphicsOutput.RTPDepth)
    texture.setMinfilter(core.SamplerState.FTShadow)
    texture.setMagfilter(core.SamplerState.FTShadow)
    texture.setWrapU(core.SamplerState.WMBorderColor)
    texture.setWrapV(core.SamplerState.WMBorderColor)
    texture.setBorderColor(core.LVecBase4f(1))
    return texture


def _box(scene: Scene, world: NodePath) -> tuple[Matrix, float, float]:
    """Centre (3,), half side and half depth, metres, of the box that the maps cover."""
    low, high = (np.array(corner, np.float64) for corner in world.getTightBounds())
    radius = float(np.linalg.norm(high - low) / 2)
    if radius <= REACH_M:
        return (low + high) / 2, radius, radius
    # Too large for one map: cover what the camera is near to and looks at.
    ahead = scene.world_from_camera[:, :3, 3] + 0.5 * REACH_M * scene.world_from_camera[:, :3, 2]
    return np.clip(ahead.mean(axis=0), low, high), REACH_M, 2 * radius
