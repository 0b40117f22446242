"""The bridge's end of the wire: frames of any number of engines in, pictures back out.

    with Receiver() as receiver:
        for frame in receiver.frames():
            receiver.send_result(frame, render(frame))

In capture mode an engine sends on only as its frames are declared durable: write the
frame to disk, then call `acknowledge`. docs/protocol.md is the authority on the bytes.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.connection import Curve, Doorbell, refuse_open_network
from renderlift.bridge.desk import Desk, Peer
from renderlift.bridge.errors import ChannelError, RenderliftError, TransportError
from renderlift.bridge.frame import Array, Channel, Frame
from renderlift.bridge.inbox import Arrival, Inbox
from renderlift.bridge.listen import Listener
from renderlift.bridge.pixels import CorruptError, check_slot_checksums, checksum
from renderlift.bridge.wire import DEFAULT_ENDPOINT, ErrorMessage, Mode, Nack, NackReason, ResultHeader


@dataclass(frozen=True)
class StreamStatistics:
    """How one camera of one engine does.

    Once nothing is pending, the frames that the engine published are `delivered` + `dropped`,
    of which `engine_dropped` were dropped by the engine before they reached the wire.
    """

    engine: str
    session: str
    camera_name: str
    mode: Mode
    connected: bool
    ended: bool  # the engine has said goodbye
    received: int
    delivered: int
    dropped: int
    engine_dropped: int
    duplicates: int
    corrupt: int
    pending: int
    fps: float  # delivered, lately


class Receiver:
    """Listens for engines, and hands out their frames.

    One thread of its own always reads the socket, so that memory stays bounded and every
    engine is answered, whatever the reader of `frames` does.

    Args:
        endpoint: where to listen; `tcp://127.0.0.1:*` takes a free port, see `endpoint`.
        credits: capture, frames per camera an engine may have sent and not acknowledged.
        durable: capture, the last index that is on disk for (session, camera), -1 for none;
            asked when an engine connects, on the receiver's own thread.
        shared_memory: accept pixels through shared memory.
        curve: keys; required to listen beyond this machine.
        budget_bytes: memory for frames that wait for their reader, slots not counted.

    Raises:
        TransportError: the endpoint is taken, or open to the network without keys.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        credits: int = 8,
        durable: Callable[[str, str], int] | None = None,
        shared_memory: bool = True,
        curve: Curve | None = None,
        budget_bytes: int = 2 << 30,
    ) -> None:
        refuse_open_network(endpoint, curve)
        if credits < 1:
            raise ValueError(f"credits must be at least 1, got {credits}")
        self._desk = Desk()
        self._doorbell = Doorbell()
        listener = Listener(
            endpoint,
            self._desk,
            self._doorbell,
            credits=credits,
            durable=durable or _nothing_is_durable,
            shared_memory=shared_memory,
            curve=curve,
            budget_bytes=budget_bytes,
        )
        self.endpoint = listener.endpoint
        self._thread = threading.Thread(target=listener.run, name="renderlift-receiver", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def frames(
        self,
        *,
        timeout_s: float | None = None,
        stop: threading.Event | None = None,
        until_bye: bool = False,
        borrow: bool = False,
        mode: Mode | None = None,
    ) -> Iterator[Frame]:
        """Frames of all engines and cameras, interleaved; those of one camera in order.

        Ends when the receiver is closed, when `stop` is set, after `timeout_s` without a
        frame, or with `until_bye` once engines have come and all of them have said goodbye.

        Args:
            borrow: do not copy pixels out of shared memory. Such arrays are read-only and
                hold only until the next frame is asked for.
            mode: only frames of engines in this mode, so that one reader of previews and one
                of captures can run side by side.

        Raises:
            TransportError: the receiver has failed.
        """
        while taken := self._wait_for_frame(timeout_s, stop, until_bye, mode):
            peer, inbox, arrival = taken
            try:
                arrays = _read(arrival, borrow=borrow)
                if not borrow:
                    arrival.release()
                self._doorbell.ring()
                yield _frame(peer, inbox, arrival, arrays)
            except CorruptError:
                self._tear(peer, inbox, arrival)
            finally:
                arrival.release()

    def acknowledge(self, frame: Frame) -> None:
        """Capture: this frame and all before it of its camera are on disk. Preview: nothing to do."""
        with self._desk.changed:
            peer = self._desk.peers.get(frame.session)
            inbox = peer.inboxes.get(frame.camera_name) if peer else None
            if inbox is not None and inbox.mode is Mode.CAPTURE:
                inbox.settle(frame.index)
        self._doorbell.ring()

    def send_result(
        self, frame: Frame, picture: NDArray[np.uint8], timings_ms: Mapping[str, float] | None = None
    ) -> None:
        """Send a picture (H, W, 3) uint8 sRGB back to the engine that `frame` came from.

        A newer picture of the same camera replaces one that has not left yet; an engine
        that is gone gets none.

        Raises:
            ChannelError: the picture has another shape or dtype.
        """
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ChannelError(f"a result is (H, W, 3) uint8, got {picture.shape} {picture.dtype}")
        buffer = np.ascontiguousarray(picture).reshape(-1)
        header = ResultHeader(
            session=frame.session,
            camera=frame.camera_name,
            index=frame.index,
            shape=picture.shape,
            checksum=checksum(buffer),
            timings=dict(timings_ms or {}),
        )
        with self._desk.changed:
            if peer := self._desk.peers.get(frame.session):
                self._desk.results[frame.session, frame.camera_name] = (peer, header, buffer)
        self._doorbell.ring()

    def report(self, frame: Frame, error: RenderliftError) -> None:
        """Tell the engine that `frame` came from about trouble here, e.g. a renderer that failed."""
        with self._desk.changed:
            if peer := self._desk.peers.get(frame.session):
                message = ErrorMessage("failed", error.message[:1024], error.fix[:1024])
                self._desk.to_send.append((peer, message))
        self._doorbell.ring()

    @property
    def streams(self) -> tuple[StreamStatistics, ...]:
        """One row per camera of every engine that has come."""
        with self._desk.changed:
            return tuple(
                _statistics(peer, box) for peer in self._desk.peers.values() for box in peer.inboxes.values()
            )

    @property
    def closed(self) -> bool:
        """Whether no frame can come any more."""
        return self._desk.closing

    def close(self) -> None:
        """Say goodbye to all engines and stop; `frames` ends."""
        self._desk.closing = True
        self._doorbell.ring()
        self._thread.join()

    def _wait_for_frame(
        self, timeout_s: float | None, stop: threading.Event | None, until_bye: bool, mode: Mode | None
    ) -> tuple[Peer, Inbox, Arrival] | None:
        desk = self._desk
        give_up_s = time.monotonic() + timeout_s if timeout_s is not None else float("inf")
        with desk.changed:
            while not (stop and stop.is_set()):
                if desk.failure is not None:
                    raise TransportError(f"the receiver failed: {desk.failure}") from desk.failure
                if taken := desk.next_arrival(mode):
                    return taken
                left_s = give_up_s - time.monotonic()
                if desk.closing or left_s <= 0 or (until_bye and desk.all_said_bye):
                    return None
                desk.changed.wait(min(left_s, 0.1))
        return None

    def _tear(self, peer: Peer, inbox: Inbox, arrival: Arrival) -> None:
        index = arrival.header.index
        with self._desk.changed:
            inbox.tear(arrival)
            if inbox.mode is Mode.CAPTURE:
                nack = Nack(inbox.camera_name, index, inbox.last_received, NackReason.OVERWRITTEN)
                # The engine may have connected anew since the frame arrived.
                self._desk.to_send.append((self._desk.peers.get(peer.hello.session, peer), nack))
        self._doorbell.ring()


def _nothing_is_durable(session: str, camera: str) -> int:
    return -1


def _read(arrival: Arrival, *, borrow: bool) -> Mapping[Channel, Array]:
    """The pixels, copied out of shared memory unless borrowed.

    Raises:
        CorruptError: they are not what was announced, or no longer.
    """
    if arrival.ring is None:
        return arrival.arrays
    arrays = arrival.arrays if borrow else {channel: array.copy() for channel, array in arrival.arrays.items()}
    check_slot_checksums(arrival.header, arrays)
    if not arrival.is_whole():
        raise CorruptError(f"frame {arrival.header.index} was overwritten before it was read")
    return arrays


def _frame(peer: Peer, inbox: Inbox, arrival: Arrival, arrays: Mapping[Channel, Array]) -> Frame:
    return Frame(
        index=arrival.header.index,
        engine_time_ns=arrival.header.engine_time_ns,
        capture_time_ns=arrival.header.capture_time_ns,
        camera=arrival.pose,
        channels=arrays,
        camera_name=inbox.camera_name,
        engine=peer.hello.engine,
        session=peer.hello.session,
        names=peer.names,
    )


def _statistics(peer: Peer, inbox: Inbox) -> StreamStatistics:
    return StreamStatistics(
        engine=peer.hello.engine,
        session=peer.hello.session,
        camera_name=inbox.camera_name,
        mode=inbox.mode,
        connected=peer.is_live,
        ended=peer.said_bye,
        received=inbox.received,
        delivered=inbox.delivered,
        dropped=inbox.dropped + inbox.engine_dropped,
        engine_dropped=inbox.engine_dropped,
        duplicates=inbox.duplicates,
        corrupt=inbox.corrupt,
        pending=len(inbox.pending),
        fps=inbox.fps,
    )
