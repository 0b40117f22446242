"""Kill the bridge, or the engine, at random moments of a capture; then count what reached the disk.

    python benchmarks/kill_bridge.py                      # 50 kills of the bridge, about two minutes
    python benchmarks/kill_bridge.py --kills 10 --engine-kills 10 --pauses 5

A real engine process captures without pause, a real bridge process records. `kill -9`
hits one of them 0.3 to 2 s after it was started, at times during its start, and it is
started again at once. A pause stops the bridge for longer than the engine waits for a sign
of life, and then lets it go on with what it holds.

At the end the recording is read: every frame the engine made must be there once, with its
own pixels. Exits with 1 if one is lost, doubled or damaged.
"""

import argparse
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from renderlift.bridge.connection import LIVENESS_S
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.receive import Receiver
from renderlift.bridge.record import Recorder, read_frames
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import Mode

SESSION = "the run"
CAMERAS = ("left", "right")
HEIGHT, WIDTH = 24, 32


@dataclass(frozen=True)
class Outcome:
    bridge_kills: int
    engine_kills: int
    pauses: int
    frames: int  # made by the engine, over all cameras
    lost: int
    doubled: int
    damaged: int
    out_of_order: int
    seconds: float

    @property
    def is_clean(self) -> bool:
        return self.frames > 0 and not (self.lost or self.doubled or self.damaged or self.out_of_order)


def make_frame(index: int, camera: str) -> Frame:
    """A frame whose pixels follow from its index and camera alone."""
    random_pixels = np.random.default_rng([index, CAMERAS.index(camera)])
    pose = np.eye(4)
    pose[0, 3] = index
    return Frame(
        index=index,
        engine_time_ns=index * 5_000_000,
        capture_time_ns=0,
        camera=CameraPose(pose, np.eye(3)),
        channels={
            Channel.RGB: random_pixels.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
            Channel.DEPTH: random_pixels.random((HEIGHT, WIDTH, 1), np.float32),
        },
        camera_name=camera,
    )


def is_intact(frame: Frame) -> bool:
    made = make_frame(frame.index, frame.camera_name)
    return frame.camera.world_from_camera[0, 3] == frame.index and all(
        np.array_equal(frame.channels[channel], array) for channel, array in made.channels.items()
    )


def be_the_bridge(endpoint: str, recording: str, doubled_file: str) -> None:
    """Record until the engine says goodbye."""
    with Recorder(recording) as recorder, Receiver(endpoint, durable=recorder.last_index) as receiver:
        for frame in receiver.frames(until_bye=True):
            if frame.index <= recorder.last_index(frame.session, frame.camera_name):
                # The recorder would leave it out silently; the receiver should not have let it through.
                with Path(doubled_file).open("a") as file:
                    file.write(f"{frame.camera_name} {frame.index}\n")
            recorder.write(frame)
            receiver.acknowledge(frame)


def be_the_engine(endpoint: str, stop_file: str) -> None:
    """Capture until the file appears, then print how many frames each camera made."""
    channels = (Channel.RGB, Channel.DEPTH)
    with Publisher(
        endpoint, engine="kill test", mode=Mode.CAPTURE, channels=channels, cameras=CAMERAS, session=SESSION
    ) as publisher:
        index = min(publisher.resume_index(camera, timeout_s=60) for camera in CAMERAS)
        while not Path(stop_file).exists():
            for camera in CAMERAS:
                publisher.publish(make_frame(index, camera), timeout_s=60)
            index += 1
            time.sleep(0.003)
        if not publisher.close(60):
            raise SystemExit("not everything was acknowledged in the end")
    print(index)


def run(bridge_kills: int, engine_kills: int, pauses: int, seed: int, folder: Path) -> Outcome:
    """Let both processes work while they are killed in turn, then read the recording."""
    start_s = time.monotonic()
    stop_file, recording, doubled_file = folder / "stop", folder / "recording", folder / "doubled"
    doubled_file.touch()
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    arguments = {"bridge": [endpoint, str(recording), str(doubled_file)], "engine": [endpoint, str(stop_file)]}

    def start(role: str) -> "subprocess.Popen[str]":
        command = [sys.executable, __file__, f"--be-the-{role}", *arguments[role]]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    moments = random.Random(seed)
    events = ["bridge"] * bridge_kills + ["engine"] * engine_kills + ["pause"] * pauses
    moments.shuffle(events)
    processes = {role: start(role) for role in ("bridge", "engine")}
    for event in events:
        time.sleep(moments.uniform(0.3, 2.0))
        if event == "pause":
            processes["bridge"].send_signal(signal.SIGSTOP)
            time.sleep(moments.uniform(LIVENESS_S, LIVENESS_S + 2))
            processes["bridge"].send_signal(signal.SIGCONT)
        else:
            processes[event].send_signal(signal.SIGKILL)
            processes[event].communicate()
            processes[event] = start(event)
    time.sleep(2.0)
    stop_file.touch()
    made, _ = processes["engine"].communicate(timeout=120)
    processes["bridge"].communicate(timeout=60)
    if processes["engine"].returncode or processes["bridge"].returncode:
        raise SystemExit("a process failed by itself; see above")
    lost, damaged, out_of_order = hold_against_what_was_made(recording, int(made))
    return Outcome(
        bridge_kills=bridge_kills,
        engine_kills=engine_kills,
        pauses=pauses,
        frames=int(made) * len(CAMERAS),
        lost=lost,
        doubled=len(doubled_file.read_text().splitlines()),
        damaged=damaged,
        out_of_order=out_of_order,
        seconds=round(time.monotonic() - start_s, 1),
    )


def hold_against_what_was_made(recording: Path, made: int) -> tuple[int, int, int]:
    """Of frames 0 to `made` - 1 of every camera: how many are lost, damaged, out of order."""
    seen: dict[str, list[int]] = {camera: [] for camera in CAMERAS}
    damaged = 0
    for frame in read_frames(recording):
        seen[frame.camera_name].append(frame.index)
        damaged += not is_intact(frame)
    lost = sum(len(set(range(made)) - set(indices)) for indices in seen.values())
    out_of_order = sum(int((np.diff(indices) <= 0).sum()) for indices in seen.values())
    return lost, damaged, out_of_order


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of the bridge")
    parser.add_argument("--engine-kills", type=int, default=0)
    parser.add_argument("--pauses", type=int, default=0, help="of the bridge")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--be-the-bridge", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--be-the-engine", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_the_bridge:
        be_the_bridge(*options.be_the_bridge)
    elif options.be_the_engine:
        be_the_engine(*options.be_the_engine)
    else:
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(options.kills, options.engine_kills, options.pauses, options.seed, Path(folder))
        table = "\n".join(f"{name:14} {value}" for name, value in asdict(outcome).items())
        print(json.dumps(asdict(outcome)) if options.json else table)
        raise SystemExit(0 if outcome.is_clean else 1)


if __name__ == "__main__":
    main()
