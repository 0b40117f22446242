"""VACE in training: shown what its stock pipeline shows it, and at rendering the control that it learned with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import WanVACETransformer3DModel

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import SetupError
from renderlift.model import lora
from renderlift.model.pairs.columns import export_pairs
from renderlift.model.render import load, load_base
from renderlift.model.training import text
from renderlift.model.training.adapter import settled
from renderlift.model.training.bench import open_bench
from renderlift.model.training.dataset import Scene, survey_scene
from renderlift.model.training.in_context import OF_VACE
from renderlift.model.training.latents import Sizes, encode_dataset, open_latents
from renderlift.model.training.recipe import read_recipe
from renderlift.model.training.run import train
from renderlift.model.training.talk import Silence

from .small_training import SMALL, write_pair

Shot = Callable[..., Clip]
PLAIN: dict[str, Any] = {"steps": 1, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
GIVEN: dict[str, Any] = {**SMALL, "steps": 2}


@pytest.fixture
def dataset(tmp_path: Path, shot: Shot) -> Path:
    write_pair(tmp_path / "data" / "000000", shot(5, 32, 64))
    return tmp_path / "data"


@pytest.fixture
def videos(dataset: Path, tmp_path: Path) -> Path:
    """The same pairs as videos, which hold pictures and no other buffer."""
    export_pairs(dataset, tmp_path / "videos", talk=Silence())
    return tmp_path / "videos"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], torch.Tensor]]:
    """What VACE's transformer is called with, and what it answers."""
    seen: list[tuple[dict[str, Any], torch.Tensor]] = []
    forward = WanVACETransformer3DModel.forward

    def spying(self: Any, **inputs: Any) -> Any:
        answer = forward(self, **inputs)
        seen.append((inputs, answer[0]))
        return answer

    monkeypatch.setattr(WanVACETransformer3DModel, "forward", spying)
    return seen


@pytest.mark.parametrize("control", ["edge", "depth", "rgb"])
def test_training_and_the_stock_pipeline_call_the_transformer_alike(
    control: str, wan_vace: Path, dataset: Path, shot: Shot, calls: list[Any], tmp_path: Path
) -> None:
    recipe = settled(read_recipe(None, base=str(wan_vace), control=control, steps=1, rank=2))
    load(base=str(wan_vace), control=control, **PLAIN)(shot(5, 32, 64))
    (theirs, answer), *_ = calls
    calls.clear()

    autoencoder = load_base(str(wan_vace), torch.float32).vae
    scene = survey_scene(dataset / "000000", recipe)
    assert isinstance(scene, Scene)
    encode_dataset([scene], autoencoder, recipe, Sizes(32, 64, 1), tmp_path / "latents", encode=OF_VACE.encode)
    shown = open_latents([scene], tmp_path / "latents").clip(0)[f"control {control}"][None]
    place = torch.device("cpu"), torch.float32
    constants = OF_VACE.constants(autoencoder, (5, 32, 64))
    bench = open_bench(wan_vace, OF_VACE, recipe, autoencoder, place, constants=constants)
    sigma = theirs["timestep"].float() / 1000
    ours = bench.velocity(0, {"text": theirs["encoder_hidden_states"]})(theirs["hidden_states"], sigma, [shown])
    (called, _), *_ = calls
    assert torch.equal(called["timestep"], theirs["timestep"].float())
    assert (theirs["control_hidden_states_scale"] == 1).all()
    # Latents on disk are half floats.
    torch.testing.assert_close(
        called["control_hidden_states"], theirs["control_hidden_states"], atol=4e-3, rtol=2e-3
    )
    torch.testing.assert_close(ours.detach(), answer, atol=1e-2, rtol=1e-2)


def test_the_control_it_learned_with_is_the_one_it_paints_by(
    wan_vace: Path, dataset: Path, shot: Shot, tmp_path: Path
) -> None:
    train(tmp_path / "adapter", dataset, base=str(wan_vace), control="depth", **GIVEN)
    facts = lora.read_facts(tmp_path / "adapter")
    assert (facts.control, facts.references) == ("depth", ())
    assert "control depth" in (tmp_path / "adapter" / "README.md").read_text()

    def painted(**asked: Any) -> np.ndarray:
        return load(base=str(wan_vace), **{"adapter": str(tmp_path / "adapter"), **PLAIN, **asked})(shot(5, 32, 64))

    assert np.array_equal(painted(), painted(control="depth"))
    assert not np.array_equal(painted(), painted(control="depth=0.2"))
    assert not np.array_equal(painted(), painted(control="depth", adapter="none"))
    with pytest.raises(SetupError, match="trained with the control depth, not edge"):
        painted(control="edge")


@pytest.mark.parametrize("control", ["edge", "rgb", "blur"])
def test_videos_are_enough_for_what_is_made_from_them(
    control: str, wan_vace: Path, videos: Path, tmp_path: Path
) -> None:
    assert train(tmp_path / "out", videos, base=str(wan_vace), control=control, **{**GIVEN, "steps": 1})


def test_a_recipe_of_a_training_on_vace_trains_again(wan_vace: Path, dataset: Path, tmp_path: Path) -> None:
    train(tmp_path / "out", dataset, base=str(wan_vace), **GIVEN)
    saved = tmp_path / "out" / "training" / "recipe.toml"
    given: dict[str, Any] = {"config": saved, "device": "cpu", "dry_run": True}
    assert train(tmp_path / "out", dataset, **given)
    with pytest.raises(SetupError, match="another control"):
        train(tmp_path / "out", dataset, control="rgb", **given)


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("wan_vace", {"control": "depth"}, "none of what is shown: control depth"),
        ("wan_vace", {"control": "seg"}, "none of what is shown: control seg"),
        ("wan_vace", {"control": "edges"}, "one of edge, depth"),
        ("wan_vace", {"task": "forward"}, "no references such as albedo, normal, depth"),
        ("wan", {"control": "edge"}, "reads references, not a control"),
        ("tiny_base", {"control": "edge", "task": "lock"}, "adapters on Wan VACE"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_is_loaded(
    name: str,
    asked: dict[str, str],
    said: str,
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    def refuse(*given: Any, **left_out: Any) -> Any:
        pytest.fail("weights were read")

    for place in ("adapter.load_part", "bench.load_part"):
        monkeypatch.setattr(f"renderlift.model.training.{place}", refuse)
    monkeypatch.setattr(text, "open_pipeline", refuse)
    with pytest.raises(SetupError, match=said):
        train(tmp_path / "out", videos, base=str(request.getfixturevalue(name)), **{**GIVEN, **asked})
