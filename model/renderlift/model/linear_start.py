"""Starts the embedded autoencoder as the best linear code of its clips instead of at random.

A block of 8 x 8 pixels x 4 frames through 48 principal components keeps path-traced clips to 29 dB, which
random weights do not reach in an hour on a CPU. The layers of `AutoencoderKLLTX2Video` can
compute that code: residual branches start at zero, the shortcuts carry all frames unchanged where widths
double, silu(z) - silu(-z) is z, and one channel with a large constant steadies the norms that would
otherwise forget magnitude. Training then goes on from there, gently: a learning rate of 1e-4.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import AutoencoderKLLTX2Video
from torch import Tensor, nn

CONSTANT = 30.0  # in the last channel, where the others carry about 1: keeps norms constant to a few per cent
GROUP = 4  # frames of one latent
CAUSAL_NOW, NOW = 2, 1  # the tap on the present frame, of causal and of centred kernels


@dataclass(frozen=True)
class LinearCode:
    """Principal components of clips, in two steps: within a frame, then over four frames."""

    mean: Tensor  # (patch channels,)
    patch: Tensor  # (K, patch channels), orthonormal rows: 8 x 8 pixels of one frame to K numbers
    patch_std: Tensor  # (K,)
    group: Tensor  # (L, GROUP * K), orthonormal rows: numbers (frame, K) of four frames to one latent
    group_std: Tensor  # (L,)


def fit_code(clips: list[Tensor], latent_channels: int, patch: int) -> LinearCode:
    """Principal components of `clips`, each (1, 3, 4 n + 1, H, W) in [-1, 1]."""
    patched = [_patches(clip, patch) for clip in clips]
    samples = torch.cat([p.flatten(0, 2) for p in patched])
    mean = samples.mean(0)
    basis, std = _components(samples - mean, latent_channels)
    groups = torch.cat([_groups((p - mean) @ basis.T) for p in patched])
    joint, joint_std = _components(groups, latent_channels)
    return LinearCode(mean, basis, std, joint, joint_std)


def start_linear(autoencoder: AutoencoderKLLTX2Video, code: LinearCode) -> None:
    """Set all weights of an autoencoder of `embedded.build_autoencoder` so that it computes `code`.

    The noise-free result reproduces the linear code to about 1%, and every weight can learn on.
    """
    with torch.no_grad():
        for module in autoencoder.modules():
            if hasattr(module, "conv2"):  # the last layer of every residual branch
                _zero(cast(Any, module).conv2)
        _start_encoder(cast(Any, autoencoder).encoder, code)
        _start_decoder(cast(Any, autoencoder).decoder, code)


def _start_encoder(encoder: Any, code: LinearCode) -> None:
    count = len(code.patch)
    _zero(encoder.conv_in)
    _tap(encoder.conv_in, CAUSAL_NOW).copy_(code.patch)
    encoder.conv_in.conv.bias.copy_(-code.patch @ code.mean)
    first, second = (block.downsamplers[0] for block in encoder.down_blocks)
    _zero(first)  # its shortcut keeps both frames: channel = number * 2 + frame
    _zero(second)
    # The last of a group's half-rate steps sees its own two frames and, one tap back, the two before.
    # The last two channels are wanted for the constant, so the last latent starts at zero.
    used = len(code.group) - 1
    latents = _pairs(code.group[:used] / code.group_std[:used, None])
    for frame in range(GROUP):
        part = latents[:, frame * count : (frame + 1) * count]
        _tap(second.conv, CAUSAL_NOW - 1 + frame // 2)[: 2 * used, frame % 2 :: 2].copy_(part)
    _tap(second.conv, CAUSAL_NOW).sub_(torch.eye(2 * count))  # what the shortcut adds
    second.conv.conv.bias[-1] = CONSTANT
    _zero(encoder.conv_out)
    # Even channels hold what the step before saw; only those of the last step are read.
    places = torch.arange(used) * 2 + 1
    width = 4 * count
    worth = _unpaired(width, pairs=2 * used, constants=2)
    read = _tap(encoder.conv_out, CAUSAL_NOW)
    read[torch.arange(used), places] = worth
    read[torch.arange(used), places + 2 * used] = -worth


def _start_decoder(decoder: Any, code: LinearCode) -> None:
    count, latents = len(code.patch), len(code.group)
    _zero(decoder.conv_in)
    _tap(decoder.conv_in, NOW)[:latents].copy_(torch.eye(latents))
    decoder.conv_in.conv.bias[-1] = CONSTANT
    first, second = (block.upsamplers[0] for block in decoder.up_blocks)
    # (GROUP, K, L): whitened numbers of each frame from a latent.
    frames = (code.group.T * code.group_std).reshape(GROUP, count, latents) / code.patch_std[:, None]
    width = decoder.conv_in.conv.out_channels
    halves = torch.zeros(2, width, width)
    # After the first doubling a step holds 2 frames x K numbers, in that order.
    halves[:, : 2 * count, :latents] = frames.reshape(2, 2 * count, latents)
    _set_upsampler(first, halves)
    singles = torch.zeros(2, width, width)
    for frame in range(2):
        singles[frame, :count, frame * count : (frame + 1) * count] = torch.eye(count)
        singles[frame, count : 2 * count, frame * count : (frame + 1) * count] = -torch.eye(count)
    _set_upsampler(second, singles)
    _zero(decoder.conv_out)
    back = code.patch.T * code.patch_std * _unpaired(width, pairs=count, constants=1)
    _tap(decoder.conv_out, NOW)[:, : 2 * count].copy_(torch.cat([back, -back], 1))
    decoder.conv_out.conv.bias.copy_(code.mean)


def _set_upsampler(upsampler: Any, wanted: Tensor) -> None:
    """Make both frames of a doubling linear maps `wanted` (2, C, C) of its input, shortcut included."""
    _zero(upsampler)
    width = wanted.shape[1]
    channel = torch.arange(width)
    now = _tap(upsampler.conv, NOW)
    for frame in range(2):
        rest = wanted[frame].clone()
        rest[channel, (channel % (width // 2)) * 2 + frame] -= 1
        now[frame::2].copy_(rest)
    upsampler.conv.conv.bias[-2:] = CONSTANT  # both frames of the last channel


def _unpaired(width: int, *, pairs: int, constants: int) -> float:
    """What the norm divides by, where `pairs` pairs of about 1 and `constants` constants fill `width` channels."""
    return float(((2 * pairs + constants * CONSTANT**2) / width) ** 0.5)


def _pairs(rows: Tensor) -> Tensor:
    return torch.cat([rows, -rows])


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.zero_()


def _tap(convolution: Any, time: int) -> Tensor:
    """The (out, in) view of a 3 x 3 x 3 kernel where it reads the pixel itself, at one of its times."""
    return convolution.conv.weight[:, :, time, 1, 1]


def _patches(clip: Tensor, patch: int) -> Tensor:
    """(1, 3, T, H, W) to (T, H / patch, W / patch, channels), channels in the order of diffusers."""
    _, colours, frames, height, width = clip.shape
    split = clip[0].reshape(colours, frames, height // patch, patch, width // patch, patch)
    return split.permute(1, 2, 4, 0, 5, 3).flatten(3)


def _groups(numbers: Tensor) -> Tensor:
    """(4 n + 1, h, w, K) to (n * h * w, 4 K): the first frame stands alone and is left out."""
    frames, height, width, count = numbers.shape
    split = numbers[1:].reshape((frames - 1) // GROUP, GROUP, height, width, count)
    return split.permute(0, 2, 3, 1, 4).reshape(-1, GROUP * count)


def _components(samples: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` principal directions (rows) of centred samples, and their deviations."""
    values, vectors = torch.linalg.eigh((samples.T @ samples / len(samples)).double())
    order = values.argsort(descending=True)[:count]
    return vectors[:, order].T.float(), values[order].clamp_min(1e-8).sqrt().float()
