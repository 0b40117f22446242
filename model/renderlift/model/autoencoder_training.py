"""What the embedded autoencoder is trained to do: give back short clips through few latents."""

from collections.abc import Callable
from typing import Any, cast

import torch
from diffusers import AutoencoderKLLTX2Video
from torch import Tensor
from torch.nn import functional


def reconstruction_loss(
    autoencoder: AutoencoderKLLTX2Video, batch: Callable[[], Tensor]
) -> Callable[[int], Tensor]:
    """Loss of one step.

    Latents are taken at their mode, small noise keeps the decoder smooth, and a faint pull to
    zero keeps them bounded: sampling the posterior with a KL term stalled near 15 dB.

    Args:
        batch: gives (B, 3, T, H, W) in [-1, 1].
    """

    coder = cast(Any, autoencoder)

    def loss(_: int) -> Tensor:
        pixels = batch()
        with torch.autocast(pixels.device.type, torch.bfloat16):
            latents: Tensor = coder.encode(pixels).latent_dist.mode()
            decoded: Tensor = coder.decode(latents + 0.05 * torch.randn_like(latents)).sample
        error = decoded.float() - pixels
        return (
            error.abs().mean()
            + 2 * error.square().mean()
            + 0.5 * _gradient_error(error)
            + 1e-3 * latents.float().square().mean()
        )

    return loss


def set_latent_statistics(autoencoder: AutoencoderKLLTX2Video, batches: list[Tensor]) -> None:
    """Store the mean and deviation of each latent channel, which the pipeline normalises by."""
    with torch.no_grad():
        coder = cast(Any, autoencoder)
        latents = torch.cat([coder.encode(pixels).latent_dist.mode().float() for pixels in batches])
        autoencoder.latents_mean.copy_(latents.mean(dim=(0, 2, 3, 4)))
        autoencoder.latents_std.copy_(latents.std(dim=(0, 2, 3, 4)))


def latent_importance(autoencoder: AutoencoderKLLTX2Video, clips: list[Tensor]) -> Tensor:
    """How much of the picture each latent channel carries: (C,), mean 1.

    The change of the pixels when a channel is off by one deviation. Channels that start as
    principal components differ a hundredfold, so a transformer that is to paint light should not spend
    as much on the last as on the first: `training.flow.flow_loss` weighs by this.

    Args:
        clips: a few (B, 3, T, H, W) in [-1, 1].
    """
    coder, std = cast(Any, autoencoder), autoencoder.latents_std
    change = torch.zeros_like(std, dtype=torch.float32)
    with torch.no_grad():
        for pixels in clips:
            latents: Tensor = coder.encode(pixels.to(autoencoder.dtype)).latent_dist.mode()
            picture = coder.decode(latents).sample
            signs = torch.randn_like(latents[:, :1]).sign()
            for channel, deviation in enumerate(std):
                moved = latents.clone()
                moved[:, channel] += (deviation * signs[:, 0]).to(latents)
                change[channel] += (coder.decode(moved).sample - picture).float().square().mean().sqrt()
    return change / change.mean()


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal to noise, dB, of tensors in [-1, 1]."""
    return float(-10 * torch.log10((functional.mse_loss(a.clamp(-1, 1), b) / 4).clamp_min(1e-12)))


def _gradient_error(error: Tensor) -> Tensor:
    """Mean absolute error of the spatial and temporal differences: punishes blur and flicker."""
    return sum((error.diff(dim=axis).abs().mean() for axis in (2, 3, 4)), start=error.new_zeros(()))
