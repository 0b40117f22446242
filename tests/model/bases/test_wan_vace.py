"""VACE: engine buffers as the control, known pictures in their places, anchors carried over a clip."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from diffusers import WanVACEPipeline, WanVACETransformer3DModel

from renderlift.bridge.clip import Clip, Video, stack
from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.errors import ChannelError, SetupError
from renderlift.bridge.frame import Channel
from renderlift.model.bases.controls import control_video
from renderlift.model.bases.propagation import load as load_propagate
from renderlift.model.bases.settings import Picture
from renderlift.model.bases.wan_vace import laid_control, with_known
from renderlift.model.control import Fit
from renderlift.model.render import load

Shot = Callable[..., Clip]


def test_known_frames_are_kept_and_all_others_painted(shot: Shot) -> None:
    picture = np.full((32, 48, 3), 77, np.uint8)
    fit = Fit(32, 48, 32, 48)
    video, mask = with_known(laid_control("edge", shot(7), fit, 9), {0: picture, 6: picture}, fit)
    assert video.shape == mask.shape == (9, 32, 48, 3)
    assert (mask[[0, 6]] == 0).all()
    assert (mask[[1, 2, 3, 4, 5, 7, 8]] == 255).all()
    assert (video[[0, 6]] == 77).all()
    assert set(np.unique(video[3])) == {0, 255}


def test_edges_are_drawn_dark_on_white_as_vace_was_trained(shot: Shot) -> None:
    clip = shot(2)
    video = laid_control("edge", clip, Fit(32, 48, 32, 48), 5)
    assert np.array_equal(255 - video[:2], control_video("edge", clip, 32, 48))
    assert video.mean() > 127
    depth = laid_control("depth", clip, Fit(32, 48, 32, 48), 5)
    assert np.array_equal(depth[:2], control_video("depth", clip, 32, 48))


def test_edges_lie_where_ids_change_and_the_picture_has_texture(shot: Shot) -> None:
    clip = shot(1)
    edges = control_video("edge", clip, 32, 48)[0, ..., 0] > 0
    ids = clip.channels[Channel.INSTANCE_ID][0, ..., 0]
    changes = ids[:, 1:] != ids[:, :-1]
    assert edges[:, :-1][changes].all()
    assert edges.mean() < 0.5


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "seg"])
def test_every_control_is_a_picture_of_the_size_asked_for(shot: Shot, name: str) -> None:
    video = control_video(name, shot(2), 16, 24)
    assert video.shape == (2, 16, 24, 3)
    assert video.dtype == np.uint8
    assert np.ptp(video) > 20


def test_an_id_has_its_colour_whatever_others_are_beside_it(shot: Shot) -> None:
    def colours(*ids: int) -> list[tuple[int, ...]]:
        numbers = np.resize(np.array(ids, np.uint32), (1, 32, 48, 1))
        frame = replace(shot(1).frames[0], channels={**shot(1).frames[0].channels, Channel.CLASS_ID: numbers[0]})
        picture = control_video("seg", stack([frame]), 32, 48)[0]
        return [tuple(picture.reshape(-1, 3)[place]) for place in range(len(ids))]

    few = colours(0, 1, 2, 3, 4, 65535)
    assert colours(0, 1, 2, 3, 4, 65535, 70000, 3_000_000_000)[:6] == few
    assert few[0] == (0, 0, 0) and len(set(few)) == 6


def test_segmentation_gives_each_id_one_colour_in_every_clip(shot: Shot) -> None:
    first, later = control_video("seg", shot(1), 32, 48), control_video("seg", shot(9), 32, 48)[8:]
    assert len(np.unique(first.reshape(-1, 3), axis=0)) == 2
    assert {tuple(c) for c in first.reshape(-1, 3)} == {tuple(c) for c in later.reshape(-1, 3)}


def test_a_control_that_cannot_be_made_names_the_channel(shot: Shot) -> None:
    clip = shot(1)
    without = Clip(clip.frames, {Channel.RGB: clip.channels[Channel.RGB]})
    with pytest.raises(ChannelError, match="depth"):
        control_video("depth", without, 16, 16)
    with pytest.raises(SetupError, match="edge, depth"):
        control_video("pose", clip, 16, 16)


def test_anchors_come_back_untouched_and_change_the_frames_between(wan_vace: Path, shot: Shot) -> None:
    clip = shot(9)
    dark, light = np.full((32, 48, 3), 10, np.uint8), np.full((32, 48, 3), 240, np.uint8)
    propagate = load_propagate(base=str(wan_vace), steps=1, guidance=1.0, device="cpu", dtype="float32")
    one, other = propagate(clip, {0: dark, 8: dark}), propagate(clip, {0: light, 8: light})
    assert one.shape == (9, 32, 48, 3)
    assert (one[[0, 8]] == 10).all()
    assert (other[[0, 8]] == 240).all()
    assert not np.array_equal(one[4], other[4])


def test_anchors_outside_the_clip_are_refused(wan_vace: Path, shot: Shot) -> None:
    propagate = load_propagate(base=str(wan_vace), steps=1, guidance=1.0, device="cpu", dtype="float32")
    with pytest.raises(SetupError, match="between 0 and 4"):
        propagate(shot(5), {9: np.zeros((32, 48, 3), np.uint8)})


def test_both_experts_of_2_2_are_used_and_both_see_the_control(
    wan_vace_a14b: Path, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[tuple[int, bool]] = []
    forward = WanVACETransformer3DModel.forward

    def spying(self: Any, **inputs: Any) -> Any:
        used.append((id(self), bool(inputs["control_hidden_states"].any())))
        return forward(self, **inputs)

    monkeypatch.setattr(WanVACETransformer3DModel, "forward", spying)
    load(base=str(wan_vace_a14b), steps=6, guidance=1.0, device="cpu", dtype="float32")(shot(5))
    assert len(used) == 6
    assert len(set(used)) == 2
    assert all(sees for _, sees in used)


def test_pictures_of_what_things_look_like_are_shown_to_the_base_and_not_in_the_clip(
    wan_vace: Path, shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    call = WanVACEPipeline.__call__

    def spying(self: Any, **how: Any) -> Any:
        seen.append([int(np.asarray(picture)[0, 0, 0]) for picture in how["reference_images"]])
        return call(self, **how)

    monkeypatch.setattr(WanVACEPipeline, "__call__", spying)

    def video(looks: str | Sequence[Picture]) -> Video:
        how: dict[str, Any] = {"steps": 1, "prompt": "a car", "guidance": 1.0, "device": "cpu", "dtype": "float32"}
        return load(base=str(wan_vace), reference_images=looks, **how)(shot(5))

    dark, bright = (np.full((40, 30, 3), grey, np.uint8) for grey in (20, 230))
    cv2.imwrite(str(tmp_path / "bright.png"), bright)
    for looks in ([dark], [dark, bright], str(tmp_path), str(tmp_path / "bright.png")):
        assert video(looks).shape == (5, 32, 48, 3)
    assert seen == [[20], [20, 230], [230], [230]]
    with pytest.raises(SetupError, match="no pictures at"):
        video(str(tmp_path / "none"))


def test_what_another_base_takes_is_refused(wan: Path, wan_vace: Path) -> None:
    with pytest.raises(SetupError, match="takes no reference images"):
        load(base=str(wan), reference_images=[np.zeros((8, 8, 3), np.uint8)], device="cpu")
    with pytest.raises(SetupError, match="takes one control, not edge and depth"):
        load(base=str(wan_vace), control="edge,depth", device="cpu")


def test_another_base_cannot_propagate(wan: Path) -> None:
    with pytest.raises(SetupError, match="VACE"):
        load_propagate(base=str(wan))
