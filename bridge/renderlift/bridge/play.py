"""Replay a recording through the sending side, as if its engines were live."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from renderlift.bridge.frame import Channel, Frame, IdName
from renderlift.bridge.record import read_frames, summarize
from renderlift.bridge.segment_index import StreamSummary

log = logging.getLogger(__name__)

LATE_S = 0.25  # beyond this the schedule moves, instead of a burst that catches up


@dataclass(frozen=True)
class ReplaySession:
    """One recorded session about to be replayed under a fresh id: what an engine says at its start."""

    session: str
    engine: str
    cameras: tuple[str, ...]
    channels: tuple[Channel, ...]
    names: tuple[IdName, ...]


class Outlet(Protocol):
    """Where a session's frames go; a `send.Publisher` is one."""

    def publish(self, frame: Frame, /) -> bool: ...

    def close(self) -> bool: ...


@dataclass
class _Playing:
    """A session that is being replayed."""

    outlet: Outlet
    session: str
    first_time_ns: int
    started_s: float
    frames_left: int


def play(
    path: Path | str,
    connect: Callable[[ReplaySession], Outlet],
    *,
    speed: float = 1.0,
    loop: bool = False,
    stop: threading.Event | None = None,
) -> int:
    """Publish the frames of a recording at the pace of the engine's clock.

    Every recorded session gets its own outlet and a session id never used before, again
    on each turn of a loop, since a receiver takes a known one for a repetition. Sessions
    that were recorded one after the other are replayed so, without the time between.

    Args:
        connect: called at the first frame of each session; the outlet is closed after its last.
        speed: 2 is twice as fast, `math.inf` as fast as `publish` takes them.
        loop: begin again at the end, until `stop` is set.
        stop: ends the replay early.

    Returns:
        How many frames were published.

    Raises:
        RecordingError: no recording there, or one that cannot be read.
    """
    if not speed > 0:
        raise ValueError(f"speed must be above 0, got {speed}")
    stop = stop or threading.Event()
    streams = summarize(path).streams
    published = _play_once(path, streams, connect, speed, stop)
    while loop and published and not stop.is_set():
        published += _play_once(path, streams, connect, speed, stop)
    return published


def _play_once(
    path: Path | str,
    streams: Iterable[StreamSummary],
    connect: Callable[[ReplaySession], Outlet],
    speed: float,
    stop: threading.Event,
) -> int:
    playing: dict[tuple[str, str], _Playing] = {}
    published = 0
    try:
        for frame in read_frames(path):
            key = (frame.engine, frame.session)
            if key not in playing:
                playing[key] = _begin(frame, [s for s in streams if (s.engine, s.session) == key], connect)
            session = playing[key]
            if _wait_until_due(session, frame, speed, stop):
                return published
            # The wall clock at capture is there for latency: what counts is when the frame leaves now.
            session.outlet.publish(replace(frame, session=session.session, capture_time_ns=time.time_ns()))
            published += 1
            session.frames_left -= 1
            if session.frames_left == 0:
                _end(session)
    finally:
        for session in playing.values():
            if session.frames_left > 0:
                _end(session)
    return published


def _begin(frame: Frame, streams: list[StreamSummary], connect: Callable[[ReplaySession], Outlet]) -> _Playing:
    opening = ReplaySession(
        session=secrets.token_hex(16),
        engine=frame.engine,
        cameras=tuple(s.camera for s in streams),
        channels=tuple(dict.fromkeys(channel for s in streams for channel in s.channels)),
        names=frame.names,
    )
    outlet = connect(opening)
    frames = sum(s.frames for s in streams)
    return _Playing(outlet, opening.session, frame.engine_time_ns, time.monotonic(), frames)


def _end(session: _Playing) -> None:
    if not session.outlet.close():
        log.warning("replayed session %s: the receiver did not take everything in time", session.session)


def _wait_until_due(session: _Playing, frame: Frame, speed: float, stop: threading.Event) -> bool:
    """Wait for a frame's moment; returns whether the replay was stopped."""
    due_s = session.started_s + (frame.engine_time_ns - session.first_time_ns) * 1e-9 / speed
    wait_s = due_s - time.monotonic()
    if wait_s < -LATE_S:
        session.started_s -= wait_s
    return stop.wait(max(wait_s, 0.0))
