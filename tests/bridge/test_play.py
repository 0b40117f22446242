import math
import threading
import time
from dataclasses import replace

import pytest

from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import Channel, IdName
from renderlift.bridge.play import play
from renderlift.bridge.record import Recorder

NAMES = (IdName(1, "cup", "kitchenware"),)


class Stage:
    """Takes the place of a publisher: notes what was opened, published and closed, and when."""

    def __init__(self, slow_s=0.0):
        self.openings = []
        self.frames = []
        self.times_s = []
        self.closed = []
        self.slow_s = slow_s
        self.on_frame = lambda: None

    def connect(self, opening):
        self.openings.append(opening)
        return Outlet(self, opening.session)


class Outlet:
    def __init__(self, stage, session):
        self.stage = stage
        self.session = session

    def publish(self, frame):
        assert self.session not in self.stage.closed
        self.stage.frames.append(frame)
        self.stage.times_s.append(time.monotonic())
        self.stage.on_frame()
        time.sleep(self.stage.slow_s)
        return True

    def close(self):
        self.stage.closed.append(self.session)
        return True


@pytest.fixture
def recording(tmp_path, make_frame):
    with Recorder(tmp_path) as recorder:
        for i in range(6):
            recorder.write(make_frame(i, channels=(Channel.RGB, Channel.DEPTH), names=NAMES))
    return tmp_path


def test_frames_come_as_they_were_recorded_under_a_fresh_session(recording, make_frame, same_frame):
    stage = Stage()
    assert play(recording, stage.connect, speed=math.inf) == 6
    (opening,) = stage.openings
    assert opening.session not in ("", "s")
    for i, frame in enumerate(stage.frames):
        original = make_frame(i, channels=(Channel.RGB, Channel.DEPTH), names=NAMES)
        now = {"session": opening.session, "capture_time_ns": frame.capture_time_ns}
        assert same_frame(frame, replace(original, **now))


def test_latency_counts_from_the_replay_and_not_from_the_day_of_the_recording(recording):
    stage = Stage()
    before_ns = time.time_ns()
    play(recording, stage.connect, speed=math.inf)
    assert all(before_ns <= frame.capture_time_ns <= time.time_ns() for frame in stage.frames)


def test_an_outlet_is_told_what_an_engine_says_at_its_start(recording):
    stage = Stage()
    play(recording, stage.connect, speed=math.inf)
    (opening,) = stage.openings
    assert (opening.engine, opening.cameras, opening.names) == ("test", ("main",), NAMES)
    assert opening.channels == (Channel.RGB, Channel.DEPTH)


@pytest.mark.parametrize("speed", [1, 2])
def test_the_pace_is_that_of_the_engine_s_clock(recording, speed):
    stage = Stage()
    play(recording, stage.connect, speed=speed)
    took_s = stage.times_s[-1] - stage.times_s[0]
    assert 0.9 * 5 / 25 / speed <= took_s <= 5 / 25 / speed + 0.5


def test_a_slow_receiver_is_not_chased_with_a_burst(tmp_path, make_frame):
    with Recorder(tmp_path) as recorder:
        for i in range(12):
            recorder.write(make_frame(i))
    stage = Stage()
    stalled = iter([0.6])
    stage.on_frame = lambda: time.sleep(next(stalled, 0))
    play(tmp_path, stage.connect)
    after_stall_s = stage.times_s[-1] - stage.times_s[1]
    assert after_stall_s >= 0.9 * 10 / 25


def test_a_loop_begins_again_with_another_session_until_it_is_stopped(recording):
    stop = threading.Event()
    stage = Stage()
    stage.on_frame = lambda: len(stage.frames) == 15 and stop.set()
    assert play(recording, stage.connect, speed=math.inf, loop=True, stop=stop) == 15
    assert len({opening.session for opening in stage.openings}) == 3
    assert [frame.index for frame in stage.frames] == [*range(6), *range(6), *range(3)]
    assert stage.closed == [opening.session for opening in stage.openings]


def test_stop_interrupts_the_wait_for_a_frame(tmp_path, make_frame):
    with Recorder(tmp_path) as recorder:
        recorder.write(make_frame(0))
        recorder.write(replace(make_frame(1), engine_time_ns=3600 * 10**9))
    stop = threading.Event()
    stage = Stage()
    stage.on_frame = stop.set
    began_s = time.monotonic()
    assert play(tmp_path, stage.connect, stop=stop) == 1
    assert time.monotonic() - began_s < 5
    assert len(stage.closed) == 1


def test_every_recorded_session_is_played_as_an_engine_of_its_own(tmp_path, make_frame):
    with Recorder(tmp_path) as recorder:
        for session in ("a", "b"):
            for i in range(3):
                for camera in ("left", "right"):
                    recorder.write(make_frame(i, session=session, camera=camera))
    stage = Stage()
    assert play(tmp_path, stage.connect, speed=math.inf) == 12
    assert [opening.cameras for opening in stage.openings] == [("left", "right")] * 2
    assert stage.closed == [opening.session for opening in stage.openings]
    for opening in stage.openings:
        mine = [frame for frame in stage.frames if frame.session == opening.session]
        assert [(f.index, f.camera_name) for f in mine] == [(i, c) for i in range(3) for c in ("left", "right")]


def test_the_time_between_two_sessions_is_not_waited_for(tmp_path, make_frame):
    with Recorder(tmp_path) as recorder:
        recorder.write(make_frame(0, session="a"))
        later = replace(make_frame(0, session="b"), engine_time_ns=10**12, capture_time_ns=2 * 10**18)
        recorder.write(later)
    began_s = time.monotonic()
    assert play(tmp_path, Stage().connect) == 2
    assert time.monotonic() - began_s < 5


def test_an_outlet_is_closed_when_publishing_fails(recording):
    stage = Stage()
    stage.on_frame = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        play(recording, stage.connect)
    assert stage.closed == [stage.openings[0].session]


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_that_goes_nowhere_is_refused(recording, speed):
    with pytest.raises(ValueError, match="speed must be above 0"):
        play(recording, Stage().connect, speed=speed)


def test_there_has_to_be_a_recording(tmp_path):
    with pytest.raises(RecordingError, match="there is no recording"):
        play(tmp_path / "nothing", Stage().connect)
