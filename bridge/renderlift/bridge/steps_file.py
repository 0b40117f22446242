"""How far a worker is with its clip, for whoever looks from outside: a small file beside the parts that it adds to.

It says nothing that a run depends on, so it may be missing, late, or of a worker that was killed.
"""

import math
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

EVERY_S = 0.25  # at most so often it is written, but for the last step
_NAME = "steps.json"
_UNFINISHED = f".{_NAME}.unfinished"

Steps = tuple[int, int]  # denoising steps of the clip at work: done, and all


class StepsFile:
    """Takes the steps of a renderer, and writes them down beside the parts of what it is at."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._written_s = -math.inf

    @contextmanager
    def beside(self, parts: Path) -> Generator[None]:
        """Steps that are told meanwhile are of a clip whose part goes to this folder."""
        _take_away(parts)  # that of a worker that was killed
        self._folder = parts
        try:
            yield
        finally:
            self._folder = None
            _take_away(parts)

    def write(self, done: int, total: int) -> None:
        now_s, folder = time.monotonic(), self._folder
        if folder is None or (done < total and now_s - self._written_s < EVERY_S):
            return
        self._written_s = now_s
        with suppress(OSError):  # a full disk is told where it costs a picture
            temporary = folder / _UNFINISHED
            temporary.write_bytes(msgspec.json.encode((done, total)))
            temporary.replace(folder / _NAME)


def read_steps(parts: Path) -> Steps | None:
    """What is written down beside parts; None = nothing is."""
    try:
        steps: Steps = msgspec.json.decode((parts / _NAME).read_bytes(), type=Steps)
    except (OSError, msgspec.MsgspecError):
        return None
    return steps


def _take_away(parts: Path) -> None:
    for name in (_NAME, _UNFINISHED):
        with suppress(OSError):
            (parts / name).unlink()
