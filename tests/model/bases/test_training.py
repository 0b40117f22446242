"""`renderlift train` on every base that takes adapters: ten steps, resumed, saved, the same picture elsewhere.

What is VACE's own stands in test_training_vace.py."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTX2InContextPipeline, WanPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import SetupError
from renderlift.model import control, lora
from renderlift.model.bases import comfyui
from renderlift.model.bases.adapters import LOW_NOISE_FILE
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.opening import open_painter
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.render import load, load_base
from renderlift.model.training import adapter as training
from renderlift.model.training import parts, text
from renderlift.model.training.bench import Bench, experts_turns, open_bench
from renderlift.model.training.in_context import OF_LTX2, OF_WAN, kind_of
from renderlift.model.training.run import train
from renderlift.model.training.talk import Silence
from tests.model.training.side_by_side import run_side_by_side

from .small_training import SMALL, write_pair

Shot = Callable[..., Clip]
Elsewhere = Callable[..., np.ndarray]
BASES = ("tiny_base", "ltx2", "ltx2_3", "ltx2_5", "wan", "wan_a14b", "wan_5b", "wan_vace", "wan_vace_a14b")
TWO_EXPERTS = ("wan_a14b", "wan_vace_a14b")
ROUNDED = ("ltx2_3", "ltx2_5", "wan_vace", "wan_vace_a14b")
STEPS = 10
FRAMES = 9  # as few as all of them take, beyond a single one
GIVEN: dict[str, Any] = {**SMALL, "steps": STEPS, "frames": FRAMES, "alpha": 4, "weigh_channels": False}

# Renders clips that the test renders, in a process of its own: one line for each, answered when it is done.
ELSEWHERE = f"""
import sys
import numpy as np
from renderlift.bridge.clip import clips
from renderlift.bridge.record import read_frames
from renderlift.model.render import load
for line in sys.stdin:
    base, adapter, recording, output = line.rstrip().split("|")
    as_painted = {{"device": "cpu", "dtype": "float32", "lock": False, "steady": 0.0}}
    render = load(base=base, adapter=adapter, steps=4, guidance=1.0, **as_painted)
    np.save(output, render(next(clips(read_frames(recording), length={FRAMES}))))
    print("done", flush=True)
"""


class Losses(Silence):
    """Keeps the loss of every step."""

    def __init__(self) -> None:
        self.of: dict[int, float] = {}

    def progress(self, stage: str, done: int, total: int | None = None, *, text: str = "", **facts: object) -> None:
        if "loss" in facts:
            self.of[int(str(facts["step"]))] = float(str(facts["loss"]))


@pytest.fixture(params=BASES)
def base(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def dataset(tmp_path: Path, shot: Shot) -> Path:
    write_pair(tmp_path / "data" / "000000", shot(FRAMES, 32, 64))
    return tmp_path / "data"


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> list[Bench]:
    """The models of every training, as they were when it saved them."""
    kept: list[Bench] = []
    save = training.save_adapter

    def keep(bench: Bench, *rest: Any) -> Path:
        kept.append(bench)
        return save(bench, *rest)

    monkeypatch.setattr(training, "save_adapter", keep)
    return kept


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    """elsewhere(base, adapter, recording, output): what another process paints."""
    command = [sys.executable, "-c", ELSEWHERE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout

        def paint(*paths: Path) -> np.ndarray:
            print(*paths, sep="|", file=process.stdin, flush=True)
            assert process.stdout.readline() == "done\n", process.wait(5)
            return np.load(paths[-1])

        yield paint


def painted_by(bench: Bench, base: Path, clip: Clip) -> np.ndarray:
    """What the trained models themselves paint."""
    pipeline: Any = load_base(str(base), torch.float32)
    for part, denoiser in bench.denoisers.items():
        setattr(pipeline, part, denoiser)
    return painted_with(pipeline, base, clip)


def painted_with(pipeline: Any, base: Path, clip: Clip) -> np.ndarray:
    facts = facts_of(base)
    with torch.inference_mode():
        settings = RenderSettings(steps=4, working_pixels=facts.pixels)
        painted = open_painter(facts, pipeline, settings, base)(clip, {})
        return control.resize(control.to_video(painted), clip.height, clip.width)


def learned(file: Path) -> bool:
    """Whether every layer's second matrix has left zero; words that are all alike give nothing to learn."""
    return all(t.any() for key, t in load_file(file).items() if "lora_B" in key and "attn2" not in key)


