"""What capture in preview costs a Panda3D game: milliseconds per frame of its loop, with and without.

    python benchmarks/engine_cost.py [--size 640x360] [--scene demo] [--rounds 5] [--frames 24]

Each round runs the same frames of the same scene detached, attached at the usual 24 captures a
second, and attached with a capture in every frame, one after another, so that whatever else the
machine does falls on all three. A bridge in a process of its own takes the frames. The table
gives the median over rounds of each round's median frame, and of its ratio to the detached one.
"""

import argparse
import ctypes
import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection
from typing import Any

from renderlift.bridge.receive import Receiver
from renderlift.engine.panda3d.attach import attach
from renderlift.engine.panda3d.panda import core, open_showbase
from renderlift.engine.panda3d.play import SUPERSAMPLE, load_scene
from renderlift.engine.panda3d.scene_graph import Stage, scene_lens

VARIANTS = {"detached": None, "attached, 24 a second": 24.0, "attached, every frame": 1e6}


def main() -> None:
    options = _parser().parse_args()
    width, height = map(int, options.size.split("x"))
    ours, theirs = multiprocessing.Pipe()
    bridge = multiprocessing.get_context("spawn").Process(target=_bridge, args=(theirs,), daemon=True)
    bridge.start()
    endpoint = ours.recv()

    scene = load_scene(options.scene)
    base = open_showbase(SUPERSAMPLE * height, SUPERSAMPLE * width, window=False, title="engine cost")
    base.cam.node().setLens(scene_lens(scene, base.win))
    stage = Stage(scene, base.win, camera=base.cam)
    print(f"{base.win.getGsg().getDriverRenderer()}, {options.scene} at {width}x{height}")
    _finish_every_frame(base)
    _run(base, stage, options.frames)  # shaders compile

    medians: dict[str, list[float]] = {name: [] for name in VARIANTS}
    captured: dict[str, int] = dict.fromkeys(VARIANTS, 0)
    for _ in range(options.rounds):
        for name, fps in VARIANTS.items():
            lift = (
                attach(base, endpoint=endpoint, size=(height, width), fps=fps, linear_colors=True) if fps else None
            )
            if lift:
                lift.publisher.wait_connected(10)
            _run(base, stage, 4)
            times_ms = _run(base, stage, options.frames)
            medians[name].append(statistics.median(times_ms))
            if lift:
                captured[name] += lift.publisher.status.sent
                lift.close()
    _print_table(medians, captured, options.rounds * (options.frames + 4))
    ours.send("done")
    bridge.join(5)


def _run(base: Any, stage: Stage, frames: int) -> list[float]:
    times_ms: list[float] = []
    for index in range(frames):
        start_s = time.perf_counter()
        stage.pose(index % len(stage.scene))
        base.taskMgr.step()
        times_ms.append(1000 * (time.perf_counter() - start_s))
    return times_ms


def _finish_every_frame(base: Any) -> None:
    """Wait for OpenGL after each frame: a picture that nobody reads would not even be drawn."""
    region = base.win.makeDisplayRegion()
    region.setSort(1000)
    region.setDrawCallback(core.PythonCallbackObject(lambda _: ctypes.CDLL("libGL.so.1").glFinish()))


def _print_table(medians: dict[str, list[float]], captured: dict[str, int], frames: int) -> None:
    print(f"\n{'':24}{'ms/frame':>10}{'of detached':>13}{'captured':>12}")
    for name, values in medians.items():
        pairs = zip(values, medians["detached"], strict=True)
        ratio = statistics.median(with_capture / without for with_capture, without in pairs)
        print(f"{name:24}{statistics.median(values):10.1f}{ratio:12.2f}x{captured[name] / frames:12.0%}")


def _bridge(report: Connection) -> None:
    with Receiver("tcp://127.0.0.1:*") as receiver:
        report.send(receiver.endpoint)
        while not report.poll():
            for _ in receiver.frames(timeout_s=1, borrow=True):
                pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="640x360", metavar="WxH")
    parser.add_argument("--scene", default="demo", help="as of python -m renderlift.engine.panda3d")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=24, help="per round and variant")
    return parser


if __name__ == "__main__":
    main()
