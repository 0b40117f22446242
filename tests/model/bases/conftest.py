"""Folders of bases as a user has them, made on the spot: the published classes, random weights, tiny sizes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKLWan,
    Cosmos2_5_TransferPipeline,
    CosmosControlNetModel,
    CosmosTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
    LTX2InContextPipeline,
    LTX2VideoTransformer3DModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from diffusers.models.controlnets import controlnet_cosmos
from diffusers.models.transformers import transformer_cosmos
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

from renderlift.bridge.clip import Clip, stack
from renderlift.bridge.frame import CameraPose, Channel, Frame, IdName
from renderlift.model.bases import opening
from renderlift.model.embedded import EmbeddedSize, build

from .ltx2_versions import TEXT_CHANNELS, gemma3, gemma_tokenizer, save_2_3, save_2_5

WORDS = ["<pad>", "</s>", "<unk>", "▁a", "▁scene", "▁with", "▁car", "▁tree", "▁photo"]


class HarmlessGuardrail(torch.nn.Module):
    """Where Cosmos' guardrail stands; the real one needs weights of its own."""

    dtype, device = torch.float32, torch.device("cpu")

    def check_text_safety(self, text: str) -> bool:
        return True

    def check_video_safety(self, video: np.ndarray) -> np.ndarray:
        return video


def wan_autoencoder() -> AutoencoderKLWan:
    return AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )


def wan_transformer(**other: Any) -> WanTransformer3DModel:
    torch.manual_seed(len(other))
    return WanTransformer3DModel(**wan_sizes(), **other)


def wan_sizes() -> dict[str, Any]:
    return {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": 16,
        "out_channels": 16,
        "text_dim": TEXT_CHANNELS,
        "freq_dim": 32,
        "ffn_dim": 32,
        "num_layers": 2,
        "rope_max_seq_len": 128,
    }


def flow_scheduler() -> UniPCMultistepScheduler:
    return UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0)


def wan_text() -> dict[str, Any]:
    torch.manual_seed(1)
    config = UMT5Config(
        vocab_size=len(WORDS) + 120, d_model=TEXT_CHANNELS, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    tokenizer = T5Tokenizer(vocab=[(word, 0.0 if n < 3 else -1.0) for n, word in enumerate(WORDS)])
    return {"text_encoder": UMT5EncoderModel(config).eval(), "tokenizer": tokenizer}


def save(pipeline: Any, folder: Path) -> Path:
    pipeline.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="session")
def ltx2(bases: Path) -> Path:
    """LTX-2 with its text encoder and latent upsampler."""
    torch.manual_seed(0)
    # The rest as the embedded base has it, which is of the same classes: 4 frames to one latent. The tiny 2.3 and
    # 2.5 pack 8, as published.
    plain = build(EmbeddedSize(latent_channels=8, heads=2, head_dim=16, layers=2, caption_channels=TEXT_CHANNELS))
    connectors = LTX2TextConnectors(
        caption_channels=TEXT_CHANNELS,
        text_proj_in_factor=2,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=TEXT_CHANNELS // 2,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=8,
        audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=TEXT_CHANNELS // 2,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=8,
        connector_rope_base_seq_len=32,
        rope_type="split",
        rope_double_precision=False,
    )
    parts = {name: part for name, part in plain.components.items() if part is not None}
    for block in plain.transformer.transformer_blocks:
        block.attn2.to_out[0].weight.data *= 30  # or its random words would not show in eight bits
    parts |= {"text_encoder": gemma3(), "tokenizer": gemma_tokenizer(), "connectors": connectors}
    folder = save(LTX2InContextPipeline(**parts), bases / "ltx2")
    upsampler = LTX2LatentUpsamplerModel(in_channels=8, mid_channels=32, num_blocks_per_stage=1)
    upsampler.save_pretrained(str(folder / opening.UPSAMPLER))
    return folder


@pytest.fixture(scope="session")
def ltx2_3(bases: Path) -> Path:
    return save_2_3(bases / "ltx2_3")


