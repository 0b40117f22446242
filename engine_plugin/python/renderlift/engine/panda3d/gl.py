"""The few OpenGL calls that Panda3D 1.10 does not offer: reading pixels without waiting for them.

Panda3D can only copy a finished output, and waits for the copy. We want the picture before
the HUD is drawn over it, and on a GPU we want it later. Every function here must be called
while the context is current, that is from a draw callback.
"""

import ctypes
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError

Pixels = NDArray[Any]  # (H, W, 4), bottom row first
Plane = tuple[int, int, type[np.uint8] | type[np.float32]]  # height, width, of 4 components

_RGBA, _TYPES = 0x1908, {np.uint8: 0x1401, np.float32: 0x1406}
_TEXTURE_2D, _TEXTURE_BINDING_2D = 0x0DE1, 0x8069
_COLOR_ATTACHMENT0, _DRAW_BUFFER, _READ_BUFFER, _PACK_ALIGNMENT = 0x8CE0, 0x0C01, 0x0C02, 0x0D05
_PIXEL_PACK_BUFFER, _STREAM_READ, _MAP_READ_BIT = 0x88EB, 0x88E1, 0x0001
_SYNC_GPU_COMMANDS_COMPLETE, _SYNC_FLUSH_COMMANDS_BIT = 0x9117, 0x0001
_ALREADY_SIGNALED, _CONDITION_SATISFIED = 0x911A, 0x911C

_int, _uint, _size, _pointer = ctypes.c_int, ctypes.c_uint, ctypes.c_ssize_t, ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, ...]] = {  # result, then arguments
    "glGetIntegerv": (None, _uint, _pointer),
    "glReadBuffer": (None, _uint),
    "glPixelStorei": (None, _uint, _int),
    "glReadPixels": (None, _int, _int, _int, _int, _uint, _uint, _pointer),
    "glBindTexture": (None, _uint, _uint),
    "glGetTexImage": (None, _uint, _int, _uint, _uint, _pointer),
    "glGenBuffers": (None, _int, _pointer),
    "glBindBuffer": (None, _uint, _uint),
    "glBufferData": (None, _uint, _size, _pointer, _uint),
    "glMapBufferRange": (_pointer, _uint, _size, _size, _uint),
    "glUnmapBuffer": (ctypes.c_ubyte, _uint),
    "glFenceSync": (_pointer, _uint, _uint),
    "glClientWaitSync": (_uint, _pointer, _uint, ctypes.c_uint64),
    "glDeleteSync": (None, _pointer),
}


@cache
def _function(name: str) -> Callable[..., Any]:
    try:
        address = _address(name)
    except (OSError, AttributeError) as error:
        raise SetupError(f"{name} was not found in this machine's OpenGL: {error}") from error
    result, *arguments = _SIGNATURES[name]
    kind = ctypes.CFUNCTYPE if sys.platform != "win32" else getattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE)
    function: Callable[..., Any] = kind(result, *arguments)(address)
    return function


def _address(name: str) -> int:
    if sys.platform == "win32":
        library = ctypes.CDLL("opengl32")
        library.wglGetProcAddress.restype = ctypes.c_void_p
        newer_than_1_1 = library.wglGetProcAddress(name.encode())
        if newer_than_1_1:
            return int(newer_than_1_1)
    elif sys.platform == "darwin":
        library = ctypes.CDLL("/System/Library/Frameworks/OpenGL.framework/OpenGL")
    else:
        library = ctypes.CDLL("libGL.so.1")
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


def _integer(name: int) -> int:
    value = ctypes.c_int()
    _function("glGetIntegerv")(name, ctypes.byref(value))
    return value.value


_spare: dict[int, list["Transfer"]] = {}


def borrow_transfers(context: int, count: int) -> "deque[Transfer]":
    """Transfers to use in one OpenGL context, named by a number; the context may not be current yet."""
    spare = _spare.setdefault(context, [])
    return deque(spare.pop() if spare else Transfer() for _ in range(count))


def give_back_transfers(context: int, transfers: "Iterable[Transfer]") -> None:
    """Nobody reads these any more. Their memory waits for the next who borrows."""
    _spare[context].extend(transfers)


