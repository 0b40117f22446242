"""Clips that go on from each other are told what was made of the frames they share."""

from dataclasses import replace

import numpy as np
import pytest

from renderlift.bridge.clip import Clip, Video, clips, stack
from renderlift.bridge.errors import RenderError
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.going_on import GoingOn
from renderlift.bridge.join import cross_fade

STREAM = ("test", "run1", "main")


def frame(index: int, camera: str = "main") -> Frame:
    pixels = np.full((4, 6, 3), 10 * index, np.uint8)
    pose = CameraPose(np.eye(4), np.eye(3))
    return Frame(index, index, 0, pose, {Channel.RGB: pixels}, engine="test", session="run1", camera_name=camera)


class Counting:
    """A renderer whose n-th clip is all n, and which keeps what it was told."""

    def __init__(self, *, fails_at: int = 0) -> None:
        self.told: list[list[int] | None] = []
        self.looks: list[tuple[float, ...] | None] = []
        self._fails_at = fails_at

    def __call__(self, clip: Clip) -> Video:
        before = clip.before
        self.told.append(None if before is None else [int(picture[0, 0, 0]) for picture in before.pictures])
        self.looks.append(before and before.look)
        if len(self.told) == self._fails_at:
            raise ValueError("out of paint")
        return np.full_like(clip.channels[Channel.RGB], len(self.told))

    def look(self, clip: Clip, video: Video) -> tuple[float, ...] | None:
        """Of the second clip on, for good."""
        if clip.before and clip.before.look:
            return clip.before.look
        number = float(video.flat[0])
        return None if number < 2 else (number,)


def test_clips_of_a_film_are_told_the_finished_pictures_and_the_first_look_of_their_run() -> None:
    render, film = Counting(), list[int]()
    going_on = GoingOn(render, overlap=3)
    sink = cross_fade(lambda shown, picture: film.append(int(picture[0, 0, 0])), overlap=3)
    for clip in clips([frame(index) for index in range(8)], length=4, overlap=3):
        sink(clip, going_on(clip))
    assert [len(told or ()) for told in render.told] == [0, 3, 3, 3, 3]
    # Three frames of one clip fade into three of the next, and that into the next: what is told is what was faded.
    assert render.told[1] == [1, 1, 1]
    assert render.told[2] == [2, 2, 2]
    assert render.looks == [None, None, (2.0,), (2.0,), (2.0,)]
    assert len(film) == 8


def test_what_was_shown_in_a_preview_stays_as_it_was() -> None:
    render = Counting()
    going_on = GoingOn(render, overlap=2, fades=False)
    for start in range(3):
        going_on(stack([frame(start + i) for i in range(3)], shared=min(start, 1) * 2))
    assert render.told == [None, [1, 1], [1, 2]]


def test_streams_go_on_each_from_its_own_pictures() -> None:
    render = Counting()
    going_on = GoingOn(render, overlap=1)
    for camera, shared in (("left", 0), ("right", 0), ("left", 1), ("right", 1)):
        going_on(stack([frame(0, camera), frame(1, camera)], shared=shared))
    assert render.told == [None, None, [1], [2]]


def test_a_clip_that_shares_nothing_begins_a_run_of_its_own() -> None:
    render = Counting()
    going_on = GoingOn(render, overlap=1)
    going_on(stack([frame(0), frame(1)]))
    going_on(stack([frame(5), frame(6)]))
    going_on(stack([frame(6), frame(7)], shared=1))
    assert render.told == [None, None, [2]]
    assert render.looks[2] == (2.0,)


def test_after_a_clip_that_failed_nothing_is_told() -> None:
    render = Counting(fails_at=2)
    going_on = GoingOn(render, overlap=1)
    cut = [stack([frame(i), frame(i + 1)], shared=min(i, 1)) for i in range(4)]
    going_on(cut[0])
    with pytest.raises(RenderError, match="out of paint"):
        going_on(cut[1])
    going_on(cut[2])
    going_on(cut[3])
    assert render.told == [None, [1], None, [3]]


def test_nothing_is_kept_of_streams_that_have_ended() -> None:
    going_on = GoingOn(Counting(), overlap=1)
    going_on(replace(stack([frame(0)]), last=True))
    going_on(stack([frame(0, "left")]))
    going_on(stack([frame(0, "right")]))
    going_on.forget_all_but({("test", "run1", "left")})
    assert set(going_on._runs) == {("test", "run1", "left")}  # pyright: ignore[reportPrivateUsage]
