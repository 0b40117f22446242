"""Our own scene description, drawn as a game would draw it: the picture before the lift.

Forward shading with one shadow-mapped sun, unshadowed lamps, a flat ambient and a highlight:
what a real-time game affords, and no light that bounced.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from renderlift.bridge.frame import Frame
from renderlift.engine.panda3d.axes import (
    CAMERA_FROM_EYE,
    eye_from_ndc,
    image_from_camera,
    panda_matrix,
    set_world_from_camera,
)
from renderlift.engine.panda3d.backdrop import add_backdrop
from renderlift.engine.panda3d.capture import Capture
from renderlift.engine.panda3d.game_look import game_shader, sky_shader
from renderlift.engine.panda3d.labels import CLASS_TAG, INSTANCE_TAG
from renderlift.engine.panda3d.panda import (
    GraphicsOutput,
    NodePath,
    Texture,
    close_buffer,
    core,
    headless_output,
    open_buffer,
)
from renderlift.engine.panda3d.shadow import MOVING, STILL, SunShadow, no_shadow
from renderlift.engine.panda3d.textures import color_texture, flat_relief, relief_texture
from renderlift.engine.relief import heights_m
from renderlift.engine.scene import Lamp, Material, Mesh, Scene, SceneObject, class_ids, object_pose

LAMP_CLASS = "lamp"
NEAR_FIRST = "renderlift-near-first"  # so that what is hidden is not shaded: Panda3D does not sort by itself
AMBIENT_SHARE = 0.3  # of the sky's mean radiance; a game's ambient is flat and kept low


def render_frames(scene: Scene, height: int, width: int, *, supersample: int = 2) -> Iterator[Frame]:
    """Draw `scene` without a window, one frame with every channel per time index.

    Args:
        supersample: pixels drawn along each side of one of the picture's, which is their mean.
            (Multisampling would leave shadows and highlights jagged, and without a GPU it takes
            half as long again.) The other channels are always one sample at the pixel's centre.

    Raises:
        SetupError: no OpenGL on this machine.
    """
    wanted = core.FrameBufferProperties()
    wanted.setRgbaBits(8, 8, 8, 8)
    wanted.setDepthBits(24)
    drawn = (supersample * height, supersample * width)
    output = open_buffer(headless_output(), "renderlift-game", *drawn, wanted, sort=1)
    stage = Stage(scene, output)
    capture = Capture(output, stage.camera, size=(height, width), class_ids=stage.class_ids, linear_colors=True)
    try:
        for time_index in range(len(scene)):
            stage.pose(time_index)
            yield capture.grab(round(time_index * 1e9 / scene.fps))
    finally:
        capture.close()
        stage.close()
        close_buffer(output)
        # What ShowBase does after every frame: else cached states keep the scene's textures for ever.
        core.TransformState.garbageCollect()
        core.RenderState.garbageCollect()


class Stage:
    """A scene as a Panda3D scene graph, lit and ready for `output` to show.

    Args:
        camera: an existing camera to fly, e.g. `base.cam`; one is made otherwise.
    """

    def __init__(self, scene: Scene, output: GraphicsOutput, *, camera: NodePath | None = None) -> None:
        core.CullBinManager.getGlobalPtr().addBin(NEAR_FIRST, core.CullBinManager.BTFrontToBack, 15)
        self.scene = scene
        self.camera = camera if camera is not None else _add_camera(scene, output)
        self.class_ids = class_ids(scene.objects)
        self.class_ids.setdefault(LAMP_CLASS, len(self.class_ids) + 1)
        self._size = (output.getYSize(), output.getXSize())
        self._world = self.camera.getTop().attachNewNode("scene")
        self._nodes = _add_objects(self._world, scene)
        _add_lamps(self._world, scene, first_id=len(scene.objects) + 1)
        self._shadow = SunShadow(scene, scene.sun, self._world, output) if scene.sun is not None else None
        _light(self._world, scene, self._shadow)
        self._world_from_ndc = core.PTALMatrix4f([core.LMatrix4f.identMat()])
        self._backdrop = add_backdrop(output, _sky_state(scene, self._world_from_ndc))
        self.pose(0)

    def pose(self, time_index: int) -> None:
        """Move everything to frame `time_index`."""
        for item, node in self._nodes:
            if item.world_from_object.ndim == 3:
                node.setMat(panda_matrix(object_pose(item, time_index)))
        world_from_camera = self.scene.world_from_camera[time_index]
        set_world_from_camera(self.camera, world_from_camera)
        intrinsics = image_from_camera(self.camera.node().getLens(), *self._size)
        world_from_ndc = world_from_camera @ CAMERA_FROM_EYE @ eye_from_ndc(intrinsics, *self._size)
        self._world_from_ndc.setElement(0, panda_matrix(world_from_ndc))

    def close(self) -> None:
        """Take everything down and give its memory back."""
        self._backdrop.removeNode()
        if self._shadow is not None:
            self._shadow.close()
        self._world.removeNode()


def _add_camera(scene: Scene, output: GraphicsOutput) -> NodePath:
    camera = core.NodePath(scene.name).attachNewNode(core.Camera("camera", scene_lens(scene, output)))
    output.makeDisplayRegion().setCamera(camera)
    return camera


def scene_lens(scene: Scene, output: GraphicsOutput) -> Any:
    """The scene's pinhole camera with the shape of `output`."""
    lens = core.PerspectiveLens()
    aspect = output.getXSize() / output.getYSize()
    tangent = np.tan(np.radians(scene.vertical_fov_deg) / 2)
    lens.setFilmSize(float(2 * tangent * aspect), float(2 * tangent))
    lens.setFocalLength(1.0)
    lens.setNearFar(0.05, 500.0)
    return lens


