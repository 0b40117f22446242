"""Our scenes' pictures and heights as Panda3D textures."""

from functools import cache

import numpy as np

from renderlift.engine.panda3d.panda import Texture, core
from renderlift.engine.relief import FLAT, slopes
from renderlift.engine.scene import FloatArray


def color_texture(base_color: FloatArray) -> Texture:
    """A linear texture; half floats, so that albedo stays right to 1/255 in the dark too."""
    return _half_float("base_color", base_color)


def relief_texture(heights_m: FloatArray) -> Texture:
    """Slopes of heights (h, w), which unlike heights can be blurred with distance: far relief is flat."""
    gained = slopes(heights_m)
    return _half_float("relief", np.concatenate([gained, np.zeros_like(gained[..., :1])], -1))


@cache
def flat_relief() -> Texture:
    """What a surface without relief has."""
    return relief_texture(FLAT)


def _half_float(name: str, texels: FloatArray) -> Texture:
    height, width = texels.shape[:2]
    texture = core.Texture(name)
    texture.setup2dTexture(width, height, core.Texture.THalfFloat, core.Texture.FRgb16)
    # Rows stay in order: the first row is at v = 0, which our meshes call the top.
    texture.setRamImage(np.ascontiguousarray(texels[..., ::-1].astype(np.float16)).tobytes())
    texture.setWrapU(core.SamplerState.WMRepeat)
    texture.setWrapV(core.SamplerState.WMRepeat)
    texture.setMinfilter(core.SamplerState.FTLinearMipmapLinear)
    texture.setMagfilter(core.SamplerState.FTLinear)
    return texture
