"""Publisher and Receiver over real sockets and real shared memory."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import psutil
import pytest
import zmq
import zmq.auth

from renderlift.bridge import send
from renderlift.bridge.connection import Curve
from renderlift.bridge.errors import (
    ChannelError,
    ProtocolError,
    RenderError,
    SetupError,
    TransportError,
    VersionError,
)
from renderlift.bridge.frame import Array, CameraPose, Channel, Frame, IdName
from renderlift.bridge.receive import Receiver, StreamStatistics
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import ErrorMessage, Mode, decode_from_bridge, encode

GOLDEN = Path(__file__).parents[1] / "golden"
ANY_PORT = "tcp://127.0.0.1:*"
CHANNELS = (Channel.RGB, Channel.DEPTH)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="rings exist on Linux only")


def frame(index: int, camera: str = "main", *, height: int = 4, width: int = 6, tag: int = 0) -> Frame:
    """Every pixel tells which frame it belongs to."""
    pose = np.eye(4)
    pose[0, 3] = index
    channels: dict[Channel, Array] = {
        Channel.RGB: np.full((height, width, 3), (index + tag) % 256, np.uint8),
        Channel.DEPTH: np.full((height, width, 1), index + 1000 * tag, np.float32),
    }
    camera_pose = CameraPose(pose, np.diag([500.0, 500.0, 1.0]))
    return Frame(index, 40_000_000 * index, time.time_ns(), camera_pose, channels, camera_name=camera)


def tag_of(received: Frame) -> int:
    """The tag `frame` was given, after checking that no pixel is of another frame."""
    depth = received.channels[Channel.DEPTH]
    tag = round((float(depth[0, 0, 0]) - received.index) / 1000)
    assert (depth == received.index + 1000 * tag).all()
    assert (received.channels[Channel.RGB] == (received.index + tag) % 256).all()
    return tag


def publisher(endpoint: str, mode: Mode = Mode.CAPTURE, **options: Any) -> Publisher:
    return Publisher(endpoint, **{"engine": "test engine", "mode": mode, "channels": CHANNELS} | options)


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class Reader(threading.Thread):
    """Reads and acknowledges frames until all engines have said goodbye."""

    def __init__(self, receiver: Receiver, *, pause_s: float = 0.0) -> None:
        super().__init__()
        self.receiver = receiver
        self.pause_s = pause_s
        self.frames: list[Frame] = []
        self.start()

    def run(self) -> None:
        for received in self.receiver.frames(until_bye=True, timeout_s=20):
            self.frames.append(received)
            self.receiver.acknowledge(received)
            time.sleep(self.pause_s)

    def all(self) -> list[Frame]:
        self.join()
        return self.frames


def only(streams: tuple[StreamStatistics, ...]) -> StreamStatistics:
    assert len(streams) == 1
    return streams[0]


@contextmanager
def altering(
    endpoint: str, alter: Callable[[list[bytes]], list[bytes]], forwarding: threading.Event | None = None
) -> Iterator[str]:
    """A proxy in front of a bridge that may alter what one engine sends, or hold everything; gives its endpoint."""
    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    port = front.bind_to_random_port("tcp://127.0.0.1")
    back.connect(endpoint)
    stop = threading.Event()

    def pump() -> None:
        poller = zmq.Poller()
        poller.register(front, zmq.POLLIN)
        poller.register(back, zmq.POLLIN)
        engine = b""
        while not stop.is_set():
            ready = dict(poller.poll(20)) if forwarding is None or forwarding.wait(0.1) else {}
            if front in ready:
                engine, *parts = front.recv_multipart()
                back.send_multipart(alter(parts))
            if back in ready:
                front.send_multipart([engine, *back.recv_multipart()])

    thread = threading.Thread(target=pump)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        stop.set()
        thread.join()
        context.destroy(0)


# What arrives


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("shared_memory", [False, pytest.param(True, marks=linux_only)])
def test_a_frame_arrives_as_it_was_published(mode: Mode, shared_memory: bool) -> None:
    names = (IdName(3, "cup_01", "cup", "room/cup_01"),)
    with Receiver(ANY_PORT) as receiver:
        reader = Reader(receiver)
        with publisher(receiver.endpoint, mode, shared_memory=shared_memory, names=names) as engine:
            assert engine.wait_connected(5)
            sent = [frame(i) for i in range(12)]
            for i, one in enumerate(sent):
                engine.publish(one, timeout_s=5)
                assert wait_until(lambda count=i + 1: engine.status.acknowledged == count)
            assert engine.status.shared_memory is shared_memory
        received = reader.all()
    assert [f.index for f in received] == list(range(12))
    for before, after in zip(sent, received, strict=True):
        assert (after.engine_time_ns, after.capture_time_ns) == (before.engine_time_ns, before.capture_time_ns)
        np.testing.assert_array_equal(after.camera.world_from_camera, before.camera.world_from_camera)
        np.testing.assert_array_equal(after.camera.image_from_camera, before.camera.image_from_camera)
        assert (after.engine, after.session, after.camera_name) == ("test engine", engine.session, "main")
        assert after.names == names
        for channel in CHANNELS:
            np.testing.assert_array_equal(after.channels[channel], before.channels[channel])
            assert after.channels[channel].flags.writeable, "a frame owns its arrays"


def test_a_picture_comes_back_to_the_camera_it_was_made_for() -> None:
    with Receiver(ANY_PORT) as receiver, publisher(receiver.endpoint, cameras=("left", "right")) as engine:
        engine.publish(frame(0, "left"), timeout_s=5)
        engine.publish(frame(0, "right", tag=1), timeout_s=5)
        for received in receiver.frames(timeout_s=1):
            picture = 255 - received.channels[Channel.RGB][::2]  # need not be contiguous
            receiver.send_result(received, picture, {"render": 12.5})
            receiver.acknowledge(received)
            if receiver.streams[0].delivered + receiver.streams[1].delivered == 2:
                break
        assert engine.wait_results(2, 5)
        left, right = engine.result("left"), engine.result("right")
        assert left is not None and right is not None
        assert (left.camera_name, left.index, left.timings_ms) == ("left", 0, {"render": 12.5})
        assert (left.picture == 255).all() and (right.picture == 254).all()
        assert left.picture.shape == (2, 6, 3)
        assert 0 < left.latency_ms < 10_000
        assert engine.result("left") is None, "each picture is taken once"


def test_a_changed_id_table_goes_with_the_next_frames() -> None:
    with Receiver(ANY_PORT) as receiver:
        reader = Reader(receiver)
        with publisher(receiver.endpoint) as engine:
            engine.publish(frame(0), timeout_s=5)
            assert wait_until(lambda: engine.status.acknowledged == 1)
            engine.set_names([IdName(1, "door", "door")])
            time.sleep(0.2)
            engine.publish(frame(1), timeout_s=5)
        assert [f.names for f in reader.all()] == [(), (IdName(1, "door", "door"),)]


def test_engines_and_cameras_do_not_mix_even_under_one_name() -> None:
    count = 40

    def run(tag: int) -> None:
        with publisher(receiver.endpoint, cameras=("left", "right"), session=f"run {tag}") as engine:
            for i in range(count):
                for camera in ("left", "right"):
                    engine.publish(frame(i, camera, tag=2 * tag + (camera == "right")), timeout_s=10)

    with Receiver(ANY_PORT) as receiver:
        engines = [threading.Thread(target=run, args=(tag,)) for tag in (0, 1)]
        for thread in engines:
            thread.start()
        assert wait_until(lambda: len(receiver.streams) == 4)
        received = Reader(receiver, pause_s=0.001).all()
        for thread in engines:
            thread.join()
    for tag in (0, 1):
        for camera in ("left", "right"):
            mine = [f for f in received if (f.session, f.camera_name) == (f"run {tag}", camera)]
            assert [f.index for f in mine] == list(range(count))
            assert {tag_of(f) for f in mine} == {2 * tag + (camera == "right")}
    half = [f.session for f in received[: 2 * count]]
    assert 0.25 < half.count("run 0") / len(half) < 0.75, "engines take turns"


# Preview


@pytest.mark.parametrize("shared_memory", [False, pytest.param(True, marks=linux_only)])
def test_preview_with_a_slow_reader_drops_and_counts_exactly(shared_memory: bool) -> None:
    with Receiver(ANY_PORT) as receiver:
        reader = Reader(receiver, pause_s=0.03)
        engine = publisher(receiver.endpoint, Mode.PREVIEW, shared_memory=shared_memory)
        assert engine.wait_connected(5)
        for i in range(300):
            engine.publish(frame(i, height=60, width=80))
            time.sleep(0.003)
        assert engine.close()
        received = [f.index for f in reader.all()]
        for f in reader.frames:
            tag_of(f)
        counts = only(receiver.streams)
    assert received == sorted(set(received))
    assert received[-1] == 299, "the newest frame always arrives"
    assert 10 < len(received) < 250
    assert counts.delivered == len(received)
    assert counts.delivered + counts.dropped == 300
    assert engine.status.sent == 300
    assert engine.status.acknowledged + engine.status.dropped == 300
    assert counts.engine_dropped == engine.status.dropped


def test_preview_never_waits_for_a_bridge_that_is_not_there() -> None:
    engine = publisher("tcp://127.0.0.1:9", Mode.PREVIEW)
    start_s = time.perf_counter()
    kept = [engine.publish(frame(i)) for i in range(1000)]
    assert time.perf_counter() - start_s < 1.0
    assert kept == [True] + [False] * 999
    assert engine.status.dropped == 999
    assert "no bridge" in engine.status.problem
    start_s = time.perf_counter()
    assert not engine.close(), "one frame was never handed over"
    assert time.perf_counter() - start_s < 1.0
    assert engine.status.dropped == 1000


def test_preview_never_waits_for_a_bridge_that_hangs() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as hung:
        port = hung.bind_to_random_port("tcp://127.0.0.1")
        engine = publisher(f"tcp://127.0.0.1:{port}", Mode.PREVIEW)
        slowest_s = 0.0
        for i in range(200):
            start_s = time.perf_counter()
            engine.publish(frame(i))
            slowest_s = max(slowest_s, time.perf_counter() - start_s)
            time.sleep(0.001)
        assert slowest_s < 0.2
        engine.close(0.1)


# Capture


def test_capture_waits_once_the_credits_are_used_and_says_why() -> None:
    with Receiver(ANY_PORT, credits=3) as receiver, publisher(receiver.endpoint) as engine:
        for i in range(3):
            engine.publish(frame(i), timeout_s=5)
        with pytest.raises(TransportError, match="has not acknowledged the last 3 frames"):
            engine.publish(frame(3), timeout_s=0.3)
        received = list(islice(receiver.frames(timeout_s=5), 3))
        receiver.acknowledge(received[1])
        engine.publish(frame(3), timeout_s=5)
        engine.publish(frame(4), timeout_s=5)
        with pytest.raises(TransportError):
            engine.publish(frame(5), timeout_s=0.3)
        assert engine.status.acknowledged == 2
        assert not engine.close(0.2), "frames 2 to 4 are not durable"


def test_leaving_a_capture_with_frames_that_nobody_recorded_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "LAST_FRAMES_S", 0.3)
    with (
        Receiver(ANY_PORT) as receiver,
        pytest.raises(TransportError, match=r"1 captured frames were not acknowledged: .* has not acknowledged"),
        publisher(receiver.endpoint) as engine,
    ):
        engine.publish(frame(0), timeout_s=5)


def test_capture_without_a_bridge_says_so() -> None:
    engine = publisher("tcp://127.0.0.1:9")
    start_s = time.monotonic()
    with pytest.raises(TransportError, match="no bridge"):
        engine.publish(frame(0), timeout_s=0.5)
    assert time.monotonic() - start_s < 1.5
    engine.close(0)


def test_capture_goes_on_with_a_new_bridge_where_the_disk_ends() -> None:
    with Receiver(ANY_PORT) as first:
        endpoint = first.endpoint
        engine = publisher(endpoint)
        for i in range(8):
            engine.publish(frame(i), timeout_s=5)
        old = list(islice(first.frames(timeout_s=5), 6))
        first.acknowledge(old[3])
        assert wait_until(lambda: engine.status.acknowledged == 4)
    # Frame 4 made it to the disk as well, but its acknowledgement did not reach the engine.
    with Receiver(endpoint, durable=lambda session, camera: 4 if session == engine.session else -1) as second:
        start_s = time.monotonic()
        reader = Reader(second)
        for i in range(8, 20):
            engine.publish(frame(i), timeout_s=5)
        assert time.monotonic() - start_s < 4.0
        assert engine.close()
        assert [f.index for f in reader.all()] == list(range(5, 20))
    assert engine.status.acknowledged == 20


def test_an_engine_started_again_goes_on_where_the_disk_ends() -> None:
    with Receiver(ANY_PORT) as receiver:
        reader = Reader(receiver)
        with publisher(receiver.endpoint, session="the run") as engine:
            assert engine.resume_index() == 0
            for i in range(5):
                engine.publish(frame(i), timeout_s=5)
        assert [f.index for f in reader.all()] == [0, 1, 2, 3, 4]
        with publisher(receiver.endpoint, session="the run") as engine:
            assert engine.resume_index() == 5
            again = Reader(receiver)
            for i in range(3, 9):  # it may as well repeat itself
                engine.publish(frame(i), timeout_s=5)
        assert [f.index for f in again.all()] == [5, 6, 7, 8]


@pytest.mark.parametrize("damage", ["flip a bit", "cut a part short", "leave a part out"])
@pytest.mark.parametrize("mode", list(Mode))
def test_damaged_pixels_are_noticed_and_in_capture_sent_again(mode: Mode, damage: str) -> None:
    seen = 0

    def alter(parts: list[bytes]) -> list[bytes]:
        nonlocal seen
        if len(parts) == 1:
            return parts
        seen += 1
        if seen % 5:
            return parts
        if damage == "leave a part out":
            return parts[:-1]
        last = bytearray(parts[-1])
        last[len(last) // 2] ^= 16
        return [*parts[:-1], bytes(last) if damage == "flip a bit" else bytes(last[:-1])]

    with Receiver(ANY_PORT) as receiver, altering(receiver.endpoint, alter) as endpoint:
        reader = Reader(receiver)
        engine = publisher(endpoint, mode, shared_memory=False)
        assert engine.wait_connected(5)
        for i in range(30):
            engine.publish(frame(i), timeout_s=10)
            time.sleep(0.005)
        assert engine.close(10)
        received = [f.index for f in reader.all()]
        assert all(tag_of(f) == 0 for f in reader.frames)
        counts = only(receiver.streams)
    assert counts.corrupt >= 3
    if mode is Mode.CAPTURE:
        assert received == list(range(30))
    assert counts.delivered + counts.dropped == 30


@pytest.mark.parametrize("mode", list(Mode))
def test_more_frames_than_the_memory_budget_are_turned_away_not_stored(mode: Mode) -> None:
    one = sum(array.nbytes for array in frame(0).channels.values())
    with Receiver(ANY_PORT, budget_bytes=2 * one) as receiver:
        with publisher(receiver.endpoint, mode, shared_memory=False, cameras=("a", "b", "c")) as engine:
            assert engine.wait_connected(5)
            for camera in ("a", "b", "c"):
                engine.publish(frame(0, camera), timeout_s=5)
            assert wait_until(lambda: sum(s.pending for s in receiver.streams) == 2)
            time.sleep(0.2)
            assert sum(s.pending for s in receiver.streams) == 2
            reader = Reader(receiver)
        arrived = sorted(f.camera_name for f in reader.all())
        dropped = sum(s.dropped for s in receiver.streams)
    assert (len(arrived), dropped) == ((3, 0) if mode is Mode.CAPTURE else (2, 1))


# Shared memory


@linux_only
def test_borrowed_frames_are_views_that_hold_until_the_next_one() -> None:
    with Receiver(ANY_PORT) as receiver, publisher(receiver.endpoint) as engine:
        frames = receiver.frames(borrow=True, timeout_s=5)
        for i in range(20):
            engine.publish(frame(i), timeout_s=5)
            borrowed = next(frames)
            assert tag_of(borrowed) == 0
            receiver.acknowledge(borrowed)
            assert wait_until(lambda count=i + 1: engine.status.acknowledged == count)
        assert not borrowed.channels[Channel.DEPTH].flags.writeable
        frames.close()


@linux_only
def test_a_borrowed_frame_stays_whole_when_the_engine_connects_anew() -> None:
    forwarding = threading.Event()
    forwarding.set()
    with (
        Receiver(ANY_PORT) as receiver,
        altering(receiver.endpoint, lambda parts: parts, forwarding) as endpoint,
        publisher(endpoint) as engine,
    ):
        frames = receiver.frames(borrow=True, timeout_s=10)
        for i in range(4):
            engine.publish(frame(i), timeout_s=5)
            borrowed = next(frames)
            receiver.acknowledge(borrowed)
            assert wait_until(lambda count=i + 1: engine.status.acknowledged == count)
        assert not borrowed.channels[Channel.DEPTH].flags.writeable
        forwarding.clear()  # the line is dead for longer than the engine waits for a sign of life
        assert wait_until(lambda: not engine.status.connected, 5)
        forwarding.set()
        for i in range(4, 20):
            engine.publish(frame(i), timeout_s=10)
            if i == 11:
                assert tag_of(borrowed) == 0
                reader = Reader(receiver)
        assert tag_of(borrowed) == 0
        assert engine.close(10)
        assert [f.index for f in reader.all()] == list(range(4, 20))


@linux_only
@pytest.mark.parametrize("who", ["bridge declines", "engine declines", "ring cannot be opened", "no room for it"])
def test_without_shared_memory_frames_come_by_socket(
    who: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = {"ring cannot be opened": tmp_path, "no room for it": tmp_path / "none"}.get(who, "/dev/shm")
    code = (
        "import sys, pathlib, numpy as np\n"
        "from renderlift.bridge import shared_memory, send, frame as f\n"
        f"shared_memory.SHARED_MEMORY_FOLDER = pathlib.Path({str(folder)!r})\n"
        "channels = {f.Channel.RGB: np.full((4, 6, 3), 7, np.uint8)}\n"
        f"options = dict(engine='e', mode='capture', channels=channels, shared_memory={who != 'engine declines'})\n"
        "with send.Publisher(sys.argv[1], **options) as p:\n"
        "    for i in range(10):\n"
        "        p.publish(f.Frame(i, 0, 0, f.CameraPose(np.eye(4), np.eye(3)), channels), timeout_s=5)\n"
        "    assert not p.status.shared_memory\n"
    )
    with Receiver(ANY_PORT, shared_memory=who != "bridge declines") as receiver:
        reader = Reader(receiver)
        subprocess.run([sys.executable, "-c", code, receiver.endpoint], check=True, timeout=30)
        received = reader.all()
    assert [f.index for f in received] == list(range(10))
    assert all((f.channels[Channel.RGB] == 7).all() for f in received)


@linux_only
def test_larger_frames_get_a_larger_ring() -> None:
    with Receiver(ANY_PORT) as receiver:
        reader = Reader(receiver)
        with publisher(receiver.endpoint) as engine:
            for i in range(30):
                engine.publish(frame(i, height=4 * (1 + i // 10)), timeout_s=5)
                assert wait_until(lambda count=i + 1: engine.status.acknowledged == count)
            assert engine.status.shared_memory
        assert [f.height for f in reader.all()] == [4] * 10 + [8] * 10 + [12] * 10
    assert {tag_of(f) for f in reader.frames} == {0}


# Bad peers


DEPTH_IN_CM = {"name": "depth", "dtype": "float32", "components": 1, "unit": "cm"}


def hello(**values: object) -> bytes:
    message = msgpack.unpackb((GOLDEN / "hello.msgpack").read_bytes())
    return msgpack.packb(message | values)


@contextmanager
def dealer(endpoint: str) -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as raw:
        raw.setsockopt(zmq.LINGER, 0)
        raw.setsockopt(zmq.RCVTIMEO, 5000)
        raw.connect(endpoint)
        yield raw


def answer(raw: "zmq.Socket[bytes]") -> Any:
    """The next message that is no heartbeat."""
    while True:
        message = decode_from_bridge(raw.recv_multipart()[0])
        if type(message).__name__ != "Heartbeat":
            return message


def test_another_version_is_refused_in_a_sentence_and_the_engine_hears_it() -> None:
    with Receiver(ANY_PORT) as receiver, dealer(receiver.endpoint) as raw:
        raw.send(hello(version=2))
        refusal = answer(raw)
    assert isinstance(refusal, ErrorMessage)
    assert refusal.code == "version"
    assert "the peer speaks protocol version 2, this side speaks 1" in refusal.message
    assert "same renderlift release" in refusal.fix

    with zmq.Context() as context, context.socket(zmq.ROUTER) as bridge:
        port = bridge.bind_to_random_port("tcp://127.0.0.1")
        engine = publisher(f"tcp://127.0.0.1:{port}")
        route, _ = bridge.recv_multipart()
        bridge.send_multipart([route, encode(refusal)])
        with pytest.raises(VersionError, match="speaks protocol version 2"):
            engine.publish(frame(0), timeout_s=5)
        assert "speaks protocol version 2" in engine.status.problem
        engine.close(0)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([b"\xc1"], "malformed"),
        ([b""], "malformed"),
        ([(GOLDEN / "frame_parts.msgpack").read_bytes(), b"", b""], "hello_needed"),
        ([(GOLDEN / "heartbeat.msgpack").read_bytes()], "hello_needed"),
        ([b"\x80"] * 40, "malformed"),
        (
            [hello(channels=[{"name": "depth", "dtype": "float32", "components": 1, "unit": "cm"}])],
            "channel_mismatch",
        ),
    ],
)
def test_a_peer_that_breaks_the_protocol_is_told_how(parts: list[bytes], code: str) -> None:
    with Receiver(ANY_PORT) as receiver, dealer(receiver.endpoint) as raw:
        raw.send_multipart(parts)
        assert answer(raw).code == code
        assert receiver.streams == ()


def test_a_good_engine_is_served_while_others_send_rubbish() -> None:
    random = np.random.default_rng(5)
    stop = threading.Event()

    def rubbish_connections() -> None:
        port = int(receiver.endpoint.rsplit(":", 1)[1])
        while not stop.is_set():
            with socket.create_connection(("127.0.0.1", port)) as plain:
                plain.sendall(random.bytes(200))

    def rubbish_messages() -> None:
        with dealer(receiver.endpoint) as raw:
            raw.send(hello())
            good_frame = [(GOLDEN / f"frame_parts.{name}").read_bytes() for name in ("msgpack", "1.bin", "2.bin")]
            for i in range(10_000):
                if stop.is_set():
                    return
                bad = bytearray(good_frame[0])
                bad[int(random.integers(len(bad)))] ^= int(random.integers(1, 255))
                raw.send_multipart([bytes(bad), *good_frame[1:]] if i % 2 else [random.bytes(100)])
                time.sleep(0.001)

    with Receiver(ANY_PORT) as receiver:
        bad_peers = [threading.Thread(target=rubbish_connections), threading.Thread(target=rubbish_messages)]
        for thread in bad_peers:
            thread.start()
        engine = publisher(receiver.endpoint)
        received: list[Frame] = []
        for i in range(100):
            engine.publish(frame(i), timeout_s=5)
            for one in receiver.frames(timeout_s=5):
                if one.session == engine.session:
                    received.append(one)
                    receiver.acknowledge(one)
                    break
        assert engine.close()
        stop.set()
        for thread in bad_peers:
            thread.join()
    assert [f.index for f in received] == list(range(100))
    assert {tag_of(f) for f in received} == {0}


def test_more_engines_than_fit_are_told_so_and_those_that_left_make_room() -> None:
    with Receiver(ANY_PORT) as receiver, dealer(receiver.endpoint) as raw:
        for i in range(64):
            raw.send(hello(session=f"run {i}"))
            assert type(answer(raw)).__name__ == "Welcome"
        with dealer(receiver.endpoint) as one_more:
            one_more.send(hello(session="one more"))
            assert answer(one_more).code == "full"
            raw.send((GOLDEN / "bye.msgpack").read_bytes())
            time.sleep(0.3)
            one_more.send(hello(session="one more"))
            assert type(answer(one_more)).__name__ == "Welcome"
        assert len({s.session for s in receiver.streams}) == 64


def test_a_second_live_process_with_the_same_session_is_refused_and_the_first_is_served() -> None:
    with Receiver(ANY_PORT) as receiver:
        first, second = (publisher(receiver.endpoint, session="the run") for _ in range(2))
        assert wait_until(lambda: first.status.connected or second.status.connected)
        served, refused = (first, second) if first.status.connected else (second, first)
        with pytest.raises(ProtocolError, match="already sends under session the run"):
            refused.publish(frame(0), timeout_s=5)
        served.publish(frame(0, tag=1), timeout_s=5)
        assert tag_of(next(receiver.frames(timeout_s=5))) == 1
        served.close(0.2)
        assert refused.wait_connected(5), "it is let in as soon as the first has gone"
        refused.close(0)


# Endpoints and keys


def test_a_taken_endpoint_is_named() -> None:
    with (
        Receiver(ANY_PORT) as receiver,
        pytest.raises(TransportError, match=r"cannot listen at tcp://127.0.0.1:\d+: Address already in use"),
    ):
        Receiver(receiver.endpoint)


@pytest.mark.parametrize(
    "endpoint", ["tcp://0.0.0.0:5755", "tcp://*:5755", "tcp://192.168.1.20:5755", "tcp://host:1"]
)
def test_an_endpoint_open_to_the_network_needs_keys(endpoint: str) -> None:
    with pytest.raises(TransportError, match="can be reached from other machines"):
        Receiver(endpoint)
    with pytest.raises(TransportError, match="CURVE keys"):
        publisher(endpoint)


def test_what_is_no_address_is_not_said_to_be_open_to_the_network() -> None:
    with pytest.raises(TransportError, match="'banana' is not an address"):
        Receiver("banana")


@pytest.mark.parametrize("endpoint", ["ipc:///nowhere/at/all/bridge", "tcp://localhost", "tcp://[::1]:nonsense"])
def test_an_endpoint_that_makes_no_sense_is_named(endpoint: str) -> None:
    with pytest.raises(TransportError, match="cannot listen at"):
        Receiver(endpoint)
    if endpoint.startswith("tcp"):
        with pytest.raises(TransportError, match="is no address to connect to"):
            publisher(endpoint)


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    public, secret = zmq.auth.create_certificates(folder, name)
    return Path(public), Path(secret)


def test_with_keys_a_trusted_engine_is_served_and_another_is_told_why_not(tmp_path: Path) -> None:
    bridge_public, bridge_secret = keys(tmp_path, "bridge")
    engine_public, engine_secret = keys(tmp_path, "engine")
    _, stranger_secret = keys(tmp_path, "stranger")
    with Receiver("tcp://0.0.0.0:*", curve=Curve.load(bridge_secret, engine_public)) as receiver:
        endpoint = receiver.endpoint.replace("0.0.0.0", "127.0.0.1")
        reader = Reader(receiver)
        with publisher(endpoint, curve=Curve.load(engine_secret, bridge_public)) as engine:
            for i in range(5):
                engine.publish(frame(i), timeout_s=5)
        assert [f.index for f in reader.all()] == list(range(5))

        stranger = publisher(endpoint, curve=Curve.load(stranger_secret, bridge_public))
        with pytest.raises(TransportError, match="does not accept this engine's CURVE key"):
            stranger.publish(frame(0), timeout_s=5)
        stranger.close(0)
        without = publisher(endpoint)
        assert not without.wait_connected(0.5)
        without.close(0)


def test_a_bridge_that_falls_silent_is_noticed() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as bridge:
        port = bridge.bind_to_random_port("tcp://127.0.0.1")
        engine = publisher(f"tcp://127.0.0.1:{port}", Mode.PREVIEW)
        route, _ = bridge.recv_multipart()
        bridge.send_multipart([route, (GOLDEN / "welcome.msgpack").read_bytes()])
        assert engine.wait_connected(5)
        assert wait_until(lambda: not engine.status.connected, 4.5)
        assert "is gone" in engine.status.problem
        engine.close(0)


def test_a_session_the_bridge_has_forgotten_begins_again() -> None:
    forgotten = encode(ErrorMessage("hello_needed", "this connection has not said hello yet", ""))
    with zmq.Context() as context, context.socket(zmq.ROUTER) as bridge:
        bridge.setsockopt(zmq.RCVTIMEO, 5000)
        port = bridge.bind_to_random_port("tcp://127.0.0.1")
        engine = publisher(f"tcp://127.0.0.1:{port}", cameras=("main", "left"), shared_memory=False)
        route, _ = bridge.recv_multipart()
        bridge.send_multipart([route, (GOLDEN / "welcome.msgpack").read_bytes()])
        assert engine.resume_index("left") == 70_001
        engine.publish(frame(0), timeout_s=5)
        first = bridge.recv_multipart()
        bridge.send_multipart([route, forgotten])
        _, again = bridge.recv_multipart()
        assert msgpack.unpackb(again)["cameras"] == [
            {"name": "main", "acknowledged": -1},
            {"name": "left", "acknowledged": 70_000},
        ]
        bridge.send_multipart([route, (GOLDEN / "welcome.msgpack").read_bytes()])
        assert bridge.recv_multipart() == first, "what was not acknowledged is sent again"
        engine.close(0)


def test_a_key_file_without_its_secret_half_is_named(tmp_path: Path) -> None:
    public, _ = keys(tmp_path, "bridge")
    with pytest.raises(SetupError, match=r"bridge.key holds no secret key"):
        Curve.load(public)
    with pytest.raises(SetupError, match="cannot be read"):
        Curve.load(tmp_path / "none.key_secret")


# Beginnings, ends and wrong use


def test_frames_ends_when_asked_to() -> None:
    with Receiver(ANY_PORT) as receiver:
        assert list(receiver.frames(timeout_s=0.1)) == []
        stop = threading.Event()
        stop.set()
        assert list(receiver.frames(stop=stop)) == []
        threading.Timer(0.2, receiver.close).start()
        assert list(receiver.frames()) == []


def test_the_engine_learns_that_the_bridge_has_closed_and_finds_the_next_one() -> None:
    with Receiver(ANY_PORT) as receiver:
        endpoint = receiver.endpoint
        engine = publisher(endpoint, Mode.PREVIEW)
        assert engine.wait_connected(5)
    assert wait_until(lambda: not engine.status.connected, 1.0)
    assert "is gone" in engine.status.problem
    with Receiver(endpoint):
        assert engine.wait_connected(2.0)
        assert engine.status.problem == ""
        engine.close(0)


def test_trouble_of_the_renderer_is_shown_at_the_engine() -> None:
    with Receiver(ANY_PORT) as receiver, publisher(receiver.endpoint, Mode.PREVIEW) as engine:
        assert engine.wait_connected(5)
        engine.publish(frame(0))
        receiver.report(next(receiver.frames(timeout_s=5)), RenderError("the model ran out of memory"))
        assert wait_until(lambda: engine.status.problem == "the model ran out of memory")
        assert engine.status.connected


def test_wrong_use_is_said_at_once() -> None:
    with Receiver(ANY_PORT) as receiver, publisher(receiver.endpoint) as engine:
        good = frame(3)
        flow = {**good.channels, Channel.FLOW: np.zeros((4, 6, 2), np.float32)}
        too_wide = {Channel.RGB: np.zeros((1, 16_385, 3), np.uint8)}
        small_depth = {**good.channels, Channel.DEPTH: np.zeros((2, 2, 1), np.float32)}
        with pytest.raises(ChannelError, match="flow not declared"):
            engine.publish(Frame(0, 0, 0, good.camera, flow))
        with pytest.raises(ChannelError, match="camera 'side' not declared"):
            engine.publish(frame(0, "side"))
        with pytest.raises(ChannelError, match="16385 cannot travel"):
            engine.publish(Frame(0, 0, 0, good.camera, too_wide))
        with pytest.raises(ChannelError, match="depth is"):
            engine.publish(Frame(0, 0, 0, good.camera, small_depth))
        engine.publish(good, timeout_s=5)
        with pytest.raises(ValueError, match="frame index 3 after 3"):
            engine.publish(frame(3))
        received = next(receiver.frames(timeout_s=5))
        with pytest.raises(ChannelError, match=r"a result is \(H, W, 3\) uint8"):
            receiver.send_result(received, np.zeros((4, 6, 4), np.uint8))
        engine.close(0)
        with pytest.raises(ValueError, match="closed"):
            engine.publish(frame(4))
    with pytest.raises(ProtocolError, match="length"):
        publisher(receiver.endpoint, engine="e" * 65)
    with pytest.raises(ProtocolError, match="camera stands twice"):
        publisher(receiver.endpoint, cameras=("a", "a"))


def test_hundreds_of_short_connections_leave_no_memory_behind() -> None:
    flood = (
        "import sys, zmq\n"
        "with zmq.Context() as context:\n"
        "    for _ in range(400):\n"
        "        with context.socket(zmq.DEALER) as raw:\n"
        "            raw.setsockopt(zmq.LINGER, 2000)\n"
        "            raw.connect(sys.argv[1])\n"
        "            raw.send_multipart([b'rubbish', bytes(2 << 20)])\n"
    )
    process = psutil.Process(os.getpid())
    with Receiver(ANY_PORT) as receiver:  # and nobody reads its frames
        before = process.memory_info().rss
        subprocess.run([sys.executable, "-c", flood, receiver.endpoint], check=True, timeout=60)
        # 800 MiB were sent; what malloc keeps for later varies.
        assert wait_until(lambda: process.memory_info().rss - before < 200 << 20)
