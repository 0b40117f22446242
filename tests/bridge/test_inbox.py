"""The two sides' books together, without sockets: whatever a connection does, the counts come out."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.inbox import STALE_S, Arrival, Inbox, Verdict
from renderlift.bridge.outbox import Outbox, Outgoing
from renderlift.bridge.wire import BufferRow, FrameHeader, Mode

POSE = CameraPose(np.eye(4), np.eye(3))
WINDOW = 3


def frame(index: int) -> Frame:
    return Frame(index, 0, 0, POSE, {Channel.RGB: np.zeros((1, 1, 3), np.uint8)})


def header(index: int, previous: int, dropped: int = 0) -> FrameHeader:
    row = BufferRow("rgb", "uint8", (1, 1, 3), 0, None)
    return FrameHeader("s", "main", index, previous, dropped, 0, 0, (0.0,) * 16, (0.0,) * 9, None, (row,))


def arrival(index: int, previous: int | None = None, at_s: float = 0.0) -> Arrival:
    return Arrival(header(index, index - 1 if previous is None else previous), POSE, {}, None, at_s)


class Wire:
    """One camera's connection, driven step by step; `disk` outlives bridges."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.outbox = Outbox("main", mode)
        self.inbox = Inbox("main", mode)
        self.flying: deque[Outgoing] = deque()
        self.read: list[int] = []
        self.disk: list[int] = []
        self.published = self.most_published = 0
        self.now_s = 0.0

    def publish(self) -> None:
        if self.mode is Mode.PREVIEW or self.outbox.unsettled < WINDOW:
            self.published += 1
            self.most_published = max(self.most_published, self.published)
            self.outbox.put(frame(2 * self.published))  # an engine may leave out every other index

    def send(self) -> None:
        self.now_s += 10.0  # beyond any waiting time
        if self.outbox.is_ready(WINDOW, self.now_s):
            self.flying.append(self.outbox.take())

    def arrive(self, *, corrupt: bool = False) -> None:
        if not self.flying:
            return
        out = self.flying.popleft()
        head = header(out.frame.index, out.previous, self.outbox.dropped)
        verdict = self.inbox.judge(head)
        if verdict is Verdict.NEXT and not corrupt:
            self.inbox.put(Arrival(head, POSE, {}, None, self.now_s))
        elif verdict is Verdict.NEXT or (verdict is Verdict.GAP and self.inbox.ask_again()):
            self.inbox.ask_again()
            self.outbox.refuse(head.index, self.now_s)

    def deliver(self, *, torn: bool = False, nack_lost: bool = False) -> None:
        if not self.inbox.pending:
            return
        taken = self.inbox.take(self.now_s)
        if torn:
            self.inbox.tear(taken)
            if self.mode is Mode.CAPTURE and not nack_lost:
                self.outbox.refuse(taken.header.index, self.now_s)
            return
        self.read.append(taken.header.index)

    def record(self) -> None:
        """All that was read goes to disk; a kill may come before the ack."""
        self.disk.extend(index for index in self.read if not self.disk or index > self.disk[-1])
        if self.disk:
            self.inbox.settle(self.disk[-1])

    def acknowledge(self) -> None:
        index = self.inbox.due_ack(self.now_s)
        if index is not None:
            self.outbox.settle(index)

    def beat(self) -> None:
        if self.inbox.lacks_frames:
            self.outbox.refuse(self.inbox.last_received + 1, self.now_s)

    def reconnect(self) -> None:
        self.flying.clear()
        durable = self.disk[-1] if self.disk else -1
        self.inbox.start_anew(durable, self.outbox.acknowledged_index)
        self.outbox.start_anew(self.inbox.settled)

    def kill_bridge(self) -> None:
        self.inbox = Inbox("main", self.mode)
        self.read = list(self.disk)
        self.reconnect()

    def kill_engine(self) -> None:
        """A new process goes on under the same session where the bridge says; what was not on disk is made anew."""
        self.outbox = Outbox("main", self.mode)
        self.reconnect()
        self.published = max(self.outbox.acknowledged_index, 0) // 2

    def finish(self) -> None:
        """A calm connection, until nothing moves any more."""
        for _ in range(200):
            if self.published < self.most_published:
                self.publish()
            self.send()
            self.arrive()
            self.deliver()
            self.record()
            self.acknowledge()
            self.beat()
            if self.published == self.most_published and not self.outbox.unsettled and not self.inbox.pending:
                return
        raise AssertionError("frames are stuck")


