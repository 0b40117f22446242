"""Cosmos-Transfer: windows that go on from each other, controls with weights, a guardrail that sees."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import Cosmos2_5_TransferPipeline, CosmosControlNetModel, CosmosTransformer3DModel
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from renderlift.bridge.clip import Clip, stack
from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.errors import RenderError, SetupError
from renderlift.model.bases.controls import control_video, controls_of
from renderlift.model.bases.cosmos import painter
from renderlift.model.bases.facts import COSMOS
from renderlift.model.bases.opening import open_pipeline
from renderlift.model.bases.prompts import no_words
from renderlift.model.bases.settings import Picture, RenderSettings
from renderlift.model.control import to_pixels, to_video
from renderlift.model.render import load, load_base

Shot = Callable[..., Clip]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the pipeline is called with."""
    calls: list[dict[str, Any]] = []
    call = Cosmos2_5_TransferPipeline.__call__

    def spying(self: Any, **how: Any) -> Any:
        calls.append(how)
        return call(self, **how)

    monkeypatch.setattr(Cosmos2_5_TransferPipeline, "__call__", spying)
    return calls


def painted(cosmos: Path, clip: Clip, known: Mapping[int, Picture] | None = None, **how: Any) -> torch.Tensor:
    settings = RenderSettings(steps=1, **how)
    pipeline = open_pipeline(cosmos, COSMOS, torch.float32, controls=settings.controls)
    with torch.inference_mode():
        return painter(cast(Any, pipeline), COSMOS, settings)(clip, known or {})


def test_a_window_is_as_long_as_the_base_was_trained_on(
    cosmos: Path, shot: Shot, asked: list[dict[str, Any]]
) -> None:
    assert painted(cosmos, shot(40)).shape == (40, 3, 32, 48)
    assert asked[0]["num_frames_per_chunk"] == 93
    with pytest.raises(SetupError, match="93 frames at once") as refused:
        painted(cosmos, shot(94))
    assert "--window 93" in refused.value.fix


