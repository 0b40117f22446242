"""What a processor does for one window of a large base, before and after a GPU paints it.

    python benchmarks/around_the_base.py                    # 121 frames of 1280x720, as LTX-2 takes them
    python benchmarks/around_the_base.py --frames 25 --size 832x448 --rounds 5

A large GPU paints such a window in a few seconds, so what surrounds it counts: references and controls made of the
engine's buffers before, bytes made of floats and colours held after. Each is timed with one thread and with all
that torch may use, in turns; their ratio is what counts on a machine that does other things as well. No GPU is in
it, nor the way to one.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import cv2
import numpy as np
import torch

from renderlift.bridge.clip import Clip, stack
from renderlift.bridge.frame import Array, CameraPose, Channel, Frame
from renderlift.model import control
from renderlift.model.bases.controls import control_video
from renderlift.model.colour import Look, held_to
from renderlift.model.references import picture
from renderlift.model.steady import steadied

WORKING_PIXELS = 704 * 1216
HALF = 2  # references of half the side, as LTX-2's adapters mostly have them


def clip_of(frames: int, height: int, width: int) -> Clip:
    """A moving pattern with every channel that a reference or a control is made of."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    made: list[Frame] = []
    for index in range(frames):
        wave = (127 + 120 * np.sin((x + 3 * index) / 17) * np.cos(y / 23)).astype(np.uint8)
        slope = np.stack([np.sin((x + 3 * index) / 31) / 2, np.cos(y / 29) / 2, np.zeros_like(x)], axis=-1)
        slope[..., 2] = -np.sqrt(1 - (slope**2).sum(-1))
        channels: dict[Channel, Array] = {
            Channel.RGB: np.repeat(wave[..., None], 3, axis=2),
            Channel.DEPTH: (2 + y / 64)[..., None],
            Channel.NORMAL: slope.astype(np.float16),
            Channel.INSTANCE_ID: ((x + 3 * index) // 64).astype(np.uint32)[..., None],
            Channel.FLOW: np.full((height, width, 2), 3, np.float32),
        }
        made.append(Frame(index, index * 41_666_667, 0, CameraPose(np.eye(4), np.eye(3)), channels))
    return stack(made)


def works(clip: Clip) -> dict[str, Callable[[], object]]:
    """What is done for a clip, by name."""
    fit = control.fitted(clip.height, clip.width, WORKING_PIXELS, control.SIZE_MULTIPLE * HALF)
    small = control.shrunk(fit, HALF)
    rgb = clip.channels[Channel.RGB]
    painted = control.to_pixels(control.laid_in(rgb, fit)).bfloat16()
    look = Look(np.full(3, 0.9), np.full(3, 0.03))

    def reference(name: str) -> Callable[[], object]:
        return lambda: control.laid_in(picture(name, clip.channels), small)

    def shown(name: str) -> Callable[[], object]:
        return lambda: control.laid_in(control_video(name, clip, fit.height, fit.width), fit)

    return {
        **{f"reference {name}": reference(name) for name in ("rgb", "depth", "normal")},
        **{f"control {name}": shown(name) for name in ("edge", "depth", "seg", "blur")},
        "bytes of the painted picture": lambda: control.to_video(control.cut_out(painted, fit, len(clip))),
        "the engine's size": lambda: control.resize(rgb[:, ::2, ::2], clip.height, clip.width),
        "colours held": lambda: held_to(look, rgb, rgb),
        "averaged along flow (--steady)": lambda: steadied(clip, rgb, 0.6),
    }


def seconds_of(work: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--size", default="1280x720", metavar="WIDTHxHEIGHT", help="of the engine's pictures")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    width, height = (int(number) for number in options.size.split("x"))
    threads = torch.get_num_threads()
    print(f"{options.frames} frames of {width}x{height}; one thread, and {threads}\n")
    print(f"| | seconds, 1 thread | ms per frame | seconds, {threads} threads | times as fast |")
    print("|---|---|---|---|---|")
    for name, work in works(clip_of(options.frames, height, width)).items():
        pairs = [(seconds_of(work, 1), seconds_of(work, threads)) for _ in range(options.rounds)]
        one, many = (median(pair[column] for pair in pairs) for column in (0, 1))
        ratio = median(before / after for before, after in pairs)
        per_frame = 1000 * one / options.frames
        print(f"| {name} | {one:.2f} | {per_frame:.1f} | {many:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
