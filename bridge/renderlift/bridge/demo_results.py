"""What the demo leaves behind: before | after, a still beside the truth, and the numbers."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import msgspec
import numpy as np

from renderlift.bridge.ahead import ahead
from renderlift.bridge.clip import Clip, Video, stack
from renderlift.bridge.enhance import DEFAULT_FPS
from renderlift.bridge.events import Events
from renderlift.bridge.films import read_png, write_png
from renderlift.bridge.frame import Channel, Frame
from renderlift.bridge.record import read_frames, summarize
from renderlift.bridge.video import Picture, VideoWriter, in_a_row, side_by_side

CAPTIONS = ("game engine", "renderlift", "path-traced truth")
MEASURED_FRAMES = 240  # at most, which bounds memory; the demo's scene has 96
MEASURED_CHANNELS = (Channel.RGB, Channel.DEPTH, Channel.INSTANCE_ID, Channel.FLOW, Channel.ALBEDO)


@dataclass(frozen=True)
class Measured:
    """How faithful a picture is; `model.evaluate` defines the measures."""

    name: str
    psnr_db: float | None  # to the path-traced truth
    edge_f1: float | None  # against edges that the engine knows of
    warp_relative: float | None  # change of surface points over time, relative to the render's own


@dataclass(frozen=True)
class Results:
    """The content of result.json."""

    render: str
    frames: int
    failed_frames: int
    size: str
    preview_fps: float
    preview_latency_ms: float | None
    preview_engine_fps: float
    preview_dropped: int
    capture_fps: float
    truth_frames: tuple[int, ...]
    measured: tuple[Measured, ...]


def write_results(folder: Path, *, render: str, preview: Mapping[str, Any], captured: Mapping[str, Any]) -> Results:
    """Make the videos and the numbers of a demo from its recording and its lifted pictures.

    Args:
        preview, captured: how the two streams did, see `demo.StreamRow`.

    Raises:
        RecordingError: a picture is missing, or the disk is full.
    """
    clip, lifted = _compose(folder)
    truth = _truth(clip)
    if truth:
        at = sorted(truth)[len(truth) // 2]
        still = in_a_row((clip.channels[Channel.RGB][at], lifted[at], truth[at]), CAPTIONS)
    else:
        still = side_by_side(clip.channels[Channel.RGB][0], lifted[0], captions=CAPTIONS[:2])
    write_png(folder / "truth.png", still)
    results = Results(
        render=render,
        frames=captured["rendered"] + captured["failed"],
        failed_frames=captured["failed"],
        size=f"{clip.width}x{clip.height}",
        preview_fps=preview["rendered_fps"],
        preview_latency_ms=preview["latency_ms"],
        preview_engine_fps=preview["received_fps"],
        preview_dropped=preview["dropped"],
        capture_fps=captured["rendered_fps"],
        truth_frames=tuple(sorted(truth)),
        measured=tuple(_measure(clip, lifted, truth)),
    )
    (folder / "result.json").write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    with (folder / "table.txt").open("w") as file:
        _tables(results, Events(out=file))
    return results


def tell_results(results: Results, folder: Path, events: Events, *, seconds: float) -> None:
    """Show the tables, and say where everything is."""
    _tables(results, events)
    files = {
        name: folder / name for name in ("before_after.mp4", "lifted.mp4", "truth.png", "table.txt", "recording")
    }
    where = "\n".join(f"  {path}" for path in files.values())
    events.tell("demo_done", f"Done in {seconds:.0f} s:\n{where}", results=results, files=files, seconds=seconds)


def _compose(folder: Path) -> tuple[Clip, Video]:
    """Write the two videos; returns their first frames and lifted pictures, to be measured."""
    recording = folder / "recording"
    [stream] = summarize(recording).streams
    frames: list[Frame] = []
    lifted: list[Picture] = []
    height, width, fps = stream.height, stream.width, stream.fps or DEFAULT_FPS
    with (
        VideoWriter(folder / "before_after.mp4", height, 2 * width, fps) as both,
        VideoWriter(folder / "lifted.mp4", height, width, fps) as alone,
    ):
        for number, frame in enumerate(ahead(read_frames(recording, channels=MEASURED_CHANNELS), 8)):
            picture = read_png(folder / "lifted" / f"{number:06d}.png")
            both.write(side_by_side(frame.channels[Channel.RGB], picture, captions=CAPTIONS[:2]))
            alone.write(picture)
            if len(frames) < MEASURED_FRAMES:
                frames.append(frame)
                lifted.append(picture)
    return stack(frames), np.stack(lifted)


def _truth(clip: Clip) -> dict[int, Picture]:
    """Place in the clip to its path-traced picture; empty where the frames have another shape."""
    # By name, because the bridge does not know the engines.
    truth: dict[int, Picture] = importlib.import_module("renderlift.engine.scenes").demo_truth()
    return {
        index: _resized(picture, clip.height, clip.width)
        for index, picture in truth.items()
        if index < len(clip) and picture.shape[0] * clip.width == picture.shape[1] * clip.height
    }


def _resized(picture: Picture, height: int, width: int) -> Picture:
    resized: Any = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cast(Picture, resized)


def _measure(clip: Clip, lifted: Video, truth: dict[int, Picture]) -> Iterator[Measured]:
    evaluate = importlib.import_module("renderlift.model.evaluate")
    for row in evaluate.measure({"lifted": lifted}, clip.channels, truth):
        yield Measured(row.name, row.psnr_db, row.edge_f1, row.warp_relative)
    if truth:
        yield Measured("truth", None, evaluate.truth_edge_f1(truth, clip.channels), None)


def _tables(results: Results, events: Events) -> None:
    speed = [
        ("frames captured, recorded and lifted", f"{results.frames - results.failed_frames} of {results.frames}"),
        ("lifted per second, capture", f"{results.capture_fps:.1f} fps"),
        ("lifted and shown per second, preview", f"{results.preview_fps:.1f} fps"),
        ("rendered by the engine meanwhile", f"{results.preview_engine_fps:.1f} fps"),
        ("latency, preview", "-" if results.preview_latency_ms is None else f"{results.preview_latency_ms:.0f} ms"),
        ("left out for newer frames, preview", str(results.preview_dropped)),
    ]
    title = f"{results.size}, renderer {results.render}"
    events.table("speed", title, ("", ""), speed, results=results)
    rows = [
        (
            row.name,
            _number(row.psnr_db, "{:.2f} dB"),
            _number(row.edge_f1, "{:.3f}"),
            _number(row.warp_relative, "{:.2f}x"),
        )
        for row in results.measured
    ]
    header = ("picture", "PSNR to truth", "edge F1", "warp error / render's")
    title = f"Faithfulness over {results.frames} frames, truth at {len(results.truth_frames)}"
    events.table("faithfulness", title, header, rows, measured=results.measured)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
