"""LTX-2.3 and 2.5 as their folders are published, tiny and untrained.

What sets them apart from LTX-2 is as diffusers' own converter writes it (scripts/convert_ltx2_to_diffusers.py):
gated attention, words modulated by the noise level, a projection of the words for picture and for sound, a vocoder
with a second half, an autoencoder of 32 x 32 pixels x 8 frames to one latent. 2.5 has no biases in the picture's
feed-forward layers, an embedding for keyframes, and Gemma 4.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Video,
    FlowMatchEulerDiscreteScheduler,
    LTX2Pipeline,
    LTX2VideoTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from diffusers.pipelines.ltx2.duration_head import LTX2DurationHead
from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel
from diffusers.pipelines.ltx2.vocoder import LTX2VocoderWithBWE
from safetensors.torch import save_file
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma4UnifiedConfig,
    Gemma4UnifiedForConditionalGeneration,
    GemmaTokenizer,
)

from renderlift.model.bases import opening
from renderlift.model.bases.facts import UNUSED_FOLDERS
from renderlift.model.embedded import EmbeddedSize, build

LATENTS, TEXT_CHANNELS, PICTURE, SOUND = 8, 32, 32, 16  # channels; of blocks, the last two
TEXT = {
    "vocab_size": 400,
    "hidden_size": TEXT_CHANNELS,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
}
V2_3: dict[str, Any] = {
    **dict.fromkeys(("gated_attn", "cross_attn_mod", "audio_gated_attn", "audio_cross_attn_mod"), True),
    "use_prompt_embeddings": False,
    "perturbed_attn": True,
}
V2_5 = V2_3 | {"ff_bias": False, "use_keyframes_abs_pos_embedding": True}
# What the autoencoder and the connectors of both are, of whatever size.
AUTOENCODER: dict[str, Any] = {
    "down_block_types": ("LTX2VideoDownBlock3D",) * 4,
    "spatio_temporal_scaling": (True,) * 4,
    "decoder_spatio_temporal_scaling": (True,) * 4,
    "decoder_inject_noise": (False,) * 5,
    "downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
    "upsample_type": ("spatiotemporal", "spatiotemporal", "temporal", "spatial"),
    "upsample_residual": (False,) * 4,
    "upsample_factor": (2, 2, 1, 2),
    "decoder_causal": False,
    "decoder_spatial_padding_mode": "zeros",
    "spatial_compression_ratio": 32,
    "temporal_compression_ratio": 8,
}
CONNECTORS: dict[str, Any] = {
    **dict.fromkeys(("video_gated_attn", "audio_gated_attn", "per_modality_projections", "proj_bias"), True),
    "rope_type": "split",
}


def save_2_3(folder: Path) -> Path:
    """LTX-2.3, distilled: `diffusers/LTX-2.3-Distilled-Diffusers`."""
    LTX2Pipeline(**parts(V2_3), text_encoder=gemma3()).save_pretrained(str(folder))
    upsampler().save_pretrained(str(folder / opening.UPSAMPLER))
    return folder


def save_2_5(folder: Path) -> Path:
    """LTX-2.5, distilled, without the folders that `fetch` leaves out, which its index names all the same.

    With the LoRA for its full weights, which lies in the repository's root.
    """
    torch.manual_seed(0)
    text = Gemma4UnifiedConfig(
        text_config={**TEXT, "global_head_dim": 16, "layer_types": ["full_attention"]},
        vision_config=None,
        audio_config=None,
    )
    enhancer = Gemma4UnifiedForConditionalGeneration(text).eval()
    whole = LTX2Pipeline(
        **parts(V2_5),
        text_encoder=Gemma4UnifiedForConditionalGeneration(text).eval(),
        duration_head=LTX2DurationHead(PICTURE, SOUND, 8, 1, 2, 8),
        prompt_enhancer=enhancer,
    )
    whole.save_pretrained(str(folder))
    index = json.loads((folder / "model_index.json").read_text())
    index["processor"] = ["transformers", "Gemma4UnifiedProcessor"]  # of the enhancer, and as little used
    (folder / "model_index.json").write_text(json.dumps(index))
    for part in UNUSED_FOLDERS:
        shutil.rmtree(folder / part, ignore_errors=True)
    upsampler().save_pretrained(str(folder / opening.UPSAMPLER))
    layer = "diffusion_model.transformer_blocks.0.attn1.to_v"
    lora = {f"{layer}.lora_A.weight": torch.randn(2, PICTURE), f"{layer}.lora_B.weight": torch.randn(PICTURE, 2)}
    save_file(lora, folder / "ltx-2.5-22b-distilled-lora-450-bf16.safetensors")
    return folder


def parts(switches: dict[str, Any]) -> dict[str, Any]:
    """All but what reads text."""
    torch.manual_seed(0)
    # Of the embedded base, which is of the same classes: what no version changes.
    plain = build(EmbeddedSize(latent_channels=LATENTS, heads=2, head_dim=16, layers=2))
    sizes = {name: value for name, value in plain.transformer.config.items() if not name.startswith("_")}
    transformer = LTX2VideoTransformer3DModel(**sizes | switches | {"vae_scale_factors": (8, 32, 32)})
    for block in transformer.transformer_blocks:
        block.attn2.to_out[0].weight.data *= 30  # or its random words would not show in eight bits
    return {
        "transformer": transformer,
        "vae": autoencoder(),
        "audio_vae": plain.audio_vae,
        "connectors": connectors(),
        "vocoder": vocoder(),
        "tokenizer": gemma_tokenizer(),
        "scheduler": FlowMatchEulerDiscreteScheduler(base_shift=0.95, max_shift=2.05),
    }


def autoencoder() -> AutoencoderKLLTX2Video:
    return AutoencoderKLLTX2Video(
        **AUTOENCODER,
        latent_channels=LATENTS,
        block_out_channels=(16, 32, 64, 64),
        decoder_block_out_channels=(16, 32, 32, 64),
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
    )


def connectors() -> LTX2TextConnectors:
    """Words come out as wide as the blocks that read them: no projection stands in the transformer any more."""
    return LTX2TextConnectors(
        **CONNECTORS,
        caption_channels=TEXT_CHANNELS,
        text_proj_in_factor=2,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=PICTURE // 2,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=8,
        audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=SOUND // 2,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=8,
        connector_rope_base_seq_len=32,
        video_hidden_dim=PICTURE,
        audio_hidden_dim=SOUND,
    )


def vocoder() -> LTX2VocoderWithBWE:
    layers = {"resnet_kernel_sizes": [3], "resnet_dilations": [[1, 3, 5]]}
    return LTX2VocoderWithBWE(
        in_channels=8,  # audio output channels x mel bins
        hidden_channels=32,
        upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2],
        **layers,
        bwe_in_channels=8,
        bwe_hidden_channels=16,
        bwe_upsample_kernel_sizes=[7, 4],
        bwe_upsample_factors=[3, 4],
        **{f"bwe_{name}": value for name, value in layers.items()},
        filter_length=8,
        hop_length=4,
        window_length=8,
        num_mel_channels=4,
    )


def gemma3() -> Gemma3ForConditionalGeneration:
    seeing = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = Gemma3Config(text_config=TEXT, vision_config={**seeing, "image_size": 32, "patch_size": 16})
    return Gemma3ForConditionalGeneration(config).eval()


def gemma_tokenizer() -> GemmaTokenizer:
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz"]
    return GemmaTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=[])


def upsampler() -> LTX2LatentUpsamplerModel:
    return LTX2LatentUpsamplerModel(
        in_channels=LATENTS, mid_channels=32, num_blocks_per_stage=1, use_rational_resampler=False
    )
