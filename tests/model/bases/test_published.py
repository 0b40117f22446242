"""Published sizes are those of the published configurations, counted without memory; presets follow from them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    AutoencoderKLWan,
    CosmosControlNetModel,
    CosmosTransformer3DModel,
    LTX2VideoTransformer3DModel,
    WanTransformer3DModel,
    WanVACETransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2Vocoder
from diffusers.pipelines.ltx2.vocoder import LTX2VocoderWithBWE
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma4UnifiedConfig,
    Gemma4UnifiedForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    UMT5Config,
    UMT5EncoderModel,
)

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.facts import BASES
from renderlift.model.bases.published import PUBLISHED, Published, fits
from renderlift.model.presets import (
    GIGABYTE,
    PRESETS,
    Preset,
    choose,
    needed_bytes,
    read_weights,
    usual_tokens,
)

from .ltx2_versions import AUTOENCODER, CONNECTORS, V2_3, V2_5

PAGE = Path(__file__).parents[3] / "docs" / "bases.md"
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
GEMMA_12B: dict[str, Any] = {
    "hidden_size": 3840,
    "intermediate_size": 15360,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 256,
}
GEMMA_3: dict[str, Any] = {
    "text_config": {**GEMMA_12B, "vocab_size": 262208},
    "vision_config": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 896,
        "patch_size": 14,
    },
}
# LTX-2.5's is of the shape of `google/gemma-4-12B-it`, fine-tuned. Layers that see all tokens have one key, which
# is their value too, and it sees and hears without encoders.
GEMMA_4: dict[str, Any] = {
    "text_config": {
        **GEMMA_12B,
        "vocab_size": 262144,
        "global_head_dim": 512,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
    },
    "vision_config": {},
    "audio_config": {},
}
LTX_2_3_AUTOENCODER: dict[str, Any] = {
    **AUTOENCODER,
    "block_out_channels": (256, 512, 1024, 1024),
    "decoder_block_out_channels": (256, 512, 512, 1024),
    "layers_per_block": (4, 6, 4, 2, 2),
    "decoder_layers_per_block": (4, 6, 4, 2, 2),
}
LTX_2_3_CONNECTORS: dict[str, Any] = {
    **CONNECTORS,
    "video_connector_num_attention_heads": 32,
    "video_connector_num_layers": 8,
    "audio_connector_num_attention_heads": 32,
    "audio_connector_attention_head_dim": 64,
    "audio_connector_num_layers": 8,
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


def counted_ltx2() -> dict[tuple[str, str], torch.nn.Module]:
    """Those of LTX-2, 2.3 and 2.5, sound among them, which is loaded too."""
    gemma_3 = Gemma3ForConditionalGeneration(Gemma3Config(**GEMMA_3))
    later = {
        "connectors": LTX2TextConnectors(**LTX_2_3_CONNECTORS),
        "vae": AutoencoderKLLTX2Video(**LTX_2_3_AUTOENCODER),
        "vocoder": LTX2VocoderWithBWE(),
    }
    versions: dict[str, dict[str, torch.nn.Module]] = {
        "Lightricks/LTX-2": {
            "transformer": LTX2VideoTransformer3DModel(),
            "text_encoder": gemma_3,
            "connectors": LTX2TextConnectors(rope_type="split"),
            "vae": AutoencoderKLLTX2Video(),
            "vocoder": LTX2Vocoder(),
        },
        "diffusers/LTX-2.3-Distilled-Diffusers": {
            "transformer": LTX2VideoTransformer3DModel(**V2_3),
            "text_encoder": gemma_3,
            **later,
        },
        "Lightricks/LTX-2.5-Diffusers": {
            "transformer": LTX2VideoTransformer3DModel(**V2_5),
            "text_encoder": Gemma4UnifiedForConditionalGeneration(Gemma4UnifiedConfig(**GEMMA_4)),
            **later,
        },
    }
    sound = {"audio_vae": AutoencoderKLLTX2Audio()}
    return {(name, part): module for name, own in versions.items() for part, module in (own | sound).items()}


def counted() -> dict[tuple[str, str], torch.nn.Module]:
    """The modules of each repository, by repository and part, without memory for their weights."""
    with torch.device("meta"):
        umt5 = UMT5EncoderModel(UMT5Config(**UMT5_XXL))
        small, large, middle = (WanTransformer3DModel(**sizes) for sizes in (WAN_1_3B, WAN_14B, WAN_5B))
        vace_small = WanVACETransformer3DModel(**WAN_1_3B, vace_layers=list(range(0, 30, 2)), vace_in_channels=96)
        vace_large = WanVACETransformer3DModel(**WAN_14B, vace_layers=list(range(0, 40, 5)), vace_in_channels=96)
        modules = counted_ltx2()
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


@pytest.mark.parametrize("memory_gb", [12, 16, 24, 32, 85, 141, 150])
def test_a_base_fits_as_the_renderer_itself_would_choose(memory_gb: int) -> None:
    for base, fit in zip(PUBLISHED, fits("", memory_gb * GIGABYTE), strict=True):
        tokens = usual_tokens(base.facts)
        assert fit["preset"] == choose(base.weights, memory_gb * GIGABYTE, tokens).name
        assert fit["computed"]
        assert fit["option"] or fit["needed_gb"][fit["preset"]] <= memory_gb


def test_what_is_a_little_too_large_fits_with_fewer_frames_at_once_or_a_smaller_picture() -> None:
    memory = 12 * 0.985 * GIGABYTE
    told = {base.repository.rpartition("/")[2]: fit for base, fit in zip(PUBLISHED, fits("", memory), strict=True)}
    assert {name: fit["option"] for name, fit in told.items() if fit["option"]} == {
        "Wan2.1-T2V-14B-Diffusers": "--window 77",
        "Wan2.2-T2V-A14B-Diffusers": "--window 77",
        "Wan2.1-VACE-14B-diffusers": "--window 73",
        "Cosmos-Transfer2.5-2B": "--working-size 1216x672",
    }
    for base in PUBLISHED:
        option, _, size = told[base.repository.rpartition("/")[2]]["option"].partition(" ")
        if option == "--window":
            fitting, longer = (
                needed_bytes(PRESETS[-1], base.weights, usual_tokens(base.facts, window=frames))
                for frames in (int(size), int(size) + 4)
            )
            assert fitting <= memory < longer


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


def test_the_page_tells_the_memory_that_is_computed() -> None:
    published = {base.repository.rpartition("/")[2]: base for base in PUBLISHED}
    vace = published["Wan2.1-VACE-14B-diffusers"]
    experts = {**vace.weights.bytes_of, "transformer_2": vace.weights.bytes_of["transformer"]}
    columns = {
        "LTX-2 19B": published["LTX-2"],
        "LTX-2.3 22B": published["LTX-2.3-Distilled-Diffusers"],
        "LTX-2.5 22B": published["LTX-2.5-Diffusers"],
        "Wan 2.1 1.3B": published["Wan2.1-T2V-1.3B-Diffusers"],
        "Wan 2.1 14B": published["Wan2.1-T2V-14B-Diffusers"],
        "Wan 2.2 5B": published["Wan2.2-TI2V-5B-Diffusers"],
        "Wan 2.2 A14B": published["Wan2.2-T2V-A14B-Diffusers"],
        "VACE 1.3B": published["Wan2.1-VACE-1.3B-diffusers"],
        "VACE 14B": vace,
        "VACE A14B": replace(vace, weights=replace(vace.weights, bytes_of=experts)),  # in no repository
        "Cosmos 2B": published["Cosmos-Transfer2.5-2B"],
    }
    assert {base.repository for base in columns.values()} == {base.repository for base in PUBLISHED}
    rows = [[cell.strip("` ") for cell in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines()]
    told = {preset: needed for preset, _, *needed in (row for row in rows if len(row) == 2 + len(columns))}
    del told["---"]
    assert told == {
        "preset": list(columns),
        "the weights alone": [f"{base.weights.total / GIGABYTE:.0f}" for base in columns.values()],
        **{preset.name: [needed_gb(preset, base) for base in columns.values()] for preset in PRESETS},
    }


def needed_gb(preset: Preset, base: Published) -> str:
    return f"{needed_bytes(preset, base.weights, usual_tokens(base.facts)) / GIGABYTE:.0f}"
