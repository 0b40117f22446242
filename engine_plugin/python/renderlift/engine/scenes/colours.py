"""Colours that things in the world tend to have, linear."""

import numpy as np

from renderlift.engine.scenes.textures import Colour

Rng = np.random.Generator

WALL_PAINTS: tuple[Colour, ...] = (
    (0.74, 0.72, 0.68), (0.68, 0.6, 0.48), (0.66, 0.5, 0.3), (0.6, 0.36, 0.22), (0.5, 0.52, 0.5), (0.4, 0.46, 0.36),
    (0.36, 0.44, 0.52), (0.6, 0.48, 0.44), (0.2, 0.26, 0.3), (0.45, 0.17, 0.11), (0.7, 0.62, 0.36),
)  # fmt: skip  # fmt: skip
BRICKS: tuple[Colour, ...] = (
    (0.36, 0.14, 0.09),
    (0.46, 0.24, 0.14),
    (0.5, 0.4, 0.28),
    (0.26, 0.16, 0.13),
    (0.6, 0.57, 0.52),
)


def any_colour(rng: Rng, low: float = 0.08, high: float = 0.75) -> Colour:
    """A random linear colour of moderate saturation, its brightest part between `low` and `high`."""
    hue = rng.random(3)
    grey = rng.uniform(0.15, 0.85)
    colour = grey + (hue - grey) * rng.uniform(0.15, 0.8)
    colour = np.clip(colour, 0.03, 1) / max(float(colour.max()), 0.1) * rng.uniform(low, high)
    return (float(colour[0]), float(colour[1]), float(colour[2]))


def wall_colour(rng: Rng) -> Colour:
    """Mostly the colours that walls are painted in, now and then any other."""
    if rng.random() < 0.2:
        return any_colour(rng, 0.3, 0.75)
    r, g, b = np.asarray(WALL_PAINTS[int(rng.integers(len(WALL_PAINTS)))]) * rng.uniform(0.85, 1.08, 3)
    return (float(r), float(g), float(b))


def brick_colour(rng: Rng) -> Colour:
    """From red and yellow to whitewashed."""
    r, g, b = np.asarray(BRICKS[int(rng.integers(len(BRICKS)))]) * rng.uniform(0.85, 1.15, 3)
    return (float(r), float(g), float(b))


def wood_colour(rng: Rng) -> Colour:
    """From pale ash to dark walnut."""
    light = float(rng.uniform(0.08, 0.5))
    return (light, light * float(rng.uniform(0.5, 0.72)), light * float(rng.uniform(0.2, 0.45)))
