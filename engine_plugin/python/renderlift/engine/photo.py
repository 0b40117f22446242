"""What a camera does to light on its way into a photo. The engine's own picture knows none of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.tone import picture


@dataclass(frozen=True)
class CameraResponse:
    """How a photo differs from a pinhole's perfect one. The default is the perfect one."""

    exposure_stops: float = 0.0  # over what the scene asks for
    vignette: float = 0.0  # share of light that the corners lose
    aperture_mm: float = 0.0  # diameter of the lens; 0 = everything is sharp
    focus_m: float = 0.0  # what is this far along the camera's +Z is sharp; has no meaning for a pinhole

    def __post_init__(self) -> None:
        if not (abs(self.exposure_stops) <= 8 and 0 <= self.vignette < 1 and 0 <= self.aperture_mm <= 1000):
            raise ValueError(f"not a camera's response: {self}")
        if self.aperture_mm and not 0 < self.focus_m < float("inf"):
            raise ValueError(f"a lens of {self.aperture_mm} mm needs a distance to focus at")


PERFECT = CameraResponse()


def photograph(
    radiance: NDArray[np.floating], exposure: float, response: CameraResponse = PERFECT
) -> NDArray[np.uint8]:
    """Linear radiance (H, W, 3) to the photo (H, W, 3) uint8, through the tone curve of `tone`.

    The vignette falls with the square of the distance from the centre, which is how the fourth power
    of the cosine begins. (Depth of field is not made here: the path tracer has the rays.)
    """
    height, width = radiance.shape[:2]
    y, x = np.mgrid[0:height, 0:width] + 0.5
    distance_2 = (x - width / 2) ** 2 + (y - height / 2) ** 2
    falloff = 1 - response.vignette * distance_2 / (width**2 / 4 + height**2 / 4)
    return picture(radiance * falloff[..., None], exposure * 2.0**response.exposure_stops)
