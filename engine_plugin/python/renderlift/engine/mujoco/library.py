"""The one untyped edge: MuJoCo ships no type stubs, so its objects are `Any` from here on.

Also what MuJoCo needs said once: how to get OpenGL without a window.
"""

import importlib
import os
import sys
from typing import Any, TypeAlias

from renderlift.bridge.errors import SetupError, install_fix

Model: TypeAlias = Any
Data: TypeAlias = Any
Scene: TypeAlias = Any

GL_FIX = "On Debian or Ubuntu: apt-get install libegl1 libgl1 libgl1-mesa-dri"

try:
    core: Any = importlib.import_module("mujoco")
except ImportError as missing:
    raise SetupError(f"MuJoCo cannot be imported: {missing}", fix=install_fix("engines")) from missing


def open_gl(height: int, width: int) -> Any:
    """An OpenGL context of our own, without a window: EGL on Linux unless MUJOCO_GL names another.

    Raises:
        SetupError: no OpenGL on this machine.
    """
    try:
        if sys.platform == "linux" and not os.environ.get("MUJOCO_GL"):
            return importlib.import_module("mujoco.egl").GLContext(width, height)
        return core.GLContext(width, height)
    except Exception as error:  # ImportError, AttributeError, RuntimeError, PyOpenGL's own
        raise SetupError(f"MuJoCo found no OpenGL to draw with: {error}", fix=GL_FIX) from error
