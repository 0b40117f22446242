"""How near a picture is to the truth: published measures in a few lines each, and LPIPS where its weights are."""

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import Array

Picture = NDArray[np.uint8]  # (H, W, 3) sRGB
Plane = NDArray[np.float32]  # (H, W) or (H, W, C), 0..255

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SMALLEST_PX = 176  # shorter sides leave less than a window of 11 pixels at the fifth scale
DETAIL_SIGMA_PX = 1.5


def psnr_db(picture: Array, truth: Array) -> float:
    """Peak signal to noise ratio of uint8 arrays of one shape; inf where they are equal."""
    error = np.square(picture.astype(np.float32) - truth.astype(np.float32)).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(picture: Picture, truth: Picture) -> float:
    """Structural similarity of the colour channels, at most 1 (Wang et al. 2004: Gaussian window, sigma 1.5)."""
    structure, light = _similarity(picture.astype(np.float32), truth.astype(np.float32))
    return float((structure * light).mean())


def ms_ssim(picture: Picture, truth: Picture) -> float | None:
    """SSIM over five scales (Wang et al. 2003); None where a side is below MS_SSIM_SMALLEST_PX."""
    if min(picture.shape[:2]) < MS_SSIM_SMALLEST_PX:
        return None
    a, b = picture.astype(np.float32), truth.astype(np.float32)
    product = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        structure, light = _similarity(a, b)
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        product *= max(float((structure * light if last else structure).mean()), 0.0) ** weight
        a, b = _halved(a), _halved(b)
    return product


def gmsd(picture: Picture, truth: Picture) -> float:
    """Gradient magnitude similarity deviation (Xue et al. 2014): 0 is equal, blur and ringing raise it.

    Agrees with people about as well as measures that need weights, which is why it stands here.
    """
    a, b = (_gradient(_halved(luma(p))) for p in (picture, truth))
    similarity = (2 * a * b + 170) / (a * a + b * b + 170)
    return float(similarity.std())


def detail(picture: Picture) -> Plane:
    """What a blur takes away: luma less its Gaussian mean, (H, W)."""
    grey = luma(picture)
    return grey - cv2.GaussianBlur(grey, (0, 0), DETAIL_SIGMA_PX)


def detail_error(picture: Picture, truth: Picture) -> float:
    """Missing and false detail as a share of the truth's: 0 is all in place, 1 is as bad as none."""
    wanted = detail(truth)
    return float(np.abs(detail(picture) - wanted).sum() / max(float(np.abs(wanted).sum()), 1e-6))


def sharpness(picture: Picture, reference: Picture) -> float:
    """Amount of detail relative to that of a reference: below 1 is blur, above 1 is noise or ringing."""
    return float(np.abs(detail(picture)).sum() / max(float(np.abs(detail(reference)).sum()), 1e-6))


def luma(picture: Picture) -> Plane:
    """(H, W) float 0..255, BT.601, in which OpenCV's grey is."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


@cache
def load_lpips() -> Callable[[Picture, Picture], float] | str:
    """LPIPS on AlexNet (Zhang et al. 2018), or the reason why it is left out. Downloads nothing.

    Needs the package `lpips` (BSD) and, where torch keeps its downloads, the backbone that it would fetch.
    """
    if importlib.util.find_spec("lpips") is None:
        return "the package lpips is not installed (pip install lpips)"
    from pathlib import Path

    import torch

    if not list((Path(torch.hub.get_dir()) / "checkpoints").glob("alexnet-*.pth")):
        get = "import lpips; lpips.LPIPS(net='alex')"
        return f'AlexNet is not on this machine; python -c "{get}" downloads it'
    try:
        network: Any = importlib.import_module("lpips").LPIPS(net="alex", verbose=False).eval()
    except ImportError as error:
        return f"the package lpips cannot be imported: {error}"

    def distance(picture: Picture, truth: Picture) -> float:
        a, b = (torch.from_numpy(p.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1 for p in (picture, truth))
        with torch.inference_mode():
            return float(network(a, b))

    return distance


def _similarity(a: Plane, b: Plane) -> tuple[Plane, Plane]:
    """Contrast-structure and luminance of SSIM, each (H - 10, W - 10, C)."""
    steady, steady_contrast = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = _windowed(a), _windowed(b)
    spread_a = _windowed(a * a) - mean_a**2
    spread_b = _windowed(b * b) - mean_b**2
    together = _windowed(a * b) - mean_a * mean_b
    structure = (2 * together + steady_contrast) / (spread_a + spread_b + steady_contrast)
    light = (2 * mean_a * mean_b + steady) / (mean_a**2 + mean_b**2 + steady)
    return np.asarray(structure, np.float32), np.asarray(light, np.float32)


def _windowed(x: Plane) -> Plane:
    """Gaussian mean over 11 x 11 pixels, only where the window lies inside, if the picture is that large."""
    mean = np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5), np.float32)
    return mean[5:-5, 5:-5] if min(x.shape[:2]) > 10 else mean


def _halved(x: Plane) -> Plane:
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    small = cv2.resize(x[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _gradient(grey: Plane) -> Plane:
    """Magnitude by Prewitt's filters, as in the paper."""
    prewitt = np.array([[1, 0, -1]] * 3, np.float32) / 3
    return np.asarray(np.hypot(cv2.filter2D(grey, -1, prewitt), cv2.filter2D(grey, -1, prewitt.T)), np.float32)
