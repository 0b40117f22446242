"""The C++ core and the real bridge over CURVE: what travels cannot be read, and keys that do not fit are told."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import zmq.auth

from renderlift.bridge.connection import Curve
from renderlift.bridge.frame import Channel
from renderlift.bridge.receive import Receiver

from .conftest import NULL_ENGINE, StartEngine, end_of
from .null_pixels import pixels

ANY_ADDRESS = "tcp://0.0.0.0:*"


@dataclass(frozen=True)
class Keys:
    """Files as zmq.auth makes them."""

    public: Path
    secret: Path


@pytest.fixture
def keys(tmp_path: Path) -> Callable[[str], Keys]:
    def make(name: str) -> Keys:
        public, secret = zmq.auth.create_certificates(tmp_path, name)
        return Keys(Path(public), Path(secret))

    return make


def engine_keys(own: Keys, bridge: Keys) -> tuple[str, ...]:
    return ("--key", str(own.secret), "--peer", str(bridge.public))


def reached(receiver: Receiver) -> str:
    return receiver.endpoint.replace("0.0.0.0", "127.0.0.1")


@dataclass
class Wire:
    """A TCP relay that keeps what passes."""

    endpoint: str
    heard: list[bytes] = field(default_factory=list)


@contextmanager
def tapped(endpoint: str) -> Iterator[Wire]:
    port = int(endpoint.rsplit(":", 1)[1])
    sockets: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(f"tcp://127.0.0.1:{listener.getsockname()[1]}")

        def pass_on(source: socket.socket, sink: socket.socket) -> None:
            while data := source.recv(1 << 16):
                wire.heard.append(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

        def relay() -> None:
            engine, _ = listener.accept()
            bridge = socket.create_connection(("127.0.0.1", port))
            sockets.extend([engine, bridge])
            threads = [threading.Thread(target=pass_on, args=way) for way in ((engine, bridge), (bridge, engine))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        thread = threading.Thread(target=relay)
        thread.start()
        yield wire
        thread.join(20)
        for end in sockets:
            end.close()


def record(start_engine: StartEngine, receiver: Receiver, endpoint: str, *options: str) -> dict[str, object]:
    """Captures six frames and holds each against what the engine drew; how the engine ended."""
    engine = start_engine(
        endpoint, "--capture", "--frames", "6", "--size", "321x90", "--no-shared-memory", *options
    )
    indices: list[int] = []
    for frame in receiver.frames(timeout_s=20, until_bye=True):
        for channel, array in pixels(frame.index, 90, 321).items():
            np.testing.assert_array_equal(frame.channels[channel], array)
        indices.append(frame.index)
        receiver.acknowledge(frame)
    assert indices == list(range(6))
    return end_of(engine)


def test_frames_arrive_whole_and_cannot_be_read_on_the_way(
    start_engine: StartEngine, keys: Callable[[str], Keys]
) -> None:
    bridge, engine = keys("bridge"), keys("engine")
    row = pixels(3, 90, 321)[Channel.RGB][40].tobytes()
    curve = Curve.load(bridge.secret, engine.public)
    with Receiver(ANY_ADDRESS, curve=curve) as receiver, tapped(receiver.endpoint) as wire:
        end = record(start_engine, receiver, wire.endpoint, *engine_keys(engine, bridge))
    assert (end["code"], end["acknowledged"]) == (0, 6)
    heard = b"".join(wire.heard)
    assert len(heard) > 6 * 90 * 321 * 3
    assert row not in heard and b"world_from_camera" not in heard
    with Receiver("tcp://127.0.0.1:*") as receiver, tapped(receiver.endpoint) as wire:
        record(start_engine, receiver, wire.endpoint)
    assert row in b"".join(wire.heard)  # so it would have been seen


def test_on_one_machine_pixels_of_an_encrypted_connection_go_through_shared_memory(
    start_engine: StartEngine, keys: Callable[[str], Keys]
) -> None:
    bridge, own = keys("bridge"), keys("engine")
    with Receiver(ANY_ADDRESS, curve=Curve.load(bridge.secret, own.public)) as receiver:
        options = ("--capture", "--frames", "12", "--size", "64x48", *engine_keys(own, bridge))
        engine = start_engine(reached(receiver), *options)
        for frame in receiver.frames(timeout_s=20, until_bye=True):
            receiver.acknowledge(frame)
        end = end_of(engine)
    assert (end["code"], end["shared_memory"]) == (0, True)


def what_it_says(endpoint: str, *options: str) -> tuple[int, str]:
    """Exit code and complaint of an engine that gives a bridge three seconds."""
    if not NULL_ENGINE.exists():
        pytest.skip("the null engine is not built; docs/core.md says how")
    command = [str(NULL_ENGINE), "--endpoint", endpoint, "--frames", "1", "--wait", "3", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_an_engine_whose_key_the_bridge_does_not_trust_is_told(keys: Callable[[str], Keys]) -> None:
    bridge, engine, stranger = keys("bridge"), keys("engine"), keys("stranger")
    with Receiver(ANY_ADDRESS, curve=Curve.load(bridge.secret, engine.public)) as receiver:
        code, said = what_it_says(reached(receiver), *engine_keys(stranger, bridge))
        assert not receiver.streams
    assert code == 1 and "does not accept this engine's CURVE key" in said and "--peer" in said


def test_an_engine_that_has_another_bridges_key_is_told(keys: Callable[[str], Keys]) -> None:
    bridge, engine, other = keys("bridge"), keys("engine"), keys("other")
    with Receiver(ANY_ADDRESS, curve=Curve.load(bridge.secret, engine.public)) as receiver:
        code, said = what_it_says(reached(receiver), *engine_keys(engine, other))
        assert not receiver.streams
    assert code == 1 and "it is not the one whose key this engine was given" in said


def test_an_engine_without_keys_is_told_that_the_bridge_encrypts(keys: Callable[[str], Keys]) -> None:
    bridge, engine = keys("bridge"), keys("engine")
    with Receiver(ANY_ADDRESS, curve=Curve.load(bridge.secret, engine.public)) as receiver:
        code, said = what_it_says(reached(receiver))
        assert not receiver.streams
    assert code == 1 and "takes encrypted connections only" in said and ".key_secret" in said


def test_an_engine_with_keys_does_not_talk_in_the_clear(keys: Callable[[str], Keys]) -> None:
    with Receiver("tcp://127.0.0.1:*") as receiver:
        code, said = what_it_says(receiver.endpoint, *engine_keys(keys("engine"), keys("bridge")))
        assert not receiver.streams
    assert code == 1 and "does not encrypt" in said


def test_another_machine_is_not_dialled_without_keys() -> None:
    code, said = what_it_says("tcp://192.0.2.1:5755")
    assert code == 2 and "frames would travel there unprotected" in said


def test_a_key_file_that_is_none_is_named(keys: Callable[[str], Keys], tmp_path: Path) -> None:
    bridge = keys("bridge")
    code, said = what_it_says("tcp://192.0.2.1:5755", "--key", str(bridge.public), "--peer", str(bridge.public))
    assert code == 2 and f"'{bridge.public}' holds no secret key" in said and ".key_secret" in said
    missing = str(tmp_path / "nowhere.key")
    code, said = what_it_says("tcp://192.0.2.1:5755", "--key", str(bridge.secret), "--peer", missing)
    assert code == 2 and f"'{missing}' cannot be read" in said
