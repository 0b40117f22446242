import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder
from renderlift.model.pairs import Pair, Part, pair_folders, part_of, read_pair, read_pairs

MakeClip = Callable[..., Clip]
HEIGHT, WIDTH = 24, 40


@pytest.fixture
def dataset(tmp_path: Path, make_clip: MakeClip) -> Path:
    """Two scenes to train on and a held-out one, each of five frames with their truth."""
    for number in (3, 12, 900_001):
        write_scene(tmp_path / "dataset" / f"{number:06d}", make_clip(5, HEIGHT, WIDTH, seed=number))
    return tmp_path / "dataset"


def write_scene(folder: Path, clip: Clip) -> None:
    with Recorder(folder / "render") as recorder:
        for frame in clip.frames:
            recorder.write(frame)
    (folder / "truth").mkdir()
    for frame in clip.frames:
        write_truth(folder, frame.index, np.full((HEIGHT, WIDTH, 3), (frame.index, 50, 200), np.uint8))


def write_truth(folder: Path, index: int, picture: np.ndarray) -> None:
    cv2.imwrite(str(folder / "truth" / f"{index:06d}.png"), picture[..., ::-1])


def only(dataset: Path) -> Pair:
    (pair,) = read_pair(dataset / "000003")
    return pair


def test_a_pair_is_the_clip_with_all_its_channels_and_the_truth_in_its_size(dataset: Path) -> None:
    pair = only(dataset)
    assert pair.name == "000003" and pair.whole
    assert pair.clip.channels[Channel.DEPTH].shape == (5, HEIGHT, WIDTH, 1)
    assert pair.truth_video.shape == (5, HEIGHT, WIDTH, 3) and pair.truth_video.dtype == np.uint8


def test_each_picture_stands_at_the_place_of_its_frame_in_rgb_order(dataset: Path) -> None:
    for place, picture in only(dataset).truth.items():
        assert picture[0, 0].tolist() == [place, 50, 200]


def test_training_and_measuring_never_see_the_same_scene(dataset: Path) -> None:
    assert [pair.name for pair in read_pairs(dataset, part=Part.TRAIN)] == ["000003", "000012"]
    assert [pair.name for pair in read_pairs(dataset, part=Part.HELD_OUT)] == ["900001"]
    assert [pair.name for pair in read_pairs(dataset)] == ["000003", "000012", "900001"]
    assert (part_of("899999"), part_of("900000")) == (Part.TRAIN, Part.HELD_OUT)


def test_only_the_channels_that_were_asked_for_are_read(dataset: Path) -> None:
    (pair,) = read_pair(dataset / "000003", channels=[Channel.FLOW])
    assert set(pair.clip.channels) == {Channel.RGB, Channel.FLOW}


def test_a_long_scene_comes_in_clips_and_the_truth_goes_with_its_frames(dataset: Path) -> None:
    pairs = list(read_pair(dataset / "000012", length=2))
    assert [len(pair.clip) for pair in pairs] == [2, 2, 1]
    assert [pair.truth[0][0, 0, 0] for pair in pairs] == [0, 2, 4]


def test_truth_may_be_missing_for_some_frames_or_for_all(dataset: Path) -> None:
    (dataset / "000003/truth/000001.png").unlink()
    pair = only(dataset)
    assert not pair.whole and sorted(pair.truth) == [0, 2, 3, 4]
    with pytest.raises(RecordingError, match="4 of 5"):
        _ = pair.truth_video
    shutil.rmtree(dataset / "000003/truth")
    assert only(dataset).truth == {}


def test_scenes_under_construction_and_other_files_are_no_scenes(dataset: Path) -> None:
    (dataset / "000003").rename(dataset / ".000003.part")
    (dataset / "README.md").write_text("a dataset")
    (dataset / "rejected").mkdir()
    assert [folder.name for folder in pair_folders(dataset)] == ["000012", "900001"]


