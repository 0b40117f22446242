"""The service over real sockets: previews and captures, slow and failing renderers, a clean end."""

import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.clip import Clip, Render, Video, identity
from renderlift.bridge.enhance import enhance
from renderlift.bridge.errors import ChannelError, RecordingError
from renderlift.bridge.events import Events
from renderlift.bridge.films import Films, read_png
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.receive import Receiver
from renderlift.bridge.record import Recorder, read_frames, summarize
from renderlift.bridge.send import Publisher, Result
from renderlift.bridge.serve import TELL_S, Served, Service, serve
from renderlift.bridge.video import read_video
from renderlift.bridge.wire import Mode

HEIGHT, WIDTH = 16, 24


def frame(index: int, camera: str = "main") -> Frame:
    pixels = np.full((HEIGHT, WIDTH, 3), index % 256, np.uint8)
    pose = CameraPose(np.eye(4), np.eye(3))
    return Frame(index, index * 40_000_000, time.time_ns(), pose, {Channel.RGB: pixels}, camera_name=camera)


def brighter(clip: Clip) -> Video:
    return clip.channels[Channel.RGB] + np.uint8(100)


class Bridge:
    """A service in a thread, and what it said."""

    def __init__(
        self, render: Render, service: Service, recorder: Recorder | None, films: Films | None, as_json: bool
    ) -> None:
        durable = recorder.last_index if recorder else None
        self.receiver = Receiver("tcp://127.0.0.1:*", durable=durable)
        self.stop = threading.Event()
        self.out = StringIO()
        self.served: Served | None = None
        events = Events(as_json=as_json, out=self.out, err=self.out)

        def run() -> None:
            self.served = serve(
                self.receiver, render, service, events=events, stop=self.stop, recorder=recorder, films=films
            )

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def told(self, event: str) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in self.out.getvalue().splitlines()]
        return [facts for facts in events if facts["event"] == event]

    def wait(self, timeout_s: float = 20.0) -> Served:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "the service did not end"
        assert self.served is not None
        return self.served

    def close(self) -> None:
        self.stop.set()
        self._thread.join(20)
        self.receiver.close()


@contextmanager
def bridge(
    render: Render = identity,
    service: Service | None = None,
    *,
    recorder: Recorder | None = None,
    films: Films | None = None,
    as_json: bool = True,
) -> Generator[Bridge]:
    made = Bridge(render, service or Service(once=True), recorder, films, as_json)
    try:
        yield made
    finally:
        made.close()


def engine(bridge: Bridge, mode: Mode, cameras: tuple[str, ...] = ("main",)) -> Publisher:
    return Publisher(bridge.receiver.endpoint, engine="test", mode=mode, channels=[Channel.RGB], cameras=cameras)


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_preview_gets_its_newest_frames_back_rendered() -> None:
    with bridge(brighter) as made, engine(made, Mode.PREVIEW) as publisher:
        assert publisher.wait_connected(5)
        for index in range(30):
            publisher.publish(frame(index))
            time.sleep(0.005)
        results: list[Result] = []

        def last_has_come() -> bool:
            if result := publisher.result():
                results.append(result)
            return bool(results) and results[-1].index == 29

        wait_until(last_has_come)
        assert np.all(results[-1].picture == 29 + 100)
        assert 0 < results[-1].latency_ms < 5000


def test_preview_frames_are_rendered_or_counted_as_dropped() -> None:
    def slow(clip: Clip) -> Video:
        time.sleep(0.05)
        return identity(clip)

    with bridge(slow) as made:
        with engine(made, Mode.PREVIEW) as publisher:
            assert publisher.wait_connected(5)
            for index in range(60):
                publisher.publish(frame(index))
                time.sleep(0.005)
        made.wait()
        [row] = made.told("streams")[-1]["streams"]
        assert row["rendered"] + row["dropped"] == 60
        assert row["dropped"] > 0


