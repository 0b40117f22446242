"""From radiance to picture: the one tone curve that game look and path-traced truth share."""

import numpy as np
from numpy.typing import NDArray


def aces(radiance: NDArray[np.floating]) -> NDArray[np.floating]:
    """Filmic curve: linear radiance (...) to linear display light (...) in [0, 1].

    Narkowicz's fit of the ACES reference, a curve game engines commonly ship.
    """
    x = np.maximum(radiance, 0)
    return np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)


def srgb_oetf(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    """Linear display light (...) in [0, 1] to sRGB code values (...) in [0, 1] (IEC 61966-2-1)."""
    x = np.clip(linear, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055)


def picture(radiance: NDArray[np.floating], exposure: float) -> NDArray[np.uint8]:
    """Linear radiance (H, W, 3) to the sRGB picture (H, W, 3) uint8 as a viewport shows it."""
    return np.round(255 * srgb_oetf(aces(radiance * exposure))).astype(np.uint8)
