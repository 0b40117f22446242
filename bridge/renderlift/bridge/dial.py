"""The thread that owns an engine's socket: it keeps a connection to the bridge, and the game loop free of it.

What it shares with the `Publisher` are the `Books` (books.py). docs/protocol.md is the authority on the bytes.
"""

import logging
import time

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray
from zmq.utils.monitor import recv_monitor_message

from renderlift.bridge.books import Books, Result
from renderlift.bridge.connection import HEARTBEAT_S, LIVENESS_S, Curve, Doorbell, set_options
from renderlift.bridge.errors import ProtocolError, RenderliftError, TransportError, VersionError
from renderlift.bridge.outbox import Outbox, Outgoing
from renderlift.bridge.pixels import Buffer, buffers_of, checksum, part_rows, slot_rows
from renderlift.bridge.shared_memory import RingWriter, slot_offsets
from renderlift.bridge.wire import (
    DEFAULT_ENDPOINT,
    Ack,
    BridgeMessage,
    BufferRow,
    Bye,
    CameraRow,
    EndRow,
    ErrorMessage,
    FrameHeader,
    Heartbeat,
    Hello,
    Message,
    Mode,
    Nack,
    Names,
    ResultHeader,
    RingOffer,
    RingReady,
    SlotRow,
    Welcome,
    decode_from_bridge,
    encode,
)

_log = logging.getLogger(__name__)

MAX_RING_BYTES = 1 << 30
SLOTS_PER_CAMERA = 4  # two under way, one being read, one being written
_REOPEN_S = 0.2  # between two attempts to connect
_REFUSED_S = 2.0  # until hello is tried again after a refusal
_OBJECTION_S = 0.5  # and after a message the bridge did not like
_REFUSALS = ("version", "channel_mismatch", "session_taken", "full")


