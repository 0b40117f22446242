"""The whole of `renderlift train`, on a base and a dataset so small that it takes seconds."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import RecordingError, RenderliftError, SetupError
from renderlift.bridge.frame import Channel
from renderlift.model import lora
from renderlift.model.pairs.columns import export_pairs
from renderlift.model.render import load
from renderlift.model.training.finished import Before
from renderlift.model.training.recipe import Recipe
from renderlift.model.training.run import train
from renderlift.model.training.talk import Silence

WriteScene = Callable[..., Path]
MakeClip = Callable[..., Clip]


@pytest.fixture
def dataset(tmp_path: Path, write_scene: WriteScene) -> Path:
    for number in (0, 1, 900_000):
        write_scene(tmp_path / "data", number)
    return tmp_path / "data"


@pytest.fixture
def given(tiny_base: Path, tmp_path: Path) -> dict[str, Any]:
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        "working_pixels = 6144\nvariants = 2\nbatch = 2\nrank = 4\n"
        'precision = "float32"\nlearning_rate = 0.01\nwarmup_steps = 1\n'
    )
    return {"config": recipe, "base": str(tiny_base), "device": "cpu"}


def test_an_adapter_is_trained_carded_and_rendered_with(
    tmp_path: Path, dataset: Path, given: dict[str, Any], make_clip: MakeClip
) -> None:
    output = tmp_path / "my_adapter"
    assert train(output, dataset, steps=6, **given)
    names = {path.name for path in output.iterdir()}
    assert names == {lora.FILE_NAME, "README.md", "result.json", "strip.jpg", "training"}
    assert (output / "training" / "strip.jpg").exists()
    rows = json.loads((output / "result.json").read_text())["rows"]
    assert rows[0]["name"] == "render"
    card = (output / "README.md").read_text()
    assert "900000" in card
    assert all(f"{row['psnr_db']:.2f} dB" in card for row in rows)

    clip = make_clip(5, 64, 96)
    videos = [
        load(base=given["base"], adapter=adapter, lock=False, steps=1, device="cpu", working_pixels=6144)(clip)
        for adapter in (str(output), "none")
    ]
    assert videos[0].shape == (5, 64, 96, 3)
    assert not np.array_equal(*videos)


def test_a_stopped_training_goes_on_by_the_same_command(
    tmp_path: Path, dataset: Path, given: dict[str, Any]
) -> None:
    output = tmp_path / "my_adapter"
    asked = iter(range(10**6))
    # Scenes are asked about first; then one question per step.
    assert not train(output, dataset, steps=20, stop=lambda: next(asked) > 12, **given)
    assert (output / lora.FILE_NAME).exists()
    assert train(output, dataset, steps=20, **given)
    with (output / "training" / "losses.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["10", "20"]


class Told(Silence):
    """Keeps what a training says."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def tell(self, event: str, text: str = "", /, **facts: object) -> None:
        self.said[event] = text


def times_of(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("steps", [4, 2])
def test_a_budget_that_is_spent_leaves_everything_as_it_is(
    tmp_path: Path, dataset: Path, given: dict[str, Any], steps: int
) -> None:
    output, told = tmp_path / "my_adapter", Told()
    train(output, dataset, steps=4, **given)
    before = times_of(output)
    assert train(output, dataset, steps=steps, talk=told, **given)
    assert times_of(output) == before
    assert list(told.said) == ["finished"]
    assert "at step 4 already" in told.said["finished"]


@pytest.mark.parametrize("missing", [lora.FILE_NAME, "README.md", "result.json", "strip.jpg"])
def test_what_is_missing_of_a_finished_training_is_made_and_the_card_tells_what_was_trained(
    tmp_path: Path, dataset: Path, given: dict[str, Any], missing: str
) -> None:
    output = tmp_path / "my_adapter"
    train(output, dataset, steps=4, **given)
    weights = load_file(output / lora.FILE_NAME)
    (output / missing).unlink()
    assert train(output, dataset, steps=2, **given)
    assert (output / missing).is_file()
    again = load_file(output / lora.FILE_NAME)
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())
    card = (output / "README.md").read_text()
    assert "4 steps of" in card
    assert "\nsteps = 4\n" in card


@pytest.mark.parametrize("spent_s", [60.0, 62.9, 303.1, 3599.97])
def test_what_is_missing_costs_no_more_steps_where_time_is_the_budget(spent_s: float) -> None:
    before, recipe = Before(10, spent_s), Recipe(task="lift", minutes=1.0, steps=0)
    assert before.has_spent(recipe)
    assert before.has_spent(before.at_least_this(recipe))


def test_another_dataset_to_measure_on_is_not_taken_for_the_one_that_was(
    tmp_path: Path, dataset: Path, given: dict[str, Any]
) -> None:
    output, told = tmp_path / "my_adapter", Told()
    train(output, dataset, steps=2, **given)
    with pytest.raises(RenderliftError):
        train(output, dataset, steps=2, held_out=tmp_path / "nowhere", **given)
    other = shutil.copytree(dataset, tmp_path / "other")
    assert train(output, dataset, steps=2, held_out=other, talk=told, **given)
    assert "finished" not in told.said
    assert json.loads((output / "result.json").read_text())["held_out"] == "other"


