"""A renderer slower than its engine gets every frame, in order, from bounded memory."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.backlog import BATCH_FRAMES, Backlog
from renderlift.bridge.clip import StreamEnd
from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.record import Recorder

FRAME_BYTES = 4 * 6 * 3


def frame(index: int, camera: str = "main") -> Frame:
    pixels = np.full((4, 6, 3), index % 256, np.uint8)
    pose = CameraPose(np.eye(4), np.eye(3))
    return Frame(index, index, index, pose, {Channel.RGB: pixels}, camera_name=camera, engine="e", session="s")


def frames_of(items: Iterable[Frame | StreamEnd]) -> Iterator[Frame]:
    for item in items:
        assert isinstance(item, Frame)
        yield item


def keep(backlog: Backlog, recorder: Recorder, frames: Iterable[Frame]) -> None:
    for item in frames:
        recorder.write(item)
        backlog.put(item)


def test_what_does_not_fit_into_memory_comes_back_from_the_recording(tmp_path: Path) -> None:
    count = 3 * BATCH_FRAMES
    backlog = Backlog(tmp_path, budget_bytes=5 * FRAME_BYTES)
    with Recorder(tmp_path) as recorder:
        keep(backlog, recorder, (frame(i) for i in range(count)))
        backlog.end()
        assert len(backlog) == count
        read = list(frames_of(backlog.frames()))
    assert [item.index for item in read] == list(range(count))
    assert all(np.all(item.channels[Channel.RGB] == item.index % 256) for item in read)
    assert len(backlog) == 0


def test_frames_that_come_while_others_are_read_back_stay_in_order(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path, budget_bytes=2 * FRAME_BYTES)
    with Recorder(tmp_path) as recorder:
        keep(backlog, recorder, (frame(i) for i in range(10)))
        read: list[int] = []
        for item in frames_of(backlog.frames()):
            read.append(item.index)
            if item.index < 40:
                keep(backlog, recorder, (frame(len(read) + 9 + i) for i in range(1)))
            elif item.index == 40:
                backlog.end()
        assert read == sorted(set(read))
        assert read[0] == 0
        assert len(read) == read[-1] + 1 >= 41


def test_cameras_share_the_backlog_and_each_keeps_its_order(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path, budget_bytes=3 * FRAME_BYTES)
    with Recorder(tmp_path) as recorder:
        keep(backlog, recorder, (frame(i, camera) for i in range(100) for camera in ("left", "right")))
        backlog.end()
        read = list(frames_of(backlog.frames()))
    for camera in ("left", "right"):
        assert [item.index for item in read if item.camera_name == camera] == list(range(100))


@pytest.mark.parametrize("budget_frames", [2, 100])
def test_the_end_of_a_stream_comes_after_its_last_frame(tmp_path: Path, budget_frames: int) -> None:
    backlog = Backlog(tmp_path, budget_bytes=budget_frames * FRAME_BYTES)
    with Recorder(tmp_path) as recorder:
        keep(backlog, recorder, (frame(i, "left") for i in range(10)))
        backlog.put_end(StreamEnd(frame(0, "left").stream))
        keep(backlog, recorder, (frame(i, "right") for i in range(10)))
        backlog.end()
        read = [item for item in backlog.frames() if item.stream[2] == "left"]
    assert [type(item) for item in read] == [Frame] * 10 + [StreamEnd]


def test_without_a_recording_the_engine_waits_for_the_renderer() -> None:
    backlog = Backlog(None, budget_bytes=2 * FRAME_BYTES)
    put: list[int] = []

    def engine() -> None:
        for i in range(20):
            backlog.put(frame(i))
            put.append(i)
        backlog.end()

    thread = threading.Thread(target=engine)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    assert len(put) == 2
    assert [item.index for item in frames_of(backlog.frames())] == list(range(20))
    thread.join()


def test_abandoning_ends_both_sides_and_counts_what_is_left_out(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path, budget_bytes=2 * FRAME_BYTES)
    with Recorder(tmp_path) as recorder:
        keep(backlog, recorder, (frame(i) for i in range(50)))
        reader = frames_of(backlog.frames())
        assert [next(reader).index for _ in range(5)] == [0, 1, 2, 3, 4]
        assert backlog.abandon() == 45
        assert list(reader) == []
        backlog.put(frame(50))
        assert len(backlog) == 0


def test_a_recording_that_lacks_the_frames_is_an_error_not_an_endless_wait(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path, budget_bytes=FRAME_BYTES)
    with Recorder(tmp_path) as recorder:
        recorder.write(frame(0))
        for i in range(3):
            backlog.put(frame(i))
        with pytest.raises(RecordingError, match="frames 1 to 2"):
            list(backlog.frames())
