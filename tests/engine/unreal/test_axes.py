"""Unreal's axes, ids and names as the plugin's own C++ turns them, held against docs/conventions.md.

The expectation is made by another route: points go through Unreal's view and projection as Unreal defines them
(rows, left-handed, centimetres, reversed depth), and must land where our pose and intrinsics say.
"""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

NEAR_CM = 10.0


@dataclass(frozen=True)
class View:
    """An Unreal camera: rotation in degrees as in the editor, place in centimetres."""

    yaw: float = 0
    pitch: float = 0
    roll: float = 0
    location_cm: tuple[float, float, float] = (0, 0, 0)
    half_fov: float = 45
    off_centre: tuple[float, float] = (0, 0)
    width: int = 640
    height: int = 360
    shrink: int = 1

    @property
    def axes(self) -> Matrix:
        """Rows: forward, right, up in Unreal's left-handed world. Yaw turns X towards Y, pitch X towards Z,
        roll lowers the right hand side."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        forward = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
        level_right = np.array([-np.sin(yaw), np.cos(yaw), 0])
        level_up = np.cross(forward, level_right)  # left-handed: X x Y = Z holds by the same formula
        right = np.cos(roll) * level_right - np.sin(roll) * level_up
        up = np.cos(roll) * level_up + np.sin(roll) * level_right
        return np.array([forward, right, up])

    @property
    def projection(self) -> Matrix:
        """View (x right, y up, z forward) to clip, for rows; device depth 1 at the near plane, 0 far away."""
        scale = 1 / np.tan(np.radians(self.half_fov))
        result = np.zeros((4, 4))
        result[0, 0], result[1, 1] = scale, scale * self.width / self.height
        result[2, 0], result[2, 1] = self.off_centre
        result[2, 3], result[3, 2] = 1, NEAR_CM
        return result

    def pixel_and_device_depth(self, points_cm: Matrix) -> tuple[Matrix, Matrix]:
        """Where points (N, 3) of Unreal's world are drawn, pixels of the frame, and their depth buffer values."""
        forward, right, up = self.axes
        relative = points_cm - np.array(self.location_cm)
        view = np.stack([relative @ right, relative @ up, relative @ forward, np.ones(len(relative))], 1)
        clip = view @ self.projection
        device = clip[:, :3] / clip[:, 3:]
        u = (device[:, 0] + 1) / 2 * self.width / self.shrink
        v = (1 - device[:, 1]) / 2 * self.height / self.shrink
        return np.stack([u, v], 1), device[:, 2]

    @property
    def words(self) -> str:
        forward, right, up = self.axes
        p = self.projection
        numbers = [*right, *up, *forward, *self.location_cm, p[0, 0], p[1, 1], p[2, 0], p[2, 1], p[2, 2], p[3, 2]]
        return " ".join(map(repr, map(float, numbers))) + f" {self.width} {self.height} {self.shrink}"


@dataclass(frozen=True)
class Converted:
    world_from_camera: Matrix
    image_from_camera: Matrix
    camera_from_unreal_world: Matrix
    depth_numerator: float
    depth_offset: float
    size: tuple[int, int]


VIEWS = [
    View(),
    View(yaw=30, pitch=-20, roll=10, location_cm=(120, -340, 170)),
    View(yaw=-150, pitch=40, roll=-75, location_cm=(-1e6, 2e6, 3e4), half_fov=30, off_centre=(0.2, -0.1)),
    View(yaw=77, width=1919, height=641, shrink=3, location_cm=(5, 6, 7)),
]


