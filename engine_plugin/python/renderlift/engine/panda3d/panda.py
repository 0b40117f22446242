"""The one untyped edge: Panda3D ships no type stubs, so its objects are `Any` from here on."""

import importlib
import sys
from typing import Any, TypeAlias

from renderlift.bridge.errors import SetupError

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

GL_FIX = "On Debian or Ubuntu: apt-get install libegl1 libgl1 libgl1-mesa-dri"

try:
    core: Any = importlib.import_module("panda3d.core")
except ImportError as missing:
    raise SetupError(f"Panda3D cannot be imported: {missing}", fix="pip install 'renderlift[engines]'") from missing


def headless_output() -> GraphicsOutput:
    """A 1x1 offscreen output that owns an OpenGL context; others share it. One per process.

    Raises:
        SetupError: no OpenGL on this machine.
    """
    global _headless
    if _headless is None:
        _headless = _open_headless()
    return _headless


_headless: GraphicsOutput = None


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
            return output
    raise SetupError("Panda3D found no OpenGL to draw with.", fix=GL_FIX)
