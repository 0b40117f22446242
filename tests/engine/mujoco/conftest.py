"""Small models drawn by real OpenGL, for each test to furnish."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.frame import Array, Channel, Frame

mujoco = pytest.importorskip("mujoco")

MODEL = """
<mujoco>
  <option gravity="0 0 0"/>
  <statistic extent="5" center="0 3 0"/>
  <visual><map znear="0.002" zfar="100"/><quality offsamples="4"/></visual>
  <asset>
    <mesh name="wedge" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/>
    <material name="enamel" rgba=".8 .4 .2 1" roughness=".3" metallic=".6" specular="1" emission=".3"/>
  </asset>
  <worldbody>
    <light directional="true" dir=".2 .4 -1" castshadow="false"/>
    <camera name="eye" pos="0 0 0" xyaxes="1 0 0 0 0 1" fovy="60"/>
    <!-- Rolled, off centre, and with pixels that are not square. -->
    <camera name="odd" pos=".2 -.1 .3" xyaxes=".97 .05 .2 -.2 .1 .97" sensorsize=".032 .024" focal=".022 .024"
            principal=".003 .002" resolution="160 120"/>
    {things}
  </worldbody>
  {more}
</mujoco>
"""


@pytest.fixture
def world() -> Iterator[Callable[..., Any]]:
    """Opens a simulation of some things, seen from the origin along +Y, and its capture."""
    from renderlift.engine.mujoco import Capture

    opened: list[Any] = []

    def build(things: str, more: str = "", *, cameras: Any = ("eye",), **options: Any) -> SimpleNamespace:
        model = mujoco.MjModel.from_xml_string(MODEL.format(things=things, more=more))
        data = mujoco.MjData(model)
        capture = Capture(model, cameras=cameras, **{"size": (120, 160), **options})
        opened.append(capture)
        return SimpleNamespace(model=model, data=data, capture=capture, grab=lambda: capture.grab(data)[0])

    yield build
    for capture in opened:
        capture.close()


@pytest.fixture
def optics() -> SimpleNamespace:
    """What pixels, rays and points have to do with each other, written apart from the product."""
    return SimpleNamespace(pixel_centres=pixel_centres, world_points=world_points, project=project)


def pixel_centres(frame: Frame) -> Array:
    """(u, v) of every pixel's centre (H, W, 2)."""
    rows, columns = np.mgrid[0 : frame.height, 0 : frame.width] + 0.5
    return np.stack([columns, rows], -1)


def world_points(frame: Frame) -> Array:
    """Every pixel's point in the world (H, W, 3), from its depth."""
    homogeneous = np.concatenate([pixel_centres(frame), np.ones((frame.height, frame.width, 1))], -1)
    rays = homogeneous @ np.linalg.inv(frame.camera.image_from_camera).T
    depth = frame.channels[Channel.DEPTH].astype(np.float64)
    points = rays * np.where(np.isinf(depth), np.nan, depth)
    result: Array = points @ frame.camera.world_from_camera[:3, :3].T + frame.camera.world_from_camera[:3, 3]
    return result


def project(points: Array, frame: Frame) -> Array:
    """World points (..., 3) to pixels (..., 2) of `frame`."""
    pose = frame.camera.world_from_camera
    image = (points - pose[:3, 3]) @ pose[:3, :3] @ frame.camera.image_from_camera.T
    result: Array = image[..., :2] / image[..., 2:]
    return result
