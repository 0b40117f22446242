"""A preview always renders the newest frames, and counts the ones it leaves out."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from queue import Queue

import numpy as np
import pytest

from renderlift.bridge.clip import Clip, StreamEnd
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.newest import NewestFrames


class Feed:
    """Frames that a test hands out one by one."""

    def __init__(self) -> None:
        self._frames: Queue[Frame | None] = Queue()
        self._given = self._asked = 0

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        self._asked += 1
        return self._frames.get()

    def give(self, *frames: Frame) -> None:
        self._given += len(frames)
        for frame in frames:
            self._frames.put(frame)

    def end(self) -> None:
        self._frames.put(None)

    @property
    def is_read(self) -> bool:
        """Whether whoever reads has taken in all that was given, and waits for more."""
        return self._asked > self._given


def frame(index: int, *, camera: str = "main", size: tuple[int, int] = (4, 6), x_m: float = 0.0) -> Frame:
    pixels = np.full((*size, 3), index % 256, np.uint8)
    world_from_camera = np.eye(4)
    world_from_camera[0, 3] = x_m
    pose = CameraPose(world_from_camera, np.eye(3))
    return Frame(index, index, index, pose, {Channel.RGB: pixels}, camera_name=camera)


def read_through(*frames: Frame, length: int, carried: int = 0) -> NewestFrames:
    """Windows after all these frames have been read."""
    read = threading.Event()

    def source() -> Iterator[Frame]:
        yield from frames
        read.set()

    newest = NewestFrames(source(), length=length, carried=carried)
    assert read.wait(5)
    return newest


def indices(clip: Clip) -> list[int]:
    return [frame.index for frame in clip.frames]


def test_a_slow_renderer_sees_only_the_newest_frames_and_the_rest_is_counted() -> None:
    newest = read_through(*[frame(i) for i in range(10)], length=3)
    [clip] = newest.clips()
    assert indices(clip) == [7, 8, 9]
    assert clip.shared == 0
    assert newest.skipped[clip.stream] == 7


def test_a_fast_renderer_sees_some_frames_again_and_knows_which() -> None:
    feed = Feed()
    newest = NewestFrames(feed, length=3)
    made = newest.clips()
    seen: list[tuple[list[int], int]] = []
    for index in range(4):
        feed.give(frame(index))
        clip = next(made)
        seen.append((indices(clip), clip.shared))
    assert seen == [([0], 0), ([0, 1], 1), ([0, 1, 2], 2), ([1, 2, 3], 2)]
    assert newest.skipped.total() == 0
    feed.end()


def test_cameras_take_turns() -> None:
    feed = Feed()
    newest = NewestFrames(feed, length=1)
    feed.give(frame(0, camera="left"), frame(0, camera="right"))
    made = newest.clips()
    first, second = next(made), next(made)
    assert {first.stream[2], second.stream[2]} == {"left", "right"}
    feed.end()
    assert list(made) == []


def test_a_resized_window_begins_anew() -> None:
    newest = read_through(frame(0), frame(1), frame(2, size=(8, 8)), length=4)
    [clip] = newest.clips()
    assert indices(clip) == [2]
    assert newest.skipped[clip.stream] == 2


def test_streams_that_have_ended_are_rendered_to_their_end_and_let_go() -> None:
    def source() -> Iterator[Frame | StreamEnd]:
        for session in range(50):
            made = replace(frame(0), session=str(session))
            yield made
            yield StreamEnd(made.stream)

    newest = NewestFrames(source(), length=4)
    assert len(list(newest.clips())) == 50
    assert not newest._windows  # pyright: ignore[reportPrivateUsage]


def test_trouble_of_the_source_reaches_the_renderer() -> None:
    def broken() -> Iterator[Frame]:
        yield frame(0)
        raise OSError("socket gone")

    with pytest.raises(OSError, match="socket gone"):
        list(NewestFrames(broken(), length=2).clips())


def test_the_renderer_waits_for_a_first_frame() -> None:
    feed = Feed()
    made = NewestFrames(feed, length=2).clips()
    taken: list[Clip] = []
    reader = threading.Thread(target=lambda: taken.append(next(made)))
    reader.start()
    reader.join(0.05)
    assert reader.is_alive()
    feed.give(frame(5))
    reader.join(5)
    assert indices(taken[0]) == [5]
    feed.end()


def seen_by(*bursts: list[Frame], length: int, carried: int) -> tuple[list[tuple[list[int], int]], NewestFrames]:
    """Clips of a renderer that is free after each burst of frames: their indices, and how many are shared."""
    feed, seen = Feed(), list[tuple[list[int], int]]()
    newest = NewestFrames(feed, length=length, carried=carried)
    made = newest.clips()
    for burst in bursts:
        feed.give(*burst)
        while not feed.is_read:
            time.sleep(0.001)
        clip = next(made)
        seen.append((indices(clip), clip.shared))
    feed.end()
    return seen, newest


def test_a_clip_that_goes_on_begins_with_the_last_frame_shown_whatever_was_left_out_since() -> None:
    frames = [frame(index, x_m=index / 100) for index in range(40)]
    seen, newest = seen_by(frames[:6], frames[6:8], frames[8:30], length=5, carried=1)
    assert seen == [([1, 2, 3, 4, 5], 0), ([5, 6, 7], 1), ([7, 26, 27, 28, 29], 1)]
    assert newest.skipped.total() == 1 + 18


def test_a_clip_never_goes_on_over_a_cut() -> None:
    here = [frame(index) for index in range(4)]
    there = [frame(index, x_m=100.0) for index in range(4, 6)]
    seen, newest = seen_by(here[:2], [*here[2:], *there], length=5, carried=1)
    assert seen == [([0, 1], 0), ([4, 5], 0)]
    assert newest.skipped.total() == 2


def test_where_so_much_is_left_out_that_it_is_another_shot_a_clip_begins_anew() -> None:
    walk = [frame(index, x_m=index) for index in range(30)]  # metre by metre, which is no cut
    seen, _ = seen_by(walk[:3], walk[3:], length=5, carried=1)
    assert seen == [([0, 1, 2], 0), ([25, 26, 27, 28, 29], 0)]


@pytest.mark.parametrize(("length", "carried"), [(0, 0), (1, 1), (3, -1)])
def test_sizes_that_leave_no_room_for_a_fresh_frame_are_refused(length: int, carried: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        NewestFrames([], length=length, carried=carried)