def _add_objects(world: NodePath, scene: Scene) -> list[tuple[SceneObject, NodePath]]:
    geoms: dict[int, Any] = {}  # by identity: many objects share one mesh, many one texture
    textures: dict[int, Texture] = {}
    reliefs: dict[tuple[int, float], Texture] = {}
    nodes: list[tuple[SceneObject, NodePath]] = []
    for i, item in enumerate(scene.objects):
        mesh, base_color = item.mesh, item.material.base_color
        if id(mesh) not in geoms:
            geoms[id(mesh)] = _geom(mesh)
        if id(base_color) not in textures:
            textures[id(base_color)] = color_texture(base_color)
        relief = (id(item.material.relief), item.material.relief_m)
        if item.material.relief is not None and relief not in reliefs:
            reliefs[relief] = relief_texture(heights_m(item.material))
        node = _add(world, item.name, item.class_name, i + 1, geoms[id(mesh)])
        _dress(node, item.material, textures[id(base_color)], reliefs.get(relief))
        node.setMat(panda_matrix(object_pose(item, 0)))
        node.hide(STILL if item.world_from_object.ndim == 3 else MOVING)
        nodes.append((item, node))
    return nodes


def _add_lamps(world: NodePath, scene: Scene, first_id: int) -> None:
    white = np.ones((1, 1, 3), np.float32)
    for i, lamp in enumerate(scene.lamps):
        node = _add(world, f"lamp_{i}", LAMP_CLASS, first_id + i, _geom(_lamp_mesh(lamp)))
        _dress(node, Material(white, roughness=1.0, emission=lamp.radiance), color_texture(0 * white))
        node.setMat(panda_matrix(lamp.world_from_lamp))
        node.hide(MOVING)


def _add(world: NodePath, name: str, class_name: str, instance_id: int, geom: Any) -> NodePath:
    geom_node = core.GeomNode(name)
    geom_node.addGeom(geom)
    node = world.attachNewNode(geom_node)
    node.setTag(CLASS_TAG, class_name)
    node.setTag(INSTANCE_TAG, str(instance_id))
    # A path tracer sees both sides of a triangle, so this picture must too.
    node.setTwoSided(True)
    return node


def _dress(node: NodePath, material: Material, texture: Texture, relief: Texture | None = None) -> None:
    panda_material = core.Material()
    panda_material.setRoughness(material.roughness)
    panda_material.setMetallic(material.metallic)
    node.setMaterial(panda_material)
    node.setTexture(texture)
    node.setShaderInput("u_relief", relief or flat_relief())
    node.setShaderInput("u_material", core.LVecBase4f(material.roughness, material.metallic, material.opacity, 0))
    node.setShaderInput("u_emission", core.LVecBase3f(*material.emission))
    if material.opacity == 1:
        node.setBin(NEAR_FIRST, 0)
    else:
        node.setColor(1, 1, 1, material.opacity)
        node.setTransparency(core.TransparencyAttrib.MAlpha)
        node.hide(STILL | MOVING)


