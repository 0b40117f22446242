"""The packing shader's own text, run: HLSL to SPIR-V to GLSL, on OpenGL, over buffers filled by formula.

What an Unreal camera would leave in its depth, velocity and stencil buffers is worked out here from points; what
comes out must be what docs/conventions.md says of those points.
"""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

moderngl = pytest.importorskip("moderngl", reason="pip install moderngl")

Array = NDArray[Any]

CHANNELS = ["rgb", "depth", "normal", "class_id", "instance_id", "flow", "albedo"]
OUTPUT = {"depth": ("OutDepth", 1, "f4"), "flow": ("OutFlow", 2, "f4"), "normal": ("OutNormal", 4, "f4")} | {
    "class_id": ("OutId", 1, "u4"),
    "instance_id": ("OutId", 1, "u4"),
    "rgb": ("OutColour", 4, "f4"),
    "albedo": ("OutColour", 4, "f4"),
}
WIDTH, HEIGHT = 33, 18
NEAR_CM = 10.0


@dataclass(frozen=True)
class Camera:
    """A level Unreal camera that turns about the world's Z; half its field of view is 45 degrees."""

    yaw: float = 0
    location_cm: tuple[float, float, float] = (0, 0, 170)

    @property
    def axes(self) -> Array:
        """Rows: right, up, forward in Unreal's world."""
        c, s = np.cos(np.radians(self.yaw)), np.sin(np.radians(self.yaw))
        return np.array([[-s, c, 0], [0, 0, 1], [c, s, 0]])

    @property
    def intrinsics(self) -> Array:
        return np.array([[WIDTH / 2, 0, WIDTH / 2], [0, WIDTH / 2, HEIGHT / 2], [0, 0, 1]])

    def view(self, points_cm: Array) -> Array:
        """(..., 3): right, up, forward of points in Unreal's world, centimetres."""
        return (points_cm - np.array(self.location_cm)) @ self.axes.T

    def pixels(self, points_cm: Array) -> Array:
        right, up, forward = np.moveaxis(self.view(points_cm), -1, 0)
        return np.stack([(1 + right / forward) * WIDTH / 2, HEIGHT / 2 - up / forward * WIDTH / 2], -1)

    def rays(self) -> Array:
        """(H, W, 3) in Unreal's world, through each pixel's centre, of length 1 along the axis."""
        u, v = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
        return np.stack([u / (WIDTH / 2) - 1, (HEIGHT / 2 - v) / (WIDTH / 2), np.ones_like(u)], -1) @ self.axes

    def ground(self) -> Array:
        """The point (H, W, 3) of the plane z = 0 at each pixel's centre, centimetres; NaN in the sky."""
        ray = self.rays()
        with np.errstate(divide="ignore"):
            distance = -self.location_cm[2] / ray[..., 2]
        return np.where((distance > 0)[..., None], np.array(self.location_cm) + distance[..., None] * ray, np.nan)

    @property
    def world_from_camera(self) -> Array:
        mirror = np.diag([1.0, -1.0, 1.0])
        right, up, forward = self.axes @ mirror
        result = np.eye(4)
        result[:3, :3] = np.stack([right, -up, forward], 1)
        result[:3, 3] = 0.01 * mirror @ np.array(self.location_cm)
        return result


@pytest.fixture(scope="module")
def context() -> Any:
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=430)
    except Exception as error:  # the library raises bare Exceptions
        pytest.skip(f"no OpenGL 4.3: {error}")


@pytest.fixture(scope="module")
def glsl(plugin: Any, tool: Callable[[str, str], str], tmp_path_factory: Any) -> Callable[[str], str]:
    glslang, cross = tool("glslangValidator", "glslang-tools"), tool("spirv-cross", "spirv-cross")
    folder = tmp_path_factory.mktemp("shader")
    text = (plugin.folder / "Shaders" / "Private" / "RenderliftPack.usf").read_text()
    (folder / "pack.hlsl").write_text(text.replace('"/Engine/', '"Engine/'))

    def compiled(channel: str) -> str:
        defines = [
            f"-DRENDERLIFT_CHANNEL={CHANNELS.index(channel)}",
            "-DRENDERLIFT_FROM_GBUFFER=0",
            "-DRENDERLIFT_GROUP=8",
        ]
        options = [
            "-D",
            "-V",
            "-S",
            "comp",
            "-e",
            "MainCS",
            "--auto-map-bindings",
            "--auto-map-locations",
            *defines,
        ]
        include = f"-I{plugin.declarations / 'shaders'}"
        subprocess.run([glslang, *options, include, "-o", folder / "p.spv", folder / "pack.hlsl"], check=True)
        to_glsl = [cross, "--version", "450", "--no-es", "--glsl-emit-ubo-as-plain-uniforms", folder / "p.spv"]
        return subprocess.run(to_glsl, check=True, capture_output=True, text=True).stdout

    return compiled