class Transfer:
    """Pixels on their way from the GPU to memory, in a pixel pack buffer. Used over and over.

    `start()`, one `read_...()` per plane, `seal()`; then `arrived()`, maybe frames later, and `map()`.
    """

    def __init__(self) -> None:
        self._name = 0
        self._capacity = 0
        self._fence: int | None = None
        self._mapped = False
        self._planes: list[tuple[int, Plane]] = []

    def start(self, planes: Sequence[Plane]) -> None:
        """Make room for `planes`; what was mapped before is gone."""
        if not self._name:
            name = ctypes.c_uint()
            _function("glGenBuffers")(1, ctypes.byref(name))
            self._name = name.value
        self._planes = []
        capacity = sum(_nbytes(plane) for plane in planes)
        if self._fence is not None:
            _function("glDeleteSync")(self._fence)
            self._fence = None
        with _bound(self._name):
            if self._mapped:
                _function("glUnmapBuffer")(_PIXEL_PACK_BUFFER)
                self._mapped = False
            if capacity != self._capacity:
                _function("glBufferData")(_PIXEL_PACK_BUFFER, capacity, None, _STREAM_READ)
                self._capacity = capacity

    def read_buffer(self, plane: Plane, attachment: int | None = None) -> None:
        """Ask for a colour buffer of the output being drawn: one of its targets, or what is drawn to."""
        height, width, dtype = plane
        read_buffer = _integer(_READ_BUFFER)
        _function("glReadBuffer")(_integer(_DRAW_BUFFER) if attachment is None else _COLOR_ATTACHMENT0 + attachment)
        with _bound(self._name):
            _function("glReadPixels")(0, 0, width, height, _RGBA, _TYPES[dtype], self._next_offset())
        _function("glReadBuffer")(read_buffer)
        self._planes.append((self._next_offset(), plane))

    def read_texture(self, plane: Plane, name: int) -> None:
        """Ask for a 2-d texture, named as OpenGL does."""
        bound = _integer(_TEXTURE_BINDING_2D)
        _function("glBindTexture")(_TEXTURE_2D, name)
        with _bound(self._name):
            _function("glGetTexImage")(_TEXTURE_2D, 0, _RGBA, _TYPES[plane[2]], self._next_offset())
        _function("glBindTexture")(_TEXTURE_2D, bound)
        self._planes.append((self._next_offset(), plane))

    def seal(self) -> None:
        """All planes were asked for."""
        self._fence = _function("glFenceSync")(_SYNC_GPU_COMMANDS_COMPLETE, 0)

    def arrived(self, *, timeout_s: float = 0.0) -> bool:
        """Whether the pixels are there, or come within `timeout_s`."""
        state = _function("glClientWaitSync")(self._fence, _SYNC_FLUSH_COMMANDS_BIT, int(timeout_s * 1e9))
        return state in (_ALREADY_SIGNALED, _CONDITION_SATISFIED)

    def map(self) -> list[Pixels]:
        """The planes in the order they were asked for; any thread may read them until `start`."""
        with _bound(self._name):
            address = _function("glMapBufferRange")(_PIXEL_PACK_BUFFER, 0, self._capacity, _MAP_READ_BIT)
        self._mapped = True
        memory: Any = (ctypes.c_ubyte * self._capacity).from_address(address)
        return [
            np.frombuffer(memory, plane[2], plane[0] * plane[1] * 4, offset).reshape(plane[0], plane[1], 4)
            for offset, plane in self._planes
        ]

    def _next_offset(self) -> int:
        return sum(_nbytes(plane) for _, plane in self._planes)


def _nbytes(plane: Plane) -> int:
    return plane[0] * plane[1] * 4 * np.dtype(plane[2]).itemsize


@contextmanager
def _bound(name: int) -> Generator[None]:
    """Route pixel reads into pack buffer `name`; Panda3D's own reads expect none to be bound."""
    alignment = _integer(_PACK_ALIGNMENT)
    _function("glBindBuffer")(_PIXEL_PACK_BUFFER, name)
    _function("glPixelStorei")(_PACK_ALIGNMENT, 4)
    yield
    _function("glPixelStorei")(_PACK_ALIGNMENT, alignment)
    _function("glBindBuffer")(_PIXEL_PACK_BUFFER, 0)
