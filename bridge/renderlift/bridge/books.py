"""What an engine's game loop and the thread of its connection share: what goes out, and what came back."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import RenderliftError
from renderlift.bridge.outbox import Outbox
from renderlift.bridge.wire import IdRow, Mode

MAX_REMEMBERED_FRAMES = 4096  # whose time of publishing is kept for the latency of their result


@dataclass(frozen=True)
class Result:
    """A rendered picture that came back."""

    camera_name: str
    index: int  # of the frame it was made from
    picture: NDArray[np.uint8]  # (H, W, 3) sRGB
    latency_ms: float  # from publish to arrival
    timings_ms: Mapping[str, float] = field(default_factory=lambda: {})  # where the bridge says it went


class Books:
    """What the game loop and the connection's thread share; `changed` guards all of it."""

    def __init__(self, endpoint: str, mode: Mode, cameras: Sequence[str], names: tuple[IdRow, ...]) -> None:
        self.changed = threading.Condition()
        self.outboxes = {name: Outbox(name, mode) for name in cameras}
        self.names = names
        self.names_changed = False
        self.credits = 1
        self.welcomed = False
        self.ring_in_use = False
        self.refusal: RenderliftError | None = None
        self.problem = f"no bridge has answered at {endpoint} yet"
        self.results: dict[str, Result] = {}
        self.result_count = 0
        self.latency_ms: float | None = None
        self.published_s: dict[tuple[str, int], float] = {}
        self.close_by_s: float | None = None
        self.closed_clean = False

    @property
    def unsettled(self) -> int:
        return sum(outbox.unsettled for outbox in self.outboxes.values())

    def note_published(self, camera: str, index: int) -> None:
        self.published_s[camera, index] = time.monotonic()
        if len(self.published_s) > MAX_REMEMBERED_FRAMES:
            self.published_s.pop(next(iter(self.published_s)))

    def why_waiting(self) -> str:
        return self.problem or f"the bridge has not acknowledged the last {self.credits} frames yet"
