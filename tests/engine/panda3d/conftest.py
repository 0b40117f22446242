"""A small game without a window, drawn by real OpenGL, for each test to furnish."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.frame import Array, Channel, Frame
from renderlift.engine.panda3d.capture import Capture
from renderlift.engine.panda3d.panda import close_buffer, core, headless_output, open_buffer

GAME_SHADER = (
    """#version 330
    uniform mat4 p3d_ModelViewProjectionMatrix; uniform mat3 p3d_NormalMatrix;
    in vec4 p3d_Vertex, p3d_Color; in vec3 p3d_Normal; out vec4 color; out vec3 normal;
    void main() {
      gl_Position = p3d_ModelViewProjectionMatrix * p3d_Vertex;
      color = p3d_Color; normal = p3d_NormalMatrix * p3d_Normal;
    }""",
    """#version 330
    uniform vec4 p3d_ColorScale; in vec4 color; in vec3 normal; out vec4 result;
    void main() { result = color * p3d_ColorScale * vec4(vec3(0.5 + 0.5 * normalize(normal).x), 1.0); }""",
)


@dataclass
class Game:
    """A scene root, a camera at the origin that looks along +Y, and an output of its own."""

    output: Any
    root: Any
    camera: Any
    opened: list[Capture] = field(default_factory=list)

    def capture(self, **options: Any) -> Capture:
        self.opened.append(Capture(self.output, self.camera, **{"linear_colors": True, **options}))
        return self.opened[-1]

    def card(self, name: str = "card", *, size: float = 100.0) -> Any:
        """A square that faces -Y, that is the camera, with its centre at its own origin."""
        maker = core.CardMaker(name)
        maker.setFrame(-size / 2, size / 2, -size / 2, size / 2)
        maker.setHasNormals(True)
        return self.root.attachNewNode(maker.generate())

    def sphere(self, name: str = "ball", *, radius: float = 1.0) -> Any:
        """A smooth ball of 64 x 32 quads around its own origin."""
        polar, azimuth = np.meshgrid(np.linspace(0, np.pi, 33), np.linspace(0, 2 * np.pi, 65), indexing="ij")
        ring = np.sin(polar)
        normals = np.stack([ring * np.cos(azimuth), ring * np.sin(azimuth), np.cos(polar)], -1).reshape(-1, 3)
        a = (np.arange(32)[:, None] * 65 + np.arange(64)).ravel()
        triangles = np.concatenate([np.stack([a, a + 65, a + 1], 1), np.stack([a + 1, a + 65, a + 66], 1)])
        return self.mesh(name, radius * normals, normals, triangles)

    def mesh(self, name: str, positions: Array, normals: Array, triangles: Array) -> Any:
        data = core.GeomVertexData(name, core.GeomVertexFormat.getV3n3(), core.Geom.UHStatic)
        data.uncleanSetNumRows(len(positions))
        data.modifyArrayHandle(0).copyDataFrom(np.hstack([positions, normals]).astype(np.float32).tobytes())
        primitive = core.GeomTriangles(core.Geom.UHStatic)
        primitive.setIndexType(core.Geom.NTUint32)
        primitive.modifyVertices(triangles.size).modifyHandle().copyDataFrom(triangles.astype(np.uint32).tobytes())
        geom = core.Geom(data)
        geom.addPrimitive(primitive)
        node = core.GeomNode(name)
        node.addGeom(geom)
        return self.root.attachNewNode(node)

    def close(self) -> None:
        for capture in self.opened:
            capture.close()
        close_buffer(self.output)
        self.root.removeNode()


@pytest.fixture
def new_game() -> Iterator[Callable[..., Game]]:
    """Opens games of a height and width."""
    games: list[Game] = []

    def open_game(height: int, width: int, *, multisamples: int = 0) -> Game:
        wanted = core.FrameBufferProperties()
        wanted.setRgbaBits(8, 8, 8, 8)
        wanted.setDepthBits(24)
        wanted.setMultisamples(multisamples)
        output = open_buffer(headless_output(), "game", height, width, wanted, sort=1)
        output.setClearColorActive(True)
        output.setClearColor(core.LVecBase4f(0.2, 0.4, 0.6, 1))
        root = core.NodePath("world")
        root.setShader(core.Shader.make(core.Shader.SL_GLSL, *GAME_SHADER))
        root.setAntialias(core.AntialiasAttrib.MMultisample)
        lens = core.PerspectiveLens()
        lens.setFilmSize(width / height, 1.0)
        lens.setFocalLength(0.8)
        lens.setNearFar(0.1, 1000.0)
        camera = root.attachNewNode(core.Camera("camera", lens))
        output.makeDisplayRegion().setCamera(camera)
        games.append(Game(output, root, camera))
        return games[-1]

    yield open_game
    for game in games:
        game.close()


@pytest.fixture
def game(new_game: Callable[..., Game]) -> Game:
    """A game of 160 x 120 pixels."""
    return new_game(120, 160)


@pytest.fixture
def optics() -> SimpleNamespace:
    """What pixels, rays and points have to do with each other, written apart from the product."""
    return SimpleNamespace(
        pixel_centres=pixel_centres, pixel_rays=pixel_rays, world_points=world_points, project=project
    )


def world_points(frame: Frame) -> Array:
    """Every pixel's point in the world (H, W, 3), from its depth."""
    camera = frame.camera
    depth = frame.channels[Channel.DEPTH]
    points = pixel_rays(frame) * np.where(np.isinf(depth), np.nan, depth)
    result: Array = points @ camera.world_from_camera[:3, :3].T + camera.world_from_camera[:3, 3]
    return result


def pixel_centres(frame: Frame) -> Array:
    """(u, v) of every pixel's centre (H, W, 2)."""
    rows, columns = np.mgrid[0 : frame.height, 0 : frame.width] + 0.5
    return np.stack([columns, rows], -1)


def pixel_rays(frame: Frame) -> Array:
    """Direction through every pixel's centre (H, W, 3), camera axes, of length 1 along +Z."""
    homogeneous = np.concatenate([pixel_centres(frame), np.ones((frame.height, frame.width, 1))], -1)
    result: Array = homogeneous @ np.linalg.inv(frame.camera.image_from_camera).T
    return result


def project(points: Array, frame: Frame) -> Array:
    """World points (..., 3) to pixels (..., 2) of `frame`."""
    pose = frame.camera.world_from_camera
    camera = (points - pose[:3, 3]) @ pose[:3, :3]
    image = camera @ frame.camera.image_from_camera.T
    result: Array = image[..., :2] / image[..., 2:]
    return result
