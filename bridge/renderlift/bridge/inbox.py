"""The bridge's books of one camera: what is missing, what waits for its reader, what is settled.

Plain bookkeeping after docs/protocol.md section 4; sockets are in `receive.py`.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from renderlift.bridge.frame import Array, CameraPose, Channel
from renderlift.bridge.shared_memory import RingReader
from renderlift.bridge.wire import FrameHeader, Mode

STALE_S = 0.05  # in preview, a frame that waited so long lets the engine send a newer one


class Verdict(Enum):
    """What to do with a frame, going by its number."""

    NEXT = auto()
    DUPLICATE = auto()
    GAP = auto()


@dataclass(frozen=True)
class Arrival:
    """A frame whose pixels are in the memory of its message, or still in their slot (`ring` given)."""

    header: FrameHeader
    pose: CameraPose
    arrays: Mapping[Channel, Array]
    ring: RingReader | None
    arrived_s: float

    @property
    def held_bytes(self) -> int:
        """Bytes of our own memory it keeps occupied."""
        return 0 if self.ring is not None else self.header.nbytes

    def is_whole(self) -> bool:
        """Whether its slot still holds what was announced."""
        slot = self.header.slot
        return self.ring is None or slot is None or self.ring.is_whole(slot.slot, slot.sequence)

    def release(self) -> None:
        """Give its slot back."""
        if self.ring is not None and self.header.slot is not None:
            self.ring.release(self.header.slot.slot, self.header.slot.sequence)


class Inbox:
    """Frames of one camera of one session, from the wire to their reader.

    received = delivered + dropped + pending, at any time; what the engine dropped
    before it reached the wire is counted apart.
    """

    def __init__(self, camera_name: str, mode: Mode) -> None:
        self.camera_name = camera_name
        self.mode = mode
        self.pending: deque[Arrival] = deque()
        self.last_received = -1
        self.last_delivered = -1
        self.settled = -1  # what may be acknowledged
        self.acknowledged = -1  # what has been
        self.received = self.delivered = self.dropped = self.duplicates = self.corrupt = 0
        self.engine_dropped = 0
        self.lacks_frames = (
            False  # capture: the engine was told to send again from `last_received`, and has not yet
        )
        self._delivery_times_s: deque[float] = deque(maxlen=30)

    @property
    def held_bytes(self) -> int:
        return sum(arrival.held_bytes for arrival in self.pending)

    @property
    def fps(self) -> float:
        """Frames per second its reader got lately."""
        times = self._delivery_times_s
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    def start_anew(self, durable: int, acknowledged: int) -> None:
        """A connection begins: forget what was not delivered, and what comes next follows from here.

        Args:
            durable: last frame on disk, as far as this bridge knows.
            acknowledged: last frame the engine holds an ack for, maybe from another bridge.
        """
        if self.mode is Mode.PREVIEW:
            self._drop_pending()
            self.settled = self.acknowledged = self.last_received
            return
        self.received -= len(self.pending)
        self._release_pending()
        self.settled = self.acknowledged = max(self.settled, durable)
        self.last_received = max(self.settled, self.last_delivered, acknowledged)
        self.lacks_frames = False

    def judge(self, header: FrameHeader) -> Verdict:
        """Hold a frame's numbers against what has been received."""
        self.engine_dropped = max(self.engine_dropped, header.dropped)
        if header.index <= self.last_received:
            self.duplicates += 1
            return Verdict.DUPLICATE
        if self.mode is Mode.CAPTURE and header.previous > self.last_received:
            return Verdict.GAP
        return Verdict.NEXT

    def put(self, arrival: Arrival) -> None:
        """Take a frame that was judged NEXT; in preview it replaces the one that waits."""
        if self.mode is Mode.PREVIEW:
            self._drop_pending()
        self.pending.append(arrival)
        self.received += 1
        self.last_received = arrival.header.index
        self.lacks_frames = False

    def drop(self, header: FrameHeader) -> None:
        """Preview: a frame that cannot be kept, though it is whole."""
        self.received += 1
        self.dropped += 1
        self.last_received = header.index

    def take(self, now_s: float) -> Arrival:
        """The next frame for the reader. Counts as delivered from here on; `tear` takes that back."""
        arrival = self.pending.popleft()
        self.delivered += 1
        self.last_delivered = arrival.header.index
        self._delivery_times_s.append(now_s)
        return arrival

    def tear(self, arrival: Arrival) -> None:
        """A frame that was taken turned out overwritten or corrupt."""
        self.delivered -= 1
        if self.mode is Mode.PREVIEW:
            self.dropped += 1
            return
        self.received -= 1 + len(self.pending)
        self._release_pending()
        self.last_delivered = self.last_received = arrival.header.previous
        self.lacks_frames = True

    def ask_again(self) -> bool:
        """Note that the engine must send again; False if that was noted already."""
        known, self.lacks_frames = self.lacks_frames, True
        return not known

    def settle(self, index: int) -> None:
        """Capture: everything up to `index` is durable."""
        self.settled = max(self.settled, min(index, self.last_delivered))

    def due_ack(self, now_s: float) -> int | None:
        """The index to acknowledge now, if there is news."""
        if self.mode is Mode.PREVIEW and (not self.pending or now_s - self.pending[0].arrived_s >= STALE_S):
            self.settled = self.last_received
        if self.settled <= self.acknowledged:
            return None
        self.acknowledged = self.settled
        return self.settled

    @property
    def waits_to_settle(self) -> bool:
        """Preview: a frame waits that will be stale soon."""
        return self.mode is Mode.PREVIEW and self.last_received > self.acknowledged

    def _drop_pending(self) -> None:
        self.dropped += len(self.pending)
        self._release_pending()

    def _release_pending(self) -> None:
        for arrival in self.pending:
            arrival.release()
        self.pending.clear()
