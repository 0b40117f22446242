"""LTX-2 by the stock pipeline, held against the publishers' own recipes written out by hand."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTX2InContextPipeline, LTX2LatentUpsamplePipeline
from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import LTX2ReferenceCondition
from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES, STAGE_2_DISTILLED_SIGMA_VALUES
from safetensors.torch import load_file, save_file

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Channel
from renderlift.model import control
from renderlift.model.bases.facts import LTX2, LTX2_FULL, facts_of
from renderlift.model.bases.ltx2 import NO_GUIDANCE
from renderlift.model.bases.opening import UPSAMPLER, open_upsampler
from renderlift.model.render import load, load_base
from renderlift.model.whereabouts import WEIGHTS

Shot = Callable[..., Clip]
PLAIN: dict[str, Any] = {"steps": 1, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
WITHOUT_GUIDANCE: dict[str, Any] = {**NO_GUIDANCE, "spatio_temporal_guidance_blocks": None}


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The noise level of every call of the transformer."""
    from diffusers import LTX2VideoTransformer3DModel

    seen: list[float] = []
    forward = LTX2VideoTransformer3DModel.forward

    def spying(self: Any, *args: Any, **inputs: Any) -> Any:
        seen.append(float(inputs["sigma"][0]) / 1000)
        return forward(self, *args, **inputs)

    monkeypatch.setattr(LTX2VideoTransformer3DModel, "forward", spying)
    return seen


def test_the_embedded_bases_picture_is_the_stock_pipelines_own(shot: Shot) -> None:
    """What the many bases share must not change the one that ships."""
    clip = shot(5, 64, 96)
    render = load(adapter="none", lock=False, steady=0.0, device="cpu", dtype="float32", working_pixels=64 * 96)
    pipeline = LTX2InContextPipeline.from_pretrained(
        str(WEIGHTS / "base"), dtype=torch.float32, text_encoder=None, tokenizer=None
    )
    pipeline.set_progress_bar_config(disable=True)
    tokens = pipeline.connectors.config.video_connector_num_learnable_registers
    with torch.inference_mode():
        by_hand = pipeline(
            prompt_embeds=torch.zeros(1, tokens, pipeline.connectors.config.caption_channels),
            prompt_attention_mask=torch.zeros(1, tokens, dtype=torch.long),
            **WITHOUT_GUIDANCE,
            reference_conditions=LTX2ReferenceCondition(frames=clip.channels[Channel.RGB].astype(np.float32) / 255),
            height=64,
            width=96,
            num_frames=5,
            frame_rate=24.0,
            num_inference_steps=2,
            generator=torch.Generator().manual_seed(0),
            output_type="pt",
        ).frames[0]
    assert np.array_equal(render(clip), control.to_video(by_hand))


def test_two_stages_are_the_publishers_recipe(ltx2: Path, shot: Shot) -> None:
    clip = shot(5, 64, 64)
    video = load(base=str(ltx2), two_stages=True, prompt="a car", **PLAIN | {"steps": 8})(clip)
    pipeline = load_base(str(ltx2), torch.float32)
    half = control.resize(clip.channels[Channel.RGB], 32, 32)
    call: dict[str, Any] = {
        "prompt": "a car",
        "num_frames": 5,
        "frame_rate": 24.0,
        "generator": torch.Generator().manual_seed(0),
        "return_dict": False,
        **WITHOUT_GUIDANCE,
    }
    with torch.inference_mode():
        latents, sound = pipeline(
            reference_conditions=LTX2ReferenceCondition(frames=control.to_pixels(half)),
            height=32,
            width=32,
            num_inference_steps=8,
            sigmas=DISTILLED_SIGMA_VALUES,
            output_type="latent",
            **call,
        )
        upsample: Any = LTX2LatentUpsamplePipeline(
            vae=pipeline.vae,
            latent_upsampler=open_upsampler(ltx2, torch.float32),  # type: ignore[arg-type]
        )
        large = upsample(latents=latents, output_type="latent", return_dict=False)[0]
        by_hand, _ = pipeline(
            latents=large,
            audio_latents=sound,
            height=64,
            width=64,
            num_inference_steps=3,
            sigmas=STAGE_2_DISTILLED_SIGMA_VALUES,
            noise_scale=STAGE_2_DISTILLED_SIGMA_VALUES[0],
            output_type="pt",
            **call,
        )
    assert np.array_equal(video, control.to_video(by_hand[0]))


def test_distilled_weights_are_told_from_full_ones_by_their_folder(ltx2: Path, ltx2_full: Path) -> None:
    assert facts_of(ltx2) == replace(LTX2, version="2")
    assert facts_of(ltx2_full) == replace(LTX2_FULL, version="2")
    assert facts_of(WEIGHTS / "base").name == "embedded"