def test_a_window_goes_on_as_the_pipelines_own_chunks_do(
    cosmos: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second chunk of the pipeline, and our second window, are prepared from the same pictures."""
    prepared: list[dict[str, Any]] = []
    prepare = Cosmos2_5_TransferPipeline.prepare_latents

    def spying(self: Any, **how: Any) -> Any:
        prepared.append({name: how[name] for name in ("video", "num_cond_latent_frames")})
        return prepare(self, **how)

    monkeypatch.setattr(Cosmos2_5_TransferPipeline, "prepare_latents", spying)
    clip = shot(93 + 10)
    pipeline = cast(Any, load_base(str(cosmos), torch.float32))
    words = no_words(512, pipeline.transformer.config.text_embed_dim, torch.device("cpu"), torch.float32)
    whole = pipeline(
        controls=to_pixels(control_video("edge", clip, 32, 48)),
        prompt_embeds=words,
        height=32,
        width=48,
        num_inference_steps=1,
        guidance_scale=1.0,
        num_ar_conditional_frames=5,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    ).frames[0]
    known = dict(enumerate(to_video(whole[88:93])))
    later = stack(clip.frames[88:])
    ours = painted(cosmos, later, known)

    _, theirs, told = prepared
    assert told["num_cond_latent_frames"] == theirs["num_cond_latent_frames"] == 2
    assert torch.allclose(told["video"], theirs["video"], atol=2.1 / 255)  # ours went through 8 bits
    assert not torch.equal(ours, painted(cosmos, later))


@pytest.mark.parametrize(("known", "latents"), [((0,), 1), ((0, 1, 2), 1), ((0, 1, 2, 3, 4), 2), ((1, 2), 0)])
def test_of_known_pictures_those_that_begin_the_clip_and_fill_latents_are_used(
    cosmos: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch, known: tuple[int, ...], latents: int
) -> None:
    used: list[int] = []
    prepare = Cosmos2_5_TransferPipeline.prepare_latents

    def spying(self: Any, **how: Any) -> Any:
        used.append(how["num_cond_latent_frames"])
        return prepare(self, **how)

    monkeypatch.setattr(Cosmos2_5_TransferPipeline, "prepare_latents", spying)
    painted(cosmos, shot(9), dict.fromkeys(known, np.zeros((32, 48, 3), np.uint8)))
    assert used == [latents]


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "rgb"])
def test_each_control_comes_from_the_engines_buffers_at_its_weight(
    cosmos: Path, shot: Shot, asked: list[dict[str, Any]], name: str
) -> None:
    clip = shot(5)
    painted(cosmos, clip, controls={name: 0.5}, reference_strength=0.4)
    (call,) = asked
    assert call["controls_conditioning_scale"] == 0.2
    wanted = control_video(name, clip, 32, 48)
    assert np.array_equal(np.rint(call["controls"][:5].permute(0, 2, 3, 1).numpy() * 255), wanted)


@pytest.fixture
def several(cosmos: Path, tmp_path: Path) -> Path:
    """A Cosmos with a net for edges and one for depth, where `fetch` puts them."""
    folder = shutil.copytree(cosmos, tmp_path / "several")
    (folder / "controlnet").rename(folder / "controlnet_edge")
    net = CosmosControlNetModel.from_pretrained(folder / "controlnet_edge")
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    net.save_pretrained(folder / "controlnet_depth")
    return folder


def test_several_controls_steer_by_their_weights(
    several: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pipeline samples the latents of its control, with a spread that untrained weights make large.
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda latents, generator: latents.mode())

    def video(**controls: float) -> torch.Tensor:
        return painted(several, shot(5), controls=controls, guidance=2.0)

    edge, depth = video(edge=1.0), video(depth=1.0)

    def apart(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a - b).abs().mean() / (edge - depth).abs().mean())

    # A control without weight says nothing, wherever it stands.
    assert apart(video(edge=1.0, depth=0.0), edge) < 0.01
    assert apart(video(depth=0.0, edge=1.0), edge) < 0.01
    between = video(edge=0.5, depth=0.5)
    assert 0.2 < apart(between, edge) < 1
    assert 0.2 < apart(between, depth) < 1


def test_a_control_without_a_net_says_where_it_belongs(several: Path) -> None:
    with pytest.raises(SetupError, match="no control net for seg and blur") as refused:
        load(base=str(several), control="edge, seg, blur", device="cpu")
    assert str(several / "controlnet_seg") in refused.value.fix


@pytest.mark.parametrize("text", ["edge=2", "edge=-1", "edge=much", "edge,edge", "edges", "", "edge=nan"])
def test_controls_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(SetupError):
        controls_of(text)


def test_weights_that_are_too_much_together_are_shared_out() -> None:
    assert controls_of("edge") == {"edge": 1.0}
    assert controls_of("edge=0.5, depth=0.25") == {"edge": 0.5, "depth": 0.25}
    assert controls_of("edge,depth,seg=0.5") == {"edge": 0.4, "depth": 0.4, "seg": 0.2}


class Silent(torch.nn.Identity):
    """Where a text encoder stands that is never asked; the pipeline computes where its parts are."""

    dtype, device = torch.float32, torch.device("cpu")


def test_the_guardrail_reads_the_prompt_though_the_pipeline_gets_it_encoded(
    cosmos: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = load_base(str(cosmos), torch.float32)
    pipeline.text_encoder = Silent()
    monkeypatch.setattr(pipeline.safety_checker, "check_text_safety", lambda words: "harm" not in words)
    with pytest.raises(RenderError, match="guardrail"):
        painter(pipeline, COSMOS, RenderSettings(steps=1, prompt="harm"))(shot(5), {})


@pytest.fixture
def reading(cosmos: Path, tmp_path: Path) -> Path:
    """A Cosmos that reads words, with the text encoder and the projections of the published one, tiny."""
    folder = shutil.copytree(cosmos, tmp_path / "reading")
    words = {"<pad>": 0, "<unk>": 1, "a": 2, "car": 3, "tree": 4, "user": 5, "system": 6}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        chat_template="{% for m in messages %}{{ m['role'] }} {{ m['content'][0]['text'] }} {% endfor %}",
    ).save_pretrained(folder / "tokenizer")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    seeing = {**sizes, "out_hidden_size": 16, "depth": 1, "num_heads": 2}
    told = {
        **sizes,
        "vocab_size": 8,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4},
    }
    torch.manual_seed(2)
    config = Qwen2_5_VLConfig(text_config=told, vision_config=seeing)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder / "text_encoder")
    for part, kind in (("transformer", CosmosTransformer3DModel), ("controlnet", CosmosControlNetModel)):
        settings = kind.load_config(folder / part)
        projected = {"use_crossattn_projection": True, "crossattn_proj_in_channels": 32}
        projected |= {"encoder_hidden_states_channels": settings["text_embed_dim"]}
        shutil.rmtree(folder / part)
        kind.from_config({**settings, **projected}).save_pretrained(folder / part)
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"]}
    index |= {"tokenizer": ["transformers", "PreTrainedTokenizerFast"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def test_words_reach_the_picture_and_are_read_once(
    reading: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    encode = Cosmos2_5_TransferPipeline._get_prompt_embeds

    def noted(self: Any, prompt: Any, **how: Any) -> Any:
        read.append(prompt[0] if isinstance(prompt, list) else prompt)
        return encode(self, prompt, **how)

    monkeypatch.setattr(Cosmos2_5_TransferPipeline, "_get_prompt_embeds", noted)

    def video(prompt: str, guidance: float) -> np.ndarray:
        opposite = "tree" if guidance > 1 else ""
        render = load(
            base=str(reading), prompt=prompt, negative_prompt=opposite, guidance=guidance, steps=2, device="cpu"
        )
        return np.stack([render(shot(3)), render(shot(3))])

    car = video("a car", 1.0)
    assert np.array_equal(car[0], car[1])
    assert read == ["a car"]
    assert not np.array_equal(video("a tree", 1.0), car)
    assert not np.array_equal(video("a car", 3.0), car)
    assert read[1:] == ["a tree", "a car", "tree"]
