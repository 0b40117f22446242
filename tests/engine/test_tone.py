import numpy as np

from renderlift.engine.tone import aces, picture, srgb_oetf


def test_the_curve_rises_from_black_to_white_and_never_leaves_the_display() -> None:
    radiance = np.concatenate([[-1.0, 0.0], np.logspace(-4, 4, 200)])
    light = aces(radiance)
    assert light[0] == light[1] == 0
    assert (np.diff(light) >= 0).all()
    assert light[-1] == 1


def test_srgb_code_values_match_the_standards_anchors() -> None:
    anchors = {0.0: 0.0, 0.0031308: 0.04045, 0.2140411: 0.5, 1.0: 1.0}  # IEC 61966-2-1
    np.testing.assert_allclose(srgb_oetf(np.array(list(anchors))), list(anchors.values()), atol=2e-5)


def test_a_stop_more_exposure_equals_twice_the_light() -> None:
    light = np.random.default_rng(0).uniform(0, 3, (4, 5, 3))
    assert np.array_equal(picture(light, 2.0), picture(2 * light, 1.0))
    assert picture(light, 1.0).dtype == np.uint8
