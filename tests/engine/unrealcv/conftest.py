"""A stand-in for Unreal that speaks UnrealCV's wire protocol.

It shows a small world, computed ray by ray in Unreal's own axes and units, apart from the product.
What it cannot show is that Unreal itself does the same: no Unreal was run here.
"""

import contextlib
import io
import math
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("unrealcv")

MAGIC = 0x9E2B83C1
FLOOR_COLOR, BALL_COLOR, CART_COLOR = (10, 200, 30), (127, 0, 255), (1, 2, 3)
CART_RADIUS_CM, BALL_RADIUS_CM = 60.0, 80.0


@dataclass
class FakeUnreal:
    """The world and its camera. Units and axes are Unreal's: centimetres, X forward, Y right, Z up."""

    width: int = 96
    height: int = 64
    location: list[float] = field(default_factory=lambda: [0.0, 0.0, 150.0])
    rotation: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # pitch, yaw, roll
    fov: float = 90.0
    ball: list[float] = field(default_factory=lambda: [600.0, 100.0, 150.0])
    cart: list[float] = field(default_factory=lambda: [600.0, -250.0, 60.0])
    drift_cm: float = 0.0  # the camera's way to the right between two ticks
    cart_speed_cm: float = 0.0  # forward, between two ticks
    batches: bool = True
    mobility: bool = True
    refused: tuple[str, ...] = ()
    paused: bool = False
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def tick(self) -> None:
        if not self.paused:
            self.location[1] += self.drift_cm
            self.cart[0] += self.cart_speed_cm

    def answer(self, command: str) -> bytes:
        self.asked.append(command)
        if any(refused in command for refused in self.refused):
            return b"error Command not found"
        words = command.split()
        if words[0] == "vset":
            return self._set(words)
        answers: dict[str, Callable[[], bytes]] = {
            "vget /unrealcv/status": lambda: b"Is Listening",
            "vget /unrealcv/commands": lambda: b"error unknown",
            "vget /objects": lambda: b"Floor Ball_7 Cart_C_2 ",
            "vget /object/Floor/color": lambda: _color(FLOOR_COLOR),
            "vget /object/Ball_7/color": lambda: _color(BALL_COLOR),
            "vget /object/Cart_C_2/color": lambda: _color(CART_COLOR),
            "vget /camera/0/location": lambda: "{:.3f} {:.3f} {:.3f}".format(*self.location).encode(),
            "vget /camera/0/rotation": lambda: "{:.3f} {:.3f} {:.3f}".format(*self.rotation).encode(),
            "vget /camera/0/fov": lambda: f"{self.fov:f}".encode(),
            "vget /camera/0/lit png": lambda: _png(self.view()["lit"]),
            "vget /camera/0/object_mask png": lambda: _png(self.view()["mask"]),
            "vget /camera/0/normal png": lambda: _png(self.view()["normal"]),
            "vget /camera/0/depth npy": lambda: _npy(self.view()["depth"]),
        }
        if self.mobility:
            answers |= {
                "vget /object/Floor/mobility": lambda: b"Static",
                "vget /object/Ball_7/mobility": lambda: b"Static",
                "vget /object/Cart_C_2/mobility": lambda: b"Movable",
            }
        return answers[command]() if command in answers else b"error Command not found"

    def _set(self, words: list[str]) -> bytes:
        values = [float(word) for word in words[2:]]
        if words[1] == "/camera/0/location":
            self.location = values
        elif words[1] == "/camera/0/rotation":
            self.rotation = values
        elif words[1] == "/camera/0/size":
            self.width, self.height = map(int, values)
        elif words[1] in ("/action/game/pause", "/action/game/resume"):
            self.paused = words[1].endswith("pause")
        else:
            return b"error Command not found"
        return b"ok"

    def view(self) -> dict[str, Any]:
        """Cast a ray through every pixel's centre."""
        focal = self.width / 2 / math.tan(math.radians(self.fov) / 2)
        rows, columns = np.mgrid[0 : self.height, 0 : self.width] + 0.5
        pitch, yaw, roll = np.radians(self.rotation)
        # As a rotator is defined: roll about X, then pitch about Y, then yaw about Z, in a left-handed frame.
        turn_roll = np.array([[1, 0, 0], [0, np.cos(roll), np.sin(roll)], [0, -np.sin(roll), np.cos(roll)]])
        turn_pitch = np.array([[np.cos(pitch), 0, -np.sin(pitch)], [0, 1, 0], [np.sin(pitch), 0, np.cos(pitch)]])
        turn_yaw = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        right, up = (columns - self.width / 2) / focal, -(rows - self.height / 2) / focal
        rays = np.stack([np.ones_like(right), right, up], -1) @ (turn_yaw @ turn_pitch @ turn_roll).T
        origin = np.array(self.location)
        depth = np.full(rows.shape, np.inf)
        colors, mask = np.full((*rows.shape, 3), (200, 160, 120)), np.zeros((*rows.shape, 3))
        normals = np.full((*rows.shape, 3), -1.0)  # black
        with np.errstate(divide="ignore", invalid="ignore"):
            floor = np.where(rays[..., 2] < 0, -origin[2] / rays[..., 2], np.inf)
        things = [(floor, FLOOR_COLOR, (90, 90, 95), None)]
        for center, radius, color, lit in (
            (self.ball, BALL_RADIUS_CM, BALL_COLOR, (200, 60, 40)),
            (self.cart, CART_RADIUS_CM, CART_COLOR, (40, 70, 190)),
        ):
            things.append((_sphere(origin, rays, np.array(center), radius), color, lit, np.array(center)))
        for along, color, lit, center in things:
            nearer = along < depth
            depth = np.where(nearer, along, depth)
            points = origin + rays[nearer] * along[nearer][:, None]
            outward = np.array([0, 0, 1.0]) if center is None else (points - center)
            colors[nearer], mask[nearer] = lit, color
            normals[nearer] = outward / np.linalg.norm(outward, axis=-1, keepdims=True)
        return {
            "lit": colors.astype(np.uint8),
            "mask": mask.astype(np.uint8),
            "depth": np.minimum(depth, 65504).astype(np.float16).astype(np.float32),
            "normal": np.round((normals + 1) * 127.5).astype(np.uint8),
        }


