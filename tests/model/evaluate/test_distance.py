import cv2
import numpy as np
import pytest

from renderlift.model.evaluate.distance import detail_error, gmsd, load_lpips, ms_ssim, sharpness, ssim

RNG = np.random.default_rng(0)
SCENE = cv2.GaussianBlur(RNG.integers(0, 255, (192, 200, 3), np.uint8), (0, 0), 1.2)
BLURRED = cv2.GaussianBlur(SCENE, (0, 0), 2.0)
NOISY = np.clip(SCENE + RNG.normal(0, 12, SCENE.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("measure", "perfect"), [(ssim, 1), (ms_ssim, 1), (gmsd, 0), (detail_error, 0), (sharpness, 1)]
)
def test_a_picture_is_perfectly_like_itself(measure, perfect):
    assert measure(SCENE, SCENE) == pytest.approx(perfect, abs=1e-6)


@pytest.mark.parametrize(
    ("measure", "higher_is_better"), [(ssim, True), (ms_ssim, True), (gmsd, False), (detail_error, False)]
)
@pytest.mark.parametrize("worse", [BLURRED, NOISY], ids=["blur", "noise"])
def test_blur_and_noise_are_both_punished(measure, higher_is_better, worse):
    assert (measure(worse, SCENE) < measure(SCENE, SCENE)) is higher_is_better


def test_ssim_of_two_flat_pictures_is_what_the_formula_says():
    dark, bright = np.full((16, 16, 3), 50, np.uint8), np.full((16, 16, 3), 100, np.uint8)
    constant = (0.01 * 255) ** 2
    assert ssim(dark, bright) == pytest.approx((2 * 5000 + constant) / (2500 + 10000 + constant), rel=1e-4)


def test_a_blur_has_less_detail_and_noise_has_more_and_neither_is_the_right_one():
    assert sharpness(BLURRED, SCENE) < 0.5 < sharpness(NOISY, SCENE)
    assert min(detail_error(BLURRED, SCENE), detail_error(NOISY, SCENE)) > 0.4


def test_ms_ssim_is_left_out_of_pictures_too_small_for_five_scales():
    assert ms_ssim(SCENE[:100], SCENE[:100]) is None


def test_lpips_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    load_lpips.cache_clear()
    assert "pip install lpips" in load_lpips()
    load_lpips.cache_clear()
