"""What an adapter is trained on is what the renderer shows it, token for token."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from renderlift.bridge.clip import Clip
from renderlift.model.bases.facts import EMBEDDED
from renderlift.model.render import load, load_base
from renderlift.model.training.bench import open_bench, save_adapter
from renderlift.model.training.dataset import Scene, survey_scene
from renderlift.model.training.flow import flow_loss
from renderlift.model.training.in_context import OF_LTX2, ltx2_words
from renderlift.model.training.latents import Sizes, encode_dataset, open_latents
from renderlift.model.training.recipe import read_recipe

WriteScene = Callable[..., Path]
SEEN = ("hidden_states", "timestep", "video_coords", "encoder_hidden_states", "sigma")


def inputs_of(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> dict[str, Any]:
    """What the transformer is called with first while `work` is done."""
    from diffusers import LTX2VideoTransformer3DModel

    seen: list[dict[str, Any]] = []
    forward = LTX2VideoTransformer3DModel.forward

    def spy(self: Any, *args: Any, **inputs: Any) -> Any:
        seen.append(dict(inputs))
        return forward(self, *args, **inputs)

    with monkeypatch.context() as patched:
        patched.setattr(LTX2VideoTransformer3DModel, "forward", spy)
        work()
    return seen[0]


@pytest.mark.parametrize("references", [("rgb",), ("rgb", "depth", "normal")])
@pytest.mark.parametrize("factor", [1, 2])
def test_training_shows_what_the_renderer_will_show(
    tmp_path: Path,
    tiny_base: Path,
    write_scene: WriteScene,
    make_clip: Callable[..., Clip],
    monkeypatch: pytest.MonkeyPatch,
    references: tuple[str, ...],
    factor: int,
) -> None:
    folder = write_scene(tmp_path / "data", 0)
    recipe = read_recipe(
        None,
        steps=1,
        references=list(references),
        reference_downscale=factor,
        variants=1,
        rank=4,
        base=str(tiny_base),
    )
    pipeline = load_base(str(tiny_base), torch.float32)
    bench = open_bench(tiny_base, OF_LTX2, recipe, pipeline.vae, (torch.device("cpu"), torch.float32))
    save_adapter(bench, tmp_path / "adapter", recipe, EMBEDDED)
    render = load(
        base=str(tiny_base),
        adapter=str(tmp_path / "adapter"),
        steps=1,
        lock=False,
        device="cpu",
        dtype="float32",
        working_pixels=64 * 96,
    )
    clip = make_clip(5, 64, 96, seed=0)
    theirs = inputs_of(monkeypatch, lambda: render(clip))

    scene = survey_scene(folder, recipe)
    assert isinstance(scene, Scene)
    (tmp_path / "latents").mkdir()
    encode_dataset([scene], bench.autoencoder, recipe, Sizes(64, 96, factor), tmp_path / "latents")
    batch = open_latents([scene], tmp_path / "latents").batch([0], torch.device("cpu"))
    shown = [batch[name] for name in references]
    velocity = bench.velocity(0, ltx2_words(pipeline, None, ""))
    sigma = torch.tensor([1.0])
    ours = inputs_of(
        monkeypatch,
        lambda: flow_loss(velocity, batch["photo"], shown, sigma, bfloat16=False),
    )
    target = batch["photo"].shape[-3:].numel()
    for name in SEEN[1:]:
        np.testing.assert_allclose(ours[name].detach().numpy(), theirs[name].numpy(), atol=2e-5, err_msg=name)
    # The target is noise, drawn anew; latents on disk are half floats.
    ours_shown, theirs_shown = (inputs["hidden_states"].detach()[:, target:] for inputs in (ours, theirs))
    assert ours_shown.shape[1] == len(references) * target // factor**2
    torch.testing.assert_close(ours_shown, theirs_shown, atol=4e-3, rtol=2e-3)