def test_a_training_that_was_stopped_while_it_was_measured_is_measured_by_the_same_command(
    tmp_path: Path, dataset: Path, given: dict[str, Any]
) -> None:
    output, measuring = tmp_path / "my_adapter", Measuring()
    assert not train(output, dataset, steps=2, talk=measuring, stop=lambda: measuring.begun, **given)
    assert not (output / "result.json").exists()
    assert train(output, dataset, steps=2, **given)
    assert json.loads((output / "result.json").read_text())["scenes"] == ["900000"]


class Measuring(Silence):
    """Knows when measuring has begun."""

    begun = False

    def progress(self, stage: str, done: int, total: int | None = None, *, text: str = "", **facts: object) -> None:
        self.begun |= stage == "measuring"


def test_a_longer_budget_trains_on_and_another_recipe_is_refused(
    tmp_path: Path, dataset: Path, given: dict[str, Any]
) -> None:
    output = tmp_path / "my_adapter"
    train(output, dataset, steps=2, **given)
    short = (output / lora.FILE_NAME).read_bytes()
    train(output, dataset, steps=4, **given)
    assert (output / lora.FILE_NAME).read_bytes() != short
    with pytest.raises(SetupError, match=r"another task.*references"):
        train(output, dataset, steps=4, task="forward", **given)
    train(output, dataset, steps=1, restart=True, **given)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("frames = 6", "Use 5 or 9"),
        ("reference_downscale = 3", "reference_downscale = 1"),
        ("frames = 9", "longest run is 5 frames"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    tmp_path: Path, dataset: Path, given: dict[str, Any], wrong: str, said: str
) -> None:
    given["config"].write_text(given["config"].read_text() + wrong)
    with pytest.raises(SetupError) as problem:
        train(tmp_path / "out", dataset, steps=2, **given)
    assert said in str(problem.value)
    assert not (tmp_path / "out").exists()
    assert not (dataset / ".latents").exists()


def test_a_dry_run_writes_nothing(tmp_path: Path, dataset: Path, given: dict[str, Any]) -> None:
    assert train(tmp_path / "out", dataset, minutes=10.0, dry_run=True, **given)
    assert not (tmp_path / "out").exists()


def test_other_tasks_need_only_a_recipe(
    tmp_path: Path, dataset: Path, given: dict[str, Any], make_clip: MakeClip
) -> None:
    given["config"].write_text(given["config"].read_text() + 'references = ["photo"]\ntarget = "depth"\n')
    assert train(tmp_path / "inverse", dataset, task="my_depth", steps=2, **given)
    facts = lora.read_facts(tmp_path / "inverse")
    assert (facts.task, facts.references, facts.target) == ("my_depth", ("photo",), "depth")


def test_an_adapter_that_reads_edges_says_so_and_is_shown_them(
    tmp_path: Path, dataset: Path, given: dict[str, Any], make_clip: MakeClip
) -> None:
    given["config"].write_text(given["config"].read_text() + 'references = ["edge"]\ntarget = "photo"\n')
    assert train(tmp_path / "sketch", dataset, task="sketch", steps=2, **given)
    assert lora.read_facts(tmp_path / "sketch").references == ("edge",)
    render = load(base=given["base"], adapter=str(tmp_path / "sketch"), lock=False, steady=0, device="cpu")
    clip = make_clip(5, 64, 96)
    shown = {**clip.channels, Channel.RGB: clip.channels[Channel.RGB] // 64}  # too dark for edges of its own
    bare = Clip(clip.frames, {Channel.RGB: shown[Channel.RGB]})
    assert not np.array_equal(render(Clip(clip.frames, shown)), render(bare))


def test_videos_with_columns_train_and_are_measured_on(
    tmp_path: Path, dataset: Path, given: dict[str, Any]
) -> None:
    export_pairs(dataset, tmp_path / "videos", talk=Silence())
    assert train(tmp_path / "out", tmp_path / "videos", steps=2, **given)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "900000" in card
    assert (tmp_path / "videos" / ".latents").is_dir()
    # Videos bring no buffers that edges or motion could be held against.
    rows = json.loads((tmp_path / "out" / "result.json").read_text())["rows"]
    assert all(row["psnr_db"] for row in rows)
    assert {(row["edge_f1"], row["warp_relative"]) for row in rows} == {(None, None)}
    assert "| - | - |" in card
    assert "needs buffers of the engine" in card


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"task": "forward"}, "its videos show none of the references: albedo, normal, depth"),
        ({"frames": 9}, "longest run is 5 frames"),
    ],
)
def test_videos_that_cannot_be_trained_on_go_by_the_name_that_their_user_gave(
    tmp_path: Path, dataset: Path, given: dict[str, Any], asked: dict[str, Any], said: str
) -> None:
    videos = tmp_path / "videos"
    export_pairs(dataset, videos, talk=Silence())
    with pytest.raises(SetupError, match=said) as problem:
        train(tmp_path / "out", videos, steps=2, **asked, **given)
    assert f"scenes in {videos} can" in problem.value.message
    assert ".latents" not in str(problem.value)


def test_videos_that_are_all_held_out_go_by_that_name_too(
    tmp_path: Path, dataset: Path, given: dict[str, Any], write_scene: WriteScene
) -> None:
    write_scene(tmp_path / "tests", 900_001)
    export_pairs(tmp_path / "tests", tmp_path / "videos", talk=Silence())
    with pytest.raises(RecordingError, match="none of them train") as problem:
        train(tmp_path / "out", tmp_path / "videos", steps=2, **given)
    assert problem.value.message.startswith(f"{tmp_path / 'videos'} holds")
