"""How long another adapter takes on the embedded base: loading all anew, or swapped on the base that is loaded.

    python benchmarks/adapter_swap.py

Both in turns, medians. The other adapter is the shipped one with noise: only its size matters.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from renderlift.model.lora import FILE_NAME
from renderlift.model.render import load_base
from renderlift.model.shared_base import SharedBase
from renderlift.model.whereabouts import WEIGHTS, find_base

ROUNDS = 5
OURS = WEIGHTS / "lift" / FILE_NAME


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        other = noisy(Path(folder) / FILE_NAME)
        base = fresh(OURS)
        reloads_s, swaps_s = [], []
        for _ in range(ROUNDS):
            reloads_s.append(timed(lambda: fresh(other)))
            swaps_s += [timed(lambda: put_on(base, other)), timed(lambda: put_on(base, OURS))]
    reload_s, swap_s = statistics.median(reloads_s), statistics.median(swaps_s)
    print(f"reload {1e3 * reload_s:.0f} ms, swap {1e3 * swap_s:.0f} ms, {reload_s / swap_s:.1f} times quicker")


def noisy(file: Path) -> Path:
    weights = load_file(OURS)
    with safe_open(OURS, "pt") as tensors:
        metadata = tensors.metadata()
    save_file({key: value + 0.01 * torch.randn_like(value) for key, value in weights.items()}, file, metadata)
    return file


def fresh(adapter: Path) -> SharedBase:
    base = SharedBase(load_base("embedded", torch.float32), find_base("embedded")[1])
    put_on(base, adapter)
    return base


def put_on(base: SharedBase, adapter: Path) -> None:
    with base.wearing(adapter, 1.0):
        pass


def timed(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


if __name__ == "__main__":
    main()
