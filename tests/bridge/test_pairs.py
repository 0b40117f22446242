"""`renderlift pairs` from the command line, with a maker of the user's own."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from renderlift.bridge import cli
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.record import Recorder

MAKER = """
import numpy as np
from renderlift.bridge.frame import CameraPose, Channel, Frame

def make(seed, *, frames, height, width, samples, vignette=0.0):
    if seed == 13:
        raise ValueError("too crowded")
    picture = np.full((height, width, 3), seed % 200, np.uint8)
    recorded = [Frame(i, i, 0, CameraPose(np.eye(4), np.eye(3)), {Channel.RGB: picture}) for i in range(frames)]
    return recorded, [(i, picture + 20) for i in range(frames)], {"kind": "toy", "samples": samples}
"""


@pytest.fixture(autouse=True)
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_game.py").write_text(MAKER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_game:make"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["pairs", *(str(argument) for argument in arguments)])


def last_event(result: Result) -> dict[str, Any]:
    return json.loads(result.stdout.splitlines()[-1])


def test_scenes_become_a_dataset_with_a_card_and_a_contact_sheet(tmp_path: Path, maker: str) -> None:
    result = run(tmp_path / "d", "--seeds", "1:3", "--maker", maker, "--size", "32x16", "--frames", 2, "--json")
    assert result.exit_code == 0, result.output
    told = last_event(result)
    assert (told["event"], told["counts"]) == ("pairs_made", {"made": 2})
    names = {path.name for path in (tmp_path / "d").iterdir()}
    assert names == {"000001", "000002", "README.md", "contact_sheet.jpg", "dataset.json"}


def test_a_scene_that_fails_is_told_and_the_exit_code_says_so(tmp_path: Path, maker: str) -> None:
    result = run(tmp_path / "d", "--seeds", "12:15", "--maker", maker, "--size", "32x16", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    failed = [event for event in events if event["event"] == "scene_failed"]
    assert result.exit_code == 3
    assert [(event["seed"], "too crowded" in event["message"]) for event in failed] == [(13, True)]
    assert last_event(result)["counts"] == {"made": 2, "failed": 1}


@pytest.mark.parametrize("arguments", [[], ["--seeds", "1", "--from", "take1"]])
def test_either_seeds_or_a_recording_is_needed(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path / "d", *arguments).exit_code == 2


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (32, 48, 3)).astype(np.uint8), (0, 0), 1.5)
    pose = CameraPose(np.eye(4), np.eye(3))
    still = {Channel.RGB: picture, Channel.FLOW: np.zeros((32, 48, 2), np.float32)}
    with Recorder(tmp_path / "take1") as recorder:
        for index in range(5):
            recorder.write(Frame(index, index * 40_000_000, 0, pose, still, session="run1"))
    (tmp_path / "photos").mkdir()
    for index in (0, 4):
        cv2.imwrite(str(tmp_path / f"photos/{index:06d}.png"), np.minimum(picture[..., ::-1].astype(int) + 20, 255))
    return tmp_path / "take1"


def test_a_recording_and_photos_of_its_ends_become_pairs(tmp_path: Path, recording: Path) -> None:
    result = run(tmp_path / "d", "--from", recording, "--anchors", tmp_path / "photos", "--json")
    assert result.exit_code == 0, result.output
    assert last_event(result)["counts"] == {"kept": 1}
    between = cv2.imread(str(tmp_path / "d/000000/truth/000002.png"))
    ends = cv2.imread(str(tmp_path / "photos/000000.png"))
    assert between is not None and ends is not None and np.abs(between.astype(int) - ends).max() <= 1
    assert str(tmp_path) not in (tmp_path / "d/README.md").read_text(), "cards travel, paths do not"


def test_what_is_rejected_is_told_with_its_reason(tmp_path: Path, recording: Path) -> None:
    photos = ("--anchors", tmp_path / "photos")
    result = run(tmp_path / "d", "--from", recording, *photos, "--limit", "sharpness=3", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    (rejected,) = [event for event in events if event["event"] == "rejected"]
    assert rejected["scene"] == "000000" and rejected["reasons"][0].startswith("sharpness")
    assert result.exit_code == 3, "no pair came of it"


def test_the_path_tracer_wants_to_know_the_scene(tmp_path: Path, recording: Path) -> None:
    result = run(tmp_path / "d", "--from", recording)
    assert result.exit_code == 1 and "--scene" in result.output


def test_no_recording_is_an_error(tmp_path: Path) -> None:
    result = run(tmp_path / "d", "--from", tmp_path / "nowhere")
    assert result.exit_code == 1 and "nowhere" in result.output


def test_options_of_renderers_reach_what_paints_and_are_part_of_the_recipe(
    tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = "def load(*, steps=1):\n    return lambda clip: clip.channels['rgb'] // 4 * 4 + steps\n"
    (tmp_path / "own_look.py").write_text(look)
    asked = ("--from", recording, "--anchors", "own_look:load", "--steps", 3, "--keep-all", "--json")
    result = run(tmp_path / "d", *asked)
    assert result.exit_code == 0, result.output
    picture = cv2.imread(str(tmp_path / "d/000000/truth/000000.png"))
    assert picture is not None and np.all(picture % 4 == 3)
    again = run(tmp_path / "d", "--from", recording, "--anchors", "own_look:load", "--keep-all")
    assert again.exit_code == 1 and "steps" in again.output


def test_options_of_renderers_where_nothing_paints_are_refused(tmp_path: Path, recording: Path, maker: str) -> None:
    photos = run(tmp_path / "d", "--from", recording, "--anchors", tmp_path / "photos", "--steps", 3)
    assert photos.exit_code == 1 and "--steps=3 would have no effect" in photos.output
    assert run(tmp_path / "d", "--seeds", "1", "--maker", maker, "--steps", 3).exit_code == 2


def test_a_dataset_is_exported_for_other_trainers(tmp_path: Path, maker: str) -> None:
    run(tmp_path / "d", "--seeds", "1:3", "--maker", maker, "--size", "32x16", "--frames", 2)
    result = run(tmp_path / "d", "--export", tmp_path / "videos", "--json")
    assert result.exit_code == 0, result.output
    told = last_event(result)
    assert (told["event"], told["pairs"]) == ("exported", 2)
    rows = json.loads(Path(told["file"]).read_text())
    assert all((tmp_path / "videos" / row[name]).is_file() for row in rows for name in ("video", "reference_video"))
    both = run(tmp_path / "d", "--export", tmp_path / "videos", "--seeds", "1:3")
    assert both.exit_code == 2