def test_captured_frames_are_recorded_filmed_and_each_comes_back_once(tmp_path: Path) -> None:
    with (
        Recorder(tmp_path / "rec") as recorder,
        Films(tmp_path / "lifted.mp4") as films,
        bridge(brighter, recorder=recorder, films=films) as made,
    ):
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(40):
                publisher.publish(frame(index), timeout_s=10)
            assert publisher.close()
        assert made.wait() == Served(rendered=40, failed=0, left_out=0)
    assert [f.index for f in read_frames(tmp_path / "rec")] == list(range(40))
    pictures = list(read_video(tmp_path / "lifted.mp4"))
    assert len(pictures) == 40
    # H.264 keeps a flat colour to a level or two.
    assert all(abs(float(picture.mean()) - (index + 100)) < 3 for index, picture in enumerate(pictures))


def test_a_film_that_is_served_is_the_one_that_enhance_makes_of_the_recording(tmp_path: Path) -> None:
    def going_on(clip: Clip) -> Video:
        """Each clip is a little brighter than what it goes on from, and redder than the run's first picture."""
        made = brighter(clip) // 2
        if clip.before:
            assert clip.before.look
            made[..., 0] += int(clip.before.look[0]) // 4
            made[..., 1] = clip.before.pictures[-1, 0, 0, 1] + 3
        return made

    going_on.look = lambda clip, video: (float(video[0, 0, 0, 0]),)  # type: ignore[attr-defined]

    service = Service(length=7, overlap=3, once=True)
    with (
        Recorder(tmp_path / "rec") as recorder,
        Films(tmp_path / "served") as films,
        bridge(going_on, service, recorder=recorder, films=films) as made,
    ):
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(30):
                publisher.publish(frame(index), timeout_s=10)
            assert publisher.close()
        assert made.wait().rendered == 30
    enhance(tmp_path / "rec", tmp_path / "enhanced", going_on, length=7, overlap=3)
    served, enhanced = (
        [read_png(path) for path in sorted((tmp_path / name).glob("*.png"))] for name in ("served", "enhanced")
    )
    assert len(served) == 30
    assert np.array_equal(served, enhanced)
    assert served[-1][0, 0, 1] > served[0][0, 0, 1] + 10, "nothing was carried from clip to clip"


def test_recording_does_not_wait_for_the_renderer(tmp_path: Path) -> None:
    go_on = threading.Event()

    def stuck(clip: Clip) -> Video:
        assert go_on.wait(20)
        return identity(clip)

    with Recorder(tmp_path) as recorder, bridge(stuck, recorder=recorder) as made:
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(50):
                publisher.publish(frame(index), timeout_s=10)
            assert publisher.close()  # every frame is acknowledged while none is rendered
        assert recorder.last_index(publisher.session, "main") == 49
        go_on.set()
        assert made.wait().rendered == 50


@pytest.mark.parametrize("ahead", ["begin", "prepare"])
def test_what_is_done_ahead_of_a_captured_clip_is_done_while_the_one_before_is_rendered(ahead: str) -> None:
    reached, changed = list[int](), threading.Condition()

    def first_part(clip: Clip) -> Render:
        first = clip.frames[0].index
        with changed:
            reached.append(first)
            changed.notify_all()

        def rest(clip: Clip) -> Video:
            with changed:
                assert changed.wait_for(lambda: clip.last or reached[-1] > first, timeout=10)
            return brighter(clip)

        return rest

    def render(clip: Clip) -> Video:
        return first_part(clip)(clip)

    setattr(render, ahead, first_part)
    with bridge(render) as made:
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(25):
                publisher.publish(frame(index), timeout_s=10)
        assert made.wait() == Served(rendered=25, failed=0, left_out=0)


def test_without_a_recording_captured_frames_still_all_come_back() -> None:
    with bridge(brighter) as made:
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(25):
                publisher.publish(frame(index), timeout_s=10)
        assert made.wait() == Served(rendered=25, failed=0, left_out=0)