STEPS = {
    "publish": Wire.publish,
    "send": Wire.send,
    "arrive": Wire.arrive,
    "arrive corrupt": lambda wire: wire.arrive(corrupt=True),
    "deliver": Wire.deliver,
    "deliver torn": lambda wire: wire.deliver(torn=True),
    "deliver torn, nack lost": lambda wire: wire.deliver(torn=True, nack_lost=True),
    "beat": Wire.beat,
    "record": Wire.record,
    "acknowledge": Wire.acknowledge,
    "reconnect": Wire.reconnect,
    "kill bridge": Wire.kill_bridge,
    "kill engine": Wire.kill_engine,
}
PREVIEW_STEPS = [
    "publish", "publish", "send", "arrive", "deliver", "acknowledge", "arrive corrupt", "deliver torn", "reconnect"
]  # fmt: skip
COMMON = ["publish", "send", "arrive", "deliver", "record", "acknowledge"]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(COMMON * 3 + list(STEPS)), min_size=50, max_size=120))
def test_capture_loses_nothing_and_repeats_nothing_whatever_happens(steps: list[str]) -> None:
    wire = Wire(Mode.CAPTURE)
    for step in steps:
        STEPS[step](wire)
        assert wire.read == sorted(set(wire.read)), "a frame was delivered twice or out of order"
        box, inbox = wire.outbox, wire.inbox
        assert box.sent == box.acknowledged + box.dropped + box.unsettled
        assert inbox.received == inbox.delivered + inbox.dropped + len(inbox.pending)
    wire.finish()
    assert wire.read == sorted(set(wire.read))
    assert wire.disk == [2 * (i + 1) for i in range(wire.most_published)]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PREVIEW_STEPS), min_size=50, max_size=120))
def test_preview_accounts_for_every_frame_whatever_happens(steps: list[str]) -> None:
    wire = Wire(Mode.PREVIEW)
    for step in steps:
        STEPS[step](wire)
        box, inbox = wire.outbox, wire.inbox
        assert box.sent == box.acknowledged + box.dropped + box.unsettled
        assert inbox.received == inbox.delivered + inbox.dropped + len(inbox.pending)
        assert len(inbox.pending) <= 1
    wire.now_s += STALE_S
    wire.finish()
    assert wire.published == len(wire.read) + wire.inbox.dropped + wire.outbox.dropped
    assert wire.read == sorted(set(wire.read))


def test_in_preview_the_newest_frame_replaces_the_one_that_waits() -> None:
    inbox = Inbox("main", Mode.PREVIEW)
    for index in (0, 1, 5):
        assert inbox.judge(header(index, index - 1)) is Verdict.NEXT
        inbox.put(arrival(index))
    assert inbox.take(0.0).header.index == 5
    assert (inbox.received, inbox.delivered, inbox.dropped) == (3, 1, 2)


def test_in_preview_a_frame_is_acknowledged_when_it_is_read_or_stale() -> None:
    inbox = Inbox("main", Mode.PREVIEW)
    inbox.put(arrival(0, at_s=1.0))
    assert inbox.due_ack(1.0 + STALE_S / 2) is None
    assert inbox.due_ack(1.0 + STALE_S * 1.01) == 0
    inbox.put(arrival(1, at_s=2.0))
    inbox.take(2.0)
    assert inbox.due_ack(2.0) == 1
    assert inbox.due_ack(2.0) is None, "one ack is enough"


def test_in_capture_only_what_was_delivered_can_be_settled() -> None:
    inbox = Inbox("main", Mode.CAPTURE)
    inbox.put(arrival(0))
    inbox.settle(7)
    assert inbox.due_ack(0.0) is None
    inbox.take(0.0)
    inbox.settle(7)
    assert inbox.due_ack(0.0) == 0


@pytest.mark.parametrize(
    ("index", "previous", "verdict"),
    [(10, 9, Verdict.DUPLICATE), (11, 10, Verdict.NEXT), (15, 10, Verdict.NEXT), (12, 11, Verdict.GAP)],
)
def test_in_capture_a_frame_follows_the_last_durable_one(index: int, previous: int, verdict: Verdict) -> None:
    inbox = Inbox("main", Mode.CAPTURE)
    inbox.start_anew(durable=10, acknowledged=-1)
    assert inbox.judge(header(index, previous)) is verdict


def test_frames_are_asked_for_once_until_they_come() -> None:
    inbox = Inbox("main", Mode.CAPTURE)
    assert [inbox.ask_again(), inbox.ask_again()] == [True, False]
    inbox.put(arrival(0))
    assert inbox.ask_again()
