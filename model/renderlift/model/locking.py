"""From what a base painted to pictures at the engine's resolution, a frame at a time, whatever fails on the way.

A clip's buffers are several times as large as its pictures, in float32 even more so. So only those of a few frames
are there at once: of the one that is locked, and of the next ones, which threads make meanwhile.
"""

import logging
import traceback
from contextlib import closing
from functools import partial

import numpy as np
import torch
from torch import Tensor

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.errors import RenderError
from renderlift.model import control
from renderlift.model.endure import is_out_of_memory
from renderlift.model.frame_by_frame import made_ahead
from renderlift.model.lock import GeometryLock, lock_frame

_log = logging.getLogger(__name__)
CPU = torch.device("cpu")


def finish(lock: GeometryLock | None, clip: Clip, painted: Tensor) -> Video:
    """Bring a painted clip (T, 3, h, w) to the engine's resolution.

    Raises:
        RenderError: see `Locking`.
    """
    if lock is None:
        return enlarged(clip, painted)
    return Locking(lock, lock.read.weight.device, lock.read.weight.dtype)(clip, painted)


def enlarged(clip: Clip, painted: Tensor) -> Video:
    """The same without a lock: by plain interpolation."""
    return control.resize(control.to_video(painted), clip.height, clip.width)


class Locking:
    """Locks clips with what works; held open for a job, as `endure.Enduring` is."""

    def __init__(
        self, lock: GeometryLock, device: torch.device, dtype: torch.dtype, remedies: list[str] | None = None
    ) -> None:
        """
        Args:
            lock: is brought to `device` and `dtype`, and elsewhere where it fails there.
            remedies: what was done in this job until now, and what for; what is done here joins it.
        """
        self._lock, self._device, self._dtype = lock, device, dtype
        self.remedies = [] if remedies is None else remedies
        self._bring(device, dtype)

    def __call__(self, clip: Clip, painted: Tensor) -> Video:
        """Bring a painted clip, (T, 3, h, w), 0..1, anywhere and of any size, to the engine's resolution.

        Raises:
            RenderError: a frame does not fit into memory, or is not finite, and nothing is left to try.
        """
        video = np.empty((len(clip), clip.height, clip.width, 3), np.uint8)
        with closing(made_ahead(partial(control.frame_buffers, clip), range(len(clip)))) as buffers:
            for t, known in enumerate(buffers):
                video[t] = self._endured(clip, t, known, painted[t])
        return video

    def _endured(self, clip: Clip, t: int, buffers: Tensor, painted: Tensor) -> Video:
        """The picture of one frame, (1, H, W, 3)."""
        while True:
            locked = self._attempt(buffers, painted)
            if isinstance(locked, np.ndarray):
                return locked
            if locked is not None:
                self._without_memory(clip, locked)
            elif torch.isfinite(buffers).all():
                self._without_nan(clip, t)
            else:  # What the engine does not know is zero, as a channel is that it lacks.
                buffers = buffers.nan_to_num(0, 0, 0)

    def _attempt(self, buffers: Tensor, painted: Tensor) -> Video | Exception | None:
        """The picture, what told that memory ran out, or None: it is not finite."""
        try:
            locked = lock_frame(self._lock, buffers, painted)
            return control.to_video(locked) if torch.isfinite(locked).all() else None
        except (RuntimeError, MemoryError) as problem:
            if not is_out_of_memory(problem):
                raise
            traceback.clear_frames(problem.__traceback__)  # or they would hold all that filled the memory
            return problem

    def _without_memory(self, clip: Clip, cause: Exception) -> None:
        error = RenderError(
            f"out of memory in the geometry lock at {clip.width}x{clip.height}",
            fix="Render smaller frames, or leave the lock out: --no-lock.",
        )
        if self._device.type == "cpu":
            raise error from cause
        self._remedy("the lock on the CPU", error, CPU)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _without_nan(self, clip: Clip, t: int) -> None:
        error = RenderError(
            f"the geometry lock gave NaN for frame {clip.frames[t].index}",
            fix="Take another lock (--lock-weights), or none: --no-lock.",
        )
        if self._dtype == torch.float32:
            raise error
        self._remedy("the lock in float32", error, self._device)

    def _remedy(self, said: str, error: RenderError, device: torch.device) -> None:
        _log.warning("%s; trying again with %s", error.message, said)
        self._bring(device, torch.float32)
        self.remedies.append(f"{said} ({error.message})")

    def _bring(self, device: torch.device, dtype: torch.dtype) -> None:
        self._lock, self._device, self._dtype = self._lock.to(device, dtype), device, dtype
