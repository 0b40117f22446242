"""The embedded base: the LTX-2 classes of diffusers at a size that runs on two CPU cores.

Only sizes are ours. The folder it saves is a stock `LTX2InContextPipeline` folder, so what is
tested here is the very code path a full-size LTX-2 takes (arXiv 2601.03233 for the design).
Sound cannot be left out of that pipeline; its tower is cut to a stub and its road into
the picture is zeroed, so it costs little and changes nothing.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    FlowMatchEulerDiscreteScheduler,
    LTX2InContextPipeline,
    LTX2VideoTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2Vocoder


@dataclass(frozen=True)
class EmbeddedSize:
    """Sizes of one embedded base. The default is what ships; tests use smaller ones."""

    latent_channels: int = 48
    decoder_channels: int = 160
    resnets: int = 1  # per stage of the autoencoder
    heads: int = 4
    head_dim: int = 64
    layers: int = 8
    caption_channels: int = 64
    caption_tokens: int = 8

    @property
    def spatial_ratio(self) -> int:
        return 8

    @property
    def temporal_ratio(self) -> int:
        return 4


def build_autoencoder(size: EmbeddedSize) -> AutoencoderKLLTX2Video:
    """Untrained video autoencoder: 8 x 8 pixels x 4 frames to one latent of `latent_channels`.

    Space is folded into channels at once, time in two steps, so every layer runs on the small grid. The
    encoder's widths double with each step, so that its shortcuts lose nothing (linear_start.py uses that).
    """
    return AutoencoderKLLTX2Video(
        latent_channels=size.latent_channels,
        patch_size=size.spatial_ratio,
        block_out_channels=(2 * size.latent_channels, 4 * size.latent_channels),
        down_block_types=("LTX2VideoDownBlock3D",) * 2,
        decoder_block_out_channels=(size.decoder_channels,) * 2,
        layers_per_block=(size.resnets,) * 3,
        decoder_layers_per_block=(size.resnets,) * 3,
        spatio_temporal_scaling=(True, True),
        decoder_spatio_temporal_scaling=(True, True),
        decoder_inject_noise=(False, False, False),
        downsample_type=("temporal", "temporal"),
        upsample_type=("temporal", "temporal"),
        upsample_residual=(True, True),
        upsample_factor=(1, 1),
        decoder_causal=False,
        # diffusers would count each doubling of time as one of space too.
        spatial_compression_ratio=size.spatial_ratio,
        temporal_compression_ratio=size.temporal_ratio,
    )


def build(size: EmbeddedSize, autoencoder: AutoencoderKLLTX2Video | None = None) -> LTX2InContextPipeline:
    """Untrained pipeline of the given sizes around `autoencoder` (a new one if None)."""
    return LTX2InContextPipeline(
        # A fixed shift: the dynamic one would let the reference tokens change the noise schedule.
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=False),
        vae=autoencoder or build_autoencoder(size),
        audio_vae=_sound_autoencoder(),
        text_encoder=cast(Any, None),
        tokenizer=cast(Any, None),
        connectors=_connectors(size),
        transformer=_transformer(size),
        vocoder=_vocoder(),
    )


def _transformer(size: EmbeddedSize) -> LTX2VideoTransformer3DModel:
    transformer = LTX2VideoTransformer3DModel(
        in_channels=size.latent_channels,
        out_channels=size.latent_channels,
        num_attention_heads=size.heads,
        attention_head_dim=size.head_dim,
        cross_attention_dim=size.heads * size.head_dim,
        vae_scale_factors=(size.temporal_ratio, size.spatial_ratio, size.spatial_ratio),
        audio_in_channels=2,
        audio_out_channels=2,
        audio_num_attention_heads=size.heads,
        audio_attention_head_dim=8,
        audio_cross_attention_dim=size.heads * 8,
        num_layers=size.layers,
        caption_channels=size.caption_channels,
        rope_type="split",
        rope_double_precision=False,
    )
    _deafen(transformer)
    return transformer


def _connectors(size: EmbeddedSize) -> LTX2TextConnectors:
    """What stands between a text encoder and the transformer; here only its registers are used."""
    return LTX2TextConnectors(
        caption_channels=size.caption_channels,
        text_proj_in_factor=1,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=size.caption_channels // 2,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=size.caption_tokens,
        audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=size.caption_channels // 2,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=size.caption_tokens,
        connector_rope_base_seq_len=32,
        rope_type="split",
        rope_double_precision=False,
    )


def _sound_autoencoder() -> AutoencoderKLLTX2Audio:
    return AutoencoderKLLTX2Audio(
        base_channels=2,
        output_channels=2,
        ch_mult=(1,),
        num_res_blocks=1,
        in_channels=2,
        resolution=32,
        latent_channels=2,
        mel_bins=4,
    )


def _vocoder() -> LTX2Vocoder:
    return LTX2Vocoder(
        in_channels=8,  # audio output channels x mel bins
        hidden_channels=32,
        out_channels=2,
        upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        leaky_relu_negative_slope=0.1,
        output_sampling_rate=16000,
    )


def _deafen(transformer: LTX2VideoTransformer3DModel) -> None:
    """Cut sound off from picture, so that training without sound gives what the pipeline runs."""
    for block in cast(Any, transformer).transformer_blocks:
        for parameter in block.audio_to_video_attn.to_out[0].parameters():
            torch.nn.init.zeros_(parameter)
