"""The engine's end of the wire: frames out, pictures back, and a game loop that never waits for a socket.

    with Publisher(engine="my game", channels=[Channel.RGB, Channel.DEPTH]) as publisher:
        publisher.publish(frame)
        newest = publisher.result()

One background thread owns the socket. docs/protocol.md is the authority on what it says.
"""

import atexit
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from renderlift.bridge.books import Books, Result
from renderlift.bridge.connection import Curve, Doorbell, host_id, refuse_open_network
from renderlift.bridge.dial import Dialer
from renderlift.bridge.errors import ChannelError, TransportError
from renderlift.bridge.frame import Channel, Frame, IdName, check_channels
from renderlift.bridge.outbox import Outbox
from renderlift.bridge.wire import (
    DEFAULT_ENDPOINT,
    MAX_FRAME_BYTES,
    MAX_PART_BYTES,
    MAX_SIDE,
    PROTOCOL_VERSION,
    CameraRow,
    Hello,
    IdRow,
    Mode,
    Names,
    channel_rows,
    check_hello,
    decode_from_engine,
    encode,
)

__all__ = ["Publisher", "PublisherStatus", "Result"]

_log = logging.getLogger(__name__)

LAST_FRAMES_S = 30.0  # for the bridge to write the last captured frames to disk


@dataclass(frozen=True)
class PublisherStatus:
    """How the connection does. sent = acknowledged + dropped + frames still under way."""

    connected: bool
    sent: int  # frames given to publish()
    dropped: int
    acknowledged: int
    results: int
    latency_ms: float | None  # of the newest result
    shared_memory: bool  # pixels go through it now
    problem: str  # why nothing moves, or empty