@pytest.fixture(scope="module")
def ask(plugin: Any, tool: Callable[[str, str], str], tmp_path_factory: Any) -> Iterator[Callable[[str], str]]:
    compiler = tool("g++", "g++")
    private = plugin.source / "Renderlift" / "Private"
    program = tmp_path_factory.mktemp("axes") / "harness"
    files = [private / f"Renderlift{name}.cpp" for name in ("Axes", "Names", "Stencils")]
    harness = plugin.declarations.parent / "harness.cpp"
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", f"-I{private}"]
    subprocess.run([compiler, *options, harness, *files, "-o", program], check=True)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def answer(question: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(question + "\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield answer
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def convert(ask: Callable[[str], str], view: View) -> Converted:
    numbers = np.array(ask(f"view {view.words}").split(), np.float64)
    width, height = (int(side) for side in numbers[36:38])
    pose, intrinsics, axes = numbers[:16].reshape(4, 4), numbers[16:25].reshape(3, 3), numbers[25:34].reshape(3, 3)
    return Converted(pose, intrinsics, axes, numbers[34], numbers[35], (width, height))


def points_in_view(view: View, seed: int = 0) -> Matrix:
    """Points (N, 3) of Unreal's world in front of the camera, 1 m to 1 km away, centimetres."""
    random = np.random.default_rng(seed)
    distance = 10 ** random.uniform(2, 5, 50)
    aside = random.uniform(-0.4, 0.4, (50, 2)) * distance[:, None]
    forward, right, up = view.axes
    return np.array(view.location_cm) + distance[:, None] * forward + aside[:, :1] * right + aside[:, 1:] * up


def in_our_world(points_cm: Matrix) -> Matrix:
    """Metres, right-handed: Unreal's world with Y turned around."""
    return points_cm * [0.01, -0.01, 0.01]


@pytest.mark.parametrize("view", VIEWS)
def test_a_point_lands_on_its_pixel_at_its_depth(ask: Callable[[str], str], view: View) -> None:
    ours = convert(ask, view)
    points = points_in_view(view)
    pixels, device_depth = view.pixel_and_device_depth(points)
    homogeneous = np.concatenate([in_our_world(points), np.ones((len(points), 1))], 1)
    camera = (np.linalg.inv(ours.world_from_camera) @ homogeneous.T)[:3]
    projected = ours.image_from_camera @ camera
    np.testing.assert_allclose((projected[:2] / projected[2]).T, pixels, atol=1e-4)
    depth_m = ours.depth_numerator / (device_depth - ours.depth_offset)
    np.testing.assert_allclose(depth_m, camera[2], rtol=1e-6)


@pytest.mark.parametrize("view", VIEWS)
def test_the_pose_is_a_rotation_and_normals_turn_with_it(ask: Callable[[str], str], view: View) -> None:
    ours = convert(ask, view)
    rotation = ours.world_from_camera[:3, :3]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    normal = np.array([0.3, -0.8, 0.52])
    np.testing.assert_allclose(
        rotation.T @ (normal * [1, -1, 1]), ours.camera_from_unreal_world @ normal, atol=1e-12
    )


def test_a_still_point_is_found_where_the_camera_saw_it_a_frame_before(ask: Callable[[str], str]) -> None:
    before = View(yaw=28, pitch=-18, location_cm=(100, -300, 165), width=1280, height=720, shrink=2)
    now = View(yaw=30, pitch=-20, roll=3, location_cm=(120, -340, 170), width=1280, height=720, shrink=2)
    matrix = np.array(ask(f"previous {before.words} {now.words}").split(), np.float64).reshape(4, 4)
    points = points_in_view(now)
    pixels, device_depth = now.pixel_and_device_depth(points)
    depth_m = 0.01 * NEAR_CM / device_depth
    here = np.concatenate([pixels * depth_m[:, None], depth_m[:, None], np.ones((len(points), 1))], 1)
    there = matrix @ here.T
    np.testing.assert_allclose((there[:2] / there[2]).T, before.pixel_and_device_depth(points)[0], atol=1e-6)


def test_sky_follows_the_turning_of_the_camera_alone(ask: Callable[[str], str]) -> None:
    before, now = View(yaw=28), View(yaw=30, location_cm=(500, 0, 0))
    matrix = np.array(ask(f"previous {before.words} {now.words}").split(), np.float64).reshape(4, 4)
    pixel = np.array([[100.0, 200.0]])
    there = matrix @ np.array([*pixel[0], 1, 0])
    unmoved = np.array(ask(f"previous {before.words} {View(yaw=30).words}").split(), np.float64).reshape(4, 4)
    np.testing.assert_allclose(there, unmoved @ np.array([*pixel[0], 1, 0]), atol=1e-9)
    assert there[0] / there[2] > pixel[0, 0]  # it turned to the right, so the sky came from further right


def test_a_preview_is_shrunk_by_a_whole_number(ask: Callable[[str], str]) -> None:
    widths = [(640, 640), (641, 640), (1919, 640), (1920, 640), (3840, 640), (1920, 0)]
    assert [int(ask(f"shrink {width} {most}")) for width, most in widths] == [1, 2, 3, 3, 6, 1]
    assert convert(ask, VIEWS[3]).size == (639, 213)


def deal(ask: Callable[[str], str], instances: list[tuple[int, int]]) -> tuple[list[tuple[int, ...]], int]:
    """(stencil value, class, instance) of each instance as the frame shows it, and how many have no value."""
    words = " ".join(f"{a} {b}" for a, b in instances)
    *numbers, unlabelled = (int(word) for word in ask(f"deal {len(instances)} {words}").split())
    return [tuple(numbers[k : k + 3]) for k in range(0, len(numbers), 3)], unlabelled


def test_255_objects_are_told_apart(ask: Callable[[str], str]) -> None:
    instances = [(1 + number % 7, 1 + number) for number in range(255)]
    dealt, unlabelled = deal(ask, instances)
    assert [row[1:] for row in dealt] == instances
    assert sorted(row[0] for row in dealt) == list(range(1, 256))
    assert unlabelled == 0


def test_of_more_objects_the_important_ones_are_told_apart_and_the_rest_keep_their_class(
    ask: Callable[[str], str],
) -> None:
    instances = [(1 + number % 7, 1 + number) for number in range(2000)]
    dealt, unlabelled = deal(ask, instances)
    assert [row[1:] for row in dealt[:248]] == instances[:248]
    assert [row[1:] for row in dealt[248:]] == [(class_id, 0) for class_id, _ in instances[248:]]
    assert unlabelled == 0


def test_objects_keep_their_value_from_frame_to_frame(ask: Callable[[str], str]) -> None:
    before, _ = deal(ask, [(1, 10), (2, 20), (3, 30)])
    after, _ = deal(ask, [(4, 40), (3, 30), (1, 10)])
    assert {row[2]: row[0] for row in before if row[2] != 20} == {row[2]: row[0] for row in after if row[2] != 40}
    assert [row[1:] for row in after] == [(4, 40), (3, 30), (1, 10)]


def test_more_classes_than_values_are_counted_and_not_mixed_up(ask: Callable[[str], str]) -> None:
    instances = [(1 + number, 1 + number) for number in range(300)]
    dealt, unlabelled = deal(ask, instances)
    assert unlabelled == 45
    assert all(row[1] in (0, class_id) for row, (class_id, _) in zip(dealt, instances, strict=True))


@pytest.mark.parametrize(
    ("name", "class_name"),
    [("SM_Chair_03", "Chair"), ("BP_Door_C", "Door"), ("Rock7", "Rock"), ("Landscape", "Landscape"), ("12", "12")],
)
def test_things_are_called_what_they_are(ask: Callable[[str], str], name: str, class_name: str) -> None:
    assert ask(f"name {name}") == class_name
