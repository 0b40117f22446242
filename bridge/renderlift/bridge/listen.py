"""The thread that owns the bridge's socket: it always reads, whatever the readers of frames do.

What it shares with them is the `Desk` (desk.py). docs/protocol.md is the authority on the bytes.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib.metadata import version

import zmq
import zmq.auth.thread

from renderlift.bridge.connection import HEARTBEAT_S, Curve, Doorbell, host_id, set_options
from renderlift.bridge.desk import Desk, Peer
from renderlift.bridge.errors import ChannelError, ProtocolError, TransportError
from renderlift.bridge.frame import CameraPose, IdName
from renderlift.bridge.inbox import Arrival, Inbox, Verdict
from renderlift.bridge.pixels import Buffer, CorruptError, arrays_from_parts, arrays_in_slot
from renderlift.bridge.shared_memory import RingReader, RingShape
from renderlift.bridge.wire import (
    MAX_PARTS,
    PROTOCOL_VERSION,
    Ack,
    Bye,
    EngineMessage,
    ErrorMessage,
    FrameHeader,
    Heartbeat,
    Hello,
    IdRow,
    Message,
    Mode,
    Nack,
    NackReason,
    Names,
    RingOffer,
    RingReady,
    SettledRow,
    Welcome,
    check_frame,
    check_hello,
    decode_from_engine,
    encode,
    error_message,
)

_log = logging.getLogger(__name__)

MAX_ENGINES = 64
PREVIEW_CREDITS = 2  # one on the wire while one waits for its reader
_COMPLAINT_S = 0.2  # between two answers to bytes that were refused, per connection


class Listener:
    """Binds at once, so that a taken port is an error in the caller's face; `run` does the rest."""

    def __init__(
        self,
        endpoint: str,
        desk: Desk,
        doorbell: Doorbell,
        *,
        credits: int,
        durable: Callable[[str, str], int],
        shared_memory: bool,
        curve: Curve | None,
        budget_bytes: int,
    ) -> None:
        self._desk = desk
        self._doorbell = doorbell
        self._credits = {Mode.PREVIEW: PREVIEW_CREDITS, Mode.CAPTURE: credits}
        self._durable = durable
        self._host = host_id() if shared_memory else ""
        self._budget_bytes = budget_bytes
        self._routes: dict[bytes, Peer] = {}
        self._complained_s: dict[bytes, float] = {}
        self._logged_stranger_s = 0.0
        self._hurry = False
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._guard = _guard(self._context, curve)
        self._socket = self._context.socket(zmq.ROUTER)
        set_options(self._socket, endpoint, curve)
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        # Without this, what is sent to an engine that has gone vanishes silently.
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.SNDHWM, 64)
        if curve is not None:
            self._socket.setsockopt(zmq.CURVE_SERVER, 1)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._shut()
            raise TransportError(
                f"cannot listen at {endpoint}: {error.strerror}",
                fix="Stop the bridge that already runs there, or choose another --endpoint.",
            ) from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._doorbell.fileno(), zmq.POLLIN)
        try:
            while not self._desk.closing:
                poller.poll(10 if self._hurry else 100)
                self._doorbell.answer()
                self._receive_some()
                self._send_what_is_due()
            for peer in self._routes.values():
                self._send(peer.route, Bye(()))
        except Exception as error:
            # The readers must learn of it rather than wait for frames that cannot come.
            _log.exception("the listening thread failed")
            self._desk.failure = error
        finally:
            self._shut()
            with self._desk.changed:
                self._desk.closing = True
                self._desk.changed.notify_all()

    def _shut(self) -> None:
        self._socket.close(200)
        if self._guard is not None:
            self._guard.stop()
        self._context.term()
        self._doorbell.close()

    # What is received

    def _receive_some(self) -> None:
        """Read what is there, but come back in time for heartbeats and acknowledgements."""
        for _ in range(64):
            try:
                route, *parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            try:
                self._take(route.bytes, [part.buffer for part in parts])
            except (ProtocolError, ChannelError) as error:
                self._object(route.bytes, error)

    def _take(self, route: bytes, parts: Sequence[memoryview]) -> None:
        if not 1 <= len(parts) <= MAX_PARTS:
            raise ProtocolError(f"a message has {len(parts)} parts, 1 to {MAX_PARTS} are allowed")
        message = decode_from_engine(parts[0])
        peer = self._routes.get(route)
        if isinstance(message, Hello):
            self._greet(route, message)
        elif peer is None:
            raise ProtocolError("this connection has not said hello yet", code="hello_needed")
        else:
            peer.heard_s = time.monotonic()
            self._take_from(peer, message, parts[1:])

    def _take_from(self, peer: Peer, message: EngineMessage, parts: Sequence[memoryview]) -> None:
        match message:
            case FrameHeader():
                self._take_frame(peer, message, parts)
            case RingOffer():
                self._take_ring(peer, message)
            case Names():
                peer.names = _id_names(message.names)
            case Bye():
                with self._desk.changed:
                    peer.said_bye = True
                    for row in message.cameras:
                        if inbox := peer.inboxes.get(row.name):
                            inbox.engine_dropped = max(inbox.engine_dropped, row.dropped)
                    self._desk.changed.notify_all()
            case ErrorMessage():
                _log.warning("%s reports: %s", peer.hello.engine, message.message)
            case _:
                pass

    def _take_frame(self, peer: Peer, header: FrameHeader, parts: Sequence[memoryview]) -> None:
        inbox = peer.inboxes.get(header.camera)
        if inbox is None or header.session != peer.hello.session:
            raise ProtocolError(f"camera {header.camera!r} of session {header.session!r} was not in hello")
        pose = check_frame(header, peer.channels)
        with self._desk.changed:
            verdict = inbox.judge(header)
        if verdict is Verdict.NEXT:
            self._accept(peer, inbox, header, pose, parts)
            return
        if header.slot is not None and peer.ring is not None:
            peer.ring.release(header.slot.slot, header.slot.sequence)
        if verdict is Verdict.GAP:
            self._nack(peer, inbox, header, NackReason.GAP)
        elif inbox.acknowledged >= header.index:
            self._send(peer.route, self._ack(inbox, inbox.acknowledged))

    def _accept(
        self, peer: Peer, inbox: Inbox, header: FrameHeader, pose: CameraPose, parts: Sequence[memoryview]
    ) -> None:
        try:
            if header.slot is None:
                ring, arrays = None, arrays_from_parts(header, parts)
            else:
                ring = peer.ring
                arrays = arrays_in_slot(header, ring)
        except CorruptError as error:
            inbox.corrupt += 1
            _log.warning("asked %s to send again: %s", peer.hello.engine, error)
            self._nack(peer, inbox, header, NackReason.CORRUPT)
            return
        arrival = Arrival(header, pose, arrays, ring, time.monotonic())
        with self._desk.changed:
            fits = arrival.held_bytes + self._desk.held_bytes <= self._budget_bytes
            if fits:
                inbox.put(arrival)
                self._desk.changed.notify_all()
            elif inbox.mode is Mode.PREVIEW:
                inbox.drop(header)
        if not fits and inbox.mode is Mode.CAPTURE:
            self._nack(peer, inbox, header, NackReason.BUSY)

    def _nack(self, peer: Peer, inbox: Inbox, header: FrameHeader, reason: NackReason) -> None:
        with self._desk.changed:
            is_news = inbox.ask_again()
            after = inbox.last_received
        if is_news or reason is not NackReason.GAP:
            self._send(peer.route, Nack(inbox.camera_name, header.index, after, reason))

    def _take_ring(self, peer: Peer, offer: RingOffer) -> None:
        try:
            if not self._host or peer.hello.host != self._host:
                raise TransportError("this bridge does not share memory with this engine")
            peer.ring = RingReader(RingShape(offer.name, offer.slots, offer.slot_bytes, offer.token))
        except TransportError as error:
            self._send(peer.route, RingReady(offer.name, False, error.message))
        else:
            self._send(peer.route, RingReady(offer.name, True, ""))

    # Sessions

    def _greet(self, route: bytes, hello: Hello) -> None:
        """Begin a session, or go on with one that lost its connection."""
        channels = check_hello(hello)
        now_s = time.monotonic()
        old = self._desk.peers.get(hello.session)
        same_process = old is not None and old.hello.instance == hello.instance
        if old is not None and not same_process and self._is_there(old):
            raise ProtocolError(
                f"another process of {old.hello.engine} already sends under session {hello.session}",
                fix="Stop it, or let this engine choose a session of its own.",
                code="session_taken",
            )
        if old is None:
            self._make_room()
        try:
            durable = {row.name: self._durable_index(hello, row.name) for row in hello.cameras}
        except Exception as error:
            # The recorder is the caller's; its trouble must not stop the service for other engines.
            _log.exception("the last durable frame of session %s is not known", hello.session)
            raise ProtocolError(f"the bridge's recorder fails: {error}"[:1024], code="failed") from error
        peer = Peer(hello, route, channels, _id_names(hello.names), now_s)
        with self._desk.changed:
            if old is not None:
                self._routes.pop(old.route, None)
                self._desk.turns = deque(turn for turn in self._desk.turns if turn[0] is not old)
                if same_process or hello.mode is Mode.CAPTURE:
                    peer.inboxes = old.inboxes
            for row in hello.cameras:
                inbox = peer.inboxes.get(row.name)
                if inbox is None or inbox.mode is not hello.mode:
                    inbox = peer.inboxes[row.name] = Inbox(row.name, hello.mode)
                inbox.start_anew(durable[row.name], row.acknowledged)
            self._routes[route] = self._desk.peers[hello.session] = peer
            self._desk.turns.extend((peer, inbox) for inbox in peer.inboxes.values())
        self._send(route, self._welcome(peer))

    def _durable_index(self, hello: Hello, camera: str) -> int:
        return self._durable(hello.session, camera) if hello.mode is Mode.CAPTURE else -1

    def _welcome(self, peer: Peer) -> Welcome:
        return Welcome(
            version=PROTOCOL_VERSION,
            bridge=version("renderlift"),
            host=self._host,
            shared_memory=bool(self._host),
            channels=tuple(sorted(peer.channels)),
            credits=self._credits[peer.hello.mode],
            cameras=tuple(SettledRow(name, inbox.settled) for name, inbox in peer.inboxes.items()),
        )

    def _is_there(self, peer: Peer) -> bool:
        """Whether a process still holds the other end; a killed one's connection is gone at once."""
        return peer.is_live and self._send(peer.route, Heartbeat())

    def _make_room(self) -> None:
        """Forget the sessions that have been silent longest, if there are too many."""
        peers = self._desk.peers
        while len(peers) >= MAX_ENGINES:
            gone = [peer for peer in peers.values() if not peer.is_live]
            if not gone:
                raise ProtocolError(f"{len(peers)} engines are connected, no more fit", code="full")
            peer = min(gone, key=lambda peer: (not peer.said_bye, peer.heard_s))
            with self._desk.changed:
                del peers[peer.hello.session]
                self._routes.pop(peer.route, None)
                self._desk.turns = deque(turn for turn in self._desk.turns if turn[0] is not peer)

    # What is sent

    def _send(self, route: bytes, message: Message, *parts: Buffer) -> bool:
        """Whether it is on its way; an engine that has gone or does not read gets nothing."""
        try:
            self._socket.send_multipart(
                [route, encode(message), *(part.data for part in parts)], zmq.NOBLOCK, copy=False
            )
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def _ack(self, inbox: Inbox, index: int) -> Ack:
        return Ack(inbox.camera_name, index, self._credits[inbox.mode])

    def _send_what_is_due(self) -> None:
        now_s = time.monotonic()
        with self._desk.changed:
            acks = [(peer, inbox, inbox.due_ack(now_s)) for peer, inbox in self._desk.turns]
            self._hurry = any(inbox.waits_to_settle for _, inbox in self._desk.turns)
            messages, self._desk.to_send = self._desk.to_send, deque()
            results, self._desk.results = self._desk.results, {}
        for peer, inbox, index in acks:
            if index is not None:
                self._send(peer.route, self._ack(inbox, index))
        for peer, message in messages:
            self._send(peer.route, message)
        for peer, header, picture in results.values():
            if peer.is_live:
                self._send(peer.route, header, picture)
        for peer in self._routes.values():
            if now_s - peer.beat_s >= HEARTBEAT_S and not peer.said_bye:
                peer.beat_s = now_s
                self._beat(peer)

    def _beat(self, peer: Peer) -> None:
        """A sign of life, and once more what the engine must know, should it have been lost."""
        self._send(peer.route, Heartbeat())
        for inbox in peer.inboxes.values():
            if inbox.acknowledged >= 0:
                self._send(peer.route, self._ack(inbox, inbox.acknowledged))
            if inbox.mode is Mode.CAPTURE and inbox.lacks_frames:
                after = inbox.last_received
                self._send(peer.route, Nack(inbox.camera_name, after + 1, after, NackReason.GAP))

    def _object(self, route: bytes, error: ProtocolError | ChannelError) -> None:
        """Tell the peer what was wrong, seldom enough that a flood of rubbish does not cause another."""
        now_s = time.monotonic()
        if now_s - self._complained_s.get(route, 0.0) < _COMPLAINT_S:
            return
        if len(self._complained_s) > 1024:
            self._complained_s.clear()
        self._complained_s[route] = now_s
        self._send(route, error_message(error))
        peer = self._routes.get(route)
        if peer is not None or now_s - self._logged_stranger_s >= 1.0:
            self._logged_stranger_s = self._logged_stranger_s if peer else now_s
            _log.warning("refused a message of %s: %s", peer.hello.engine if peer else "an unknown peer", error)


def _id_names(rows: tuple[IdRow, ...]) -> tuple[IdName, ...]:
    return tuple(IdName(row.id, row.name, row.class_name, row.path) for row in rows)


class _TrustedKeys:
    """What pyzmq asks whether a client's public key may connect."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys

    def callback(self, domain: str, key: bytes) -> bool:
        return key in self._keys


def _guard(
    context: "zmq.Context[zmq.Socket[bytes]]", curve: Curve | None
) -> "zmq.auth.thread.ThreadAuthenticator | None":
    """The authenticator that admits the engines whose keys are trusted, and nobody else."""
    if curve is None:
        return None
    guard = zmq.auth.thread.ThreadAuthenticator(context)
    guard.start()
    guard.configure_curve_callback("*", credentials_provider=_TrustedKeys(curve.peers))
    return guard
