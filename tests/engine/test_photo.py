import numpy as np
import pytest

from renderlift.engine.photo import PERFECT, CameraResponse, photograph
from renderlift.engine.tone import picture

LIGHT = np.random.default_rng(0).uniform(0, 2, (32, 56, 3))


def test_the_perfect_camera_adds_nothing_to_the_tone_curve() -> None:
    np.testing.assert_array_equal(photograph(LIGHT, 0.8), picture(LIGHT, 0.8))
    np.testing.assert_array_equal(photograph(LIGHT, 0.8, PERFECT), picture(LIGHT, 0.8))


def test_a_stop_of_exposure_doubles_the_light() -> None:
    np.testing.assert_array_equal(photograph(LIGHT, 0.4, CameraResponse(exposure_stops=1)), picture(LIGHT, 0.8))


def test_a_vignette_takes_its_share_in_the_corners_and_nothing_in_the_middle() -> None:
    flat = np.full((65, 65, 3), 0.5)
    seen, whole = photograph(flat, 1, CameraResponse(vignette=0.4)), photograph(flat, 1)
    assert seen[32, 32, 0] == whole[32, 32, 0]
    dimmed = picture(np.full((1, 1, 3), 0.5 * 0.6), 1)[0, 0, 0]
    assert abs(int(seen[0, 0, 0]) - int(dimmed)) <= 2
    np.testing.assert_array_equal(seen, seen[::-1, ::-1])


@pytest.mark.parametrize(
    "wrong",
    [{"vignette": 1.0}, {"vignette": -0.1}, {"exposure_stops": 20}, {"aperture_mm": -1}, {"aperture_mm": 5.0}],
)
def test_what_is_no_camera_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"lens|response"):
        CameraResponse(**wrong)
