from pathlib import Path

import cv2
import numpy as np
import pytest

from renderlift.model.pairs.describe import THUMB_WIDTH, describe
from renderlift.model.pairs.make import Recipe, make_scene


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    recipe = Recipe(frames=3, height=32, width=48, maker="toy_scenes:make", options={})
    for seed in (1, 2, 900_004):
        make_scene(tmp_path, recipe, seed)
    return tmp_path


def test_the_card_counts_scenes_by_part_and_kind(dataset: Path) -> None:
    describe(dataset)
    card = (dataset / "README.md").read_text()
    assert "2 to train on, 1 held out" in card
    assert "| train | toy | 2 |" in card and "| held_out | toy | 1 |" in card


def test_the_contact_sheet_shows_render_and_photo_of_each_scene(dataset: Path) -> None:
    describe(dataset)
    sheet = cv2.imread(str(dataset / "contact_sheet.jpg"))
    assert sheet is not None and sheet.shape[1] >= 3 * 2 * THUMB_WIDTH
    height = THUMB_WIDTH * 32 // 48
    render, photo = sheet[:height, :THUMB_WIDTH], sheet[:height, THUMB_WIDTH : 2 * THUMB_WIDTH]
    assert photo.mean() - render.mean() == pytest.approx(40, abs=3)


def test_a_damaged_scene_or_one_without_truth_is_no_reason_to_fail(dataset: Path) -> None:
    (dataset / "000001/scene.json").write_text("{")
    for path in (dataset / "000002/truth").iterdir():
        path.unlink()
    (dataset / "900004/render/000000.mcap").write_bytes(b"")
    describe(dataset)
    assert "| train | unknown | 1 |" in (dataset / "README.md").read_text()


def test_rejections_are_counted_by_reason(dataset: Path) -> None:
    (dataset / "rejected").mkdir()
    (dataset / "rejected/000007.json").write_text('{"reasons": ["warp 3.10 > 2.5", "edges 0.50 < 0.75"]}')
    (dataset / "rejected/000008.json").write_text('{"reasons": ["warp 2.70 > 2.5"]}')
    describe(dataset)
    card = (dataset / "README.md").read_text()
    assert "2 candidates were rejected" in card and "| warp | 2 |" in card and "| edges | 1 |" in card
    assert np.all([word in card for word in ("reason", "rejected/")])
