"""A strip of pictures: what the adapter sees, what it paints, what it should have painted."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKLLTX2Video, LTX2InContextPipeline
from numpy.typing import NDArray
from torch import Tensor

from renderlift.bridge.clip import Video
from renderlift.model.control import resize, to_video

BAR = 18  # pixels above each picture, for its name
GAP = 4

Picture = NDArray[np.uint8]  # (H, W, 3)


@torch.no_grad()
def decode(autoencoder: AutoencoderKLLTX2Video, latents: Tensor) -> Video:
    """Normalised latents (1, C, t, h, w) to (T, H, W, 3) uint8."""
    mean, std = autoencoder.latents_mean, autoencoder.latents_std
    scale = cast(Any, autoencoder).config.scaling_factor
    raw = LTX2InContextPipeline._denormalize_latents(latents, mean, std, scale)
    pixels = cast(Tensor, cast(Any, autoencoder).decode(raw.to(autoencoder.dtype)).sample)
    return to_video((pixels[0].permute(1, 0, 2, 3).float() + 1) / 2)


@torch.no_grad()
def channel_weights(decode: Callable[[Tensor], Video], clips: Sequence[Tensor]) -> Tensor:
    """How much a step of one deviation in each latent channel changes the picture: (C,), 1 on average.

    Latents are normalised, so a loss that counts channels alike spends most of a small model on
    those that nobody sees.

    Args:
        decode: normalised latents (1, C, t, h, w) to (T, H, W, 3) uint8.
        clips: latents to try it on.
    """
    count = clips[0].shape[1]
    change = torch.zeros(count)
    for latents in clips:
        plain = decode(latents).astype(np.float32)
        signs = torch.randn(latents.shape[2:], generator=torch.Generator().manual_seed(0)).sign()
        for channel in range(count):
            moved = latents.clone()
            moved[:, channel] += signs.to(latents.device)
            difference = decode(moved).astype(np.float32) - plain
            change[channel] += float(np.sqrt(np.square(difference).mean()))
    return change / change.mean()


def strip(rows: Sequence[dict[str, Picture]]) -> Picture:
    """Pictures side by side with their names above, one clip per row, all of the first one's size."""
    height, width = next(iter(rows[0].values())).shape[:2]
    return np.concatenate([_row(row, height, width) for row in rows])


def save_strip(picture: Picture, path: Path) -> None:
    """Write a JPEG in place of the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new.jpg")
    cv2.imwrite(str(new), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    new.replace(path)


def _row(row: dict[str, Picture], height: int, width: int) -> Picture:
    cells: list[Picture] = []
    for name, picture in row.items():
        cell = np.full((height + BAR + GAP, width + GAP, 3), 24, np.uint8)
        cell[BAR : BAR + height, :width] = resize(picture[None], height, width)[0]
        cv2.putText(cell, name, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1, cv2.LINE_AA)
        cells.append(cell)
    return np.concatenate(cells, axis=1)