@pytest.fixture
def unreal() -> Iterator[FakeUnreal]:
    """A world that listens at `unreal.port` on loopback, for one client at a time, as UnrealCV does."""
    world = FakeUnreal()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        world.port = listener.getsockname()[1]
        threading.Thread(target=_serve, args=(listener, world), daemon=True).start()
        yield world
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, world: FakeUnreal) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            _send(client, b"connected to FakeUnreal")
            _converse(client, world)


def _converse(client: socket.socket, world: FakeUnreal) -> None:
    waiting: list[tuple[bytes, str]] = []
    wanted = 1
    while message := _receive(client):
        number, _, body = message.partition(b":")
        command = body.decode()
        batch = re.fullmatch(r"vbatch (\d+)", command)
        if batch and world.batches:
            wanted = int(batch[1])
            _send(client, number + b":ok")
            continue
        waiting.append((number, command))
        if len(waiting) < wanted:
            continue
        for number, command in waiting:  # in one tick
            _send(client, number + b":" + world.answer(command))
        waiting, wanted = [], 1
        world.tick()


def _receive(client: socket.socket) -> bytes:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                chunk = client.recv(count - len(data))
            except OSError:
                return b""
            if not chunk:
                return b""
            data += chunk
        return data

    head = exactly(8)
    if not head:
        return b""
    magic, length = struct.unpack("<II", head)
    assert magic == MAGIC
    return exactly(length)


def _send(client: socket.socket, payload: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(struct.pack("<II", MAGIC, len(payload)) + payload)


def _sphere(origin: Any, rays: Any, center: Any, radius: float) -> Any:
    """How far along each ray (of length 1 along the camera's axis) a sphere is met."""
    a = (rays * rays).sum(-1)
    b = rays @ (origin - center)
    c = (origin - center) @ (origin - center) - radius**2
    root = b * b - a * c
    along = (-b - np.sqrt(np.maximum(root, 0))) / a
    return np.where((root > 0) & (along > 0), along, np.inf)


def _color(rgb: tuple[int, int, int]) -> bytes:
    return "(R={},G={},B={},A=255)".format(*rgb).encode()


def _png(rgb: Any) -> bytes:
    opaque = np.dstack([rgb[..., ::-1], np.full(rgb.shape[:2], 255, np.uint8)])
    return bytes(cv2.imencode(".png", opaque)[1].tobytes())


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