class Publisher:
    """Sends frames to the bridge and receives pictures from it.

    Frames are not copied when they are published: leave their arrays alone afterwards.

    Args:
        endpoint: where the bridge listens.
        engine: the engine's name, shown to the user.
        mode: PREVIEW, the newest frame wins and `publish` never waits; CAPTURE, every frame arrives.
        channels: what frames may carry; rgb among them.
        cameras: names of all cameras that frames will come from.
        names: the id table.
        session: one run. Give the same again to go on after the engine was killed.
        shared_memory: send pixels through shared memory where that works.
        curve: keys, needed to reach a bridge on another machine.

    Raises:
        TransportError: another machine is addressed without keys.
        ProtocolError: a name is empty, too long, or stands twice.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        engine: str,
        engine_version: str = "",
        mode: Mode = Mode.PREVIEW,
        channels: Iterable[Channel],
        cameras: Sequence[str] = ("main",),
        names: Sequence[IdName] = (),
        session: str | None = None,
        shared_memory: bool = True,
        curve: Curve | None = None,
    ) -> None:
        refuse_open_network(endpoint, curve)
        self.endpoint = endpoint
        self.mode = mode
        self.session = session or secrets.token_hex(16)
        self._channels = frozenset(channels)
        host = host_id() if shared_memory else ""
        hello = Hello(
            version=PROTOCOL_VERSION,
            engine=engine,
            engine_version=engine_version,
            session=self.session,
            instance=secrets.token_hex(8),
            mode=mode,
            host=host,
            shared_memory=bool(host),
            channels=channel_rows(sorted(self._channels)),
            cameras=tuple(CameraRow(name, -1) for name in cameras),
            names=_id_rows(names),
        )
        # What the bridge would refuse is better said here, in the caller's face.
        decode_from_engine(encode(hello))
        check_hello(hello)
        self._books = Books(endpoint, mode, cameras, hello.names)
        self._doorbell = Doorbell()
        dialer = Dialer(endpoint, curve, hello, self._books, self._doorbell)
        self._thread = threading.Thread(target=dialer.run, name="renderlift-publisher", daemon=True)
        self._thread.start()
        atexit.register(self.close, 0.2)

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close. Raises TransportError if captured frames were never acknowledged: none is lost silently."""
        if self._books.close_by_s is not None:
            return
        patient = self.mode is Mode.CAPTURE and kind is None
        if not self.close(LAST_FRAMES_S if patient else 5.0) and patient:
            raise TransportError(
                f"{self._books.unsettled} captured frames were not acknowledged: {self._books.why_waiting()}",
                fix="See why the bridge does not record, and capture again under the same session.",
            )

    def publish(self, frame: Frame, *, timeout_s: float | None = None) -> bool:
        """Hand over a frame.

        Preview: never waits; False if an older frame that had not been sent was dropped for it.
        Capture: waits while the bridge has given no credit; always True.

        Raises:
            ChannelError: arrays that break the channel table, or a channel or camera not declared.
            ValueError: an index that does not grow, or a closed publisher.
            TransportError: capture, and no credit came within `timeout_s`; says why.
            ProtocolError: capture, and the bridge refuses this engine, e.g. VersionError.
        """
        self._check(frame)
        with self._books.changed:
            outbox = self._books.outboxes[frame.camera_name]
            if self._books.close_by_s is not None:
                raise ValueError("this publisher is closed")
            if frame.index <= outbox.last_index:
                raise ValueError(
                    f"frame index {frame.index} after {outbox.last_index}; it must grow within a session"
                )
            if self.mode is Mode.CAPTURE:
                self._wait_for_credit(outbox, timeout_s)
            self._books.note_published(frame.camera_name, frame.index)
            kept = outbox.put(frame)
            may_go = self._books.welcomed and outbox.is_ready(self._books.credits, time.monotonic())
        if may_go:  # otherwise the thread would wake for nothing, and take the interpreter from the game loop
            self._doorbell.ring()
        return kept

    def result(self, camera: str = "main") -> Result | None:
        """The newest picture that has not been taken yet, or None; never waits."""
        with self._books.changed:
            return self._books.results.pop(camera, None)

    def wait_results(self, count: int, timeout_s: float) -> bool:
        """Wait until `count` pictures in all have arrived; False if they did not in time."""
        with self._books.changed:
            return self._books.changed.wait_for(lambda: self._books.result_count >= count, timeout_s)

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until the bridge has answered; False if it did not in time, `status.problem` says why."""
        with self._books.changed:
            return self._books.changed.wait_for(lambda: self._books.welcomed, timeout_s)

    def resume_index(self, camera: str = "main", *, timeout_s: float = 5.0) -> int:
        """The first frame index the bridge still needs from this session; 0 for a new one.

        Raises:
            TransportError: no bridge answered within `timeout_s`.
        """
        if not self.wait_connected(timeout_s):
            raise TransportError(self.status.problem, fix="Start the bridge: renderlift serve.")
        with self._books.changed:
            return self._books.outboxes[camera].acknowledged_index + 1

    def set_names(self, names: Sequence[IdName]) -> None:
        """Replace the id table.

        Raises:
            ProtocolError: it is too long, or a text in it is.
        """
        rows = _id_rows(names)
        decode_from_engine(encode(Names(rows)))
        with self._books.changed:
            self._books.names = rows
            self._books.names_changed = True
        self._doorbell.ring()

    @property
    def status(self) -> PublisherStatus:
        books = self._books
        with books.changed:
            outboxes = books.outboxes.values()
            return PublisherStatus(
                connected=books.welcomed,
                sent=sum(outbox.sent for outbox in outboxes),
                dropped=sum(outbox.dropped for outbox in outboxes),
                acknowledged=sum(outbox.acknowledged for outbox in outboxes),
                results=books.result_count,
                latency_ms=books.latency_ms,
                shared_memory=books.ring_in_use,
                problem=books.problem,
            )

    def close(self, timeout_s: float = 5.0) -> bool:
        """Say goodbye. Capture: first wait until all is acknowledged. Preview: until all is handed over.

        Returns:
            Whether that happened within `timeout_s`; what was left counts as dropped in preview.
        """
        with self._books.changed:
            if self._books.close_by_s is None:
                self._books.close_by_s = time.monotonic() + timeout_s
        self._doorbell.ring()
        # The goodbye itself may take a second more to leave the machine.
        self._thread.join(timeout_s + 3.0)
        atexit.unregister(self.close)
        return self._books.closed_clean

    def _check(self, frame: Frame) -> None:
        check_channels(frame.channels)
        undeclared = [str(c) for c in frame.channels if c not in self._channels]
        if undeclared:
            raise ChannelError(f"{', '.join(undeclared)} not declared", fix="Name it in Publisher(channels=...).")
        if frame.camera_name not in self._books.outboxes:
            raise ChannelError(
                f"camera {frame.camera_name!r} not declared", fix="Name it in Publisher(cameras=...)."
            )
        sizes = [array.nbytes for array in frame.channels.values()]
        sides = [side for array in frame.channels.values() for side in array.shape[:2]]
        if (
            sum(sizes) > MAX_FRAME_BYTES
            or max(sizes) > MAX_PART_BYTES
            or not 1 <= min(sides) <= max(sides) <= MAX_SIDE
        ):
            raise ChannelError(
                f"a frame of {sum(sizes) >> 20} MiB with sides from {min(sides)} to {max(sides)} cannot travel",
                fix=f"Keep sides from 1 to {MAX_SIDE}, a channel under {MAX_PART_BYTES >> 20} MiB.",
            )

    def _wait_for_credit(self, outbox: Outbox, timeout_s: float | None) -> None:
        books = self._books
        start_s = time.monotonic()
        told = False
        while books.refusal is None and books.close_by_s is None:
            if books.welcomed and outbox.unsettled < books.credits:
                return
            waited_s = time.monotonic() - start_s
            if timeout_s is not None and waited_s >= timeout_s:
                raise TransportError(
                    f"frame not sent within {timeout_s:g} s: {books.why_waiting()}",
                    fix=f"Start the bridge at {self.endpoint}, or see why it does not record.",
                )
            if waited_s >= 1.0 and not told:
                told = True
                _log.warning("capture waits: %s", books.why_waiting())
            books.changed.wait(0.5 if timeout_s is None else min(0.5, timeout_s - waited_s))
        raise books.refusal or ValueError("this publisher is closed")


def _id_rows(names: Sequence[IdName]) -> tuple[IdRow, ...]:
    return tuple(IdRow(row.id, row.name, row.class_name, row.path) for row in names)