def _geom(mesh: Mesh) -> Any:
    vertices = np.concatenate([mesh.positions, mesh.normals, mesh.uvs], axis=1).astype(np.float32)
    data = core.GeomVertexData("mesh", core.GeomVertexFormat.getV3n3t2(), core.Geom.UHStatic)
    data.uncleanSetNumRows(len(vertices))
    data.modifyArrayHandle(0).copyDataFrom(vertices.tobytes())
    triangles = core.GeomTriangles(core.Geom.UHStatic)
    triangles.setIndexType(core.Geom.NTUint32)
    indices = triangles.modifyVertices(mesh.triangles.size)
    indices.modifyHandle().copyDataFrom(mesh.triangles.astype(np.uint32).tobytes())
    geom = core.Geom(data)
    geom.addPrimitive(triangles)
    return geom


def _lamp_mesh(lamp: Lamp) -> Mesh:
    x, y = lamp.size[0] / 2, lamp.size[1] / 2
    corners = np.array([[-x, -y, 0], [-x, y, 0], [x, y, 0], [x, -y, 0]], np.float32)
    down = np.tile(np.array([0, 0, -1], np.float32), (4, 1))
    return Mesh(corners, down, np.zeros((4, 2), np.float32), np.array([[0, 1, 2], [0, 2, 3]], np.int32))


def _light(world: NodePath, scene: Scene, shadow: SunShadow | None) -> None:
    sun, sky = scene.sun, scene.sky
    # A cosine-weighted hemisphere of this sky has 0.8 of the way from horizon to zenith as its mean.
    above = np.asarray(sky.horizon) + 0.8 * (np.asarray(sky.zenith) - np.asarray(sky.horizon))
    world.setShader(game_shader(len(scene.lamps)))
    world.setShaderInput("u_exposure", scene.exposure)
    ambient_up, ambient_down = AMBIENT_SHARE * above, AMBIENT_SHARE * np.asarray(sky.ground)
    if scene.ambient is not None:
        ambient_up = ambient_down = np.asarray(scene.ambient)
    world.setShaderInput("u_ambient_up", core.LVecBase3f(*ambient_up))
    world.setShaderInput("u_ambient_down", core.LVecBase3f(*ambient_down))
    world.setShaderInput("u_sun_direction", core.LVecBase3f(*(sun.direction if sun else (0, 0, 1))))
    world.setShaderInput("u_sun_irradiance", core.LVecBase3f(*(sun.irradiance if sun else (0, 0, 0))))
    world.setShaderInput("u_shadow_still", shadow.still if shadow else no_shadow())
    world.setShaderInput("u_shadow_moving", shadow.moving if shadow else no_shadow())
    world.setShaderInput("u_shadow_from_world", shadow.shadow_from_world if shadow else core.LMatrix4f.identMat())
    world.setShaderInput("u_shadow_texel", shadow.texel_m if shadow else 0.0)
    if scene.lamps:
        world.setShaderInput("u_lamps", core.PTALVecBase4f(_lamp_rows(scene.lamps)))


def _lamp_rows(lamps: tuple[Lamp, ...]) -> list[Any]:
    rows: list[Any] = []
    for lamp in lamps:
        pose = lamp.world_from_lamp
        rows.append(core.LVecBase4f(*pose[:3, 3], lamp.size[0] * lamp.size[1]))
        rows.append(core.LVecBase4f(*-pose[:3, 2], 0))
        rows.append(core.LVecBase4f(*lamp.radiance, 0))
    return rows


def _sky_state(scene: Scene, world_from_ndc: Any) -> Any:
    state = core.NodePath("state")
    state.setShader(sky_shader())
    state.setShaderInput("u_exposure", scene.exposure)
    state.setShaderInput("u_zenith", core.LVecBase3f(*scene.sky.zenith))
    state.setShaderInput("u_horizon", core.LVecBase3f(*scene.sky.horizon))
    state.setShaderInput("u_ground", core.LVecBase3f(*scene.sky.ground))
    state.setShaderInput("u_world_from_ndc", world_from_ndc)
    return state.getState()
