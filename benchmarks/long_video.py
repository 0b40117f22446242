"""Memory of a long job: a recording through `enhance`, in the windows of a large base, with a stand-in for it.

    python benchmarks/long_video.py --frames 10000

The stand-in paints a window at once and goes on from the pictures before, as a base does, and holds nothing.
What is left is what the job itself keeps. One line for each tenth of the job, when a window ends;
for each window where those are longer.
"""

import argparse
import resource
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.enhance import enhance
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.record import Recorder
from renderlift.model.continuity import continuous

WINDOW, OVERLAP = 81, 5  # Wan's
HEIGHT, WIDTH = 32, 48
PAGE = resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    frames: int = parser.parse_args().frames
    with tempfile.TemporaryDirectory() as folder:
        _record(Path(folder) / "take", frames)
        printed = [0]

        def progress(done: int, total: int) -> None:
            if done * 10 // total > printed[0]:
                printed[0] = done * 10 // total
                print(f"{done:6d} frames  {_resident_bytes() / 1e6:.0f} MB", flush=True)

        render = continuous(_stand_in, window=WINDOW, overlap=OVERLAP, takes_before=True, anchors={})
        take, output = Path(folder) / "take", Path(folder) / "out.mp4"
        done = enhance(take, output, render, length=WINDOW, overlap=OVERLAP, progress=progress)
        assert done.frames == frames


def _stand_in(clip: Clip, known: Mapping[int, NDArray[np.uint8]]) -> Video:
    return 255 - clip.channels[Channel.RGB]


def _record(path: Path, frames: int) -> None:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    pose, view = np.eye(4), np.array([[40.0, 0, WIDTH / 2], [0, 40.0, HEIGHT / 2], [0, 0, 1]])
    with Recorder(path) as recorder:
        for index in range(frames):
            grey = 128 + 100 * np.sin((x + index) / 9) * np.cos(y / 7)
            channels = {Channel.RGB: np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)}
            frame = Frame(
                index, index * 41_666_667, 0, CameraPose(pose, view), channels, engine="bench", session="s"
            )
            recorder.write(frame)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


if __name__ == "__main__":
    main()
