"""The one untyped edge: Panda3D ships no type stubs, so its objects are `Any` from here on.

Also what Panda3D needs said once: how to get OpenGL without a window, and buffers that are reused.
"""

import atexit
import importlib
import sys
from typing import Any, TypeAlias

from renderlift.bridge.errors import SetupError, install_fix

NodePath: TypeAlias = Any
GraphicsOutput: TypeAlias = Any
Texture: TypeAlias = Any

# Textures of any size; a core profile, which some drivers need for GLSL 3.30; and no word of
# the first EGL display that fails when another one works.
HEADLESS_SETTINGS = """
textures-power-2 none
gl-version 3 3
notify-level warning
notify-level-egldisplay error
"""

SHOWBASE_SETTINGS = """
audio-library-name null
print-pipe-types 0
notify-level-device fatal
"""

GL_FIX = "On Debian or Ubuntu: apt-get install libegl1 libgl1 libgl1-mesa-dri"

try:
    core: Any = importlib.import_module("panda3d.core")
except ImportError as missing:
    raise SetupError(f"Panda3D cannot be imported: {missing}", fix=install_fix("engines")) from missing

_headless: GraphicsOutput = None
_spare_buffers: dict[tuple[object, ...], list[GraphicsOutput]] = {}
_keys: dict[int, tuple[object, ...]] = {}  # buffer address to what it was asked for as; none is ever freed


def open_showbase(height: int, width: int, *, window: bool, title: str) -> Any:
    """A ShowBase with a picture of that size, in a window or without one.

    Raises:
        SetupError: no OpenGL, or no screen for a window.
    """
    display = "p3headlessgl" if sys.platform == "linux" and not window else "pandagl"
    settings = f"load-display {display}\nwin-size {width} {height}\nwindow-title {title}\n"
    core.loadPrcFileData("renderlift", HEADLESS_SETTINGS + settings + SHOWBASE_SETTINGS)
    show_base = importlib.import_module("direct.showbase.ShowBase").ShowBase
    try:
        return show_base(windowType="onscreen" if window else "offscreen")
    except Exception as error:  # ShowBase raises no narrower one
        fix = f"A window needs a screen (DISPLAY); --headless needs none. {GL_FIX}" if window else GL_FIX
        kind = "window" if window else "buffer"
        raise SetupError(f"Panda3D could not open its {kind}: {error}", fix=fix) from error


def new_event_listener() -> Any:
    """Something to hear Panda3D's events with, apart from the user's own."""
    return importlib.import_module("direct.showbase.DirectObject").DirectObject()


def headless_output() -> GraphicsOutput:
    """A 1x1 offscreen output that owns an OpenGL context for others to share; one per process.

    Raises:
        SetupError: no OpenGL on this machine.
    """
    global _headless
    if _headless is None:
        _headless = _open_headless()
    return _headless


def _open_headless() -> GraphicsOutput:
    core.loadPrcFileData("renderlift", HEADLESS_SETTINGS)
    module = "p3headlessgl" if sys.platform == "linux" else "pandagl"
    pipe = core.GraphicsPipeSelection.getGlobalPtr().makeModulePipe(module)
    if pipe is not None and pipe.isValid():
        output = core.GraphicsEngine.getGlobalPtr().makeOutput(
            pipe,
            "renderlift",
            0,
            core.FrameBufferProperties(core.FrameBufferProperties.getDefault()),
            core.WindowProperties.size(1, 1),
            core.GraphicsPipe.BFRefuseWindow,
        )
        if output is not None and output.getGsg() is not None:
            # Left to C++'s own exit, Panda3D may write its model cache with streams that are gone by then.
            atexit.register(core.GraphicsEngine.getGlobalPtr().removeAllWindows)
            return output
    raise SetupError("Panda3D found no OpenGL to draw with.", fix=GL_FIX)


def open_buffer(
    host: GraphicsOutput, name: str, height: int, width: int, wanted: Any, *, sort: int
) -> GraphicsOutput:
    """An offscreen buffer in the context of `host`, drawn in the order of `sort`.

    Give it back with `close_buffer`: Panda3D 1.10 does not free a removed buffer's memory
    (16 MB stay of every 2048x2048 depth buffer), so closed ones wait for their next use.

    Raises:
        SetupError: the driver cannot make such a buffer.
    """
    key = (host.getGsg().this, name, height, width, str(wanted))
    spare = _spare_buffers.setdefault(key, [])
    buffer = spare.pop() if spare else _make_buffer(host, name, height, width, wanted)
    _keys[buffer.this] = key
    buffer.setSort(sort)
    buffer.setOneShot(False)
    buffer.setActive(True)
    return buffer


def close_buffer(buffer: GraphicsOutput) -> None:
    """Clear a buffer of what it shows and keep it for the next `open_buffer`."""
    buffer.setActive(False)
    buffer.removeAllDisplayRegions()
    _spare_buffers[_keys[buffer.this]].append(buffer)


def output_texture(output: GraphicsOutput, plane: Any) -> Texture:
    """The texture that holds what `output` draws to `plane`; one is bound if there is none yet."""
    for i in range(output.countTextures()):
        if output.getTexturePlane(i) == plane:
            return output.getTexture(i)
    texture = core.Texture("renderlift-target")
    output.addRenderTexture(texture, core.GraphicsOutput.RTMBindOrCopy, plane)
    return texture


def _make_buffer(host: GraphicsOutput, name: str, height: int, width: int, wanted: Any) -> GraphicsOutput:
    buffer = host.getEngine().makeOutput(
        host.getPipe(),
        name,
        0,
        wanted,
        core.WindowProperties.size(width, height),
        core.GraphicsPipe.BFRefuseWindow,
        host.getGsg(),
        host,
    )
    got = buffer.getFbProperties() if buffer is not None else None
    if got is None or got.getAuxFloat() < wanted.getAuxFloat() or got.getAuxRgba() < wanted.getAuxRgba():
        raise SetupError(
            f"{host.getGsg().getDriverRenderer()} cannot make the {width}x{height} buffer {name}: {wanted}",
            fix=f"Renderlift needs OpenGL 3.3 with float targets; update the driver. {GL_FIX}",
        )
    return buffer
