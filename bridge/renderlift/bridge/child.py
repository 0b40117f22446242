"""Processes that a command starts and must not leave behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from renderlift.bridge.errors import RenderliftError

LAST_LINES = 12
STOP_S = 20.0  # a bridge may have a clip at work and a film to finish


class Child:
    """A Python process of ours, stopped when its `with` block is left.

    It runs in a session of its own, so that Ctrl-C reaches only us, and we stop it in order. Should we be
    killed, its standard input ends, and `leash` in it sees to the rest.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], *, log: Path, on_line: Callable[[str], None] | None = None
    ) -> None:
        """Start `python -m ARGUMENTS`.

        Args:
            name: for messages, e.g. "the bridge".
            log: file for what it says.
            on_line: called with each line of its stdout, on a thread of its own, instead of logging them.
        """
        self.name = name
        self._log = log
        command = [sys.executable, "-m", "renderlift.bridge.leash", *arguments]
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # held open for as long as we live, never written to
                stdout=subprocess.PIPE if on_line else file,
                stderr=file,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._reader: threading.Thread | None = None
        if on_line and self._process.stdout:
            reads = (self._process.stdout, on_line)
            self._reader = threading.Thread(target=_read_lines, args=reads, daemon=True)
            self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raises RenderliftError with its last words if it has failed."""
        if self.exit_code:
            raise RenderliftError(
                f"{self.name} ended with exit code {self.exit_code}\n{self._last_words()}".rstrip()
            )

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Ask it to end, as Ctrl-C would, and see to it that it does."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        if self._reader:
            self._reader.join(5)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within that time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(f"  | {line}" for line in lines[-LAST_LINES:])


def _read_lines(stream: IO[bytes], on_line: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            on_line(line.decode(errors="replace").rstrip("\n"))