def test_of_ltx_2_5_only_the_distilled_weights_lie_in_the_folder(ltx2_full: Path, tmp_path: Path) -> None:
    for name in ("model_index.json", "scheduler/scheduler_config.json", "transformer/config.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ltx2_full / name).read_bytes())
    assert not facts_of(tmp_path).is_distilled
    config = json.loads((tmp_path / "transformer/config.json").read_text())
    (tmp_path / "transformer/config.json").write_text(
        json.dumps(config | {"use_keyframes_abs_pos_embedding": True})
    )
    assert facts_of(tmp_path).is_distilled


def test_full_weights_get_their_own_shifted_levels_and_guidance(
    ltx2_full: Path, shot: Shot, levels: list[float]
) -> None:
    load(base=str(ltx2_full), device="cpu", dtype="float32")(shot(1))
    assert len(levels) == 30
    assert levels[-1] == pytest.approx(0.1, abs=1e-3)  # the scheduler's terminal level
    assert not np.allclose(levels[:8], DISTILLED_SIGMA_VALUES)
    del levels[:]
    load(base=str(ltx2_full), **PLAIN | {"steps": 8})(shot(1))
    assert not np.allclose(levels, DISTILLED_SIGMA_VALUES)


def test_full_weights_with_the_distilled_lora_beside_them_are_distilled(
    ltx2_full: Path, shot: Shot, tmp_path: Path, levels: list[float]
) -> None:
    import shutil

    folder = shutil.copytree(ltx2_full, tmp_path / "base")
    weights = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    lora: dict[str, torch.Tensor] = {}
    for name in (n.removesuffix(".weight") for n in weights if n.endswith("attn1.to_q.weight")):
        lora[f"diffusion_model.{name}.lora_A.weight"] = torch.randn(2, weights[f"{name}.weight"].shape[1])
        lora[f"diffusion_model.{name}.lora_B.weight"] = torch.randn(weights[f"{name}.weight"].shape[0], 2)
    save_file(lora, folder / "ltx-2-19b-distilled-lora-384.safetensors")
    clip = shot(5)
    with_lora = load(base=str(folder), two_stages=True, device="cpu", dtype="float32")(clip)
    # No scheduler shifts the levels, whatever the folder's own would do.
    assert np.allclose(levels, DISTILLED_SIGMA_VALUES + STAGE_2_DISTILLED_SIGMA_VALUES)
    named = shutil.move(folder / "ltx-2-19b-distilled-lora-384.safetensors", tmp_path / "named.safetensors")
    by_name = load(base=str(folder), distilled=str(named), two_stages=True, device="cpu", dtype="float32")(clip)
    assert np.array_equal(by_name, with_lora)
    for name in (key.removesuffix(".lora_A.weight") for key in lora if "lora_A" in key):
        plain = name.removeprefix("diffusion_model.")
        weights[f"{plain}.weight"] += lora[f"{name}.lora_B.weight"] @ lora[f"{name}.lora_A.weight"]
    save_file(weights, folder / "transformer" / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    FlowMatchEulerDiscreteScheduler().save_pretrained(str(folder / "scheduler"))
    merged = load(base=str(folder), two_stages=True, device="cpu", dtype="float32")(clip)
    assert abs(with_lora.astype(int) - merged).max() <= 1
    assert not np.array_equal(load(base=str(ltx2_full), **PLAIN | {"steps": 8})(clip), with_lora)


def test_two_stages_with_full_weights_name_what_is_missing(ltx2_full: Path, ltx2: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="distilled") as refused:
        load(base=str(ltx2_full), two_stages=True, device="cpu")
    assert "--distilled" in refused.value.fix
    import shutil

    folder = shutil.copytree(ltx2, tmp_path / "base", ignore=shutil.ignore_patterns(UPSAMPLER))
    with pytest.raises(SetupError, match=UPSAMPLER):
        load(base=str(folder), two_stages=True, device="cpu")


@pytest.mark.parametrize("factor", [1, 2])
def test_two_stages_give_the_clips_own_size(ltx2: Path, shot: Shot, tmp_path: Path, factor: int) -> None:
    adapter, layer = tmp_path / "half.safetensors", "transformer.transformer_blocks.0.attn1.to_q"
    weights = {f"{layer}.lora_A.weight": torch.zeros(2, 32), f"{layer}.lora_B.weight": torch.zeros(32, 2)}
    save_file(weights, adapter, metadata={"reference_downscale_factor": str(factor)})
    video = load(base=str(ltx2), adapter=str(adapter), two_stages=True, **PLAIN)(shot(3, 70, 91))
    assert video.shape == (3, 70, 91, 3)


def test_anchors_may_have_another_size_than_the_clip_and_stand_where_windows_meet(ltx2: Path, shot: Shot) -> None:
    large, small = (np.full((height, 2 * height, 3), 200, np.uint8) for height in (64, 20))
    render = load(base=str(ltx2), window=9, anchors={0: large, 1: small, 12: large, 29: small}, **PLAIN)
    assert render(shot(30, 37, 51)).shape == (30, 37, 51, 3)


def test_anchors_and_the_end_of_the_window_before_reach_the_autoencoder_as_they_are(
    ltx2: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """References are wanted as 0..1, conditions as 0..255: both must arrive as -1..1."""
    from diffusers import AutoencoderKLLTX2Video

    seen: list[torch.Tensor] = []
    encode = AutoencoderKLLTX2Video.encode
    monkeypatch.setattr(
        AutoencoderKLLTX2Video, "encode", lambda self, pixels: (seen.append(pixels), encode(self, pixels))[1]
    )
    clip = shot(5, 32, 64)
    picture = np.full((32, 64, 3), 200, np.uint8)
    load(base=str(ltx2), anchors={0: picture, 3: picture}, **PLAIN)(clip)
    first, later, reference = seen
    assert torch.allclose(first, torch.tensor(200 / 127.5 - 1))
    assert torch.allclose(later, torch.tensor(200 / 127.5 - 1))
    wanted = torch.from_numpy(clip.channels[Channel.RGB]).permute(3, 0, 1, 2)[None] / 127.5 - 1
    assert torch.allclose(reference, wanted, atol=1e-5)
