"""What becomes of the frames of a service: counts, speed and latency per stream."""

import time
from collections import deque
from dataclasses import dataclass, field
from statistics import median

from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import Frame
from renderlift.bridge.receive import StreamStatistics
from renderlift.bridge.wire import Mode

Stream = tuple[str, str, str]

REMEMBERED_PICTURES = 240
REMEMBERED_CLIPS = 20


@dataclass(frozen=True)
class StreamProgress:
    """How one camera of one engine does."""

    engine: str
    session: str
    camera: str
    mode: Mode
    connected: bool
    received: int
    dropped: int  # preview: frames left out for newer ones, anywhere on the way
    rendered: int
    failed: int  # frames on which the renderer failed
    received_fps: float
    rendered_fps: float
    latency_ms: float | None  # median, from capture in the engine to the picture leaving the bridge

    @property
    def brief(self) -> str:
        """For a line of a terminal, beside the names: 56 characters as a rule."""
        parts = [
            f"{self.received} in {self.received_fps:.1f}/s",
            f"{self.rendered} lifted {self.rendered_fps:.1f}/s",
        ]
        if self.latency_ms is not None and self.mode is Mode.PREVIEW:
            parts.append(f"{self.latency_ms:.0f} ms")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.dropped:
            parts.append(f"{self.dropped} dropped")
        return ", ".join(parts)

    @property
    def waiting(self) -> int:
        """Captured frames that are still to be lifted."""
        return max(0, self.received - self.rendered - self.failed) if self.mode is Mode.CAPTURE else 0

    def __str__(self) -> str:
        latency = f", {self.latency_ms:.0f} ms" if self.latency_ms is not None and self.mode is Mode.PREVIEW else ""
        speed = f" ({self.rendered_fps:.1f} fps{latency})" if self.rendered else ""
        dropped = f", {self.dropped} dropped" if self.dropped else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.received} in ({self.received_fps:.1f} fps), {self.rendered} lifted{speed}{dropped}{failed}"


@dataclass
class Tally:
    """Counts of one stream, written by the thread that renders it."""

    rendered: int = 0
    failed: int = 0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED_PICTURES))
    clips: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED_CLIPS))

    def note_clip(self, clip: Clip, *, failed: bool) -> None:
        fresh = len(clip) - clip.shared
        if failed:
            self.failed += fresh
            return
        self.rendered += fresh
        self.clips.append((time.monotonic(), fresh))

    def note_sent(self, frame: Frame) -> None:
        self.latencies_ms.append((time.time_ns() - frame.capture_time_ns) * 1e-6)

    @property
    def fps(self) -> float:
        """Frames per second over the last clips."""
        finished = list(self.clips)
        if len(finished) < 2:
            return 0.0
        span_s = finished[-1][0] - finished[0][0]
        return sum(fresh for _, fresh in finished[1:]) / span_s if span_s > 0 else 0.0

    def progress(self, statistics: StreamStatistics, skipped: int) -> StreamProgress:
        """Together with what the receiver counted.

        Args:
            skipped: frames that arrived and were left out for newer ones.
        """
        latencies_ms = list(self.latencies_ms)
        return StreamProgress(
            engine=statistics.engine,
            session=statistics.session,
            camera=statistics.camera_name,
            mode=statistics.mode,
            connected=statistics.connected,
            received=statistics.received,
            dropped=statistics.dropped + skipped,
            rendered=self.rendered,
            failed=self.failed,
            received_fps=statistics.fps,
            rendered_fps=self.fps,
            latency_ms=median(latencies_ms) if latencies_ms else None,
        )
