"""What reaches the transformer is what the recipes say, and no dense tokens x tokens mask is ever built."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import WanTransformer3DModel

from renderlift.bridge.clip import Clip, Video
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.bases.wan import painter as wan_painter
from renderlift.model.bases.wan_packing import decode, encode, share_positions, velocity
from renderlift.model.render import finish, load, load_base, paint

Shot = Callable[..., Clip]
PLAIN = {"steps": 1, "guidance": 1.0, "device": "cpu", "dtype": "float32"}


@pytest.mark.parametrize("name", ["wan", "wan_a14b", "wan_5b"])
def test_references_of_wan_share_the_targets_positions_and_stand_at_timestep_0(
    name: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    transformer: WanTransformer3DModel = load_base(str(folder), torch.float32).transformer
    seen: list[dict[str, Any]] = []
    hook = transformer.blocks[0].register_forward_pre_hook(lambda _, args: seen.append({"rope": args[3]}))
    embed = transformer.condition_embedder.register_forward_pre_hook(lambda _, args: seen.append({"time": args[0]}))
    noisy, reference = torch.randn(1, 16, 3, 4, 6), torch.randn(1, 16, 3, 4, 6)
    text = torch.zeros(1, 4, 32)
    with torch.inference_mode():
        velocity(transformer, noisy, torch.tensor([0.4]), [reference, reference], text, known_frames=1)
    hook.remove()
    embed.remove()
    time, (cosine, sine) = seen[0]["time"].view(3, 3, 6), seen[1]["rope"]
    assert (time[0, 0] == 0).all()  # a frame that is known
    assert torch.allclose(time[0, 1:], torch.tensor(400.0))
    assert (time[1:] == 0).all()
    for table in (cosine, sine):
        target, first, second = table.view(3, 18, -1)
        assert torch.equal(target, first)
        assert torch.equal(target, second)


def test_without_references_wan_is_the_librarys_own_to_the_bit(wan: Path) -> None:
    plain = load_base(str(wan), torch.float32).transformer
    wrapped = load_base(str(wan), torch.float32).transformer
    noisy, text = torch.randn(1, 16, 3, 4, 6), torch.randn(1, 4, 32)
    with torch.inference_mode():
        theirs = plain(noisy, torch.full((1, 18), 500.0), text, return_dict=False)[0]
        ours = velocity(wrapped, noisy, torch.tensor([0.5]), [], text)
    assert torch.equal(ours, theirs)
    assert set(wrapped.state_dict()) == set(plain.state_dict())


@pytest.mark.parametrize("name", ["wan", "wan_a14b", "wan_5b"])
def test_without_references_the_denoising_is_the_stock_pipelines(
    name: str, wan: Path, shot: Shot, request: pytest.FixtureRequest
) -> None:
    """Experts with their guidance, boundary, flow shift and timesteps of each token: as `WanPipeline` has them."""
    folder: Path = request.getfixturevalue(name)
    pipeline = load_base(str(folder), torch.float32)
    own = 3.0 if name == "wan_a14b" else 0.0
    settings = RenderSettings(
        steps=4,
        guidance=2.0,
        low_noise_guidance=own,
        references=(),
        prompt="a car",
        negative_prompt="a tree",
    )
    if pipeline.text_encoder is None:
        pipeline = that_reads(pipeline, wan)
    with torch.inference_mode():
        words = pipeline.encode_prompt("a car", "a tree")
        theirs = pipeline(
            prompt_embeds=words[0],
            negative_prompt_embeds=words[1],
            height=32,
            width=64,
            num_frames=5,
            num_inference_steps=4,
            guidance_scale=2.0,
            guidance_scale_2=own or None,
            generator=torch.Generator().manual_seed(0),
            output_type="pt",
        ).frames[0]
        ours = wan_painter(pipeline, facts_of(folder), settings)(shot(5, 32, 64), {})
    assert torch.allclose(ours, theirs, atol=1e-5)


def that_reads(pipeline: Any, wan: Path) -> Any:
    """The same with a text encoder, without which guidance has nothing to go away from."""
    reader = load_base(str(wan), torch.float32)
    pipeline.register_modules(text_encoder=reader.text_encoder, tokenizer=reader.tokenizer)
    return pipeline


def test_each_expert_of_a14b_has_the_guidance_that_its_publishers_give_it(
    wan: Path, wan_a14b: Path, shot: Shot, tmp_path: Path
) -> None:
    facts, clip = facts_of(wan_a14b), shot(5)
    # github.com/Wan-Video/Wan2.2, wan/configs/wan_t2v_A14B.py
    assert (facts.steps, facts.guidance, facts.low_noise_guidance) == (40, 4.0, 3.0)
    pipeline = that_reads(load_base(str(wan_a14b), torch.float32), wan)
    pipeline.save_pretrained(str(tmp_path))
    words: dict[str, Any] = {"prompt": "a car", "negative_prompt": "a tree", "steps": 4}

    def painted(**guidance: float) -> Video:
        settings = RenderSettings(working_pixels=facts.pixels, **words, **guidance)
        return finish(None, clip, wan_painter(pipeline, facts, settings)(clip, {}))

    how = words | {"device": "cpu", "dtype": "float32"}
    assert np.array_equal(load(base=str(tmp_path), **how)(clip), painted(guidance=4, low_noise_guidance=3))
    one = load(base=str(tmp_path), guidance=4.0, **how)(clip)
    assert np.array_equal(one, painted(guidance=4, low_noise_guidance=4))
    assert not np.array_equal(one, painted(guidance=4, low_noise_guidance=3))


def test_each_expert_of_vace_can_have_a_guidance_of_its_own(wan: Path, wan_vace_a14b: Path, shot: Shot) -> None:
    facts = facts_of(wan_vace_a14b)
    pipeline, clip = that_reads(load_base(str(wan_vace_a14b), torch.float32), wan), shot(5)

    def painted(low_noise_guidance: float) -> torch.Tensor:
        settings = RenderSettings(
            steps=4,
            prompt="a car",
            negative_prompt="a tree",
            guidance=2.0,
            low_noise_guidance=low_noise_guidance,
        )
        return paint(pipeline, settings, clip, facts)

    assert torch.equal(painted(0.0), painted(2.0))
    assert not torch.equal(painted(0.0), painted(4.0))


def test_a_reference_acts_on_wan_and_never_comes_out_of_it(wan: Path) -> None:
    transformer = load_base(str(wan), torch.float32).transformer
    noisy, text = torch.randn(1, 16, 3, 4, 6), torch.zeros(1, 4, 32)
    with torch.inference_mode():
        one, other = (
            velocity(transformer, noisy, torch.tensor([0.5]), [torch.randn(1, 16, 3, 4, 6)], text) for _ in range(2)
        )
    assert one.shape == noisy.shape
    assert not torch.equal(one, other)


def test_wans_latents_are_normalised_as_the_pipeline_does(wan: Path) -> None:
    pipeline = load_base(str(wan), torch.float32)
    pixels = torch.rand(1, 3, 5, 32, 32) * 2 - 1
    with torch.inference_mode():
        latents = encode(pipeline.vae, pixels)
        ours = decode(pipeline.vae, latents)
        mean = torch.tensor(pipeline.vae.config.latents_mean).view(1, 16, 1, 1, 1)
        scale = 1 / torch.tensor(pipeline.vae.config.latents_std).view(1, 16, 1, 1, 1)
        theirs = pipeline.vae.decode(latents / scale + mean, return_dict=False)[0]
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_both_experts_of_a14b_are_used(wan_a14b: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    forward = WanTransformer3DModel.forward
    monkeypatch.setattr(
        WanTransformer3DModel, "forward", lambda self, **k: (used.append(id(self)), forward(self, **k))[1]
    )
    load(base=str(wan_a14b), **PLAIN | {"steps": 6})(shot(5))  # type: ignore[arg-type]
    assert len(used) == 6
    assert len(set(used)) == 2
    assert used == sorted(used, key=used.index)


def test_several_references_of_ltx2_are_packed_in_the_adapters_order(
    ltx2: Path, shot: Shot, seen: list[Any]
) -> None:
    from dataclasses import replace

    from renderlift.model.bases.facts import LTX2
    from renderlift.model.bases.ltx2 import painter

    pipeline = load_base(str(ltx2), torch.float32)
    settings = RenderSettings(steps=1, references=("rgb", "depth", "normal"))
    with torch.inference_mode():
        painter(pipeline, LTX2, settings)(shot(9), {})
        painter(pipeline, LTX2, replace(settings, references=("rgb",)))(shot(9), {})
    three, one = (call["hidden_states"].shape[1] for call in seen)
    assert three == 2 * one  # target + 3 references against target + 1
    per_video = three // 4
    coordinates = seen[0]["video_coords"].unflatten(2, (4, per_video))
    for n in range(1, 4):
        assert torch.equal(coordinates[:, :, n], coordinates[:, :, 0])
    assert (seen[0]["timestep"][:, per_video:] == 0).all()
    assert all(call["video_self_attention_mask"] is None for call in seen)


@pytest.mark.parametrize("name", ["ltx2", "ltx2_3", "ltx2_5"])
def test_no_path_builds_a_tokens_by_tokens_mask(
    name: str, shot: Shot, seen: list[Any], request: pytest.FixtureRequest
) -> None:
    folder, picture = str(request.getfixturevalue(name)), np.zeros((32, 48, 3), np.uint8)
    load(base=folder, reference_strength=0.5, anchors={4: picture}, window=9, **PLAIN)(shot(20))  # type: ignore[arg-type]
    assert seen
    assert all(call["video_self_attention_mask"] is None for call in seen)


@pytest.mark.parametrize("place", [0, 3, 8])
def test_an_anchor_of_ltx2_stands_at_its_own_frame(ltx2: Path, shot: Shot, seen: list[Any], place: int) -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    load(base=str(ltx2), anchors={place: picture}, **PLAIN)(shot(9))  # type: ignore[arg-type]
    clean = seen[0]["timestep"][0] == 0
    starts = seen[0]["video_coords"][0, 0, :, 0]
    assert any(torch.isclose(starts[clean], torch.tensor(place / 24), atol=1e-6))


@pytest.mark.parametrize(
    ("steps", "places"),
    [(8, range(8)), (4, (0, 2, 5, 7)), (2, (0, 7)), (1, (0,)), (7, (0, 1, 2, 4, 5, 6, 7))],
)
def test_distilled_weights_get_noise_levels_they_were_distilled_on(
    ltx2: Path, shot: Shot, seen: list[Any], steps: int, places: Sequence[int]
) -> None:
    from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES

    load(base=str(ltx2), **PLAIN | {"steps": steps})(shot(1))  # type: ignore[arg-type]
    # The embedded base's scheduler shifts nothing, so the levels arrive as they are.
    levels = [float(call["sigma"][0]) / 1000 for call in seen]
    assert np.allclose(levels, [DISTILLED_SIGMA_VALUES[place] for place in places])


@pytest.mark.parametrize(("name", "steps"), [("ltx2", 9), ("tiny_base", 4)])
def test_levels_are_equally_spaced_where_no_given_ones_suffice(
    name: str, steps: int, shot: Shot, seen: list[Any], request: pytest.FixtureRequest
) -> None:
    load(base=str(request.getfixturevalue(name)), **PLAIN | {"steps": steps, "adapter": "none"})(shot(1))  # type: ignore[arg-type]
    levels = [float(call["sigma"][0]) / 1000 for call in seen]
    assert np.allclose(np.diff(levels), -1 / steps, atol=1e-6)


def test_two_stages_paint_small_with_the_reference_and_refine_large_without(
    ltx2: Path, shot: Shot, seen: list[Any]
) -> None:
    video = load(base=str(ltx2), two_stages=True, **PLAIN)(shot(5, 64, 64))  # type: ignore[arg-type]
    assert video.shape == (5, 64, 64, 3)
    first, *later = (call["hidden_states"].shape[1] for call in seen)
    assert first == 2 * (2 * 4 * 4)  # 2 x 4 x 4 latents, and as many of the reference
    assert later == [2 * 8 * 8] * 3


def test_wrapping_twice_changes_nothing(wan: Path) -> None:
    transformer = load_base(str(wan), torch.float32).transformer
    share_positions(transformer, 2)
    rope = transformer.rope
    share_positions(transformer, 3)
    assert transformer.rope is rope
    assert rope.copies == 3
