import importlib.util
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.errors import RecordingError, SetupError
from renderlift.model.pairs import read_pair, read_pairs
from renderlift.model.pairs.dataset import read_json
from renderlift.model.pairs.make import Recipe, make_pairs, make_scene, parse_seeds, share_of
from renderlift.model.pairs.scene_folder import Outcome


@pytest.fixture(autouse=True)
def _toys_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def toy(**options: Any) -> Recipe:
    return Recipe(frames=2, height=16, width=24, maker="toy_scenes:make", options=options)


def outcomes(dataset: Path, seeds: list[int], recipe: Recipe, jobs: int = 1) -> dict[int, Outcome]:
    return {made.seed: made.outcome for made in make_pairs(dataset, seeds, recipe, jobs=jobs)}


def test_scenes_are_made_by_seed_and_read_back_as_pairs(tmp_path: Path) -> None:
    assert outcomes(tmp_path, [3, 900_000], toy(), jobs=2) == {3: Outcome.MADE, 900_000: Outcome.MADE}
    pairs = list(read_pairs(tmp_path))
    assert [pair.name for pair in pairs] == ["000003", "900000"]
    np.testing.assert_array_equal(pairs[0].truth_video, pairs[0].clip.channels["rgb"] + 40)
    facts = read_json(tmp_path / "900000/scene.json")
    assert (facts["seed"], facts["part"], facts["kind"], facts["frames"]) == (900_000, "held_out", "toy", 2)


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    recipe = toy(marks=str(marks))
    outcomes(tmp_path / "dataset", [1, 2], recipe)
    assert outcomes(tmp_path / "dataset", [1, 2, 3], recipe) == {
        1: Outcome.THERE,
        2: Outcome.THERE,
        3: Outcome.MADE,
    }
    assert Counter(path.stem for path in marks.iterdir()) == {"1": 1, "2": 1, "3": 1}


def test_a_scene_that_fails_or_kills_its_process_costs_that_scene_alone(tmp_path: Path) -> None:
    made = {m.seed: m for m in make_pairs(tmp_path, [12, 13, 66, 67, 68], toy(), jobs=2)}
    assert {seed: m.outcome for seed, m in made.items()} == {
        12: Outcome.MADE,
        13: Outcome.FAILED,
        66: Outcome.FAILED,
        67: Outcome.MADE,
        68: Outcome.MADE,
    }
    assert "too crowded" in made[13].problem and "died" in made[66].problem
    assert not list(tmp_path.glob(".000013*"))


def test_what_a_killed_process_left_is_cleared_away_and_made_whole(tmp_path: Path) -> None:
    part = tmp_path / ".000005.part"
    (part / "render").mkdir(parents=True)
    (part / "render" / "000000.mcap").write_bytes(b"half a recording")
    (part / "truth").mkdir()
    assert make_scene(tmp_path, toy(), 5).outcome is Outcome.MADE
    (pair,) = read_pair(tmp_path / "000005")
    assert pair.whole and not part.exists()


def test_a_scene_at_work_in_another_process_is_left_to_it(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    part = tmp_path / ".000005.part"
    part.mkdir()
    (part / "half").touch()
    with (part / "half").open() as _:
        import os

        folder = os.open(part, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        assert make_scene(tmp_path, toy(), 5).outcome is Outcome.TAKEN
        os.close(folder)
    assert (part / "half").exists()
    assert make_scene(tmp_path, toy(), 5).outcome is Outcome.MADE


def test_shards_make_everything_once_and_equal_one_run(tmp_path: Path) -> None:
    seeds = list(range(7))
    shares = [share_of(seeds, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(seed for share in shares for seed in share) == seeds
    for share in shares:
        outcomes(tmp_path / "sharded", share, toy())
    outcomes(tmp_path / "alone", seeds, toy(), jobs=2)
    for one, other in zip(read_pairs(tmp_path / "sharded"), read_pairs(tmp_path / "alone"), strict=True):
        np.testing.assert_array_equal(one.truth_video, other.truth_video)


def test_a_dataset_is_not_gone_on_with_in_another_way(tmp_path: Path) -> None:
    outcomes(tmp_path, [1], toy(tint=10))
    with pytest.raises(RecordingError, match=r"(?s)tint 10, not 20.*another folder"):
        outcomes(tmp_path, [2], toy(tint=20))
    assert outcomes(tmp_path, [2], toy(tint=10)) == {2: Outcome.MADE}


@pytest.mark.parametrize(
    ("maker", "problem"),
    [("nowhere:make", "nowhere"), ("toy_scenes:missing", "no function"), ("toy_scenes", "no function")],
)
def test_a_maker_that_is_not_there_ends_the_run_with_what_to_do(tmp_path: Path, maker: str, problem: str) -> None:
    with pytest.raises(SetupError, match=problem):
        outcomes(tmp_path, [1, 2], Recipe(maker=maker))


def test_a_photo_of_another_size_than_its_frame_is_refused(tmp_path: Path) -> None:
    made = make_scene(tmp_path, toy(wrong_size=True), 1)
    assert made.outcome is Outcome.FAILED and "(8, 24, 3)" in made.problem
    assert not (tmp_path / "000001").exists()


def test_seeds_are_ranges_and_numbers() -> None:
    assert parse_seeds("0:3,7, 900000:900002,2") == [0, 1, 2, 7, 900_000, 900_001]


@pytest.mark.parametrize("text", ["", "x", "3:", ":3", "5:5", "7:3", "-1", "0:1000001", "1,,2"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(SetupError, match="seeds"):
        parse_seeds(text)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "/"])
def test_other_shards_are_refused(shard: str) -> None:
    with pytest.raises(SetupError, match="shard"):
        share_of([1, 2], shard)


def test_a_ray_cluster_makes_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)  # of the workers
    made = {m.seed: m for m in make_pairs(tmp_path, [12, 66, 67], toy(), jobs=2, ray_address="local")}
    assert {seed: m.outcome for seed, m in made.items()} == {
        12: Outcome.MADE,
        66: Outcome.FAILED,
        67: Outcome.MADE,
    }
    assert "died" in made[66].problem
    assert [pair.name for pair in read_pairs(tmp_path)] == ["000012", "000067"]
