"""What the geometry lock is trained to do: the truth's light on the engine's edges.

Four augmentations make it serve bases it has never seen. The decoded picture and the truth are
tinted together, so the lock follows the model's colours instead of knowing better. Buffers are
dropped, so any of them may be missing. The decoded picture is blurred at times, because every
base is soft in its own way. And it is wrong by a smooth field of light, or falls short of the change
it should bring, because that is how a base errs where it has not trained.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from renderlift.model.lock import GeometryLock

# Differences that may be wrong either way are learned as none, which is blur; so their amount counts as well.
DETAIL_WEIGHT = 0.5
DETAIL_WINDOW = 5  # pixels a side that share their amount, so that detail need not be right to the pixel

# Channels of each engine buffer in control.lock_buffers; rgb is never dropped.
DROPPABLE = {"albedo": slice(3, 6), "normal": slice(6, 9), "nearness": slice(9, 10), "material": slice(10, 12)}


@dataclass(frozen=True)
class LockBatch:
    """Aligned crops, 0..1."""

    buffers: Tensor  # (B, 12, H, W)
    decoded: Tensor  # (B, 3, h, w)
    truth: Tensor  # (B, 3, H, W)


def lock_loss(lock: GeometryLock, batch: Callable[[], LockBatch]) -> Callable[[int], Tensor]:
    """Loss of one step on an augmented batch."""
    return lambda _: locking_loss(lock, augment(batch()))


def locking_loss(lock: GeometryLock, data: LockBatch) -> Tensor:
    """Error of colours, at three scales of their differences, and of the amount of detail."""
    with torch.autocast(data.truth.device.type, torch.bfloat16):
        locked = lock(data.buffers, data.decoded)
    error = locked.float() - data.truth
    edges = sum(
        (_edges(functional.avg_pool2d(error, scale) if scale > 1 else error) for scale in (1, 2, 4)),
        start=error.new_zeros(()),
    )
    amount = (detail_amount(locked.float()) - detail_amount(data.truth)).abs().mean()
    return _robust(error) + edges + DETAIL_WEIGHT * amount


def augment(data: LockBatch) -> LockBatch:
    """Tint, drop, blur and mislead one batch, each sample in its own way."""
    gain = torch.exp(0.15 * _normal(data.truth, 3, 1, 1)) * torch.exp(0.15 * _normal(data.truth, 1, 1, 1))
    gamma = torch.exp(0.12 * _normal(data.truth, 1, 1, 1))
    tinted = (_uniform(data.truth, 1, 1, 1) < 0.4).float()
    gain, gamma = 1 + tinted * (gain - 1), 1 + tinted * (gamma - 1)

    def tint(picture: Tensor) -> Tensor:
        return (picture.clamp_min(1e-4) ** gamma * gain).clamp(0, 1)

    buffers = data.buffers.clone()
    for channels in DROPPABLE.values():
        buffers[_uniform(data.truth) < 0.08, channels] = 0
    decoded = tint(_misled(data.decoded, data.buffers[:, :3]))
    soft = functional.avg_pool2d(functional.pad(decoded, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    blurred = (_uniform(data.truth, 1, 1, 1) < 0.2).float()
    return LockBatch(buffers, decoded + blurred * (soft - decoded), tint(data.truth))


def _misled(decoded: Tensor, render: Tensor) -> Tensor:
    """Pull a picture part of the way back to the render, and light it unevenly."""
    size = decoded.shape[2:]
    back = 0.6 * _uniform(decoded, 1, 1, 1) ** 2
    decoded = decoded + back * (functional.interpolate(render, size, mode="area") - decoded)
    field = functional.interpolate(_normal(decoded, 1, 3, 4), size, mode="bicubic", align_corners=False)
    return decoded * torch.exp(0.18 * _uniform(decoded, 1, 1, 1) * field)


def _normal(like: Tensor, *shape: int) -> Tensor:
    """(B, *shape) for a batch, drawn on the CPU: the same on every device."""
    return torch.randn(len(like), *shape).to(like.device)


def _uniform(like: Tensor, *shape: int) -> Tensor:
    return torch.rand(len(like), *shape).to(like.device)


def detail_amount(picture: Tensor) -> Tensor:
    """Mean step between neighbouring pixels in every window: (B, C, H, W) to (B, C, ~H/2, ~W/2)."""
    steps = picture.diff(dim=2)[..., :-1].abs() + picture.diff(dim=3)[..., :-1, :].abs()
    return functional.avg_pool2d(steps, DETAIL_WINDOW, stride=2)


def _robust(error: Tensor) -> Tensor:
    return error.abs().mean() + 2 * error.square().mean()


def _edges(error: Tensor) -> Tensor:
    return 0.5 * (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean())