def test_ten_steps_give_an_adapter_that_paints_the_same_elsewhere(
    base: Path,
    dataset: Path,
    benches: list[Bench],
    elsewhere: Callable[..., np.ndarray],
    shot: Shot,
    tmp_path: Path,
) -> None:
    output, clip = tmp_path / "adapter", shot(FRAMES, 32, 64)
    assert train(output, dataset, base=str(base), **GIVEN)
    with torch.no_grad():
        here = painted_by(benches[0], base, clip)
    there = elsewhere(base, output, dataset / "000000" / "render", tmp_path / "elsewhere.npy")
    plain = painted_by(Bench(**{**vars(benches[0]), "denoisers": {}}), base, clip)
    apart = abs(here.astype(int) - there)
    # Weights that the library maps from their file do not begin at multiples of 64 bytes, as trained ones do, and
    # some of the sums of LTX-2.3, 2.5 and VACE then round the other way, which ones depends on the machine.
    assert apart.max() <= (1 if base.name in ROUNDED else 0)
    assert (apart > 0).mean() < 1e-3
    assert not np.array_equal(here, plain)
    every = {path.name for path in output.glob("pytorch*.safetensors")}
    assert every == ({lora.FILE_NAME, LOW_NOISE_FILE} if base.name in TWO_EXPERTS else {lora.FILE_NAME})
    assert all(learned(output / name) for name in every)
    facts = facts_of(base)
    assert {lora.read_facts(output / name).base_version for name in every} == {facts.version}
    assert (f"`{base}` ({facts.name} {facts.version}): it sees" in (output / "README.md").read_text()) == (
        facts.name != "embedded"
    )


