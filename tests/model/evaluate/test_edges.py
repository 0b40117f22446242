import numpy as np
import pytest

from renderlift.bridge.frame import Channel
from renderlift.model.evaluate.edges import edge_recall, geometry_edges, label_fit, picture_edges

IDS = np.ones((64, 64, 1), np.uint32)
IDS[16:48, 20:44] = 2
RENDER = np.where(IDS == 2, 200, 60).astype(np.uint8).repeat(3, axis=2)


def test_the_render_itself_fits_its_labels():
    fit = label_fit(RENDER, RENDER, IDS)
    assert (fit.share, fit.shift_x_px, fit.shift_y_px) == (1, 0, 0)


def test_other_light_fits_as_long_as_borders_stay_where_they_are():
    assert label_fit((RENDER * 0.6 + 90).astype(np.uint8), RENDER, IDS).share == 1


def test_a_picture_two_pixels_aside_does_not_fit_and_its_shift_is_told():
    fit = label_fit(np.roll(RENDER, 2, axis=1), RENDER, IDS)
    assert fit.share == pytest.approx(44 / 112)  # what is left of the horizontal borders
    assert fit.shift_x_px == pytest.approx(2, abs=0.1)
    assert fit.shift_y_px == pytest.approx(0, abs=0.1)


def test_half_a_pixel_is_seen():
    mixed = ((RENDER.astype(int) + np.roll(RENDER, 1, axis=0)) // 2).astype(np.uint8)
    assert label_fit(mixed, RENDER, IDS).shift_y_px == pytest.approx(0.5, abs=0.05)


def test_a_border_that_is_painted_over_is_lost():
    assert label_fit(np.full_like(RENDER, 120), RENDER, IDS).share == 0


def test_things_of_one_colour_show_no_border_to_be_judged():
    assert label_fit(RENDER, np.full_like(RENDER, 90), IDS) is None


def test_painted_texture_is_no_border_of_geometry():
    albedo = np.zeros((64, 64, 3), np.uint8)
    albedo[:, ::4] = 255
    borders = geometry_edges({Channel.RGB: RENDER, Channel.INSTANCE_ID: IDS, Channel.ALBEDO: albedo})
    assert not borders[:10].any()
    assert edge_recall(picture_edges(RENDER), borders) == 1
    assert edge_recall(np.zeros_like(borders), borders) == 0