def test_a_renderer_that_fails_on_a_clip_is_reported_and_the_rest_is_served(tmp_path: Path) -> None:
    def moody(clip: Clip) -> Video:
        if any(frame.index == 10 for frame in clip.frames):
            raise ValueError("did not like frame 10")
        return brighter(clip)

    service = Service(length=5, overlap=0, once=True)
    with Films(tmp_path / "lifted.mp4") as films, bridge(moody, service, films=films) as made:
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(30):
                publisher.publish(frame(index), timeout_s=10)
            wait_until(lambda: "did not like frame 10" in publisher.status.problem)
        assert made.wait() == Served(rendered=25, failed=5, left_out=0)
        [told] = made.told("clip_failed")
        assert "frames 10 to 14" in told["message"]
    means = [float(picture.mean()) for picture in read_video(tmp_path / "lifted.mp4")]
    # The engine's own picture stands in, so that the film keeps its length.
    assert [round(mean) - index > 50 for index, mean in enumerate(means)] == [not 10 <= i < 15 for i in range(30)]


def test_a_renderer_that_fails_on_every_clip_is_read_of_once_and_its_fix_is_marked(tmp_path: Path) -> None:
    def lacking(clip: Clip) -> Video:
        raise ChannelError("'hud' cannot be kept: there is no such name", fix="Name one of: tree, rock.")

    service = Service(length=5, overlap=0, once=True)
    with Recorder(tmp_path) as recorder, bridge(lacking, service, recorder=recorder, as_json=False) as made:
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(5):
                publisher.publish(frame(index), timeout_s=10)
            publisher.publish(frame(5), timeout_s=10)
            wait_until(lambda: "  fix: Name one of: tree, rock." in made.out.getvalue().splitlines())
            for index in range(6, 30):
                publisher.publish(frame(index), timeout_s=10)
        served = made.wait()
    assert made.out.getvalue().count("'hud' cannot be kept") == 1
    assert served.text(tmp_path).startswith(
        "0 captured frames lifted, 30 failed: lift them with `renderlift enhance"
    )


@pytest.mark.parametrize("mode", list(Mode))
def test_an_engine_that_came_and_went_while_the_renderer_was_loaded_is_told(tmp_path: Path, mode: Mode) -> None:
    out, stop = StringIO(), threading.Event()
    with Recorder(tmp_path) as recorder, Receiver("tcp://127.0.0.1:*") as receiver:
        publisher = Publisher(receiver.endpoint, engine="test", mode=mode, channels=[Channel.RGB])
        assert publisher.wait_connected(5)
        for index in range(4):
            publisher.publish(frame(index))
        publisher.close(0.5)
        events = Events(out=out, err=out)
        serve(receiver, identity, Service(once=True), events=events, stop=stop, recorder=recorder)
    told = [line for line in out.getvalue().splitlines() if "has " in line]
    assert told[0] == f"test main {mode} has come."
    assert told[1].startswith(f"test main {mode} has gone: ")
    assert len(told) == 2


def test_an_engine_that_leaves_before_its_frames_are_lifted_is_said_to_be_recorded(tmp_path: Path) -> None:
    go_on = threading.Event()

    def stuck(clip: Clip) -> Video:
        assert go_on.wait(20)
        return identity(clip)

    with Recorder(tmp_path) as recorder, bridge(stuck, recorder=recorder, as_json=False) as made:
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(12):
                publisher.publish(frame(index), timeout_s=10)
            assert publisher.close()
        wait_until(lambda: "has gone" in made.out.getvalue())
        [gone] = [line for line in made.out.getvalue().splitlines() if "has gone" in line]
        assert gone.endswith(", 0 lifted, 12 recorded and still to be lifted.")
        go_on.set()
        assert made.wait().rendered == 12