@pytest.fixture(scope="session")
def ltx2_5(bases: Path) -> Path:
    return save_2_5(bases / "ltx2_5")


@pytest.fixture(scope="session")
def ltx2_full(ltx2: Path, bases: Path) -> Path:
    """LTX-2 as published before distillation: its scheduler shifts noise levels by the length of a clip."""
    folder = shutil.copytree(ltx2, bases / "ltx2_full")
    shifting = FlowMatchEulerDiscreteScheduler(
        base_shift=0.95, max_shift=2.05, use_dynamic_shifting=True, shift_terminal=0.1
    )
    shifting.save_pretrained(str(folder / "scheduler"))
    return folder


@pytest.fixture(scope="session")
def wan(bases: Path) -> Path:
    """Wan 2.1: one expert."""
    pipeline = WanPipeline(
        transformer=wan_transformer(),
        vae=wan_autoencoder(),
        scheduler=flow_scheduler(),
        **wan_text(),
    )
    return save(pipeline, bases / "wan")


@pytest.fixture(scope="session")
def wan_a14b(bases: Path) -> Path:
    """Wan 2.2 A14B: two experts, no text encoder."""
    pipeline = WanPipeline(
        transformer=wan_transformer(),
        transformer_2=wan_transformer(eps=2e-6),
        boundary_ratio=0.875,
        vae=wan_autoencoder(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
        text_encoder=None,
        tokenizer=None,
    )
    return save(pipeline, bases / "wan_a14b")


@pytest.fixture(scope="session")
def wan_a14b_reading(wan_a14b: Path, wan: Path, bases: Path) -> Path:
    """The same with a text encoder, as published."""
    folder = shutil.copytree(wan_a14b, bases / "wan_a14b_reading")
    index = json.loads((folder / "model_index.json").read_text())
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(wan / part, folder / part)
        index[part] = json.loads((wan / "model_index.json").read_text())[part]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture(scope="session")
def wan_5b(bases: Path) -> Path:
    """Wan 2.2 TI2V-5B: an autoencoder of 16 x 16 pixels, a timestep for each token."""
    autoencoder = AutoencoderKLWan(
        base_dim=4,
        decoder_base_dim=4,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
    )
    pipeline = WanPipeline(
        transformer=wan_transformer(),
        vae=autoencoder,
        scheduler=flow_scheduler(),
        expand_timesteps=True,
        **wan_text(),
    )
    return save(pipeline, bases / "wan_5b")


def vace_transformer() -> WanVACETransformer3DModel:
    transformer = WanVACETransformer3DModel(**wan_sizes(), vace_layers=[0], vace_in_channels=96)
    transformer.vace_blocks[0].proj_out.weight.data *= 20  # or its control would not show in eight bits
    return transformer


@pytest.fixture(scope="session")
def wan_vace_a14b(bases: Path) -> Path:
    """Wan 2.2 VACE: two experts."""
    torch.manual_seed(1)
    pipeline = WanVACEPipeline(
        transformer=vace_transformer(),
        transformer_2=vace_transformer(),
        boundary_ratio=0.875,
        vae=wan_autoencoder(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
        text_encoder=None,
        tokenizer=None,
    )
    return save(pipeline, bases / "wan_vace_a14b")


@pytest.fixture(scope="session")
def wan_vace(bases: Path) -> Path:
    torch.manual_seed(0)
    pipeline = WanVACEPipeline(
        transformer=vace_transformer(),
        vae=wan_autoencoder(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        **wan_text(),
    )
    return save(pipeline, bases / "wan_vace")


@pytest.fixture(scope="session")
def cosmos(bases: Path) -> Path:
    torch.manual_seed(0)
    sizes = {"num_attention_heads": 2, "attention_head_dim": 16, "mlp_ratio": 2, "adaln_lora_dim": 4}
    places = {"patch_size": (1, 2, 2), "max_size": (128, 32, 32), "rope_scale": (2.0, 1.0, 1.0)}
    transformer = CosmosTransformer3DModel(
        in_channels=17,
        out_channels=16,
        num_layers=2,
        text_embed_dim=TEXT_CHANNELS,
        controlnet_block_every_n=1,
        extra_pos_embed_type="learnable",
        **sizes,
        **places,
    )
    control_net = CosmosControlNetModel(
        n_controlnet_blocks=2,
        in_channels=18,
        latent_channels=18,
        model_channels=32,
        text_embed_dim=TEXT_CHANNELS,
        extra_pos_embed_type="learnable",
        **sizes,
        **places,
    )
    pipeline = Cosmos2_5_TransferPipeline(
        text_encoder=None,
        tokenizer=None,
        transformer=transformer,
        vae=wan_autoencoder(),
        scheduler=flow_scheduler(),
        controlnet=control_net,
        safety_checker=HarmlessGuardrail(),
    )
    pipeline.safety_checker = None  # it is no part that a folder could bring
    pipeline.register_to_config(safety_checker=(None, None))
    return save(pipeline, bases / "cosmos")


@pytest.fixture(autouse=True)
def what_cosmos_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its guardrail, and the one function of torchvision that it calls: a build for this torch is not at hand."""
    monkeypatch.setattr(opening, "guardrail", HarmlessGuardrail)
    monkeypatch.setattr(opening, "require_torchvision", lambda: None)

    def resize(picture: torch.Tensor, size: list[int], interpolation: object) -> torch.Tensor:
        return torch.nn.functional.interpolate(picture, size, mode="nearest")

    stand_in = SimpleNamespace(
        functional=SimpleNamespace(resize=resize), InterpolationMode=SimpleNamespace(NEAREST="nearest")
    )
    for module in (controlnet_cosmos, transformer_cosmos):
        monkeypatch.setattr(module, "transforms", stand_in, raising=False)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Everything that LTX-2's transformer is called with."""
    calls: list[dict[str, Any]] = []
    forward = LTX2VideoTransformer3DModel.forward

    def spying(self: Any, *args: Any, **inputs: Any) -> Any:
        calls.append(dict(inputs))
        return forward(self, *args, **inputs)

    monkeypatch.setattr(LTX2VideoTransformer3DModel, "forward", spying)
    return calls


@pytest.fixture
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def shot() -> Callable[..., Clip]:
    """shot(frames, height, width): a camera that glides past coloured columns, with every buffer."""

    def make(frames: int, height: int = 32, width: int = 48, *, tint: float = 1.0, shift: float = 0.0) -> Clip:
        return stack([_frame(t, height, width, tint, shift) for t in range(frames)])

    return make


NAMES = (
    IdName(1, "column", "column"),
    IdName(1, "left column", "column", "hall/left"),
    IdName(2, "sign", "text", "hall/sign"),
)


def _frame(index: int, height: int, width: int, tint: float, shift: float) -> Frame:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    moved = x + shift + index / 4
    rgb = np.stack([90 + 80 * np.sin(moved / 5), 90 + 60 * np.cos(y / 7), 100 + 40 * np.sin((moved + y) / 6)], -1)
    normal = np.zeros((height, width, 3), np.float32)
    normal[..., 2] = -1
    channels = {
        Channel.RGB: (rgb * tint).clip(0, 255).astype(np.uint8),
        Channel.DEPTH: (2 + y / height)[..., None].astype(np.float32),
        Channel.NORMAL: normal,
        Channel.INSTANCE_ID: (1 + (moved // 14 % 2)).astype(np.uint32)[..., None],
        Channel.ALBEDO: (rgb * 0.5).clip(0, 255).astype(np.uint8),
    }
    pose = np.eye(4)
    pose[0, 3] = index * 0.02
    camera = CameraPose(pose, np.array([[40.0, 0, width / 2], [0, 40.0, height / 2], [0, 0, 1]]))
    return Frame(index, index * 41_666_667, 0, camera, channels, engine="test", session="s", names=NAMES)
