"""Tiling textures painted with numbers: (n, n, 3) float32, linear base colour in [0, 1].

Each takes a random generator and one or two colours, so that a seed gives the same picture. What has joints,
grain or pores in the world is a `Texture`: its heights come from the numbers that its colours come from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import FloatArray

Colour = tuple[float, float, float]  # linear


@dataclass(frozen=True, eq=False)
class Texture:
    """Colours and the relief that goes with them; the side of the tile is 1 high, 0 is where the mesh is."""

    colour: FloatArray  # (n, n, 3)
    height: FloatArray  # (n, n)


def times(colour: Colour, factor: float) -> Colour:
    """A lighter or darker colour."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def inset(n: int) -> NDArray[np.int64]:
    """How many pixels (n, n) each pixel lies inside the border of the picture."""
    step = np.arange(n)
    edge = np.minimum(step, n - 1 - step)
    return np.minimum(edge[:, None], edge[None, :])


def plain(colour: Colour) -> FloatArray:
    """One colour, (1, 1, 3)."""
    return np.array(colour, np.float32).reshape(1, 1, 3)


def noise(rng: np.random.Generator, n: int, *, detail: float = 1.6, coarsest: float = 1.0) -> NDArray[np.float64]:
    """Periodic cloud noise (n, n) in [0, 1].

    Args:
        detail: slope of the spectrum; 1 is rough, 2.5 is soft.
        coarsest: lowest frequency kept, in periods per tile.
    """
    fy, fx = np.fft.fftfreq(n) * n, np.fft.rfftfreq(n) * n
    radius = np.hypot(fy[:, None], fx[None])
    gain = np.where(radius >= coarsest, np.maximum(radius, 1) ** -detail, 0)
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(n, n))) * gain, s=(n, n))
    low, high = np.percentile(field, (1, 99))
    return np.clip((field - low) / (high - low), 0, 1)


def mix(a: Colour | FloatArray, b: Colour | FloatArray, share: NDArray[np.floating]) -> FloatArray:
    """Colours a (share 0) to b (share 1), one per pixel of `share` (n, n)."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    return np.clip(a + (b - a) * share[..., None], 0.01, 0.95).astype(np.float32)


def shaded(colours: FloatArray, factor: NDArray[np.floating]) -> FloatArray:
    """`colours` (n, n, 3) times `factor` (n, n), kept within what real surfaces reflect."""
    return np.clip(colours * factor[..., None], 0.01, 0.95).astype(np.float32)


def cells(
    rng: np.random.Generator, n: int, rows: int, columns: int, *, gap: float, bond: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A grid of bricks, tiles or boards.

    Args:
        gap: width of the joints as a share of the tile's side.
        bond: shift of every second row, in cells.

    Returns:
        a random value per cell, (n, n) in [0, 1], and the joints, (n, n) in [0, 1] with 1 = joint.
    """
    y, x = np.mgrid[0:n, 0:n] / n
    row = np.floor(y * rows).astype(int)
    across = x * columns + (row % 2) * bond
    column = np.floor(across).astype(int) % columns
    fy, fx = y * rows - row, across - np.floor(across)
    edge = np.minimum(np.minimum(fy, 1 - fy) / rows, np.minimum(fx, 1 - fx) / columns)
    joint = np.clip((gap / 2 - edge) * n + 0.5, 0, 1)
    return rng.random((rows, columns))[row, column], joint


def relief(*parts: NDArray[np.floating]) -> FloatArray:
    """The sum of heights (n, n), each edge rounded over a texel."""
    height = np.sum(parts, 0)
    for axis in (0, 1):
        height = 0.5 * height + 0.25 * (np.roll(height, 1, axis) + np.roll(height, -1, axis))
    return np.asarray(height, np.float32)


def brick(rng: np.random.Generator, colour: Colour, mortar: Colour = (0.5, 0.47, 0.42), n: int = 256) -> Texture:
    """Running bond, 12 courses; one repeat is about a metre."""
    value, joint = cells(rng, n, 12, 4, gap=0.012, bond=0.5)
    rough = noise(rng, n, detail=1.0)
    face = shaded(mix(colour, colour, value), 0.65 + 0.6 * value + 0.35 * (rough - 0.5))
    painted = mix(face, shaded(mix(mortar, mortar, value), 0.8 + 0.4 * noise(rng, n)), joint)
    return Texture(painted, relief(0.002 * value + 0.003 * rough, -0.007 * joint))


