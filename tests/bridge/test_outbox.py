"""The engine's books; tests/bridge/test_inbox.py drives them together with the bridge's."""

import numpy as np

from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.outbox import Outbox
from renderlift.bridge.wire import Mode


def frame(index: int) -> Frame:
    pose = CameraPose(np.eye(4), np.eye(3))
    return Frame(index, 0, 0, pose, {Channel.RGB: np.zeros((1, 1, 3), np.uint8)})


def outbox(mode: Mode, *indices: int) -> Outbox:
    box = Outbox("main", mode)
    for index in indices:
        box.put(frame(index))
    return box


def take_all(box: Outbox, *, window: int = 8, now_s: float = 0.0) -> list[tuple[int, int]]:
    """(index, previous) of the frames that go now."""
    gone: list[tuple[int, int]] = []
    while box.is_ready(window, now_s):
        out = box.take()
        gone.append((out.frame.index, out.previous))
    return gone


def test_in_preview_a_newer_frame_replaces_the_waiting_one_and_says_so() -> None:
    box = Outbox("main", Mode.PREVIEW)
    assert [box.put(frame(i)) for i in range(3)] == [True, False, False]
    assert take_all(box) == [(2, 1)]
    assert (box.sent, box.dropped, box.unsettled) == (3, 2, 1)


def test_in_capture_all_frames_go_in_order_and_name_their_predecessor() -> None:
    assert take_all(outbox(Mode.CAPTURE, 0, 1, 4)) == [(0, -1), (1, 0), (4, 1)]


def test_no_more_than_the_window_is_under_way() -> None:
    box = outbox(Mode.CAPTURE, *range(5))
    assert take_all(box, window=2) == [(0, -1), (1, 0)]
    box.settle(0)
    assert take_all(box, window=2) == [(2, 1)]


def test_a_refused_frame_and_all_after_it_go_again_and_ever_later_while_nothing_is_acknowledged() -> None:
    box = outbox(Mode.CAPTURE, *range(3))
    assert take_all(box) == [(0, -1), (1, 0), (2, 1)]
    box.settle(0)
    box.refuse(1, now_s=10.0)
    assert take_all(box, now_s=10.0) == [(1, 0), (2, 1)], "the first repetition goes at once"
    box.refuse(1, now_s=10.0)
    assert take_all(box, now_s=10.04) == []
    assert take_all(box, now_s=10.06) == [(1, 0), (2, 1)]
    box.refuse(1, now_s=20.0)
    assert take_all(box, now_s=20.06) == []
    box.settle(1)
    assert take_all(box, now_s=20.06) == [(2, 1)], "an acknowledgement ends the waiting"


def test_in_preview_a_refused_frame_is_dropped_and_counted() -> None:
    box = outbox(Mode.PREVIEW, 0)
    take_all(box)
    box.refuse(0, now_s=0.0)
    assert (box.dropped, box.unsettled) == (1, 0)


def test_a_new_connection_in_preview_counts_what_the_bridge_never_got() -> None:
    box = outbox(Mode.PREVIEW, 0)
    take_all(box)
    box.put(frame(1))
    take_all(box)
    box.start_anew(settled=0)
    assert (box.acknowledged, box.dropped, box.unsettled) == (1, 1, 0)


def test_an_engine_that_starts_again_does_not_send_what_is_durable() -> None:
    box = Outbox("main", Mode.CAPTURE)
    box.start_anew(settled=1)
    for index in range(4):
        box.put(frame(index))
    assert take_all(box) == [(2, 1), (3, 2)]
    assert (box.sent, box.acknowledged) == (4, 2)
