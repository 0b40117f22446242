"""Clips straight from the recordings, for stages that learn from pixels.

A whole dataset does not fit into memory, and a recording is too slow to open at every step. So
a window of scenes slides over the dataset with the steps: where it stands depends on the step alone, and a
resumed run draws what it would have drawn.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.frame import Channel
from renderlift.model.pairs import Pair, read_pair
from renderlift.model.training.dataset import Scene

SCENES = 40  # open at a time
STEPS_PER_SCENE = 6  # until the window moves on by one
BUFFERS = (Channel.ALBEDO, Channel.NORMAL, Channel.DEPTH, Channel.MATERIAL)  # that stages read, beside rgb


class Pool:
    """Holds decoded scenes."""

    def __init__(self, scenes: Sequence[Scene], *, seed: int, rank: int = 0) -> None:
        self._scenes, self._seed, self._rank = scenes, seed, rank
        order = np.random.default_rng(seed).permutation(len(scenes))
        self._order = [int(place) for place in order]

        @lru_cache(maxsize=SCENES + 1)
        def read(place: int) -> list[Pair]:
            return list(read_pair(scenes[place].folder, channels=BUFFERS))

        self._read = read

    def draw(self, step: int, count: int) -> list[tuple[Pair, np.random.Generator]]:
        """Pairs for one step, each with the generator for what is cut from it."""
        rng = np.random.default_rng((self._seed, step, self._rank))
        drawn: list[tuple[Pair, np.random.Generator]] = []
        for _ in range(count):
            place = step // STEPS_PER_SCENE + int(rng.integers(min(SCENES, len(self._scenes))))
            pairs = self._read(self._order[place % len(self._scenes)])
            drawn.append((pairs[int(rng.integers(len(pairs)))], rng))
        return drawn


def crop(height: int, width: int, wanted: tuple[int, int], rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a random crop of the wanted size, or of the whole where it is smaller."""
    rows, columns = min(height, wanted[0]), min(width, wanted[1])
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    return slice(top, top + rows), slice(left, left + columns)


def mirror(picture: NDArray[np.float32], mirrored: bool) -> NDArray[np.float32]:
    """(H, W, C), left and right exchanged if asked."""
    return picture[:, ::-1] if mirrored else picture