def tiles(
    rng: np.random.Generator, colour: Colour, other: Colour, grout: Colour = (0.35, 0.33, 0.3), n: int = 256
) -> Texture:
    """Square tiles in two colours, 4 by 4, chequered by chance."""
    value, joint = cells(rng, n, 4, 4, gap=0.01)
    y, x = np.mgrid[0:n, 0:n] * 4 // n
    face = mix(colour, other, ((x + y) % 2).astype(np.float64))
    worn = noise(rng, n)
    face = shaded(face, 0.85 + 0.25 * value + 0.2 * (worn - 0.5))
    return Texture(mix(face, grout, joint), relief(0.001 * value + 0.0015 * worn, -0.004 * joint))


def terracotta(rng: np.random.Generator, colour: Colour, grout: Colour, n: int = 256) -> Texture:
    """Fired floor tiles of uneven colour, 4 by 4."""
    value, joint = cells(rng, n, 4, 4, gap=0.014)
    warm = np.clip(np.array(colour) * (1.15, 1.0, 0.85), 0, 1)
    face = mix(colour, warm.astype(np.float32), value)
    rough = noise(rng, n, detail=1.3)
    face = shaded(face, 0.72 + 0.4 * value + 0.35 * (rough - 0.5))
    return Texture(mix(face, grout, joint), relief(0.0015 * value + 0.003 * rough, -0.006 * joint))


def planks(rng: np.random.Generator, colour: Colour, n: int = 256) -> Texture:
    """Floor boards along x with grain; six boards per repeat."""
    value, joint = cells(rng, n, 6, 1, gap=0.006, bond=0.5)
    grain = wood(rng, colour, n)
    painted = mix(shaded(grain.colour, 0.7 + 0.55 * value), (0.04, 0.03, 0.02), joint * 0.8)
    return Texture(painted, relief(grain.height + 0.001 * value, -0.005 * joint))


