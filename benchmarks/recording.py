"""How chunks of a recording are best compressed, and how fast frames are written and read.

    python benchmarks/recording.py RECORDING

takes the frames of any recording (`renderlift capture` makes one). The codecs take turns on
the same arrays, so their ratios hold on a busy machine too; the disk is measured beside them,
since a codec pays as long as it is faster than the disk it saves.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import lz4.frame
import zstandard

from renderlift.bridge.frame import Frame
from renderlift.bridge.record import Recorder, read_frames

FRAMES = 8
Codec = Callable[[bytes], bytes]
CODECS: dict[str, tuple[Codec, Codec]] = {
    "lz4": (lz4.frame.compress, lz4.frame.decompress),
    **{
        f"zstd {level}": (zstandard.ZstdCompressor(level).compress, zstandard.ZstdDecompressor().decompress)
        for level in (-1, 1, 3)
    },
}


def main() -> None:
    frames = list(islice(read_frames(sys.argv[1]), FRAMES))
    arrays = [array.tobytes() for frame in frames for array in frame.channels.values()]
    total = sum(map(len, arrays))
    print(f"{len(frames)} frames, {total / len(frames) / 1e6:.1f} MB each: {', '.join(frames[0].channels)}\n")
    print_codecs(arrays, total)
    with tempfile.TemporaryDirectory(dir=Path(sys.argv[1]).parent) as folder:
        print_disk(Path(folder), arrays, total)
        print_recorder(Path(folder) / "recording", frames, total)


def print_codecs(arrays: list[bytes], total: int) -> None:
    sizes = dict.fromkeys(CODECS, 0)
    pack_s: dict[str, list[float]] = {name: [] for name in CODECS}
    unpack_s: dict[str, list[float]] = {name: [] for name in CODECS}
    for array in arrays:
        for name, (pack, unpack) in CODECS.items():
            start = time.perf_counter()
            packed = pack(array)
            middle = time.perf_counter()
            unpack(packed)
            pack_s[name].append(middle - start)
            unpack_s[name].append(time.perf_counter() - middle)
            sizes[name] += len(packed)
    print("| codec | size | pack MB/s | unpack MB/s |\n|---|---|---|---|")
    for name in CODECS:
        in_mb_s, out_mb_s = total / sum(pack_s[name]) / 1e6, total / sum(unpack_s[name]) / 1e6
        print(f"| {name} | {sizes[name] / total:.0%} | {in_mb_s:.0f} | {out_mb_s:.0f} |")


def print_disk(folder: Path, arrays: list[bytes], total: int) -> None:
    rates: list[float] = []
    for number in range(3):
        start = time.perf_counter()
        with (folder / str(number)).open("wb") as file:
            file.writelines(arrays)
            file.flush()
            os.fsync(file.fileno())
        rates.append(total / (time.perf_counter() - start) / 1e6)
    print(f"\ndisk, written and synced: {statistics.median(rates):.0f} MB/s")


def print_recorder(path: Path, frames: list[Frame], total: int) -> None:
    start = time.perf_counter()
    with Recorder(path) as recorder:
        for frame in frames:
            recorder.write(frame)
            recorder.flush()
        written = time.perf_counter()
    closed = time.perf_counter()
    read = list(read_frames(path))
    read_s = time.perf_counter() - closed
    assert all(
        a.channels[c].tobytes() == b.channels[c].tobytes()
        for a, b in zip(frames, read, strict=True)
        for c in a.channels
    )
    size = sum(segment.stat().st_size for segment in path.iterdir())
    print(f"recorder: {total / (written - start) / 1e6:.0f} MB/s in, {total / read_s / 1e6:.0f} MB/s out, ", end="")
    print(f"{(written - start) / len(frames) * 1e3:.0f} ms per frame, {size / total:.0%} of the size in memory")


if __name__ == "__main__":
    main()
