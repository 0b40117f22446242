"""The engine's books of one camera: what waits, what is under way, what is settled.

Plain bookkeeping after docs/protocol.md section 4; sockets are in `send.py`.
"""

from collections import deque
from dataclasses import dataclass

from renderlift.bridge.frame import Frame
from renderlift.bridge.wire import Mode

# Waits before frames are sent again, while nothing is acknowledged in between.
_REPEAT_AFTER_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0)


@dataclass(frozen=True)
class Outgoing:
    """A published frame, and the index of the one published before it."""

    frame: Frame
    previous: int


class Outbox:
    """Frames of one camera on their way. sent = acknowledged + dropped + unsettled, at any time."""

    def __init__(self, name: str, mode: Mode) -> None:
        self.name = name
        self.mode = mode
        self.last_index = -1  # published
        self.acknowledged_index = -1
        self.sent = self.dropped = self.acknowledged = 0
        self._waiting: deque[Outgoing] = deque()
        self._under_way: deque[Outgoing] = deque()
        self._repeats = 0
        self._held_until_s = 0.0

    @property
    def unsettled(self) -> int:
        return len(self._waiting) + len(self._under_way)

    def put(self, frame: Frame) -> bool:
        """Take a frame; False if an older one that waited was dropped for it."""
        outgoing = Outgoing(frame, self.last_index)
        self.last_index = frame.index
        self.sent += 1
        if frame.index <= self.acknowledged_index:
            # An engine that was started again publishes once more what is already durable.
            self.acknowledged += 1
            return True
        replaced = len(self._waiting) if self.mode is Mode.PREVIEW else 0
        if replaced:
            self.drop_waiting()
        self._waiting.append(outgoing)
        return not replaced

    def is_ready(self, window: int, now_s: float) -> bool:
        """Whether a frame waits that may go now: there is credit, and it is not held back."""
        return bool(self._waiting) and len(self._under_way) < window and now_s >= self._held_until_s

    def take(self) -> Outgoing:
        """The next frame; from here on it is under way."""
        self._under_way.append(self._waiting.popleft())
        return self._under_way[-1]

    def settle(self, index: int) -> None:
        """Everything up to `index` has arrived for good."""
        for queue in (self._under_way, self._waiting):
            while queue and queue[0].frame.index <= index:
                queue.popleft()
                self.acknowledged += 1
                self._repeats, self._held_until_s = 0, 0.0
        self.acknowledged_index = max(self.acknowledged_index, index)

    def refuse(self, index: int, now_s: float) -> None:
        """The bridge did not accept frame `index`: drop it in preview, send again in capture."""
        if self.mode is Mode.PREVIEW:
            kept = [out for out in self._under_way if out.frame.index != index]
            self.dropped += len(self._under_way) - len(kept)
            self._under_way = deque(kept)
            return
        self._send_again()
        self._held_until_s = now_s + _REPEAT_AFTER_S[min(self._repeats, len(_REPEAT_AFTER_S) - 1)]
        self._repeats += 1

    def start_anew(self, settled: int) -> None:
        """A connection begins; its bridge holds nothing after `settled`."""
        self.settle(settled)
        if self.mode is Mode.PREVIEW:
            self.dropped += len(self._under_way)
            self._under_way.clear()
        else:
            self._send_again()

    def drop_waiting(self) -> None:
        self.dropped += len(self._waiting)
        self._waiting.clear()

    def _send_again(self) -> None:
        self._waiting.extendleft(reversed(self._under_way))
        self._under_way.clear()
