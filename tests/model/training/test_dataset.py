from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.controls import control_video
from renderlift.model.pairs import read_pair
from renderlift.model.training.dataset import Scene, survey, survey_scene, variants
from renderlift.model.training.recipe import Recipe, read_recipe

WriteScene = Callable[..., Path]
RECIPE = read_recipe(None, steps=1)
BOTH = {"rgb": (32, 48), "photo": (32, 48)}


def surveyed(folder: Path, recipe: Recipe = RECIPE) -> Scene:
    scene = survey_scene(folder, recipe)
    assert isinstance(scene, Scene)
    return scene


@pytest.mark.parametrize(("frames", "windows"), [(5, 1), (8, 1), (9, 2), (13, 3)])
def test_windows_of_a_scene_share_one_frame(
    tmp_path: Path, write_scene: WriteScene, frames: int, windows: int
) -> None:
    scene = surveyed(write_scene(tmp_path, 0, frames=frames))
    assert scene.windows == windows
    assert len({v.key.partition(".")[0] for v in variants(scene, RECIPE, BOTH)}) == windows


def test_frames_without_truth_are_not_trained_on(tmp_path: Path, write_scene: WriteScene) -> None:
    scene = surveyed(write_scene(tmp_path, 0, frames=9, truth=range(4, 9)))
    assert scene.windows == 1
    assert {v.key.partition(".")[0] for v in variants(scene, RECIPE, BOTH)} == {"4"}


def test_a_frame_count_that_the_base_cannot_pack_names_those_it_can(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="Use 5 or 9"):
        survey(tmp_path, None, read_recipe(None, steps=1, frames=6), temporal_ratio=4)


def test_scenes_that_are_too_short_are_left_out_with_the_reason(tmp_path: Path, write_scene: WriteScene) -> None:
    write_scene(tmp_path, 0, frames=3)
    write_scene(tmp_path, 1)
    write_scene(tmp_path, 900_000)
    found = survey(tmp_path, None, RECIPE, temporal_ratio=4)
    assert [scene.folder.name for scene in found.train] == ["000001"]
    assert found.left_out == ("000000: its longest run is 3 frames, a clip needs 5",)


def test_scenes_that_are_all_too_short_are_refused_with_the_command_that_makes_longer_ones(
    tmp_path: Path, write_scene: WriteScene
) -> None:
    write_scene(tmp_path, 0)
    with pytest.raises(SetupError, match="longest run is 5 frames, a clip needs 49") as problem:
        survey(tmp_path, None, read_recipe(None, steps=1, frames=49), temporal_ratio=8)
    assert "renderlift pairs FOLDER --seeds 0:200 --frames 49" in problem.value.fix
    assert "lower frames" in problem.value.fix


def test_a_dataset_without_any_usable_scene_is_refused(tmp_path: Path, write_scene: WriteScene) -> None:
    write_scene(tmp_path, 0, truth=range(0))
    with pytest.raises(SetupError, match="no 5 neighbouring frames have a truth picture"):
        survey(tmp_path, None, RECIPE, temporal_ratio=4)


def test_edges_can_be_read_and_are_drawn_at_the_size_that_is_trained_on(
    tmp_path: Path, write_scene: WriteScene
) -> None:
    recipe = read_recipe(None, task="sketch", references=["edge"], target="photo", steps=1)
    scene = surveyed(write_scene(tmp_path, 0), recipe)
    (whole, *_) = variants(scene, recipe, {"edge": (32, 48), "photo": (32, 48)})
    clip = next(iter(read_pair(scene.folder))).clip
    assert set(np.unique(whole.pictures["edge"])) == {0, 255}
    assert np.array_equal(whole.pictures["edge"], control_video("edge", clip, 32, 48))


def test_scenes_of_two_sizes_are_refused(tmp_path: Path, write_scene: WriteScene) -> None:
    write_scene(tmp_path, 0)
    write_scene(tmp_path, 1, height=96)
    write_scene(tmp_path, 900_000)
    with pytest.raises(SetupError, match="96x96"):
        survey(tmp_path, None, RECIPE, temporal_ratio=4)


def test_held_out_scenes_are_never_trained_on(tmp_path: Path, write_scene: WriteScene) -> None:
    write_scene(tmp_path, 1)
    write_scene(tmp_path, 900_000)
    found = survey(tmp_path, None, RECIPE, temporal_ratio=4)
    assert [scene.folder.name for scene in found.train] == ["000001"]
    assert [folder.name for folder in found.held_out] == ["900000"]


def test_without_held_out_scenes_some_are_kept_to_measure_on(tmp_path: Path, write_scene: WriteScene) -> None:
    for number in range(3):
        write_scene(tmp_path, number)
    found = survey(tmp_path, None, RECIPE, temporal_ratio=4)
    assert len(found.held_out) == 1
    assert not {scene.folder for scene in found.train} & set(found.held_out)


def test_all_pictures_of_a_variant_show_the_same_crop(tmp_path: Path, write_scene: WriteScene) -> None:
    scene = surveyed(write_scene(tmp_path, 0))
    seen = list(variants(scene, read_recipe(None, steps=1, variants=6), BOTH))
    for variant in seen:
        render, photo = (variant.pictures[name].astype(float) for name in ("rgb", "photo"))
        # The truth of these scenes is 0.6 of the render, so any shift would show.
        np.testing.assert_allclose(photo, render * 0.6, atol=2)
    assert len({variant.pictures["rgb"].tobytes() for variant in seen}) == len(seen)


def test_variants_repeat(tmp_path: Path, write_scene: WriteScene) -> None:
    scene = surveyed(write_scene(tmp_path, 0))
    first, again = (list(variants(scene, RECIPE, BOTH)) for _ in range(2))
    assert [v.key for v in first] == [v.key for v in again]
    assert all(np.array_equal(a.pictures["rgb"], b.pictures["rgb"]) for a, b in zip(first, again, strict=True))


def test_a_mirror_turns_normals_around(tmp_path: Path, write_scene: WriteScene) -> None:
    recipe = read_recipe(None, task="forward", references=["normal"], steps=1, variants=8)
    scene = surveyed(write_scene(tmp_path, 0), recipe)
    # These scenes face the camera everywhere, and still do in the mirror.
    for variant in variants(scene, recipe, {"normal": (32, 48), "photo": (32, 48)}):
        assert np.abs(variant.pictures["normal"].astype(int) - [128, 128, 255]).max() <= 1


def test_exchanged_colours_are_exchanged_in_render_and_photo_alike(tmp_path: Path, write_scene: WriteScene) -> None:
    recipe = read_recipe(None, steps=1, variants=6, recolour=1.0)
    seen = list(variants(surveyed(write_scene(tmp_path, 0)), recipe, BOTH))
    for variant in seen:
        render, photo = (variant.pictures[name].astype(float) for name in ("rgb", "photo"))
        np.testing.assert_allclose(photo, render * 0.6, atol=2)
    tints = {tuple(np.argsort(variant.pictures["rgb"].mean((0, 1, 2)))) for variant in seen}
    assert len(tints) > 1