def test_a_scene_without_a_number_is_an_error_and_not_overlooked(dataset: Path) -> None:
    (dataset / "000003").rename(dataset / "my_level")
    with pytest.raises(RecordingError, match=r"my_level.*six digits"):
        pair_folders(dataset)


@pytest.mark.parametrize(("part", "left"), [(Part.ALL, []), (Part.HELD_OUT, ["000003"])])
def test_an_empty_part_is_an_error_that_says_how_scenes_are_named(
    dataset: Path, part: Part, left: list[str]
) -> None:
    for folder in pair_folders(dataset):
        if folder.name not in left:
            shutil.rmtree(folder)
    with pytest.raises(RecordingError, match=r"(?s)scenes.*000001"):
        pair_folders(dataset, part)


def test_no_dataset_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"(?s)no dataset.*renderlift pairs"):
        list(read_pairs(tmp_path / "nowhere"))


def test_a_picture_of_another_size_is_refused_by_its_header(dataset: Path) -> None:
    write_truth(dataset / "000003", 2, np.zeros((HEIGHT, WIDTH + 2, 3), np.uint8))
    with pytest.raises(RecordingError, match=f"{WIDTH + 2}x{HEIGHT}.*{WIDTH}x{HEIGHT}"):
        only(dataset)


def test_a_header_that_claims_gigabytes_is_not_believed(dataset: Path) -> None:
    path = dataset / "000003/truth/000002.png"
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="100000x100000"):
        only(dataset)


@pytest.mark.parametrize("kept_bytes", [0, 20, 60, -8])
def test_a_picture_that_was_cut_short_is_damage(dataset: Path, kept_bytes: int) -> None:
    path = dataset / "000003/truth/000004.png"
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(RecordingError, match=r"000004.png is"):
        only(dataset)


def test_a_picture_of_a_frame_that_is_not_there_is_an_error(dataset: Path) -> None:
    write_truth(dataset / "000003", 5, np.zeros((HEIGHT, WIDTH, 3), np.uint8))  # counted from 1?
    with pytest.raises(RecordingError, match=r"000005.png belongs to no frame"):
        only(dataset)


def test_a_picture_that_is_not_named_after_its_frame_is_an_error(dataset: Path) -> None:
    (dataset / "000003/truth/000004.png").rename(dataset / "000003/truth/frame4.png")
    with pytest.raises(RecordingError, match=r"frame4.png.*\n.*000000.png"):
        only(dataset)


def test_two_sessions_in_one_scene_are_refused(dataset: Path, make_clip: MakeClip) -> None:
    with Recorder(dataset / "000003/render") as recorder:
        for frame in make_clip(2, HEIGHT, WIDTH).frames:
            recorder.write(replace(frame, session="another"))
    with pytest.raises(RecordingError, match="several cameras or sessions"):
        only(dataset)


def test_damaged_scenes_can_be_told_and_left_out(dataset: Path) -> None:
    shutil.rmtree(dataset / "000003/render")
    told: list[str] = []
    names = [pair.name for pair in read_pairs(dataset, on_damage=lambda damage: told.append(damage.message))]
    assert names == ["000012", "900001"]
    assert len(told) == 1 and "000003" in told[0]
    with pytest.raises(RecordingError, match="000003"):
        list(read_pairs(dataset))


@pytest.mark.parametrize("content", ["", "[1]", "{", "[" * 100_000, json.dumps({"format": 2})])
def test_a_dataset_of_another_format_or_a_damaged_one_is_refused(dataset: Path, content: str) -> None:
    (dataset / "dataset.json").write_text(content)
    with pytest.raises(RecordingError, match=r"dataset.json"):
        pair_folders(dataset)


def test_a_file_too_large_for_a_picture_is_not_read(dataset: Path) -> None:
    os.truncate(dataset / "000003/truth/000000.png", 1 << 40)  # sparse
    with pytest.raises(RecordingError, match="too large"):
        only(dataset)