def test_a_renderer_that_helps_itself_is_told_of_at_once_and_at_the_end() -> None:
    remedies: list[str] = []

    def tight(clip: Clip) -> Video:
        if any(frame.index == 10 for frame in clip.frames):
            remedies.append("half the pixels (out of memory)")
        return brighter(clip)

    tight.remedies = remedies  # type: ignore[attr-defined]
    with bridge(tight, Service(length=5, overlap=0, once=True)) as made:
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(20):
                publisher.publish(frame(index), timeout_s=10)
        served = made.wait()
        assert [told["remedy"] for told in made.told("remedied")] == ["half the pixels (out of memory)"]
    assert served == Served(rendered=20, failed=0, left_out=0, remedies=("half the pixels (out of memory)",))
    assert "went on with half the pixels (out of memory)" in served.text(None)


def test_when_an_engine_leaves_its_last_frames_are_rendered_while_the_service_goes_on(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder, bridge(brighter, Service(), recorder=recorder) as made:
        for _ in range(2):
            with engine(made, Mode.CAPTURE) as publisher:
                for index in range(12):
                    publisher.publish(frame(index), timeout_s=10)

        def rendered() -> list[int]:
            told = made.told("streams")
            return [row["rendered"] for row in told[-1]["streams"]] if told else []

        wait_until(lambda: rendered() == [12, 12])


def test_a_preview_and_a_capture_with_two_cameras_are_served_at_once(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder, bridge(brighter, recorder=recorder) as made:
        with engine(made, Mode.PREVIEW) as preview, engine(made, Mode.CAPTURE, ("left", "right")) as capture:
            assert preview.wait_connected(5)
            for index in range(20):
                preview.publish(frame(index))
                capture.publish(frame(index, "left"), timeout_s=10)
                capture.publish(frame(index, "right"), timeout_s=10)
            wait_until(lambda: preview.status.results > 0)
        assert made.wait().rendered == 40
    assert sorted((s.camera, s.frames) for s in summarize(tmp_path).streams) == [("left", 20), ("right", 20)]


def test_stopping_finishes_the_clip_at_work_and_says_what_is_left_out(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(clip: Clip) -> Video:
        begun.set()
        assert go_on.wait(20)
        return identity(clip)

    with (
        Recorder(tmp_path) as recorder,
        bridge(slow, Service(), recorder=recorder) as made,
        engine(made, Mode.CAPTURE) as publisher,
    ):
        for index in range(60):
            publisher.publish(frame(index), timeout_s=10)
        assert publisher.close()
        assert begun.wait(5)
        made.stop.set()
        time.sleep(TELL_S + 0.2)  # one turn of the caller's loop, which gives up the rest
        go_on.set()
        served = made.wait()
    assert served.failed == 0
    assert served.rendered + served.left_out == 60
    assert 0 < served.rendered < 60
    assert summarize(tmp_path).frames == 60


class FullDisk(Recorder):
    """A recorder on a disk that is full for the first two attempts at frame 3."""

    attempts = 0

    def write(self, frame: Frame) -> None:
        if frame.index == 3 and self.attempts < 2:
            self.attempts += 1
            raise RecordingError("cannot write: No space left on device", fix="Free some space.")
        super().write(frame)


def test_while_the_disk_is_full_the_engine_waits_and_knows_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("renderlift.bridge.serve.RETRY_S", 0.1)
    with FullDisk(tmp_path) as recorder, bridge(recorder=recorder) as made:
        with engine(made, Mode.CAPTURE) as publisher:
            for index in range(20):
                publisher.publish(frame(index), timeout_s=10)
            assert publisher.close()
        assert made.wait().rendered == 20
        [told] = made.told("recording_waits")  # once, though there were two attempts
        assert told["fix"] == "Free some space."
        assert len(made.told("recording_goes_on")) == 1
    assert [f.index for f in read_frames(tmp_path)] == list(range(20))
