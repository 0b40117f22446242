"""Published sizes are those of the published configurations, counted without memory; presets follow from them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKLLTX2Video,
    AutoencoderKLWan,
    CosmosControlNetModel,
    CosmosTransformer3DModel,
    LTX2VideoTransformer3DModel,
    WanTransformer3DModel,
    WanVACETransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    UMT5Config,
    UMT5EncoderModel,
)

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.facts import BASES
from renderlift.model.bases.published import PUBLISHED, fits
from renderlift.model.presets import GIGABYTE, PRESETS, choose, read_weights, usual_tokens

WAN_1_3B: dict[str, Any] = {
    "num_attention_heads": 12,
    "attention_head_dim": 128,
    "ffn_dim": 8960,
    "num_layers": 30,
}
WAN_14B: dict[str, Any] = {
    "num_attention_heads": 40,
    "attention_head_dim": 128,
    "ffn_dim": 13824,
    "num_layers": 40,
}
WAN_5B: dict[str, Any] = {
    "num_attention_heads": 24,
    "attention_head_dim": 128,
    "ffn_dim": 14336,
    "num_layers": 30,
    "in_channels": 48,
    "out_channels": 48,
}
UMT5_XXL = {"vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
GEMMA_12B = {
    "text_config": {
        "vocab_size": 262208,
        "hidden_size": 3840,
        "intermediate_size": 15360,
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 256,
    },
    "vision_config": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 896,
        "patch_size": 14,
    },
}
COSMOS_2B: dict[str, Any] = {
    "num_attention_heads": 16,
    "attention_head_dim": 128,
    "mlp_ratio": 4.0,
    "text_embed_dim": 1024,
    "adaln_lora_dim": 256,
    "use_crossattn_projection": True,
    "crossattn_proj_in_channels": 100352,  # all 28 states of the text encoder
    "encoder_hidden_states_channels": 1024,
    "img_context_dim_in": 1152,
    "img_context_dim_out": 2048,
}
QWEN_7B: dict[str, Any] = {
    "text_config": {
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
    },
    "vision_config": {
        "hidden_size": 1280,
        "out_hidden_size": 3584,
        "intermediate_size": 3420,
        "depth": 32,
        "num_heads": 16,
    },
    "tie_word_embeddings": False,
}
WAN_2_2_AUTOENCODER: dict[str, Any] = {
    "base_dim": 160,
    "decoder_base_dim": 256,
    "z_dim": 48,
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_spatial": 16,
    "latents_mean": [0.0] * 48,
    "latents_std": [1.0] * 48,
}


def counted() -> dict[tuple[str, str], torch.nn.Module]:
    """The modules of each repository, by repository and part, without memory for their weights."""
    with torch.device("meta"):
        umt5 = UMT5EncoderModel(UMT5Config(**UMT5_XXL))
        small, large, middle = (WanTransformer3DModel(**sizes) for sizes in (WAN_1_3B, WAN_14B, WAN_5B))
        vace_small = WanVACETransformer3DModel(**WAN_1_3B, vace_layers=list(range(0, 30, 2)), vace_in_channels=96)
        vace_large = WanVACETransformer3DModel(**WAN_14B, vace_layers=list(range(0, 40, 5)), vace_in_channels=96)
        modules: dict[tuple[str, str], torch.nn.Module] = {
            ("Lightricks/LTX-2", "transformer"): LTX2VideoTransformer3DModel(),
            ("Lightricks/LTX-2", "text_encoder"): Gemma3ForConditionalGeneration(Gemma3Config(**GEMMA_12B)),
            ("Lightricks/LTX-2", "connectors"): LTX2TextConnectors(rope_type="split"),
            ("Lightricks/LTX-2", "vae"): AutoencoderKLLTX2Video(),
        }
        for name, *experts in (
            ("Wan2.1-T2V-1.3B-Diffusers", small),
            ("Wan2.1-T2V-14B-Diffusers", large),
            ("Wan2.2-T2V-A14B-Diffusers", large, large),
            ("Wan2.2-TI2V-5B-Diffusers", middle),
            ("Wan2.1-VACE-1.3B-diffusers", vace_small),
            ("Wan2.1-VACE-14B-diffusers", vace_large),
        ):
            parts = dict(zip(("transformer", "transformer_2"), experts, strict=False))
            vae = AutoencoderKLWan(**WAN_2_2_AUTOENCODER) if middle in experts else AutoencoderKLWan()
            for part, module in {**parts, "text_encoder": umt5, "vae": vae}.items():
                modules[f"Wan-AI/{name}", part] = module
        modules |= {
            ("nvidia/Cosmos-Transfer2.5-2B", "transformer"): CosmosTransformer3DModel(
                **COSMOS_2B,
                num_layers=28,
                in_channels=17,
                out_channels=16,
                extra_pos_embed_type=None,
                controlnet_block_every_n=7,
            ),
            ("nvidia/Cosmos-Transfer2.5-2B", "controlnet"): CosmosControlNetModel(
                **COSMOS_2B, n_controlnet_blocks=4, in_channels=130, latent_channels=18
            ),
            ("nvidia/Cosmos-Transfer2.5-2B", "text_encoder"): Qwen2_5_VLForConditionalGeneration(
                Qwen2_5_VLConfig(**QWEN_7B)
            ),
            ("nvidia/Cosmos-Transfer2.5-2B", "vae"): AutoencoderKLWan(),
        }
    return modules


def test_the_sizes_of_published_bases_are_those_of_their_configurations() -> None:
    sizes = {key: 2 * sum(p.numel() for p in module.parameters()) for key, module in counted().items()}
    written = {(base.repository, part): size for base in PUBLISHED for part, size in base.weights.bytes_of.items()}
    assert written == pytest.approx(sizes, rel=0.001)


def test_every_published_base_is_one_that_can_be_fetched() -> None:
    assert all(base.repository in base.facts.repositories for base in PUBLISHED)


@pytest.mark.parametrize("memory_gb", [16, 24, 32, 85, 150])
def test_a_base_fits_as_the_renderer_itself_would_choose(memory_gb: int) -> None:
    for base, fit in zip(PUBLISHED, fits("", memory_gb * GIGABYTE), strict=True):
        tokens = usual_tokens(base.facts)
        assert fit["preset"] == choose(base.weights, memory_gb * GIGABYTE, tokens).name
        assert fit["computed"]
        assert fit["needed_gb"][fit["preset"]] <= memory_gb


def test_what_does_not_fit_at_all_is_not_promised_a_preset() -> None:
    assert {fit["preset"] for fit in fits("", 1 * GIGABYTE)} == {""}
    for fit in fits("", 0):
        needed = [fit["needed_gb"][preset.name] for preset in PRESETS]
        assert needed == sorted(needed, reverse=True)


def test_a_folder_is_read_and_not_guessed(ltx2: Path) -> None:
    [fit] = fits(str(ltx2), 24 * GIGABYTE)
    assert (fit["base"], fit["computed"], fit["preset"]) == ("ltx2", False, "resident-compiled")
    assert fit["weights_gb"] == round(read_weights(ltx2).total / GIGABYTE, 1)
    with pytest.raises(SetupError, match=r"model_index\.json is missing"):
        fits(str(ltx2 / "vae"), 24 * GIGABYTE)


def test_bases_without_published_sizes_are_named_nowhere_as_if_they_had_some() -> None:
    assert {base.facts.name for base in PUBLISHED} == {base.name for base in BASES} - {"embedded"}