def test_a_stopped_training_goes_on_with_the_losses_of_one_that_was_not(
    base: Path, dataset: Path, tmp_path: Path
) -> None:
    whole, first, rest = Losses(), Losses(), Losses()
    train(tmp_path / "whole", dataset, base=str(base), talk=whole, **GIVEN)
    train(tmp_path / "cut", dataset, base=str(base), talk=first, stop=lambda: len(first.of) == 5, **GIVEN)
    assert max(first.of) < STEPS
    train(tmp_path / "cut", dataset, base=str(base), talk=rest, **GIVEN)
    assert first.of | rest.of == whole.of
    assert first.of.keys().isdisjoint(rest.of)
    one, other = (load_file(tmp_path / name / lora.FILE_NAME) for name in ("whole", "cut"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_training_whose_adapter_did_not_name_a_version_goes_on_and_names_it(
    wan: Path, dataset: Path, tmp_path: Path
) -> None:
    train(tmp_path / "out", dataset, base=str(wan), **GIVEN | {"steps": 2})
    file = tmp_path / "out" / lora.FILE_NAME
    with safe_open(file, "pt") as tensors:
        metadata = tensors.metadata()
    del metadata["renderlift_base_version"]
    save_file(load_file(file), file, metadata)
    assert train(tmp_path / "out", dataset, base=str(wan), **GIVEN | {"steps": 3})
    assert lora.read_facts(file).base_version == "2.1"


@pytest.mark.parametrize(
    ("name", "kind"), [("wan", WanPipeline), ("ltx2", LTX2InContextPipeline), ("ltx2_3", LTX2InContextPipeline)]
)
def test_the_file_loads_by_the_library_alone(
    name: str, kind: Any, dataset: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    train(tmp_path / "adapter", dataset, base=str(folder), **GIVEN)
    pipeline = kind.from_pretrained(str(folder), use_safetensors=True)
    pipeline.load_lora_weights(str(tmp_path / "adapter"), adapter_name="lift")
    assert pipeline.get_list_adapters() == {"transformer": ["lift"]}
    loaded = {name: p for name, p in pipeline.transformer.named_parameters() if "lora_" in name}
    saved = load_file(tmp_path / "adapter" / lora.FILE_NAME)
    assert len(loaded) == len(saved)


@pytest.mark.parametrize("name", ["ltx2", "ltx2_3", "ltx2_5", "wan", "wan_a14b", "wan_vace"])
def test_the_copy_for_comfyui_loads_by_the_librarys_converter_and_paints_the_same(
    name: str, dataset: Path, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    output, clip = tmp_path / "adapter", shot(FRAMES, 32, 64)
    train(output, dataset, base=str(folder), **GIVEN)
    as_painted: dict[str, Any] = {"steps": 4, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
    ours = load(base=str(folder), adapter=str(output), **as_painted)(clip).astype(int)
    pipeline: Any = load_base(str(folder), torch.float32)
    copies = comfyui.EXPERTS if name in TWO_EXPERTS else (comfyui.FILE_NAME,)
    assert {path.name for path in output.glob("comfyui*")} == set(copies)
    for copy, where in zip(copies, ({}, {"load_into_transformer_2": True}), strict=False):
        assert all(re.match(r"diffusion_model\..+\.lora_[AB]\.weight", key) for key in load_file(output / copy))
        pipeline.load_lora_weights(str(output), weight_name=copy, adapter_name="copy", **where)
    theirs = painted_with(pipeline, folder, clip)
    assert abs(theirs - ours).max() <= 1
    assert abs(theirs - painted_with(load_base(str(folder), torch.float32), folder, clip)).max() > 1
    assert lora.adapter_file(output).name == lora.FILE_NAME


def test_the_embedded_base_needs_no_copy(tiny_base: Path, dataset: Path, tmp_path: Path) -> None:
    train(tmp_path / "adapter", dataset, base=str(tiny_base), **GIVEN)
    assert not list((tmp_path / "adapter").glob("comfyui*"))


def test_a_trained_adapter_is_measured_on_held_out_scenes(
    wan_a14b: Path, dataset: Path, shot: Shot, tmp_path: Path
) -> None:
    write_pair(dataset / "900000", shot(FRAMES, 32, 64, tint=0.8))
    assert train(tmp_path / "adapter", dataset, base=str(wan_a14b), **GIVEN)
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert "| the base alone |" in card
    assert "| adapter |" in card
    assert (tmp_path / "adapter" / "training" / "strip.jpg").is_file()


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Which parts of a base were loaded with their weights."""
    names: list[str] = []
    real, real_text = parts.load_part, text.open_pipeline

    def spy(folder: Path, part: str, *rest: Any) -> Any:
        names.append(part)
        return real(folder, part, *rest)

    def spy_text(*given: Any, **left_out: Any) -> Any:
        names.append("text")
        return real_text(*given, **left_out)

    monkeypatch.setattr("renderlift.model.training.adapter.load_part", spy)
    monkeypatch.setattr("renderlift.model.training.bench.load_part", spy)
    monkeypatch.setattr(text, "open_pipeline", spy_text)
    yield names


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"frames": 12}, "Use 9 or 1[37]"),
        ({"frames": 17}, "longest run is 9"),
        ({"reference_downscale": 3}, "Use reference_downscale = 1"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_loaded(
    base: Path, dataset: Path, loaded: list[str], wrong: dict[str, int], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match=said):
        train(tmp_path / "out", dataset, base=str(base), **GIVEN | wrong, working_pixels=32 * 64)
    assert not loaded
    assert not (tmp_path / "out").exists()


def test_the_plan_needs_no_weights(base: Path, dataset: Path, tmp_path: Path) -> None:
    # A large base may still be on its way from the hub, and its 40 GB say nothing that its config files do not.
    bare = shutil.copytree(base, tmp_path / base.name, ignore=shutil.ignore_patterns("*.safetensors"))
    assert train(tmp_path / "out", dataset, base=str(bare), dry_run=True, **GIVEN)


@pytest.mark.parametrize(("name", "like"), [("ltx2_full", "ltx2"), ("wan_5b", "wan")])
def test_the_variants_of_a_base_are_taught_as_it_is(name: str, like: str, request: pytest.FixtureRequest) -> None:
    variant, base = (kind_of(facts_of(request.getfixturevalue(which))) for which in (name, like))
    assert variant is base


def test_a_base_that_cannot_be_taught_is_refused(cosmos: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="takes no adapters"):
        train(tmp_path / "out", dataset, base=str(cosmos), **GIVEN)


@pytest.mark.parametrize("task", ["autoencoder", "transformer"])
@pytest.mark.parametrize("name", ["ltx2", "wan", "wan_vace", "cosmos"])
def test_stages_that_make_an_embedded_base_refuse_a_published_one_before_its_weights_are_read(
    task: str, name: str, dataset: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    bare = shutil.copytree(folder, tmp_path / "base", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(SetupError, match=f"the stage {task} makes a base of the embedded kind") as problem:
        train(tmp_path / "out", dataset, task=task, base=str(bare), dry_run=True, **GIVEN)
    assert "Leave --base out" in str(problem.value)
    assert (f"train lift --base {bare}" in str(problem.value)) == (name != "cosmos")


def test_words_are_read_once_for_all_trainings(
    ltx2: Path, dataset: Path, loaded: list[str], shot: Shot, tmp_path: Path
) -> None:
    train(tmp_path / "first", dataset, base=str(ltx2), **GIVEN)
    assert loaded == ["vae", "text", "transformer", "scheduler"]
    loaded.clear()
    train(tmp_path / "second", dataset, base=str(ltx2), **GIVEN)
    assert "text" not in loaded
    write_pair(dataset / "000001", shot(FRAMES, 32, 64), caption="a car with a tree")
    write_pair(dataset / "000002", shot(FRAMES, 32, 64))
    train(tmp_path / "third", dataset, base=str(ltx2), **GIVEN)
    assert "text" in loaded


def test_a_scene_is_told_its_caption_else_the_prompt_else_what_the_engine_names(dataset: Path, shot: Shot) -> None:
    recipe = training.Recipe(task="lift")
    write_pair(dataset / "000001", shot(FRAMES), caption="a car with a tree")
    assert text.prompt_of(dataset / "000001", recipe) == "a car with a tree"
    assert "column" in text.prompt_of(dataset / "000000", recipe)
    assert text.prompt_of(dataset / "000000", training.Recipe(prompt="at dusk")) == "at dusk"


@pytest.mark.parametrize("name", ["ltx2", "ltx2_5", "wan_a14b", "wan_vace_a14b"])
def test_little_memory_trains_the_same_kind_of_adapter(
    name: str, dataset: Path, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    losses = Losses()
    low = {**GIVEN, "memory": "low", "precision": "bfloat16"}
    assert train(tmp_path / "low", dataset, base=str(folder), talk=losses, **low)
    assert all(0 < loss < 100 for loss in losses.of.values())
    clip = shot(FRAMES, 32, 64)
    asked: dict[str, Any] = {"steps": 4, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
    videos = [load(base=str(folder), adapter=adapter, **asked)(clip) for adapter in (str(tmp_path / "low"), "none")]
    assert not np.array_equal(*videos)
    assert all(learned(expert) for expert in tmp_path.glob("low/pytorch*.safetensors"))


@pytest.mark.parametrize(("expert", "low", "high"), [(0, 0.875, 1.0), (1, 0.0, 0.875)])
def test_each_expert_is_trained_on_its_own_noise_levels(
    wan_a14b: Path, expert: int, low: float, high: float
) -> None:
    recipe = training.Recipe(task="lift", rank=2, alpha=2)
    autoencoder = parts.load_part(wan_a14b, "vae", torch.float32)
    bench = open_bench(wan_a14b, OF_WAN, recipe, autoencoder, (torch.device("cpu"), torch.float32))
    levels = bench.kind.levels(bench.scheduler, 64, sampled_steps=4, sampled_share=0.5)
    drawn = levels.draw(500, bench.levels_of(expert))
    assert low <= drawn.min()
    assert drawn.max() <= high
    assert drawn.max() - drawn.min() > 0.8 * (high - max(low, 0.02))
    assert all(bench.expert_at(float(level)) == expert for level in drawn)
    assert sum(experts_turns(bench, levels)) == pytest.approx(1)


@pytest.mark.parametrize("steps", [2, 4, 8])
def test_distilled_weights_are_trained_on_the_levels_that_painting_in_as_many_steps_visits(
    ltx2: Path, shot: Shot, steps: int
) -> None:
    recipe = training.Recipe(task="lift", base=str(ltx2), rank=2, alpha=2, sampled_steps=steps)
    autoencoder = parts.load_part(ltx2, "vae", torch.float32)
    bench = open_bench(ltx2, OF_LTX2, recipe, autoencoder, (torch.device("cpu"), torch.float32))
    pipeline: Any = load_base(str(ltx2), torch.float32)
    with torch.inference_mode():
        open_painter(facts_of(ltx2), pipeline, RenderSettings(steps=steps), ltx2)(shot(FRAMES, 32, 64), {})
    trained = training.levels_of(bench, recipe, torch.zeros(1, 8, 2, 4, 8)).sampled
    torch.testing.assert_close(trained, pipeline.scheduler.sigmas[:-1].cpu())


def test_two_processes_train_both_experts_of_a_large_base(wan_a14b: Path, shot: Shot, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    for number in range(2):
        write_pair(tmp_path / "pairs" / f"{number:06d}", shot(FRAMES, 32, 64))
    (tmp_path / "recipe.toml").write_text(f"frames = {FRAMES}\nrank = 2\nlearning_rate = 0.3\nvariants = 1\n")
    asked = "train lift --config recipe.toml --pairs pairs -o adapter --steps 10 --device cpu --base"
    run_side_by_side(2, ["-m", "renderlift.bridge.cli", *asked.split(), str(wan_a14b)], tmp_path)
    clip = shot(FRAMES, 32, 64)
    plain, taught = (
        load(base=str(wan_a14b), adapter=adapter, steps=2, guidance=1.0, device="cpu", dtype="float32")(clip)
        for adapter in ("none", str(tmp_path / "adapter"))
    )
    assert (plain != taught).any()
    for name in ("pytorch_lora_weights.safetensors", LOW_NOISE_FILE):
        learnt = [values for key, values in load_file(tmp_path / "adapter" / name).items() if "lora_B" in key]
        assert any(values.any() for values in learnt)  # not all: there are no words to attend to