def run(context: Any, source: str, channel: str, textures: dict[str, Array], uniforms: dict[str, Any]) -> Array:
    """What the shader writes, (H, W, C)."""
    program = context.compute_shader(source)
    defaults = {
        "OutputSize": (WIDTH, HEIGHT),
        "Shrink": 1,
        "PictureSize": (WIDTH, HEIGHT),
        "PictureMin": (0, 0),
        "PictureIsLinear": 0,
        "DataSize": (WIDTH, HEIGHT),
        "DataMin": (0, 0),
        "JitterPixels": (0.0, 0.0),
        "CustomJitterPixels": (0.0, 0.0),
        "SurfaceSize": (WIDTH, HEIGHT),
        "DepthNumerator": 0.01 * NEAR_CM,
        "DepthOffset": 0.0,
        "FlowKnown": 1,
        "MotionKnown": 1,
    }
    values = defaults | uniforms
    for name in program:
        if "." in name and name.split(".")[1] in values:
            program[name].value = values[name.split(".")[1]]
    held = []
    for unit, (name, pixels) in enumerate(textures.items()):
        kind = "u1" if pixels.dtype == np.uint8 else "f4"
        height, width, components = pixels.shape
        texture = context.texture(
            (width, height), components, np.ascontiguousarray(pixels).tobytes(), dtype=kind, alignment=1
        )
        texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        texture.use(unit)
        sampler = f"SPIRV_Cross_Combined{name}SPIRV_Cross_DummySampler"
        if sampler in program:
            program[sampler].value = unit
        held.append(texture)
    if table := re.search(r"binding = (\d+), std430\)", source):
        rows = np.zeros((256, 2), np.uint32)
        rows[7] = 70, 700
        buffer = context.buffer(rows.tobytes())
        buffer.bind_to_storage_buffer(int(table[1]))
        held.append(buffer)
    name, components, kind = OUTPUT[channel]
    width, height = values["OutputSize"]
    output = context.texture((width, height), components, dtype=kind)
    bound = re.search(rf"binding = (\d+), \w+\) uniform writeonly u?image2D {name};", source)
    assert bound is not None
    output.bind_to_image(int(bound[1]), read=False, write=True)
    program.run((width + 7) // 8, (height + 7) // 8)
    context.finish()
    return np.frombuffer(output.read(alignment=1), kind).reshape(height, width, components)


def device_depth(camera: Camera) -> Array:
    """(H, W, 1) as Unreal leaves it: near / z, 0 in the sky."""
    return np.nan_to_num(NEAR_CM / camera.view(camera.ground())[..., 2:], nan=0.0).astype(np.float32)


def camera_from_image(camera: Camera) -> tuple[float, ...]:
    k = camera.intrinsics
    return (1 / k[0, 0], 1 / k[1, 1], -k[0, 2] / k[0, 0], -k[1, 2] / k[1, 1])


def previous_from_image(before: Camera, now: Camera) -> list[tuple[float, ...]]:
    k_before, k_now = np.eye(4), np.eye(4)
    k_before[:3, :3], k_now[:3, :3] = before.intrinsics, now.intrinsics
    turned = np.linalg.inv(before.world_from_camera) @ now.world_from_camera
    return [tuple(row) for row in k_before @ turned @ np.linalg.inv(k_now)]


def test_depth_is_metres_along_the_axis_and_infinite_in_the_sky(context: Any, glsl: Any) -> None:
    camera = Camera(yaw=30)
    depth = run(context, glsl("depth"), "depth", {"DepthTexture": device_depth(camera)}, {})
    expected = np.nan_to_num(0.01 * camera.view(camera.ground())[..., 2:], nan=np.inf)
    np.testing.assert_allclose(depth, expected, rtol=1e-6)
    assert np.isinf(expected).any() and np.isfinite(expected).any()


def test_data_are_taken_from_the_sample_nearest_to_the_pixel_in_spite_of_jitter_and_upscaling(
    context: Any, glsl: Any
) -> None:
    data_width, data_height, jitter = 22, 12, (0.4, -0.3)
    number = np.arange(30 * 20, dtype=np.float32).reshape(20, 30, 1) + 1  # a buffer larger than the view in it
    uniforms = {"DataSize": (data_width, data_height), "DataMin": (5, 3), "JitterPixels": jitter, "Shrink": 3}
    uniforms |= {"OutputSize": (WIDTH // 3, HEIGHT // 3)}
    texture = 0.01 * NEAR_CM / number  # its depth in metres is the sample's number
    depth = run(context, glsl("depth"), "depth", {"DepthTexture": texture}, uniforms)
    found = np.rint(depth[..., 0]).astype(int) - 1
    x, y = found % 30 - 5, found // 30 - 3
    u, v = np.meshgrid((np.arange(WIDTH // 3) + 0.5) * 3 / WIDTH, (np.arange(HEIGHT // 3) + 0.5) * 3 / HEIGHT)
    # Where the point at this pixel was drawn: shifted by the jitter. Its sample's centre is at most half away.
    assert np.abs(x + 0.5 - (u * data_width + jitter[0])).max() <= 0.5 + 1e-4
    assert np.abs(y + 0.5 - (v * data_height + jitter[1])).max() <= 0.5 + 1e-4


def test_flow_of_still_ground_is_the_cameras_motion_and_of_the_sky_its_turning(context: Any, glsl: Any) -> None:
    before, now = Camera(yaw=28, location_cm=(-20, 15, 160)), Camera(yaw=30)
    textures = {"DepthTexture": device_depth(now), "VelocityTexture": np.zeros((HEIGHT, WIDTH, 4), np.float32)}
    matrix = {"PreviousFromImage": previous_from_image(before, now)}
    flow = run(context, glsl("flow"), "flow", textures, matrix)
    ground = now.ground()
    expected = before.pixels(ground) - now.pixels(ground)
    on_ground = ~np.isnan(ground[..., 0])
    np.testing.assert_allclose(flow[on_ground], expected[on_ground], atol=2e-4)
    far = np.array(now.location_cm) + 1e9 * now.rays()
    turned = before.pixels(far) - now.pixels(far)
    np.testing.assert_allclose(flow[~on_ground], turned[~on_ground], atol=2e-4)


def test_flow_of_what_moves_is_the_engines_velocity_turned_around(context: Any, glsl: Any) -> None:
    # Unreal: now minus before, in device coordinates, y up. The point came from the left and from above.
    velocity = np.broadcast_to(np.float32([0.1, -0.2, 0, 0]), (HEIGHT, WIDTH, 4))
    textures = {"DepthTexture": device_depth(Camera()), "VelocityTexture": velocity}
    flow = run(context, glsl("flow"), "flow", textures, {})
    np.testing.assert_allclose(flow, np.broadcast_to([-0.05 * WIDTH, -0.1 * HEIGHT], flow.shape), rtol=1e-5)


@pytest.mark.parametrize("unknown", [{"FlowKnown": 0}, {"MotionKnown": 0}])
def test_flow_that_nobody_knows_is_nan(context: Any, glsl: Any, unknown: dict[str, int]) -> None:
    velocity = np.full((HEIGHT, WIDTH, 4), 0.1, np.float32)
    textures = {"DepthTexture": device_depth(Camera()), "VelocityTexture": velocity}
    assert np.isnan(run(context, glsl("flow"), "flow", textures, unknown)).all()


@pytest.mark.parametrize(("unreal", "ours"), [((0, 0, 1), (0, 0, 1)), ((-0.6, 0.8, 0), (-0.6, -0.8, 0))])
def test_normals_are_in_the_cameras_axes_and_face_it(
    context: Any, glsl: Any, unreal: tuple[float, ...], ours: tuple[float, ...]
) -> None:
    camera = Camera(yaw=10)
    axes = camera.axes * [[1], [-1], [1]]  # right, down, forward
    surface = np.broadcast_to(np.float32([*unreal, 0]), (HEIGHT, WIDTH, 4))
    rows = [(*row, 0.0) for row in axes]
    uniforms = {"CameraFromImage": camera_from_image(camera), "CameraFromWorld": rows}
    textures = {"DepthTexture": device_depth(camera), "SurfaceTexture": surface}
    normal = run(context, glsl("normal"), "normal", textures, uniforms)[..., :3]
    sky = np.isnan(camera.ground()[..., 0])
    assert (normal[sky] == 0).all()
    k_inverse = np.linalg.inv(camera.intrinsics)
    u, v = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    ray = np.stack([u, v, np.ones_like(u)], -1) @ k_inverse.T
    assert ((normal * ray).sum(-1) <= 1e-5).all()
    np.testing.assert_allclose(np.linalg.norm(normal[~sky], axis=-1), 1, atol=1e-5)
    expected = camera.world_from_camera[:3, :3].T @ np.array(ours)
    facing = ~sky & ((ray * expected).sum(-1) < 0)
    assert facing.any()
    np.testing.assert_allclose(normal[facing], np.broadcast_to(expected, normal[facing].shape), atol=1e-5)


def test_ids_are_those_of_the_surface_that_is_seen(context: Any, glsl: Any) -> None:
    seen_cm = np.full((HEIGHT, WIDTH, 1), 500, np.float32)
    labelled_cm = seen_cm.copy()
    labelled_cm[:, 10:20] = 900  # behind what is seen
    labelled_cm[:, 20:] = 300  # see-through: it wrote no depth
    stencil = np.full((HEIGHT, WIDTH, 2), 7, np.uint8)
    textures = {"DepthTexture": NEAR_CM / seen_cm, "CustomDepthTexture": NEAR_CM / labelled_cm}
    textures |= {"CustomStencilTexture": stencil}
    for channel, value in (("class_id", 70), ("instance_id", 700)):
        ids = run(context, glsl(channel), channel, textures, {})[..., 0]
        assert (ids[:, :10] == value).all()
        assert (ids[:, 10:] == 0).all()


@pytest.mark.parametrize(("custom_jitter", "first"), [((0.6, 0.0), 9), ((0.0, 0.0), 10)])
def test_ids_are_found_where_custom_depth_is_drawn_with_jitter_and_where_it_is_drawn_without(
    context: Any, glsl: Any, custom_jitter: tuple[float, float], first: int
) -> None:
    labelled = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    labelled[:, 10:] = NEAR_CM / 500
    textures = {"DepthTexture": np.full((HEIGHT, WIDTH, 1), NEAR_CM / 500, np.float32)}
    textures |= {"CustomDepthTexture": labelled, "CustomStencilTexture": np.full((HEIGHT, WIDTH, 2), 7, np.uint8)}
    uniforms = {"JitterPixels": (0.6, 0.0), "CustomJitterPixels": custom_jitter}
    ids = run(context, glsl("class_id"), "class_id", textures, uniforms)[..., 0]
    assert (ids[:, first:] == 70).all()
    assert (ids[:, :first] == 0).all()


@pytest.mark.parametrize("shrink", [1, 3])
def test_the_linear_picture_of_a_movie_render_becomes_srgb(context: Any, glsl: Any, shrink: int) -> None:
    picture = np.full((HEIGHT, WIDTH, 4), 0.5, np.float32)
    uniforms = {"PictureIsLinear": 1, "Shrink": shrink, "OutputSize": (WIDTH // shrink, HEIGHT // shrink)}
    rgb = run(context, glsl("rgb"), "rgb", {"PictureTexture": picture}, uniforms)[..., :3]
    np.testing.assert_allclose(rgb, 1.055 * 0.5 ** (1 / 2.4) - 0.055, atol=1e-5)


def test_a_shrunk_picture_is_the_mean_of_light(context: Any, glsl: Any) -> None:
    picture = np.zeros((HEIGHT + 4, WIDTH + 2, 4), np.float32)
    picture[4:, 2:][:, ::3] = 1  # one white column in three
    uniforms = {"PictureMin": (2, 4), "Shrink": 3, "OutputSize": (WIDTH // 3, HEIGHT // 3)}
    rgb = run(context, glsl("rgb"), "rgb", {"PictureTexture": picture}, uniforms)[..., :3]
    np.testing.assert_allclose(rgb, 1.055 * (1 / 3) ** (1 / 2.4) - 0.055, atol=1e-5)
