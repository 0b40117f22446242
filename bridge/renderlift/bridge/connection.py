"""What both ends of a connection share: timing, CURVE keys, the loopback rule, a doorbell."""

import hashlib
import ipaddress
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import zmq
import zmq.auth

from renderlift.bridge.errors import SetupError, TransportError
from renderlift.bridge.wire import MAX_PART_BYTES

HEARTBEAT_S = 1.0
LIVENESS_S = 3.0  # silence after which the other side counts as gone
# What fits the CPU's cache crosses loopback 1.7 times as fast as with the kernel's own, larger choice.
_LOOPBACK_BUFFER_BYTES = 256 << 10

# pyzmq leaves a type parameter of this one open.
_load_certificate: Callable[[Path], tuple[bytes, bytes | None]] = cast(Any, zmq.auth).load_certificate


@dataclass(frozen=True)
class Curve:
    """Keys for encrypted, authenticated connections, each 40 characters of Z85.

    `peers` are the public keys trusted at the other end: for an engine exactly one, the
    bridge's; for a bridge those of all engines that may connect.
    """

    public_key: bytes
    secret_key: bytes
    peers: tuple[bytes, ...]

    @staticmethod
    def load(own_secret_file: Path, *peer_public_files: Path) -> "Curve":
        """Read certificates as `python -m zmq.curve_keygen` and `zmq.auth.create_certificates` write them.

        Raises:
            SetupError: a file is missing or holds no key.
        """
        try:
            public, secret = _load_certificate(own_secret_file)
            peers = tuple(_load_certificate(path)[0] for path in peer_public_files)
        except (OSError, ValueError) as error:
            raise SetupError(f"CURVE keys cannot be read: {error}") from error
        if secret is None:
            raise SetupError(
                f"{own_secret_file} holds no secret key", fix="Name the file that ends in .key_secret."
            )
        return Curve(public, secret, peers)


def refuse_open_network(endpoint: str, curve: Curve | None) -> None:
    """Hold an endpoint against the rule: loopback, or CURVE.

    Raises:
        TransportError: it is no address, or another host could reach it and no keys are given.
    """
    if "://" not in endpoint:
        raise TransportError(f"{endpoint!r} is not an address", fix="Write it like tcp://127.0.0.1:5755.")
    if curve is None and not _is_loopback(endpoint):
        raise TransportError(
            f"{endpoint} can be reached from other machines, and frames would travel there unprotected",
            fix="Use 127.0.0.1, or give CURVE keys (zmq.auth.create_certificates makes them).",
        )


def _is_loopback(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    if parts.scheme in ("ipc", "inproc"):
        return True
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def set_options(peer: "zmq.Socket[bytes]", endpoint: str, curve: Curve | None) -> None:
    """Limits, buffers and keys that every Renderlift socket has."""
    peer.setsockopt(zmq.LINGER, 0)
    peer.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
    peer.setsockopt(zmq.IPV6, int("[" in endpoint))
    if _is_loopback(endpoint):
        peer.setsockopt(zmq.SNDBUF, _LOOPBACK_BUFFER_BYTES)
        peer.setsockopt(zmq.RCVBUF, _LOOPBACK_BUFFER_BYTES)
    if curve is not None:
        peer.setsockopt(zmq.CURVE_PUBLICKEY, curve.public_key)
        peer.setsockopt(zmq.CURVE_SECRETKEY, curve.secret_key)


def host_id() -> str:
    """Equal on both sides if they may share memory; empty where this system has no rings."""
    if sys.platform != "linux":
        return ""
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    if not boot_id.exists():
        return ""
    return hashlib.sha256(boot_id.read_bytes().strip()).hexdigest()[:32]


class Doorbell:
    """Wakes a thread that polls sockets; a ZeroMQ socket must not be touched from two threads."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)
        self._outside.setblocking(False)

    def ring(self) -> None:
        try:
            self._outside.send(b"!")
        except OSError:
            return  # rung often enough already, or the thread has gone

    def fileno(self) -> int:
        return self._inside.fileno()

    def answer(self) -> None:
        """Forget all rings so far."""
        try:
            while self._inside.recv(4096):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        self._inside.close()
        self._outside.close()
