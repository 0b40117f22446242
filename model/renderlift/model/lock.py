"""The geometry lock: edges and texture from the engine, light and material response from the model.

A base works on few, coarse latents, so its picture is soft. But the engine has already given
geometry, albedo and the render at full resolution. The lock is a small U-Net that reads both
and answers with a local gain and offset on the engine's own picture plus a fine residual.
What it multiplies is sharp and sits where the engine put it, so the result is too
(after deep bilateral learning, Gharbi et al. 2017, arXiv 1707.02880).

It serves any base: it is told nothing of the model but the picture it decoded. In training
that picture and the truth are tinted together, so the lock learns to follow the model's colours
rather than to know better.
"""

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from renderlift.bridge.errors import SetupError
from renderlift.model.control import LOCK_CHANNELS


@dataclass(frozen=True)
class LockSize:
    """Widths of the four levels, at 1/2, 1/4, 1/8 and 1/16 of the full resolution."""

    widths: tuple[int, int, int, int] = (32, 64, 96, 128)


class GeometryLock(nn.Module):
    """(B, 12, H, W) engine buffers and (B, 3, h, w) decoded picture to (B, 3, H, W), all 0..1."""

    def __init__(self, size: LockSize | None = None) -> None:
        super().__init__()
        self.size = size or LockSize()
        w = self.size.widths
        self.read = nn.Conv2d(4 * (LOCK_CHANNELS + 3), w[0], 3, padding=1)
        self.down = nn.ModuleList(_Down(a, b) for a, b in pairwise(w))
        self.deepest = nn.Sequential(_Residual(w[-1]), _Residual(w[-1]))
        self.up = nn.ModuleList(_Up(b, a) for a, b in pairwise(w))
        self.affine = nn.Conv2d(w[0], 6, 3, padding=1)  # gain, offset
        self.fine = nn.Conv2d(w[0], 12, 3, padding=1)  # residual, 2 x 2 pixels each
        for layer in (self.affine, self.fine):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, buffers: Tensor, decoded: Tensor) -> Tensor:
        height, width = buffers.shape[2:]
        decoded = functional.interpolate(decoded, (height, width), mode="bilinear", align_corners=False)
        buffers, decoded = _pad(buffers), _pad(decoded)
        x = self.read(functional.pixel_unshuffle(torch.cat([buffers, decoded], 1), 2))
        skips: list[Tensor] = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        x = self.deepest(x)
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = up(x, skip)
        affine = functional.interpolate(self.affine(x), scale_factor=2, mode="bilinear", align_corners=False)
        gain, offset = affine.chunk(2, dim=1)
        render = buffers[:, :3]
        locked = render * (1 + gain) + offset + functional.pixel_shuffle(self.fine(x), 2)
        return locked[:, :, :height, :width]


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(functional.silu(x))


class _Down(nn.Module):
    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.stay = _Residual(narrow)
        self.shrink = nn.Conv2d(narrow, wide, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.shrink(self.stay(x))


class _Up(nn.Module):
    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(wide, narrow, 1)
        self.stay = _Residual(narrow)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        grown = functional.interpolate(self.widen(x), scale_factor=2, mode="bilinear", align_corners=False)
        return self.stay(grown + skip)


def _pad(x: Tensor) -> Tensor:
    """Grow to multiples of 16 by repeating the border, so that every level halves evenly."""
    height, width = x.shape[2:]
    return functional.pad(x, (0, -width % 16, 0, -height % 16), mode="replicate")


def apply_lock(lock: GeometryLock, buffers: Tensor, decoded: Tensor) -> Tensor:
    """Lock a whole clip frame by frame. What is given and returned is all in memory: for clips of any length
    there is `locking.Locking`.

    Args:
        buffers: (T, 12, H, W), see `control.lock_buffers`.
        decoded: (T, 3, h, w), 0..1, of any size.

    Returns:
        (T, 3, H, W), 0..1, float32, where the lock is.
    """
    return torch.cat([lock_frame(lock, b, d).clamp(0, 1) for b, d in zip(buffers, decoded, strict=True)])


def lock_frame(lock: GeometryLock, buffers: Tensor, decoded: Tensor) -> Tensor:
    """One frame's (12, H, W) and (3, h, w) to (1, 3, H, W), float32, not clamped, where the lock is."""
    weight = lock.read.weight
    with torch.no_grad():
        given = (part[None].to(weight.device, weight.dtype) for part in (buffers, decoded))
        return cast(Tensor, lock(*given)).float()


def save_lock(lock: GeometryLock, path: Path) -> None:
    """Write weights (bf16) and sizes to one safetensors file."""
    tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in lock.state_dict().items()}
    save_file(tensors, path, metadata={"size": json.dumps(asdict(lock.size))})


def load_lock(path: Path) -> GeometryLock:
    """Read what `save_lock` wrote, as float32.

    Raises:
        SetupError: it is something else.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = cast(dict[str, str], file.metadata() or {})
        size = msgspec.json.decode(metadata.get("size", ""), type=LockSize)
        lock = GeometryLock(size)
        lock.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    except (
        SafetensorError,
        msgspec.MsgspecError,
        RuntimeError,
    ) as problem:  # the last: of another size
        raise SetupError(
            f"{path} is no geometry lock",
            fix="Name the output of `renderlift train lock`, or its lock.safetensors.",
        ) from problem
    return lock.eval()
