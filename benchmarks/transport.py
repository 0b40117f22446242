"""How fast 1080p frames get from an engine's process into the bridge's, and what that costs in copies.

    python benchmarks/transport.py [--rounds 9]

A frame is rgb, depth, normal (f16) and instance ids: 35.3 MB. Five ways, in turn, round
after round, so that a busy machine slows all of them alike; each is compared with the
naive way of the same round:

    naive     pyzmq as one writes it first: tobytes, recv, copy
    sockets   Publisher to Receiver over TCP: no copies in Python, and a checksum on both sides
    copied    Publisher to Receiver through shared memory; the reader owns what it gets
    view      the same, and the reader borrows the slot
    memcpy    the pixels copied once within one process: what memory itself allows
    xxh3      the pixels' checksums computed once: what protecting a frame costs each side

The producer is a process of its own. Times run from the command to produce until the last
frame is in the reader's hands. Only the ratios mean anything on a shared machine.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice

import numpy as np
import zmq

from renderlift.bridge.frame import Array, CameraPose, Channel, Frame
from renderlift.bridge.pixels import buffers_of, checksum
from renderlift.bridge.receive import Receiver
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import Mode

HEIGHT, WIDTH = 1080, 1920
CHANNELS = (Channel.RGB, Channel.DEPTH, Channel.NORMAL, Channel.INSTANCE_ID)
WAYS = ("naive", "sockets", "copied", "view", "memcpy", "xxh3")
TARGETS = {"sockets": 2.5, "copied": 4.0, "view": 10.0}
QUEUED = 4  # frames the naive way may have under way


def make_channels(value: int) -> dict[Channel, Array]:
    """One frame's arrays, as an engine's readback leaves them; every pixel is `value`."""
    return {
        Channel.RGB: np.full((HEIGHT, WIDTH, 3), value, np.uint8),
        Channel.DEPTH: np.full((HEIGHT, WIDTH, 1), value, np.float32),
        Channel.NORMAL: np.full((HEIGHT, WIDTH, 3), value, np.float16),
        Channel.INSTANCE_ID: np.full((HEIGHT, WIDTH, 1), value, np.uint32),
    }


FRAME_BYTES = HEIGHT * WIDTH * (3 + 4 + 6 + 4)


def produce(endpoints: dict[str, str]) -> None:
    """The engine: obeys lines of JSON [way, frames] until its input ends."""
    sources = [make_channels(value) for value in range(QUEUED)]
    pose = CameraPose(np.eye(4), np.eye(3))
    publishers = {
        way: Publisher(
            endpoints[way], engine=way, mode=Mode.CAPTURE, channels=CHANNELS, shared_memory=way != "sockets"
        )
        for way in ("sockets", "copied", "view")
    }
    naive = zmq.Context.instance().socket(zmq.DEALER)
    naive.setsockopt(zmq.SNDHWM, QUEUED)
    naive.connect(endpoints["naive"])
    sent = dict.fromkeys(endpoints, 0)
    for line in sys.stdin:
        way, count = json.loads(line)
        for index in range(sent[way], sent[way] + count):
            channels = sources[index % len(sources)]
            if way == "naive":
                naive.send_multipart([str(index).encode(), *(array.tobytes() for array in channels.values())])
            else:
                publishers[way].publish(Frame(index, 0, 0, pose, channels))
        sent[way] += count
    for publisher in publishers.values():
        publisher.close()


def naive_frames(bridge: "zmq.Socket[bytes]") -> Iterator[tuple[int, dict[Channel, Array]]]:
    """What a first version of a bridge would do."""
    shapes = {channel: (array.shape, array.dtype) for channel, array in make_channels(0).items()}
    while True:
        _, header, *parts = bridge.recv_multipart()
        arrays = {
            channel: np.frombuffer(part, dtype).reshape(shape).copy()
            for (channel, (shape, dtype)), part in zip(shapes.items(), parts, strict=True)
        }
        yield int(header), arrays


def our_frames(receiver: Receiver, *, borrow: bool) -> Iterator[tuple[int, dict[Channel, Array]]]:
    for frame in receiver.frames(borrow=borrow):
        yield frame.index, dict(frame.channels)
        receiver.acknowledge(frame)


def copy_in_process(source: dict[Channel, Array], target: dict[Channel, Array], count: int) -> float:
    start_s = time.perf_counter()
    for _ in range(count):
        for channel, array in source.items():
            np.copyto(target[channel], array)
    return time.perf_counter() - start_s


def checksum_in_process(source: dict[Channel, Array], count: int) -> float:
    start_s = time.perf_counter()
    for _ in range(count):
        for buffer in buffers_of(source).values():
            checksum(buffer)
    return time.perf_counter() - start_s


def take(frames: Iterator[tuple[int, dict[Channel, Array]]], count: int) -> None:
    """Take frames, and look whether each channel is the one that was sent, at its first and last pixel."""
    for index, channels in islice(frames, count):
        for channel, array in channels.items():
            if not array[0, 0, 0] == array[-1, -1, -1] == index % QUEUED:
                raise SystemExit(f"{channel} of frame {index} is not what was sent")


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds per frame of each way, one number per round."""
    context = zmq.Context.instance()
    naive = context.socket(zmq.ROUTER)
    naive.setsockopt(zmq.RCVHWM, QUEUED)
    naive.bind("tcp://127.0.0.1:*")
    receivers = {way: Receiver("tcp://127.0.0.1:*") for way in ("sockets", "copied", "view")}
    endpoints = {way: receiver.endpoint for way, receiver in receivers.items()}
    endpoints["naive"] = naive.getsockopt_string(zmq.LAST_ENDPOINT)
    command = [sys.executable, __file__, "--produce", json.dumps(endpoints)]
    producer = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    assert producer.stdin is not None
    frames = {
        "naive": naive_frames(naive),
        **{way: our_frames(receivers[way], borrow=way == "view") for way in receivers},
    }
    source, target = make_channels(1), make_channels(2)

    def run(way: str, count: int) -> float:
        if way == "memcpy":
            return copy_in_process(source, target, count)
        if way == "xxh3":
            return checksum_in_process(source, count)
        start_s = time.perf_counter()
        producer.stdin.write(json.dumps([way, count]) + "\n")
        producer.stdin.flush()
        take(frames[way], count)
        return time.perf_counter() - start_s

    counts = {"naive": 10, "sockets": 20, "copied": 30, "view": 60, "memcpy": 60, "xxh3": 60}
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for way in WAYS:
        run(way, 10)  # connections, rings and page tables come into being
    for _ in range(rounds):
        for way in WAYS:
            times[way].append(run(way, counts[way]) / counts[way])
    for iterator in frames.values():
        iterator.close()
    producer.stdin.close()
    producer.wait(30)
    for receiver in receivers.values():
        receiver.close()
    context.destroy(0)
    return times


def table(times: dict[str, list[float]]) -> str:
    lines = ["| way | GB/s | frames/s | x naive: median | range | target |", "|---|---|---|---|---|---|"]
    for way in WAYS:
        ratios = [naive / own for naive, own in zip(times["naive"], times[way], strict=True)]
        seconds = statistics.median(times[way])
        target = f">= {TARGETS[way]:g}" if way in TARGETS else ""
        lines.append(
            f"| {way} | {FRAME_BYTES / seconds / 1e9:.2f} | {1 / seconds:.0f} "
            f"| {statistics.median(ratios):.1f} | {min(ratios):.1f} to {max(ratios):.1f} | {target} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--produce", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.produce:
        produce(options.produce)
        return
    print(f"1080p, {', '.join(CHANNELS)}: {FRAME_BYTES / 1e6:.1f} MB a frame; {options.rounds} rounds")
    print(table(measure(options.rounds)))


if __name__ == "__main__":
    main()
