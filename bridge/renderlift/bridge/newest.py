"""Clips for a preview: always the newest frames, whatever the renderer's speed."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator

from renderlift.bridge.clip import Clip, StreamEnd, stack
from renderlift.bridge.frame import Frame

Stream = tuple[str, str, str]


class NewestFrames:
    """The newest frames of every stream, read by a thread of its own while the renderer works.

    A clip holds the newest `length` frames at the moment it is asked for, so what the renderer
    sees is consecutive and fresh. Where the engine is faster, frames in between are left out
    and counted in `skipped`; where the renderer is faster, clips share frames.
    """

    def __init__(self, frames: Iterable[Frame | StreamEnd], *, length: int) -> None:
        """Args:
        frames: of any number of streams, interleaved.
        length: frames in a clip, at most; at least 1.
        """
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        self.skipped: Counter[Stream] = Counter()
        self._length = length
        self._changed = threading.Condition()
        self._windows: dict[Stream, deque[Frame]] = {}
        self._taken: dict[Stream, int] = {}  # index of the last frame that went into a clip
        self._ended_streams: set[Stream] = set()
        self._error: BaseException | None = None
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(frames,), name="renderlift-newest", daemon=True)
        self._reader.start()

    def clips(self) -> Iterator[Clip]:
        """Clips as they are asked for, streams taking turns; ends after the last frame of the input."""
        while window := self._take():
            frames, shared = window
            yield stack(frames, shared=shared)

    def _read(self, frames: Iterable[Frame | StreamEnd]) -> None:
        try:
            for frame in frames:
                with self._changed:
                    if isinstance(frame, StreamEnd):
                        self._ended_streams.add(frame.stream)
                        self._forget_ended()
                    else:
                        self._put(frame)
                    self._changed.notify_all()
        except BaseException as error:  # it travels to the renderer's thread
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _forget_ended(self) -> None:
        """Let go of windows that are rendered and whose stream has ended, or a service would grow."""
        for stream in list(self._ended_streams):
            window = self._windows.get(stream)
            if window is None or window[-1].index == self._taken.get(stream):
                self._ended_streams.discard(stream)
                self._windows.pop(stream, None)
                self._taken.pop(stream, None)

    def _put(self, frame: Frame) -> None:
        self._ended_streams.discard(frame.stream)  # it has come back
        window = self._windows.setdefault(frame.stream, deque())
        resized = bool(window) and (window[-1].height, window[-1].width) != (frame.height, frame.width)
        while window and (resized or len(window) == self._length):
            left = window.popleft()
            self.skipped[frame.stream] += left.index > self._taken.get(frame.stream, -1)
        window.append(frame)

    def _take(self) -> tuple[list[Frame], int] | None:
        with self._changed:
            while (stream := self._next_stream()) is None:
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return None
                self._changed.wait()
            frames = list(self._windows[stream])
            shared = sum(frame.index <= self._taken.get(stream, -1) for frame in frames)
            self._taken[stream] = frames[-1].index
            self._windows[stream] = self._windows.pop(stream)  # to the end of the queue
            self._forget_ended()
            return frames, shared

    def _next_stream(self) -> Stream | None:
        for stream, window in self._windows.items():
            if window[-1].index > self._taken.get(stream, -1):
                return stream
        return None
