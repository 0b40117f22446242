"""Training must pack exactly as the pipeline does, or an adapter learns another language."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import LTX2ReferenceCondition

from renderlift.model.packing import Tokens, empty_context, empty_prompt, encode, pack, velocity
from renderlift.model.render import FRAME_RATE, NO_GUIDANCE, load_base


@pytest.mark.parametrize("factor", [1, 2])
def test_training_packs_tokens_timesteps_and_positions_as_the_pipeline_does(tiny_base: Path, factor: int) -> None:
    pipeline = load_base(str(tiny_base), torch.float32)
    height, width, frames = 64, 96, 9
    reference = torch.rand(frames, 3, height // factor, width // factor)
    seen: list[dict[str, Any]] = []
    handle = pipeline.transformer.register_forward_pre_hook(
        lambda _module, _args, inputs: seen.append(dict(inputs)), with_kwargs=True
    )
    embeds, mask = empty_prompt(pipeline)
    with torch.inference_mode():
        pipeline(
            prompt_embeds=embeds,
            prompt_attention_mask=mask,
            **NO_GUIDANCE,
            spatio_temporal_guidance_blocks=None,
            reference_conditions=LTX2ReferenceCondition(frames=reference),
            reference_downscale_factor=factor,
            height=height,
            width=width,
            num_frames=frames,
            frame_rate=FRAME_RATE,
            sigmas=[0.6],
            num_inference_steps=1,
            generator=torch.Generator().manual_seed(0),
            output_type="latent",
        )
        target = Tokens(seen[0]["hidden_states"][:, : 3 * 8 * 12], 3, 8, 12)
        clean = pack(encode(pipeline.vae, (reference * 2 - 1).permute(1, 0, 2, 3)[None]))
        velocity(
            pipeline.transformer,
            target,
            torch.tensor([0.6]),
            [clean],
            empty_context(pipeline),
            fps=FRAME_RATE,
        )
    handle.remove()
    theirs, ours = seen
    for name in ("hidden_states", "timestep", "video_coords", "encoder_hidden_states", "sigma"):
        np.testing.assert_allclose(ours[name].numpy(), theirs[name].numpy(), atol=2e-5, err_msg=name)


def test_the_loss_reaches_the_target_tokens_only(tiny_base: Path) -> None:
    pipeline = load_base(str(tiny_base), torch.float32)
    target = pack(torch.randn(2, 8, 3, 4, 4))
    reference = pack(torch.randn(2, 8, 3, 4, 4))
    predicted = velocity(
        pipeline.transformer, target, torch.tensor([0.3, 0.9]), [reference], empty_context(pipeline)
    )
    assert predicted.shape == target.values.shape


def test_dropping_the_reference_changes_the_prediction(tiny_base: Path) -> None:
    pipeline = load_base(str(tiny_base), torch.float32)
    target, reference = pack(torch.randn(1, 8, 3, 4, 4)), pack(torch.randn(1, 8, 3, 4, 4))
    sigma, context = torch.tensor([0.5]), empty_context(pipeline)
    with torch.inference_mode():
        with_reference = velocity(pipeline.transformer, target, sigma, [reference], context)
        without = velocity(pipeline.transformer, target, sigma, [], context)
    assert (with_reference - without).abs().max() > 1e-4
