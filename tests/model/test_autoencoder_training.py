"""What the embedded autoencoder is trained with."""

import torch
from torch.nn import functional

from renderlift.model.autoencoder_training import latent_importance, set_latent_statistics
from renderlift.model.embedded import EmbeddedSize, build_autoencoder
from renderlift.model.linear_start import fit_code, start_linear


def test_importance_says_how_much_of_the_picture_each_channel_carries() -> None:
    noise = torch.randn(2, 3, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    clips = [clip[None] for clip in functional.interpolate(noise, (5, 32, 48), mode="trilinear").clamp(-1, 1)]
    autoencoder = build_autoencoder(EmbeddedSize(latent_channels=16, decoder_channels=48))
    start_linear(autoencoder, fit_code(clips, 16, 8))
    set_latent_statistics(autoencoder, clips)
    importance = latent_importance(autoencoder, clips)
    assert importance.shape == (16,)
    assert abs(float(importance.mean()) - 1) < 1e-5
    assert importance[0] > 4 * importance[12]  # principal components come largest first
