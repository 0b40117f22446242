"""The autoencoder in tiles: parts of the picture that overlap, each coded by itself, and fade into each other.

diffusers lays tiles out in pixels and in latents, and rounds between them. A side or a stride that is no whole
number of latents puts each tile beside its place.
"""

import weakref
from functools import partial
from typing import Any, cast

TILE_HEIGHTS = ("tile_sample_min_height", "tile_sample_stride_height")
TILE_WIDTHS = ("tile_sample_min_width", "tile_sample_stride_width")
TILE_SIDES = (*TILE_HEIGHTS, *TILE_WIDTHS)


def use_tiles(autoencoder: object) -> None:
    """Encode and decode in tiles from now on; of those that are decoded, none is a single latent high or wide."""
    opened = cast(Any, autoencoder)
    opened.enable_tiling()
    # Held weakly: a base that nobody uses any more must go at once, not when the garbage is collected.
    opened.tiled_decode = partial(_decode, weakref.ref(opened))


def is_tiled(autoencoder: object) -> bool:
    return bool(cast(Any, autoencoder).use_tiling)


def can_halve(autoencoder: object) -> bool:
    """Whether tiles of half the side are whole latents still, with strides that are."""
    ratio = int(cast(Any, autoencoder).spatial_compression_ratio)
    return all(getattr(autoencoder, side) % (2 * ratio) == 0 for side in TILE_SIDES)


def use_smaller_tiles(autoencoder: object) -> None:
    """In tiles of half the side from now on, whatever the side was."""
    use_tiles(autoencoder)
    for side in TILE_SIDES:
        setattr(autoencoder, side, getattr(autoencoder, side) // 2)


def _decode(held: "weakref.ref[Any]", latents: Any, *args: Any, **options: Any) -> Any:
    autoencoder = cast(Any, held())
    ratio = int(autoencoder.spatial_compression_ratio)
    before = {side: getattr(autoencoder, side) for side in TILE_SIDES}
    for length, (side, stride) in zip(latents.shape[-2:], (TILE_HEIGHTS, TILE_WIDTHS), strict=True):
        setattr(autoencoder, stride, ratio * _stride(length, before[side] // ratio, before[stride] // ratio))
    try:
        return type(autoencoder).tiled_decode(autoencoder, latents, *args, **options)
    finally:
        for side, value in before.items():
            setattr(autoencoder, side, value)


def _stride(length: int, side: int, stride: int) -> int:
    """The stride nearest below that leaves no single latent for the last tile, all in latents.

    LTX-2's decoder pads by reflection, which a single latent has nothing for; others would paint the picture's
    border from that latent alone.
    """
    fitting = (shorter for shorter in range(stride, (side - 1) // 2, -1) if length % shorter != 1)
    return next(fitting, stride)
