"""What an UnrealCV server says, checked: the one place where its answers are believed."""

import contextlib
import importlib
import io
import re
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import SetupError, TransportError, install_fix

ANSWER_S = 30.0  # for a batch; a large picture of a large scene takes a second or two
MAX_SIDE = 16384

T = TypeVar("T")

try:
    unrealcv: Any = importlib.import_module("unrealcv")
    cv2: Any = importlib.import_module("cv2")
except ImportError as missing:
    raise SetupError(f"unrealcv cannot be imported: {missing}", fix=install_fix("engines")) from missing


class RefusedError(TransportError):
    """The server answered a command with an error."""


class Server:
    """A connection to a running UnrealCV server.

    Args:
        address: HOST:PORT. UnrealCV listens at port 9000 unless told otherwise.

    Raises:
        TransportError: nobody listens there, or it is no UnrealCV server, or another client is connected.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise SetupError(f"{address!r} is no address of an UnrealCV server", fix="Write e.g. 127.0.0.1:9000.")
        self.address = address
        self._client = unrealcv.Client((host, int(port)))
        with warnings.catch_warnings():  # the client's, that a server of before 2026 cannot list its commands
            warnings.simplefilter("ignore", UserWarning)
            connected = _within(ANSWER_S, f"{address} did not answer", self._client.connect)
        if not connected:
            raise TransportError(
                f"no UnrealCV server answers at {address}",
                fix="Start the scene; it takes one client at a time. Its unrealcv.ini names the port.",
            )
        self._batches = self.answers("vbatch 1", "vget /unrealcv/status")

    def ask(self, commands: Sequence[str]) -> list[Any]:
        """Answers to commands, in their order; the server runs them in one tick of the game if it can.

        Raises:
            RefusedError: one of them was answered with an error.
            TransportError: no answer, or the connection was lost.
        """
        batch = [f"vbatch {len(commands)}", *commands] if self._batches else list(commands)
        answers = self._request(batch)[-len(commands) :]
        for command, answer in zip(commands, answers, strict=True):
            if _is_error(answer):
                raise RefusedError(f"the UnrealCV server refuses {command!r}: {answer}")
        return answers

    def answers(self, *commands: str) -> bool:
        """Whether the server knows these commands."""
        with warnings.catch_warnings():  # the client's, that it may not
            warnings.simplefilter("ignore", UserWarning)
            return not any(_is_error(answer) for answer in self._request(commands))

    def close(self) -> None:
        self._client.disconnect()

    def _request(self, commands: Sequence[str]) -> list[Any]:
        try:
            answers: list[Any] = _within(
                ANSWER_S,
                f"the UnrealCV server at {self.address} did not answer {commands[-1]!r}",
                lambda: self._client.request(list(commands)),
            )
        except (OSError, AssertionError, ValueError) as error:
            raise TransportError(f"the UnrealCV server at {self.address} is gone: {error}") from error
        if any(answer is None for answer in answers):
            raise TransportError(f"the UnrealCV server at {self.address} closed the connection")
        return answers


def numbers(answer: Any, count: int) -> tuple[float, ...]:
    """So many finite numbers from `1.0 2.0 3.0`.

    Raises:
        TransportError: it is something else.
    """
    with contextlib.suppress(ValueError, AttributeError):
        values = tuple(map(float, answer.split()))
        if len(values) == count and np.isfinite(values).all():
            return values
    raise TransportError(f"the UnrealCV server answered {_short(answer)} where {count} numbers were wanted")


def color(answer: Any) -> tuple[int, int, int]:
    """Red, green, blue of `(R=127,G=0,B=255,A=255)`.

    Raises:
        TransportError: it is something else.
    """
    found = re.fullmatch(r"\(R=(\d{1,3}),G=(\d{1,3}),B=(\d{1,3}),A=\d{1,3}\)", str(answer).strip())
    if not found:
        raise TransportError(f"the UnrealCV server answered {_short(answer)} where a colour was wanted")
    red, green, blue = map(int, found.groups())
    return red, green, blue


def picture(answer: Any) -> NDArray[np.uint8]:
    """A PNG as (H, W, 3) in red, green, blue.

    Raises:
        TransportError: it is none.
    """
    image = cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_COLOR) if isinstance(answer, bytes) else None
    if image is None or max(image.shape) > MAX_SIDE:
        raise TransportError(f"the UnrealCV server answered {_short(answer)} where a PNG was wanted")
    return np.ascontiguousarray(image[..., ::-1])


def plane(answer: Any) -> NDArray[np.float32]:
    """An array (H, W) in numpy's format.

    Raises:
        TransportError: it is none.
    """
    with contextlib.suppress(ValueError, EOFError, TypeError):
        array = np.load(io.BytesIO(answer), allow_pickle=False)
        array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
        if array.ndim == 2 and array.dtype.kind == "f" and 0 < max(array.shape) <= MAX_SIDE:
            return array.astype(np.float32)
    raise TransportError(f"the UnrealCV server answered {_short(answer)} where a plane of floats was wanted")


def _is_error(answer: Any) -> bool:
    return isinstance(answer, str) and answer.lstrip().lower().startswith("error")


def _short(answer: Any) -> str:
    return f"{len(answer)} bytes" if isinstance(answer, bytes) else repr(answer)[:80]


def _within(timeout_s: float, problem: str, call: Callable[[], T]) -> T:
    """The client waits for ever for a server that hangs; we do not.

    Raises:
        TransportError: it took longer.
    """
    results: list[T] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as failure:  # handed on to the caller below
            failures.append(failure)

    thread = threading.Thread(target=run, name="renderlift-unrealcv", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if failures:
        raise failures[0]
    if not results:
        raise TransportError(f"{problem} within {timeout_s:g} s")
    return results[0]
