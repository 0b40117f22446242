"""A preview always renders the newest frames, and counts the ones it leaves out."""

import threading
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

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._frames.get()) is not None:
            yield frame

    def give(self, *frames: Frame) -> None:
        for frame in frames:
            self._frames.put(frame)

    def end(self) -> None:
        self._frames.put(None)


def frame(index: int, *, camera: str = "main", size: tuple[int, int] = (4, 6)) -> Frame:
    pixels = np.full((*size, 3), index % 256, np.uint8)
    pose = CameraPose(np.eye(4), np.eye(3))
    return Frame(index, index, index, pose, {Channel.RGB: pixels}, camera_name=camera)


def read_through(*frames: Frame, length: int) -> NewestFrames:
    """Windows after all these frames have been read."""
    read = threading.Event()

    def source() -> Iterator[Frame]:
        yield from frames
        read.set()

    newest = NewestFrames(source(), length=length)
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
