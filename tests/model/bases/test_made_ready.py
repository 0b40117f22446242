"""What a base is shown of a window is made while the window before is painted, and then not again."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.enhance import enhance
from renderlift.bridge.errors import ChannelError
from renderlift.bridge.films import read_png
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder
from renderlift.model import endure
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.opening import open_painter
from renderlift.model.bases.settings import Painter, Picture, RenderSettings
from renderlift.model.continuity import RenderWindow, continuous
from renderlift.model.endure import Enduring, Remedy
from renderlift.model.render import load, load_base

Shot = Callable[..., Clip]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("ltx2", {"references": ("rgb", "depth"), "reference_downscale_factor": 2}),
        ("ltx2", {"two_stages": True}),
        ("wan", {"references": ("rgb", "edge")}),
        ("wan_vace", {}),
        ("cosmos", {"controls": {"depth": 1.0}}),
    ],
)
def test_every_base_paints_from_what_was_made_ready(
    name: str, asked: Mapping[str, Any], shot: Shot, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    settings = RenderSettings(1, working_pixels=64 * 64, **asked)
    paint = open_painter(facts_of(folder), load_base(str(folder), torch.float32), settings, folder)
    enduring = Enduring(paint, for_memory=[], for_nan=[])
    clip = shot(6, 48, 80)
    known = {0: clip.channels[Channel.RGB][0]}
    rest = enduring.begin(clip)
    assert torch.equal(rest(replace(clip, channels={}), known), enduring(clip, known))


def shown_at(sizes: list[int], value: float) -> Painter:
    """A painter of one value, which notes what it is shown."""

    def show(clip: Clip) -> Sequence[Video]:
        return [clip.channels[Channel.RGB][:, : int(10 * value)]]

    def paint(shown: Sequence[Video], clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        sizes.append(shown[0].shape[1])
        if value == 1:
            raise torch.OutOfMemoryError
        return torch.full((len(clip), 3, 8, 8), value)

    return Painter(show, paint)


def test_what_was_made_ready_before_memory_ran_out_is_made_again_at_the_new_size(shot: Shot) -> None:
    sizes: list[int] = []
    half = Remedy("half the pixels", lambda clip: shown_at(sizes, 0.5))
    enduring = Enduring(shown_at(sizes, 1.0), for_memory=[half], for_nan=[])
    clip = shot(5)
    first, second = enduring.begin(clip), enduring.begin(clip)
    assert (first(clip, {}) == 0.5).all()
    assert (second(clip, {}) == 0.5).all()
    assert sizes == [10, 5, 5]


def plainly(clip: Clip, known: Mapping[int, Picture]) -> Video:
    return clip.channels[Channel.RGB]


def test_the_windows_of_one_clip_are_made_ready_one_ahead(shot: Shot) -> None:
    made, changed = list[int](), threading.Condition()

    def begin(part: Clip) -> RenderWindow:
        with changed:
            made.append(part.frames[0].index)
            changed.notify_all()

        def paint(part: Clip, known: Mapping[int, Picture]) -> Video:
            with changed:
                assert changed.wait_for(lambda: part.last or made[-1] > part.frames[0].index, timeout=10)
            return plainly(part, known)

        return paint

    clip = shot(21)
    render = continuous(plainly, window=9, overlap=3, takes_before=True, anchors={}, begin_window=begin)
    assert np.array_equal(render(clip), clip.channels[Channel.RGB])
    assert made == [0, 6, 12]


def test_a_window_that_cannot_be_made_ready_is_left_to_the_painting_of_it(shot: Shot) -> None:
    def begin(part: Clip) -> RenderWindow:
        if part.frames[0].index == 6:
            raise MemoryError("no memory left")
        return plainly

    painted: list[int] = []

    def noted(part: Clip, known: Mapping[int, Picture]) -> Video:
        painted.append(part.frames[0].index)
        return plainly(part, known)

    render = continuous(noted, window=9, overlap=3, takes_before=True, anchors={}, begin_window=begin)
    clip = shot(21)
    assert np.array_equal(render(clip), clip.channels[Channel.RGB])
    assert painted == [6]


def test_nothing_is_made_ready_any_more_once_a_window_has_failed(shot: Shot) -> None:
    def failing(part: Clip, known: Mapping[int, Picture]) -> Video:
        raise ChannelError("no depth")

    render = continuous(
        failing, window=9, overlap=3, takes_before=True, anchors={}, begin_window=lambda part: failing
    )
    with pytest.raises(ChannelError, match="no depth"):
        render(shot(30))
    assert not [thread for thread in threading.enumerate() if thread.name == "renderlift-ahead"]


@pytest.mark.parametrize("name", ["ltx2", "wan_vace"])
def test_a_film_is_the_same_to_the_bit(
    name: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recorder(tmp_path / "take") as recorder:
        for frame in shot(14).frames:
            recorder.write(frame)
    asked: dict[str, Any] = {"base": str(request.getfixturevalue(name)), "steps": 1, "guidance": 1.0, "window": 5}
    asked |= {"dtype": "float32", "lock": False}
    begun: list[int] = []
    begin = endure.Enduring.begin

    def noted(enduring: Enduring, clip: Clip) -> Any:
        begun.append(clip.frames[0].index)
        return begin(enduring, clip)

    monkeypatch.setattr(endure.Enduring, "begin", noted)
    films: list[list[Picture]] = []
    for kind in ("cpu", "as on a GPU"):
        if kind != "cpu":
            monkeypatch.setattr("renderlift.model.render.leaves_processor_free", lambda place: True)
        output = tmp_path / kind
        enhance(tmp_path / "take", output, load(device="cpu", **asked), length=5, overlap=2)
        films.append([read_png(path) for path in sorted(output.glob("*.png"))])
    assert begun == [0, 3, 6, 9]
    assert len(films[0]) == 14
    assert np.array_equal(*films)
