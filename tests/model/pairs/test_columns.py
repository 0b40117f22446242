"""Datasets as ltx-trainer's: written from pairs, and trained on."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import RecordingError, SetupError
from renderlift.bridge.frame import Channel
from renderlift.bridge.video import VideoWriter
from renderlift.model.pairs import caption_of, pair_folders, read_pair
from renderlift.model.pairs.columns import FILE, as_scenes, export_pairs
from renderlift.model.pairs.scene_folder import write_scene
from renderlift.model.training.dataset import survey
from renderlift.model.training.recipe import read_recipe
from renderlift.model.training.talk import Silence

MakeClip = Callable[..., Clip]
RECIPE = read_recipe(None, steps=1, frames=5)


@pytest.fixture
def dataset(tmp_path: Path, make_clip: MakeClip) -> Path:
    for number, frames, caption in ((3, 9, "a hall"), (900_001, 5, "")):
        clip = make_clip(frames, 32, 48)
        photos = (clip.channels[Channel.RGB] * 0.6).astype(np.uint8)
        facts = {"caption": caption} if caption else {}
        write_scene(tmp_path / "data" / f"{number:06d}", clip.frames, enumerate(photos), facts)
    return tmp_path / "data"


def write_video(path: Path, frames: int, height: int = 32, width: int = 48) -> None:
    with VideoWriter(path, height, width, 24, lossless=True) as writer:
        for place in range(frames):
            writer.write(np.full((height, width, 3), 10 * place, np.uint8))


def rows_of(folder: Path, **videos: tuple[int, int, int]) -> Path:
    """A dataset of one row: column to (frames, height, width)."""
    folder.mkdir()
    for column, shape in videos.items():
        write_video(folder / f"{column}.mp4", *shape)
    row = {column: f"{column}.mp4" for column in videos}
    (folder / "dataset.jsonl").write_text(json.dumps({**row, "caption": "a car"}) + "\n")
    return folder


def test_an_exported_dataset_reads_back_to_the_very_pixels(dataset: Path, tmp_path: Path) -> None:
    assert export_pairs(dataset, tmp_path / "out", talk=Silence()) == 2
    rows = json.loads((tmp_path / "out" / FILE).read_text())
    assert [set(row) for row in rows] == [{"video", "reference_video", "caption", "scene"}] * 2
    assert rows[0]["caption"] == "a hall"
    assert "hotorealistic" in rows[1]["caption"]
    again = as_scenes(tmp_path / "out", tmp_path / "cache")
    assert [folder.name for folder in pair_folders(again)] == ["000003", "900001"]
    for folder in pair_folders(dataset):
        before, after = next(iter(read_pair(folder))), next(iter(read_pair(again / folder.name)))
        assert np.array_equal(before.clip.channels[Channel.RGB], after.clip.channels[Channel.RGB])
        assert np.array_equal(before.truth_video, after.truth_video)


def test_frames_without_a_photo_are_not_exported(dataset: Path, tmp_path: Path) -> None:
    (dataset / "000003" / "truth" / "000004.png").unlink()
    assert export_pairs(dataset, tmp_path / "out", talk=Silence()) == 3
    again = as_scenes(tmp_path / "out", tmp_path / "cache")
    assert [folder.name for folder in pair_folders(again)] == ["000003", "000004", "900001"]
    assert len(next(iter(read_pair(again / "000004"))).clip) == 4


def test_older_column_names_and_csv_are_read(tmp_path: Path) -> None:
    for name in ("clip", "seen"):
        write_video(tmp_path / f"{name}.mp4", 5)
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["caption", "media_path", "ref_media_path", "scene"])
        rows.writerow(["a car, parked", "clip.mp4", "seen.mp4", "car park"])
    folder = as_scenes(tmp_path / "mine.csv", tmp_path / "cache") / "000000"
    assert caption_of(folder) == "a car, parked"
    assert next(iter(read_pair(folder))).whole


def test_a_smaller_reference_is_grown_to_the_photo(tmp_path: Path) -> None:
    data = rows_of(tmp_path / "data", video=(5, 64, 96), reference_video=(5, 32, 48))
    pair = next(iter(read_pair(as_scenes(data, tmp_path / "cache") / "000000")))
    assert pair.clip.channels[Channel.RGB].shape == (5, 64, 96, 3)


@pytest.mark.parametrize(
    ("reference", "said"), [((4, 32, 48), "Cut both to 4"), ((5, 32, 32), "Make both of one size")]
)
def test_videos_that_are_no_pair_are_refused(tmp_path: Path, reference: tuple[int, int, int], said: str) -> None:
    data = rows_of(tmp_path / "data", video=(5, 32, 48), reference_video=reference)
    with pytest.raises(SetupError, match="reference_video") as problem:
        as_scenes(data, tmp_path / "cache")
    assert said in str(problem.value)


@pytest.mark.parametrize(
    ("shape", "ratio", "multiple", "said"),
    [
        ((6, 32, 48), 4, 16, r"video\.mp4 has 6 frames.*4n \+ 1"),
        ((13, 32, 48), 8, 16, r"13 frames.*8n \+ 1"),
        ((9, 32, 48), 8, 32, r"48x32.*multiples of 32"),
    ],
)
def test_videos_that_do_not_fit_the_base_are_refused_with_the_command_that_fits_them(
    tmp_path: Path, shape: tuple[int, int, int], ratio: int, multiple: int, said: str
) -> None:
    data = as_scenes(rows_of(tmp_path / "data", video=shape, reference_video=shape), tmp_path / "cache")
    recipe = read_recipe(None, steps=1, frames=ratio + 1)
    with pytest.raises(SetupError, match=said) as problem:
        survey(data, None, recipe, ratio, multiple)
    assert "ffmpeg" in problem.value.fix


def test_a_missing_column_or_file_names_itself(tmp_path: Path) -> None:
    data = rows_of(tmp_path / "data", video=(5, 32, 48))
    with pytest.raises(SetupError, match="no reference_video"):
        as_scenes(data, tmp_path / "cache")
    (data / "dataset.jsonl").write_text('{"video": "none.mp4", "reference_video": "none.mp4"}')
    with pytest.raises(RecordingError, match=r"none\.mp4"):
        as_scenes(data, tmp_path / "cache")


def test_a_changed_video_is_another_scene(tmp_path: Path) -> None:
    data = rows_of(tmp_path / "data", video=(5, 32, 48), reference_video=(5, 32, 48))

    def fingerprint() -> str:
        return survey(as_scenes(data, tmp_path / "cache"), None, RECIPE, 4).train[0].fingerprint

    before = fingerprint()
    assert fingerprint() == before
    write_video(data / "video.mp4", 9)
    write_video(data / "reference_video.mp4", 9)
    assert fingerprint() != before


def test_a_folder_of_scenes_stays_what_it_is(dataset: Path, tmp_path: Path) -> None:
    (dataset / FILE).write_text('{"format": 1}')
    assert as_scenes(dataset, tmp_path / "cache") == dataset
    assert cv2.imread(str(dataset / "000003" / "truth" / "000000.png")) is not None
