"""LTX-2.3 and 2.5 do what LTX-2 does, through the same pipeline."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES

from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import Channel
from renderlift.model.bases.facts import LTX2, LTX2_FULL, facts_of
from renderlift.model.bases.ltx2 import painter
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.packing import Context, Tokens, encode, pack, velocity
from renderlift.model.presets import read_weights
from renderlift.model.render import load, load_base
from renderlift.model.training.in_context import ltx2_words

Shot = Callable[..., Clip]
PLAIN: dict[str, Any] = {"steps": 1, "guidance": 1.0, "device": "cpu", "dtype": "float32"}


@pytest.fixture(params=["ltx2_3", "ltx2_5"])
def folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def test_what_sets_a_version_apart_is_loaded_with_it(folder: Path) -> None:
    is_2_5 = folder.name == "ltx2_5"
    pipeline = load_base(str(folder), torch.float32)
    names = set(pipeline.transformer.state_dict())
    assert facts_of(folder) == replace(LTX2, version="2.5" if is_2_5 else "2.3")
    assert type(pipeline.text_encoder).__name__.startswith("Gemma4Unified" if is_2_5 else "Gemma3")
    assert type(pipeline.vocoder).__name__ == "LTX2VocoderWithBWE"
    assert {"transformer_blocks.0.attn1.to_gate_logits.bias", "prompt_adaln.linear.bias"} < names
    assert not any(name.startswith("caption_projection") for name in names)
    assert ("keyframes_abs_pos_embedding" in names) is is_2_5
    assert ("transformer_blocks.0.ff.net.2.bias" in names) is not is_2_5


def test_the_lora_for_full_weights_is_left_alone_where_they_are_distilled(
    ltx2_5: Path, shot: Shot, seen: list[Any], tmp_path: Path
) -> None:
    """LTX-2.5 brings one for `transformer_full`; in `transformer`, it would distil twice."""
    without = shutil.copytree(ltx2_5, tmp_path / "base", ignore=shutil.ignore_patterns("*distilled-lora*"))
    settings = PLAIN | {"steps": 8}
    assert np.array_equal(load(base=str(ltx2_5), **settings)(shot(9)), load(base=str(without), **settings)(shot(9)))
    assert np.allclose([float(call["sigma"][0]) / 1000 for call in seen], DISTILLED_SIGMA_VALUES * 2)


def test_full_weights_of_2_3_are_guided_over_thirty_shifted_levels(
    ltx2_3: Path, shot: Shot, seen: list[Any], tmp_path: Path
) -> None:
    folder = shutil.copytree(ltx2_3, tmp_path / "base")
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.1)
    scheduler.save_pretrained(str(folder / "scheduler"))
    assert facts_of(folder) == replace(LTX2_FULL, version="2.3")
    load(base=str(folder), device="cpu", dtype="float32")(shot(1))
    assert len(seen) == 30
    assert all(len(call["hidden_states"]) == 2 for call in seen)  # with the negative prompt and without


def test_each_window_goes_on_from_the_one_before(folder: Path, shot: Shot, seen: list[Any]) -> None:
    video = load(base=str(folder), window=33, **PLAIN)(shot(57))
    assert video.shape == (57, 32, 48, 3)
    first, second = (call["timestep"][0, :10] == 0 for call in seen)  # 5 latent frames of 1 x 2 tokens
    assert not first.any()
    assert second.tolist() == [True] * 4 + [False] * 6  # 9 frames are 2 latents


def test_an_anchor_stands_at_its_own_frame(folder: Path, shot: Shot, seen: list[Any]) -> None:
    load(base=str(folder), anchors={3: np.zeros((32, 48, 3), np.uint8)}, **PLAIN)(shot(9))
    clean = seen[0]["timestep"][0] == 0
    assert any(torch.isclose(seen[0]["video_coords"][0, 0, clean, 0], torch.tensor(3 / 24), atol=1e-6))


def test_several_references_share_the_targets_positions(folder: Path, shot: Shot, seen: list[Any]) -> None:
    pipeline = load_base(str(folder), torch.float32)
    with torch.inference_mode():
        painter(pipeline, LTX2, RenderSettings(steps=1, references=("rgb", "depth")))(shot(9), {})
    target, *references = seen[0]["video_coords"].chunk(3, 2)
    assert all(torch.equal(reference, target) for reference in references)
    assert (seen[0]["timestep"].chunk(3, 1)[1] == 0).all()


def test_two_stages_give_the_clips_own_size(folder: Path, shot: Shot, seen: list[Any]) -> None:
    assert load(base=str(folder), two_stages=True, **PLAIN)(shot(3, 70, 91)).shape == (3, 70, 91, 3)
    assert len(seen) == 1 + 3


def test_training_packs_as_the_pipeline_does(folder: Path, shot: Shot, seen: list[Any]) -> None:
    pipeline: Any = load_base(str(folder), torch.float32)
    clip = shot(9, 64, 64)
    with torch.inference_mode():
        painter(pipeline, LTX2, RenderSettings(steps=1, prompt="a car"))(clip, {})
        target = Tokens(seen[0]["hidden_states"][:, : 2 * 2 * 2], 2, 2, 2)
        pixels = torch.from_numpy(clip.channels[Channel.RGB]).permute(3, 0, 1, 2)[None] / 127.5 - 1
        words = ltx2_words(pipeline, pipeline.transformer, "a car")
        sigma = seen[0]["sigma"] / 1000
        velocity(
            pipeline.transformer,
            target,
            sigma,
            [pack(encode(pipeline.vae, pixels))],
            Context(words["video"], words["audio"]),
        )
    theirs, ours = seen
    names = ("hidden_states", "timestep", "video_coords", "sigma", "encoder_hidden_states")
    for name in (*names, "audio_encoder_hidden_states", "audio_sigma", "use_cross_timestep"):
        assert np.allclose(ours[name], theirs[name], atol=2e-5), name


def test_a_base_without_its_text_encoder_paints_without_words(folder: Path, shot: Shot, tmp_path: Path) -> None:
    bare = shutil.copytree(folder, tmp_path / "base", ignore=shutil.ignore_patterns("text_encoder", "tokenizer"))
    assert load(base=str(bare), **PLAIN)(shot(9)).shape == (9, 32, 48, 3)


def test_what_is_never_loaded_counts_for_no_preset(ltx2_5: Path, tmp_path: Path) -> None:
    whole = shutil.copytree(ltx2_5, tmp_path / "base")
    shutil.copytree(whole / "transformer", whole / "transformer_full")
    assert read_weights(whole) == read_weights(ltx2_5)
