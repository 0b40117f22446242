"""Pictures that show an error: heat maps, and borders of labels that have lost their step."""

import cv2
import numpy as np

from renderlift.bridge.frame import Array
from renderlift.model.evaluate.distance import Picture
from renderlift.model.evaluate.edges import picture_edges

HEAT_FULL = 96  # levels of difference at the hot end


def heat(picture: Picture, truth: Picture) -> Picture:
    """Mean difference of the colour channels from 0, dark, to HEAT_FULL levels, bright."""
    difference = np.abs(picture.astype(np.int16) - truth.astype(np.int16)).mean(-1)
    scaled = (difference * (255 / HEAT_FULL)).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(scaled, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def label_picture(picture: Picture, ids: Array) -> Picture:
    """A darkened picture with the engine's borders of ids: green where it has an edge, red where not.

    Args:
        ids: (H, W, 1).
    """
    border = np.zeros(ids.shape[:2], np.bool_)
    border[:, :-1] |= ids[:, 1:, 0] != ids[:, :-1, 0]
    border[:-1] |= ids[1:, :, 0] != ids[:-1, :, 0]
    near = cv2.dilate(picture_edges(picture).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    shown = picture // 2
    shown[border & near] = (70, 220, 120)
    shown[border & ~near] = (255, 70, 70)
    return shown
