"""What the thread that listens and the readers of frames share: who is connected, and what waits."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from renderlift.bridge.connection import LIVENESS_S
from renderlift.bridge.frame import Channel, IdName
from renderlift.bridge.inbox import Arrival, Inbox
from renderlift.bridge.pixels import Buffer
from renderlift.bridge.shared_memory import RingReader
from renderlift.bridge.wire import Hello, Message, Mode, ResultHeader


@dataclass
class Peer:
    """One session of one engine, and the connection it last spoke on."""

    hello: Hello
    route: bytes
    channels: frozenset[Channel]
    names: tuple[IdName, ...]
    heard_s: float
    inboxes: dict[str, Inbox] = field(default_factory=lambda: {})
    ring: RingReader | None = None
    beat_s: float = 0.0
    said_bye: bool = False

    @property
    def is_live(self) -> bool:
        return not self.said_bye and time.monotonic() - self.heard_s < LIVENESS_S


class Desk:
    """What the listening thread and the readers share; `changed` guards all of it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.peers: dict[str, Peer] = {}  # by session
        self.turns: deque[tuple[Peer, Inbox]] = deque()  # whose frame is read next
        self.to_send: deque[tuple[Peer, Message]] = deque()
        self.results: dict[tuple[str, str], tuple[Peer, ResultHeader, Buffer]] = {}  # newest per camera
        self.closing = False
        self.failure: BaseException | None = None

    def next_arrival(self, mode: Mode | None = None) -> tuple[Peer, Inbox, Arrival] | None:
        """The frame whose turn it is; cameras take turns, so a fast one cannot starve the others.

        Args:
            mode: of the engines to look at; None = all.
        """
        for _ in range(len(self.turns)):
            peer, inbox = self.turns[0]
            self.turns.rotate(-1)
            if inbox.pending and mode in (None, inbox.mode):
                return peer, inbox, inbox.take(time.monotonic())
        return None

    @property
    def held_bytes(self) -> int:
        """Of our own memory, by frames that wait for their reader."""
        return sum(inbox.held_bytes for _, inbox in self.turns)

    @property
    def all_said_bye(self) -> bool:
        return bool(self.peers) and all(peer.said_bye for peer in self.peers.values())
