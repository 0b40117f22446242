"""The embedded autoencoder starts as a good linear code of what it was shown."""

import torch
from torch import Tensor
from torch.nn import functional

from renderlift.model.autoencoder_training import psnr
from renderlift.model.embedded import EmbeddedSize, build_autoencoder
from renderlift.model.linear_start import fit_code, start_linear

SIZE = EmbeddedSize(latent_channels=16, decoder_channels=48)


def smooth_clip(seed: int) -> Tensor:
    """(1, 3, 9, 32, 48) of soft shapes that drift, in [-1, 1]."""
    noise = torch.randn(1, 3, 2, 3, 4, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(noise, (9, 32, 48), mode="trilinear").clamp(-1, 1)


def round_trip(clip: Tensor, *, started: bool) -> Tensor:
    torch.manual_seed(0)
    autoencoder = build_autoencoder(SIZE)
    if started:
        start_linear(autoencoder, fit_code([smooth_clip(seed) for seed in range(4)], 16, 8))
    with torch.no_grad():
        return autoencoder.decode(autoencoder.encode(clip).latent_dist.mode()).sample


def test_a_started_autoencoder_gives_back_clips_it_never_saw() -> None:
    clip = smooth_clip(99)
    assert psnr(round_trip(clip, started=True), clip) > 24
    assert psnr(round_trip(clip, started=False), clip) < 12


def test_the_frame_that_stands_alone_is_given_back_as_well_as_the_others() -> None:
    clip = smooth_clip(98)
    assert psnr(round_trip(clip, started=True)[:, :, :1], clip[:, :, :1]) > 24


def test_a_started_autoencoder_has_weights_that_can_all_learn() -> None:
    autoencoder = build_autoencoder(SIZE)
    start_linear(autoencoder, fit_code([smooth_clip(0)], 16, 8))
    clip = smooth_clip(1)
    autoencoder.decode(autoencoder.encode(clip).latent_dist.mode()).sample.sub(clip).square().mean().backward()
    last_of_branches = [module.conv2.conv for module in autoencoder.modules() if hasattr(module, "conv2")]
    assert len(last_of_branches) == 6
    for layer in last_of_branches:
        assert layer.weight.grad.abs().max() > 0