def wood(rng: np.random.Generator, colour: Colour, n: int = 128) -> Texture:
    """Grain along x."""
    warp = noise(rng, n, detail=2.2)
    y = np.mgrid[0:n, 0:n][0] / n
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (y * 7 + 1.2 * np.roll(warp, n // 3, 1)))
    fine = noise(rng, n, detail=0.7)
    streaks = (fine + np.roll(fine, 1, 1) + np.roll(fine, 2, 1) + np.roll(fine, 3, 1)) / 4
    painted = shaded(mix(colour, colour, rings), 0.72 + 0.25 * rings + 0.45 * (streaks - 0.3))
    return Texture(painted, relief(0.0008 * rings + 0.001 * streaks * 128 / n))


def plaster(rng: np.random.Generator, colour: Colour, n: int = 256) -> Texture:
    """Painted wall, slightly uneven and stained."""
    tint = mix(colour, colour, noise(rng, n))
    soft, fine = noise(rng, n, detail=2.0), noise(rng, n, detail=0.5)
    return Texture(shaded(tint, 0.86 + 0.2 * soft + 0.06 * fine), relief(0.008 * soft, 0.001 * fine * 256 / n))


def checker(colour: Colour, other: Colour, count: int = 8, n: int = 128) -> FloatArray:
    """Sharp squares in two colours."""
    y, x = np.mgrid[0:n, 0:n] * count // n
    return mix(colour, other, ((x + y) % 2).astype(np.float64))


def stripes(colour: Colour, other: Colour, count: int = 8, n: int = 128) -> FloatArray:
    """Bands along x in two colours."""
    y = np.mgrid[0:n, 0:n][0] * count * 2 // n
    return mix(colour, other, (y % 2).astype(np.float64))


def stone(rng: np.random.Generator, colour: Colour, n: int = 256, count: int = 40) -> Texture:
    """Irregular paving stones with dark joints."""
    near, second, index = _nearest_points(rng, n, count)
    joint = np.clip(1 - (second - near) * n / 5, 0, 1)
    value = rng.random(count)[index]
    rough = noise(rng, n, detail=1.2)
    face = shaded(mix(colour, colour, value), 0.65 + 0.5 * value + 0.45 * (rough - 0.5))
    worn = np.clip((second - near) * 12, 0, 1)  # a stone is lowest at its edge
    height = relief(0.004 * value + 0.006 * rough, 0.008 * np.sqrt(worn), -0.006 * joint)
    return Texture(shaded(face, 1 - 0.7 * joint), height)


def terrazzo(rng: np.random.Generator, colour: Colour, chip: Colour, n: int = 256) -> FloatArray:
    """Chips of stone in cement."""
    near, _, index = _nearest_points(rng, n, 220)
    shown = np.clip((rng.uniform(0.004, 0.03, 220)[index] - near) * n, 0, 1)
    chips = shaded(mix(chip, chip, near), 0.5 + rng.random(220)[index])
    return mix(shaded(mix(colour, colour, near), 0.9 + 0.15 * noise(rng, n)), chips, shown)


def _nearest_points(
    rng: np.random.Generator, n: int, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Distances to the nearest and second-nearest of random points on the torus, and which is nearest."""
    points = rng.random((count, 2))
    grid = (np.arange(n) + 0.5) / n
    dy, dx = (np.abs(grid[:, None] - points[None, :, k]) for k in (0, 1))
    dy, dx = np.minimum(dy, 1 - dy).astype(np.float32), np.minimum(dx, 1 - dx).astype(np.float32)
    squared = dy[:, None] ** 2 + dx[None] ** 2  # (n, n, count)
    index = squared.argmin(-1)
    near = np.take_along_axis(squared, index[..., None], -1)[..., 0]
    np.put_along_axis(squared, index[..., None], np.float32(9), -1)
    return np.sqrt(near).astype(np.float64), np.sqrt(squared.min(-1)).astype(np.float64), index


def marble(rng: np.random.Generator, colour: Colour, vein: Colour, n: int = 256) -> FloatArray:
    """Soft veins."""
    y, x = np.mgrid[0:n, 0:n] / n
    bent = 2 * np.pi * (x + y) + 7 * noise(rng, n, detail=1.9)
    veins = (1 - np.abs(np.sin(bent))) ** 4
    return mix(mix(colour, vein, 0.25 * noise(rng, n)), vein, 0.75 * veins)


def fabric(rng: np.random.Generator, colour: Colour, n: int = 128) -> Texture:
    """A coarse weave."""
    y, x = np.mgrid[0:n, 0:n]
    weave = 0.5 + 0.25 * (np.sin(2 * np.pi * x * 16 / n) + np.sin(2 * np.pi * y * 16 / n))
    fluff = noise(rng, n, detail=0.8)
    painted = shaded(mix(colour, colour, weave), 0.75 + 0.3 * weave + 0.25 * (fluff - 0.5))
    return Texture(painted, relief(0.008 * weave + 0.002 * fluff))


def ground(rng: np.random.Generator, colour: Colour, other: Colour, n: int = 256) -> Texture:
    """Earth, gravel, asphalt or grass, by colours."""
    fine = noise(rng, n, detail=0.4, coarsest=8)
    patches = noise(rng, n, detail=1.8)
    painted = shaded(mix(colour, other, patches), 0.7 + 0.6 * fine)
    return Texture(painted, relief(0.006 * patches, 0.0014 * fine * 256 / n))


def painting(rng: np.random.Generator, n: int = 128) -> FloatArray:
    """Something to hang on a wall: blots and bars of a few colours."""
    colours = rng.uniform(0.03, 0.85, (5, 3)).astype(np.float32)
    picture = mix(tuple(colours[0]), tuple(colours[1]), noise(rng, n, detail=2.0))
    for k in (2, 3, 4):
        cut = float(rng.uniform(0.5, 0.8))
        picture = mix(picture, tuple(colours[k]), (noise(rng, n, detail=2.2) > cut).astype(np.float64))
    return picture
