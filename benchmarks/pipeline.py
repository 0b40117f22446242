"""How fast a recording is lifted: by stage, by steps, overlapped against sequential, and in how much memory.

    python benchmarks/pipeline.py              # everything
    python benchmarks/pipeline.py --rounds 3 --clips 4

Stages: read (frames from a recording, as they come from disk), encode, denoise and decode
(the base, by diffusers), lock (the geometry lock at full resolution), steady (averaging along flow), write (H.264).
Sequential and overlapped runs of `enhance` alternate, so that a machine busy with other things
slows both; their ratio is what counts. Where the model fills the CPU there is nothing to overlap, so
a stand-in that waits without the CPU shows what a GPU would gain.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from renderlift.bridge import enhance
from renderlift.bridge.clip import Clip, Render, Video, clips
from renderlift.bridge.frame import Array, CameraPose, Channel, Frame
from renderlift.bridge.join import cross_fade
from renderlift.bridge.record import Recorder, read_frames
from renderlift.bridge.video import Picture, VideoWriter

HEIGHT, WIDTH, LENGTH, OVERLAP = 256, 448, 9, 2
ONLY = ("stages", "overlap", "stand-in", "memory")
STAGES = ("read", "encode", "denoise", "decode", "lock", "steady", "write")


@dataclass(frozen=True)
class Model:
    """The renderer in its two halves, which may run in two threads, and its parts for the stop watch."""

    name: str
    pipeline: Any
    lock: Any
    settings: Any
    paint: Callable[..., Any]
    finish: Callable[..., Video]

    def steady(self, clip: Clip, video: Video) -> Video:
        from renderlift.model.render import EMBEDDED_STEADY
        from renderlift.model.steady import steadied

        return steadied(clip, video, EMBEDDED_STEADY)

    def painted(self, clip: Clip) -> Any:
        return self.paint(self.pipeline, self.settings, clip)

    def render(self, clip: Clip) -> Video:
        return self.steady(clip, self.finish(self.lock, clip, self.painted(clip)))


def load_model(steps: int) -> Model:
    """The embedded base, or one of the same sizes with random weights where none are shipped."""
    from renderlift.model import render, whereabouts
    from renderlift.model.bases.adapters import load_adapter
    from renderlift.model.device import pick_device, pick_dtype
    from renderlift.model.embedded import EmbeddedSize, build
    from renderlift.model.lock import GeometryLock, load_lock

    device = pick_device("auto")
    dtype = pick_dtype("auto", device)
    shipped = (whereabouts.WEIGHTS / "base" / "model_index.json").is_file()
    if shipped:
        pipeline: Any = render.load_base(whereabouts.EMBEDDED, dtype)
        load_adapter(pipeline, render.EMBEDDED_FACTS, whereabouts.WEIGHTS / "lift", 1.0)
        lock = load_lock(whereabouts.WEIGHTS / "lock.safetensors")
    else:
        with tempfile.TemporaryDirectory() as folder:
            untrained: Any = build(EmbeddedSize())
            untrained.save_pretrained(folder)
            pipeline = render.load_base(folder, dtype)
        lock = GeometryLock().eval()
    weights = "as shipped" if shipped else "random weights of the same sizes"
    name = f"the embedded base, {weights}, {dtype} on {device}"
    settings = render.RenderSettings(steps)
    return Model(name, pipeline.to(device), lock.to(device, dtype), settings, render.paint, render.finish)


def with_steps(model: Model, steps: int) -> Model:
    return replace(model, settings=replace(model.settings, steps=steps))


def frames_of(count: int) -> Iterator[Frame]:
    """A moving pattern with the channels that the renderer reads; its look does not matter for speed."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    for index in range(count):
        wave = 127 + 120 * np.sin((x + 3 * index) / 17) * np.cos(y / 23)
        rgb = np.repeat(wave.astype(np.uint8)[..., None], 3, axis=2)
        channels: dict[Channel, Array] = {
            Channel.RGB: rgb,
            Channel.DEPTH: (2 + y / 64)[..., None].astype(np.float32),
            Channel.NORMAL: np.broadcast_to(np.array([0, 0, -1], np.float16), (HEIGHT, WIDTH, 3)).copy(),
            Channel.ALBEDO: rgb,
            Channel.MATERIAL: np.full((HEIGHT, WIDTH, 2), 128, np.uint8),
            Channel.INSTANCE_ID: (x // 64).astype(np.uint32)[..., None],
            Channel.FLOW: np.full((HEIGHT, WIDTH, 2), 3, np.float32),
        }
        yield Frame(index, index * 41_666_667, 0, CameraPose(np.eye(4), np.eye(3)), channels)


def frames_for(clip_count: int) -> int:
    return LENGTH + (clip_count - 1) * (LENGTH - OVERLAP)


def record(folder: Path, clip_count: int) -> Path:
    with Recorder(folder) as recorder:
        for frame in frames_of(frames_for(clip_count)):
            recorder.write(frame)
    return folder


def cut(frames: Iterator[Frame]) -> Iterator[Clip]:
    return clips(frames, length=LENGTH, overlap=OVERLAP)


def overlapped(render: Render, recording: Path, output: Path) -> None:
    """`enhance` as it is: frames read, clips cut, rendered and written side by side."""
    enhance.enhance(recording, output, render, length=LENGTH, overlap=OVERLAP, restart=True)


def sequential(render: Render, recording: Path, output: Path) -> None:
    """The same work, one thing after the other."""
    with patch.object(enhance, "ahead", _in_step):
        overlapped(render, recording, output)


def _in_step(items: Iterable[Any], size: int) -> Generator[Any]:
    yield from items


@dataclass(frozen=True)
class StandIn:
    """Stands for a renderer on a GPU: it waits without using the CPU, and shows the engine's own pictures."""

    seconds_per_frame: float

    def __call__(self, clip: Clip) -> Video:
        time.sleep(self.seconds_per_frame * (len(clip) - clip.shared))
        return clip.channels[Channel.RGB]


@dataclass(frozen=True)
class Begins:
    """A stand-in that steadies what it shows: `StandIn` paints, the processor finishes."""

    paint: StandIn

    def __call__(self, clip: Clip) -> Video:
        return self.begin(clip)(clip)

    def begin(self, clip: Clip) -> Render:
        from renderlift.model.steady import steadied

        video = self.paint(clip)
        return lambda clip: steadied(clip, video, 0.6)


@dataclass(frozen=True)
class MakesReady:
    """A stand-in for a large base: the processor makes what it would be shown, at 1232x704; `StandIn` paints."""

    paint: StandIn

    def __call__(self, clip: Clip) -> Video:
        return self.prepare(clip)(clip)

    def prepare(self, clip: Clip) -> Render:
        from renderlift.model.control import Fit, laid_in
        from renderlift.model.references import reference_videos

        for video in reference_videos(("rgb", "depth", "normal", "edge"), clip.channels, (704, 1232)):
            laid_in(video, Fit(704, 1232, 704, 1248))
        return self.paint


class StopWatch:
    """Seconds by stage, with the calls into the base timed where they are made."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def timing(self, stage: str) -> Generator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - started

    @contextmanager
    def watching(self, model: Model) -> Generator[None]:
        """Time the base's three parts."""
        vae, transformer = model.pipeline.vae, model.pipeline.transformer
        parts = ((vae, "encode", "encode"), (transformer, "forward", "denoise"), (vae, "decode", "decode"))
        originals = [(part, method, getattr(part, method)) for part, method, _ in parts]
        for part, method, stage in parts:
            setattr(part, method, self._timed(getattr(part, method), stage))
        try:
            yield
        finally:
            for part, method, original in originals:
                setattr(part, method, original)

    def _timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.timing(stage):
                return call(*arguments, **named)

        return timed


def by_stage(model: Model, recording: Path, output: Path) -> dict[str, float]:
    """Milliseconds per frame of each stage, one after the other, and of the whole as `all`."""
    watch = StopWatch()
    count = 0

    def write(frame: Frame, picture: Picture) -> None:
        with watch.timing("write"):
            writer.write(picture)

    started = time.perf_counter()
    with VideoWriter(output, HEIGHT, WIDTH, 24) as writer, watch.watching(model):
        sink = cross_fade(write, overlap=OVERLAP)
        source = cut(read_frames(recording))
        while True:
            with watch.timing("read"):
                clip = next(source, None)
            if clip is None:
                break
            count += len(clip) - clip.shared
            painted = model.painted(clip)
            with watch.timing("lock"):
                locked = model.finish(model.lock, clip, painted)
            with watch.timing("steady"):
                video = model.steady(clip, locked)
            sink(clip, video)
    watch.seconds["all"] = time.perf_counter() - started
    return {stage: 1000 * seconds / count for stage, seconds in watch.seconds.items()}


def memory_of(clip_count: int) -> float:
    """Peak megabytes of a process that does nothing but lift so many clips, overlapped."""
    with tempfile.TemporaryDirectory() as folder:
        recording = record(Path(folder), clip_count)
        command = [sys.executable, __file__, "--memory", str(recording)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def print_memory(recording: Path, output: Path) -> None:
    overlapped(load_model(steps=1).render, recording, output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def seconds_of(run: Callable[[Render, Path, Path], None], render: Render, recording: Path, output: Path) -> float:
    started = time.perf_counter()
    run(render, recording, output)
    return time.perf_counter() - started


def print_stages(model: Model, recording: Path, output: Path) -> None:
    print(
        f"\n{WIDTH}x{HEIGHT}, clips of {LENGTH} with overlap {OVERLAP}, ms per frame, one stage after the other\n"
    )
    print("| steps | " + " | ".join(STAGES) + " | all | fps |")
    print("|---" * (len(STAGES) + 3) + "|")
    for steps in (1, 2, 4):
        spent = by_stage(with_steps(model, steps), recording, output)
        cells = [f"{spent[stage]:.1f}" for stage in STAGES]
        print(
            f"| {steps} | " + " | ".join(cells) + f" | {spent['all']:.0f} | {1000 / spent['all']:.2f} |", flush=True
        )


def paired(
    render_of: Callable[[], Render], recording: Path, output: Path, rounds: int
) -> list[tuple[float, float]]:
    """Seconds of the sequential run and of the overlapped one, round by round."""
    pairs: list[tuple[float, float]] = []
    for number in range(rounds):
        render = render_of()
        # Who goes first alternates, so that neither always meets the warmer machine.
        order = (sequential, overlapped) if number % 2 == 0 else (overlapped, sequential)
        spent = {run: seconds_of(run, render, recording, output) for run in order}
        pairs.append((spent[sequential], spent[overlapped]))
    return pairs


def print_pairs(title: str, pairs: list[tuple[float, float]], frames: int) -> None:
    ratios = sorted(before / after for before, after in pairs)
    print(f"\n{title}: {len(pairs)} paired rounds of {frames} frames\n")
    print("| | median seconds | fps |\n|---|---|---|")
    for name, column in (("sequential", 0), ("overlapped", 1)):
        seconds = median(pair[column] for pair in pairs)
        print(f"| {name} | {seconds:.1f} | {frames / seconds:.2f} |")
    print(f"\noverlapped is {median(ratios):.2f}x as fast ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)


def print_stand_in(folder: Path, rounds: int, clip_count: int) -> None:
    """In balance: rendering takes as long as all the rest, so that 2x would be perfect."""
    recording, output = record(folder / "for_stand_in", clip_count), folder / "stand_in.mp4"
    frames = frames_for(clip_count)
    seconds_of(sequential, StandIn(0), recording, output)  # warm up

    def balanced() -> StandIn:
        return StandIn(seconds_of(sequential, StandIn(0), recording, output) / frames)

    pairs = paired(balanced, recording, output, rounds)
    print_pairs("A stand-in for a GPU, which waits as long as all the rest takes", pairs, frames)


def print_in_parts(title: str, kind: type[Begins | MakesReady], folder: Path, rounds: int, clip_count: int) -> None:
    """In balance: painting takes as long as the rest of rendering, so that 2x would be perfect."""
    recording, output = record(folder / f"for_{kind.__name__}", clip_count), folder / "in_parts.mp4"
    frames = frames_for(clip_count)
    seconds_of(overlapped, StandIn(0), recording, output)  # warm up
    pairs: list[tuple[float, float]] = []
    for _ in range(rounds):
        paint = StandIn(seconds_of(overlapped, kind(StandIn(0)), recording, output) / frames)
        whole = kind(paint)
        spent = [seconds_of(overlapped, render, recording, output) for render in (whole.__call__, whole)]
        pairs.append((spent[0], spent[1]))
    print_pairs(f"A stand-in that paints as long as all the rest takes, {title}", pairs, frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clips", type=int, default=4, help="per run")
    parser.add_argument("--steps", type=int, default=4, help="denoising steps of the paired rounds")
    parser.add_argument("--memory", type=Path, metavar="RECORDING", help="only lift that, and print the peak")
    parser.add_argument("--only", choices=ONLY, help="one of the tables; overlap has both renderers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.memory:
            print_memory(options.memory, folder / "out.mp4")
            return
        if options.only in (None, "overlap", "stand-in"):
            print_stand_in(folder, options.rounds, 3 * options.clips)
            given = folder, options.rounds, 3 * options.clips
            print_in_parts("steadied before the next clip or meanwhile", Begins, *given)
            print_in_parts("shown what is made before painting or ahead", MakesReady, *given)
        if options.only in (None, "overlap", "stages"):
            model = load_model(options.steps)
            print(model.name)
            recording, output = record(folder / "recording", options.clips), folder / "out.mp4"
            model.render(next(cut(read_frames(recording))))  # warm up
            if options.only != "overlap":
                print_stages(model, recording, output)
            if options.only != "stages":
                pairs = paired(lambda: model.render, recording, output, options.rounds)
                print_pairs(f"The model, {options.steps} steps", pairs, frames_for(options.clips))
    if options.only in (None, "memory"):
        few, many = memory_of(3), memory_of(20)
        print("\n| clips | peak memory |\n|---|---|")
        print(f"| 3 | {few:.0f} MB |\n| 20 | {many:.0f} MB |\n\n20 clips take {many / few:.3f}x the memory of 3")


if __name__ == "__main__":
    main()
