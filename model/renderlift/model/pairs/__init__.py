"""Pairs of what an engine shows and what a camera would have seen: made, filtered, read.

    for pair in read_pairs("dataset", part=Part.TRAIN): ...

docs/train_your_own.md describes the folder; `dataset` reads it and is its authority.
"""

from renderlift.model.pairs.dataset import (
    FIRST_HELD_OUT_SEED,
    Pair,
    Part,
    caption_of,
    pair_folders,
    part_of,
    read_pair,
    read_pairs,
)

__all__ = [
    "FIRST_HELD_OUT_SEED",
    "Pair",
    "Part",
    "caption_of",
    "pair_folders",
    "part_of",
    "read_pair",
    "read_pairs",
]