class Dialer:
    """The connection, alone on its thread: one socket after another to the same endpoint."""

    def __init__(self, endpoint: str, curve: Curve | None, hello: Hello, books: Books, doorbell: Doorbell) -> None:
        self._endpoint = endpoint
        self._curve = curve
        self._hello = hello
        self._books = books
        self._doorbell = doorbell
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._ring: RingWriter | None = None
        self._ring_allowed = False
        self._waits_for_slot = False
        self._open_socket()

    def run(self) -> None:
        try:
            while not self._is_done():
                self._turn()
            self._say_goodbye()
        except Exception as error:
            # Whatever it was, the game loop must learn of it rather than wait for ever.
            _log.exception("the connection to the bridge failed")
            self._disconnected(f"the connection failed: {error}", TransportError(f"the connection failed: {error}"))
        finally:
            self._shut()

    def _turn(self) -> None:
        self._poller.poll(1 if self._waits_for_slot else 50)
        self._doorbell.answer()
        self._receive_all()
        self._watch_monitor()
        now_s = time.monotonic()
        if self._lost or now_s - max(self._heard_s, self._opened_s) > LIVENESS_S:
            self._reconnect(now_s)
        self._say_what_is_due(now_s)
        self._waits_for_slot = False
        if self._books.welcomed:
            for outbox in self._books.outboxes.values():
                while self._send_next(outbox):
                    pass

    def _open_socket(self) -> None:
        self._socket = self._context.socket(zmq.DEALER)
        set_options(self._socket, self._endpoint, self._curve)
        if self._curve is not None:
            self._socket.setsockopt(zmq.CURVE_SERVERKEY, self._curve.peers[0])
        # Our own window bounds what is queued; ZeroMQ must neither block nor drop.
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        try:
            self._socket.connect(self._endpoint)
        except zmq.ZMQError as error:
            self._shut()
            raise TransportError(
                f"{self._endpoint!r} is no address to connect to: {error.strerror}",
                fix=f"Write it like {DEFAULT_ENDPOINT}.",
            ) from error
        self._poller = zmq.Poller()
        for source in (self._socket, self._monitor, self._doorbell.fileno()):
            self._poller.register(source, zmq.POLLIN)
        self._opened_s = self._sent_s = self._hello_due_s = time.monotonic()
        self._heard_s = 0.0
        self._lost = False

    def _close_socket(self, linger_ms: int = 0) -> None:
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(linger_ms)

    def _reconnect(self, now_s: float) -> None:
        """Start over with an empty socket: what the old one still queues must not precede hello."""
        if now_s - self._opened_s < (_REFUSED_S if self._books.refusal else _REOPEN_S):
            return
        if self._books.welcomed:
            self._disconnected(f"the bridge at {self._endpoint} is gone, waiting for it to come back")
        elif self._books.refusal is None:
            self._disconnected(f"no bridge answers at {self._endpoint}")
        self._close_socket()
        self._open_socket()

    def _disconnected(self, problem: str, refusal: RenderliftError | None = None) -> None:
        with self._books.changed:
            self._books.welcomed = False
            self._books.ring_in_use = False
            self._books.problem = problem
            self._books.refusal = refusal
            self._books.changed.notify_all()

    def _watch_monitor(self) -> None:
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)
            if event["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                problem = f"the bridge at {self._endpoint} does not accept this engine's CURVE key"
                fix = "Add the engine's public key to those the bridge trusts."
                self._disconnected(problem, TransportError(problem, fix=fix))
            else:
                self._lost = True

    # What is received

    def _receive_all(self) -> None:
        while True:
            try:
                header, *parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self._heard_s = time.monotonic()
            try:
                self._take(decode_from_bridge(header.buffer), [part.buffer for part in parts])
            except VersionError as error:
                self._refused(error)
            except ProtocolError as error:
                _log.warning("ignored what the bridge at %s sent: %s", self._endpoint, error)

    def _take(self, message: BridgeMessage, parts: list[memoryview]) -> None:
        match message:
            case Welcome():
                self._take_welcome(message)
            case RingReady():
                self._take_ring_ready(message)
            case Ack():
                with self._books.changed:
                    self._books.credits = message.credits
                    if outbox := self._books.outboxes.get(message.camera):
                        outbox.settle(message.index)
                    self._books.changed.notify_all()
            case Nack():
                with self._books.changed:
                    if outbox := self._books.outboxes.get(message.camera):
                        outbox.refuse(message.index, time.monotonic())
            case ResultHeader():
                self._take_result(message, parts)
            case ErrorMessage():
                self._take_error(message)
            case Bye():
                self._lost = True
            case Heartbeat():
                pass

    def _take_welcome(self, welcome: Welcome) -> None:
        settled = {row.name: row.index for row in welcome.cameras}
        with self._books.changed:
            for outbox in self._books.outboxes.values():
                outbox.start_anew(settled.get(outbox.name, -1))
            self._books.credits = welcome.credits
            self._books.welcomed = True
            self._books.refusal = None
            self._books.problem = ""
            self._books.ring_in_use = False
            self._books.changed.notify_all()
        self._ring_allowed = welcome.shared_memory and bool(self._hello.host) and welcome.host == self._hello.host
        # The bridge may still read from slots of the old ring: it keeps that one, and gets a new one.
        self._close_ring()

    def _take_ring_ready(self, ready: RingReady) -> None:
        if self._ring is None or ready.name != self._ring.shape.name:
            return
        if not ready.opened:
            _log.info("shared memory is not used: %s", ready.problem)
            self._ring_allowed = False
            self._close_ring()
        with self._books.changed:
            self._books.ring_in_use = ready.opened

    def _take_result(self, header: ResultHeader, parts: list[memoryview]) -> None:
        pixels: Buffer = np.frombuffer(parts[0] if parts else b"", np.uint8)
        if header.shape[2] != 3 or min(header.shape) < 1 or pixels.size != np.prod(header.shape, dtype=np.int64):
            raise ProtocolError(f"a result of {pixels.size} bytes cannot have shape {header.shape}")
        if checksum(pixels) != header.checksum:
            raise ProtocolError(f"the result for frame {header.index} has another checksum than announced")
        with self._books.changed:
            published_s = self._books.published_s.get((header.camera, header.index), time.monotonic())
            latency_ms = (time.monotonic() - published_s) * 1000
            self._books.results[header.camera] = Result(
                header.camera, header.index, pixels.reshape(header.shape), latency_ms, header.timings
            )
            self._books.result_count += 1
            self._books.latency_ms = latency_ms
            self._books.changed.notify_all()

    def _take_error(self, error: ErrorMessage) -> None:
        if error.code == "version":
            self._refused(VersionError(error.message, fix=error.fix))
        elif error.code in _REFUSALS and not self._books.welcomed:
            self._refused(ProtocolError(error.message, fix=error.fix, code=error.code))
        elif error.code == "failed":
            with self._books.changed:
                self._books.problem = error.message
        elif error.code == "hello_needed":
            if self._books.welcomed:
                self._disconnected("the bridge has forgotten this session")
                self._hello_due_s = 0.0
        else:
            _log.warning("the bridge objects: %s", error.message)
            self._disconnected(error.message)
            self._hello_due_s = time.monotonic() + _OBJECTION_S

    def _refused(self, refusal: ProtocolError) -> None:
        if self._books.refusal is None:
            _log.warning("the bridge refuses this engine: %s", refusal)
        self._disconnected(refusal.message, refusal)
        self._hello_due_s = time.monotonic() + _REFUSED_S

    # What is sent

    def _send(self, message: Message, *parts: Buffer) -> None:
        try:
            self._socket.send_multipart([encode(message), *(part.data for part in parts)], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            self._lost = True  # ZeroMQ gives a connection up for good when its keys are refused
        self._sent_s = time.monotonic()

    def _say_what_is_due(self, now_s: float) -> None:
        if now_s >= self._hello_due_s:
            self._say_hello()
        elif self._books.welcomed and self._books.names_changed:
            with self._books.changed:
                names, self._books.names_changed = self._books.names, False
            self._send(Names(names))
        elif self._books.welcomed and now_s - self._sent_s >= HEARTBEAT_S:
            self._send(Heartbeat())

    def _say_hello(self) -> None:
        with self._books.changed:
            cameras = tuple(CameraRow(box.name, box.acknowledged_index) for box in self._books.outboxes.values())
            names, self._books.names_changed = self._books.names, False
        self._send(msgspec.structs.replace(self._hello, cameras=cameras, names=names))
        self._hello_due_s = float("inf")

    def _send_next(self, outbox: Outbox) -> bool:
        """Put one frame of this camera on the wire, if one may go; False if none may."""
        with self._books.changed:
            if not outbox.is_ready(self._books.credits, time.monotonic()):
                return False
            slot = self._ring.free_slot() if self._ring is not None and self._books.ring_in_use else None
            if slot is None and self._books.ring_in_use:
                self._waits_for_slot = True
                return False
            outgoing = outbox.take()
        self._send_frame(outbox, outgoing, slot)
        return True

    def _send_frame(self, outbox: Outbox, outgoing: Outgoing, slot: int | None) -> None:
        channels = outgoing.frame.channels
        buffers = buffers_of(channels)
        _, nbytes = slot_offsets(list(buffers.values()))
        if self._ring is not None and slot is not None and nbytes <= self._ring.shape.slot_bytes:
            sequence, offsets = self._ring.write(slot, list(buffers.values()))
            place = SlotRow(self._ring.shape.name, slot, sequence)
            self._send(self._header(outbox, outgoing, place, slot_rows(channels, offsets)))
        else:
            self._send(self._header(outbox, outgoing, None, part_rows(channels, buffers)), *buffers.values())
            if self._ring is None or nbytes > self._ring.shape.slot_bytes:
                self._make_ring(nbytes)

    def _header(
        self, outbox: Outbox, outgoing: Outgoing, slot: SlotRow | None, rows: tuple[BufferRow, ...]
    ) -> FrameHeader:
        frame = outgoing.frame
        return FrameHeader(
            session=self._hello.session,
            camera=outbox.name,
            index=int(frame.index),  # it may be one of numpy's
            previous=int(outgoing.previous),
            dropped=outbox.dropped,
            engine_time_ns=int(frame.engine_time_ns),
            capture_time_ns=int(frame.capture_time_ns),
            world_from_camera=_numbers(frame.camera.world_from_camera),
            image_from_camera=_numbers(frame.camera.image_from_camera),
            slot=slot,
            buffers=rows,
        )

    def _make_ring(self, slot_bytes: int) -> None:
        """Create a ring whose slots hold a frame of this size, and offer it."""
        if not self._ring_allowed:
            return
        self._close_ring()
        slots = min(SLOTS_PER_CAMERA * len(self._books.outboxes), MAX_RING_BYTES // slot_bytes)
        try:
            if slots < 2:
                raise TransportError(f"frames of {slot_bytes >> 20} MiB are too large for a ring")
            self._ring = RingWriter(slots=slots, slot_bytes=slot_bytes)
        except TransportError as error:
            _log.info("shared memory is not used: %s", error)
            self._ring_allowed = False
            return
        shape = self._ring.shape
        self._send(RingOffer(shape.name, shape.slots, shape.slot_bytes, shape.token))

    def _close_ring(self) -> None:
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        with self._books.changed:
            self._books.ring_in_use = False

    # The end

    def _is_done(self) -> bool:
        books = self._books
        with books.changed:
            if books.close_by_s is None:
                return False
            nobody_there = not books.welcomed and self._hello.mode is Mode.PREVIEW
            return nobody_there or books.unsettled == 0 or time.monotonic() >= books.close_by_s

    def _say_goodbye(self) -> None:
        with self._books.changed:
            self._books.closed_clean = self._books.unsettled == 0
            for outbox in self._books.outboxes.values():
                if outbox.mode is Mode.PREVIEW:
                    outbox.drop_waiting()
            rows = tuple(EndRow(box.name, box.last_index, box.dropped) for box in self._books.outboxes.values())
        if self._books.welcomed:
            self._send(Bye(rows))

    def _shut(self) -> None:
        self._close_socket(linger_ms=1000 if self._books.welcomed else 0)
        self._context.term()
        self._doorbell.close()
        if self._ring is not None:
            self._ring.close()
        self._disconnected("closed" if self._books.closed_clean else self._books.why_waiting())


def _numbers(matrix: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(matrix.astype(np.float64).ravel().tolist())
