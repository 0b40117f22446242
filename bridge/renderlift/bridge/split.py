"""Share the shots of one recording out: nothing is carried over a cut, so each shot can be rendered anywhere.

Clips begin anew at every cut, gap and change of size, whether what comes before is rendered or not. So the
clips of all shares together are those of the whole, and the output has the same bytes.
"""

from collections.abc import Iterable

from renderlift.bridge.clip import continues
from renderlift.bridge.enhance import Order
from renderlift.bridge.frame import Channel, Frame
from renderlift.bridge.parts import Parts, Plan, disk_errors
from renderlift.bridge.record import read_frames

Share = tuple[int, int | None]  # frames start <= index < stop; None = to the end


def split(order: Order, most: int) -> list[Share]:
    """Cut an order into shares of whole shots, and write down which; none where it is better done in one piece.

    A plan or a run that was begun is kept to. Reads the whole recording once.

    Args:
        most: how many shares at most.

    Raises:
        RecordingError: as `enhance`.
    """
    stream = order.stream()
    wanted = order.text(stream)
    parts = Parts(order.output, stream, order.side_by_side)
    with disk_errors(parts.root):
        plan = parts.plan(wanted)
        if not plan:
            if parts.noted(wanted) or parts.ledger(wanted):
                return []
            parts.refuse_in_the_way()
            # What tells a cut, and no more.
            frames = read_frames(
                order.recording,
                session=stream.session,
                camera=stream.camera,
                channels=[Channel.RGB, Channel.DEPTH],
            )
            starts = shares(shots(frame for frame in frames if frame.engine == stream.engine), most)
            if len(starts) < 2:
                return []
            with parts.locked():
                plan = Plan(wanted, tuple(starts))
                parts.write_plan(plan)
    return list(zip(plan.starts, [*plan.starts[1:], None], strict=True))


def shots(frames: Iterable[Frame]) -> list[tuple[int, int]]:
    """Index of the first frame of every shot of a stream, and the frames in it."""
    found: list[tuple[int, int]] = []
    before: Frame | None = None
    for frame in frames:
        if before is None or not continues(before, frame):
            found.append((frame.index, 0))
        found[-1] = (found[-1][0], found[-1][1] + 1)
        before = frame
    return found


def shares(found: Iterable[tuple[int, int]], most: int) -> list[int]:
    """First frames of at most `most` shares of neighbouring shots, about equally long."""
    shots_found = list(found)
    wanted = -(-sum(frames for _, frames in shots_found) // most)
    starts: list[int] = []
    room = 0
    for start, frames in shots_found:
        if room <= 0:
            starts.append(start)
            room = wanted
        room -= frames
    return starts
