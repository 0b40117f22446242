"""What preview costs the thread of a C++ engine, whatever state its bridge is in.

    python benchmarks/core_cost.py [--size 640x360] [--frames 600] [--fps 60] [--realtime]

The engine is engine_plugin/core/benchmark/preview_cost.cpp (build the core first: docs/core.md).
It publishes rgb and depth, in turns lent (the core copies them on the engine's thread) and handed
over (it keeps a reference), and in every frame copies the same pixels once more for comparison,
so that what else the machine does falls on all three. The bridge is
a process of its own that reads, crawls at five frames a second, hangs (SIGSTOP) or is not there.
Milliseconds per frame. On a machine that others keep busy, --realtime lets the engine go first
(`chrt`, needs root): otherwise the high percentiles are those of waiting for a processor.
"""

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from renderlift.bridge.receive import Receiver

PREVIEW_COST = Path(__file__).parents[1] / "engine_plugin/core/build/plain/benchmark/preview_cost"
NOBODY = "tcp://127.0.0.1:1"
KINDS = {"copy": "copied only", "lent": "lent", "handed_over": "handed over"}
PERCENTILES = ("p50", "p99", "max")
PAUSES_S = {"reads": 0.0, "crawls": 0.2, "hangs": 0.0}


def main() -> None:
    options = _parser().parse_args()
    if not PREVIEW_COST.exists():
        raise SystemExit(f"{PREVIEW_COST} is not built; docs/core.md says how.")
    print(f"{options.size}, {options.frames} frames at {options.fps} a second; milliseconds")
    print(" " * 14 + "".join(f"{name:>24}  " for name in KINDS.values()))
    print(f"{'bridge':<14}" + "".join(f"{at:>8}" for at in PERCENTILES).ljust(26) * len(KINDS) + "dropped  buffers")
    for state in (*PAUSES_S, "is not there"):
        row = _measure(state, options)
        figures = "".join(f"{row[kind][at]:>8.3f}" + "  " * (at == "max") for kind in KINDS for at in PERCENTILES)
        print(f"{state:<14}{figures}{row['dropped']:>7}{row['buffers']:>9}")


def _measure(state: str, options: argparse.Namespace) -> dict[str, Any]:
    if state not in PAUSES_S:
        return _run_engine(NOBODY, options)
    ours, theirs = multiprocessing.Pipe()
    bridge = multiprocessing.get_context("spawn").Process(
        target=_bridge, args=(theirs, PAUSES_S[state]), daemon=True
    )
    bridge.start()
    endpoint = ours.recv()
    try:
        return _run_engine(endpoint, options, bridge.pid if state == "hangs" else None)
    finally:
        bridge.kill()


def _run_engine(endpoint: str, options: argparse.Namespace, hang_pid: int | None = None) -> dict[str, Any]:
    width, height = options.size.split("x")
    first = ["chrt", "--rr", "1"] if options.realtime else []
    command = [*first, str(PREVIEW_COST), endpoint, width, height, str(options.frames), str(options.fps)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        line = engine.stdout.read(1)  # it is connected and begins
        if hang_pid is not None:
            time.sleep(0.5)
            os.kill(hang_pid, signal.SIGSTOP)
        return json.loads(line + engine.stdout.read())


def _bridge(report: Connection, pause_s: float) -> None:
    with Receiver("tcp://127.0.0.1:*") as receiver:
        report.send(receiver.endpoint)
        for _ in receiver.frames(borrow=True):
            time.sleep(pause_s)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="640x360", metavar="WxH")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--fps", type=float, default=60)
    parser.add_argument("--realtime", action="store_true", help="let the engine go before all other processes")
    return parser


if __name__ == "__main__":
    main()
