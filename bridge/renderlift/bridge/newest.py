"""Clips for a preview: always the newest frames, whatever the renderer's speed."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator

from renderlift.bridge.clip import Clip, StreamEnd, stack
from renderlift.bridge.frame import Frame
from renderlift.bridge.shots import is_cut

Stream = tuple[str, str, str]


class NewestFrames:
    """The newest frames of every stream, read by a thread of its own while the renderer works.

    A clip holds the newest `length` frames at the moment it is asked for, so what the renderer
    sees is consecutive and fresh. Where the engine is faster, frames in between are left out
    and counted in `skipped`; where the renderer is faster, clips share frames. No clip holds two shots.

    For a renderer that goes on from finished pictures, a clip begins with the last frames of the one before,
    whatever was left out since, and fresh frames follow: what is shown then hangs together at any speed.
    """

    def __init__(self, frames: Iterable[Frame | StreamEnd], *, length: int, carried: int = 0) -> None:
        """Args:
        frames: of any number of streams, interleaved.
        length: frames in a clip, at most; at least 1.
        carried: leading frames of a clip that are the last ones of the clip before; less than `length`. 0: clips
            share what is still among the newest.
        """
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        if not 0 <= carried < length:
            raise ValueError(f"carried must be in [0, {length}), got {carried}")
        self.skipped: Counter[Stream] = Counter()
        self._length = length
        self._carried = carried
        self._ends: dict[Stream, list[Frame]] = {}  # the last frames of the last clip
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

    @property
    def streams(self) -> set[Stream]:
        """Those of which frames have come, and more may come."""
        with self._changed:
            return set(self._windows)

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
                self._ends.pop(stream, None)

    def _put(self, frame: Frame) -> None:
        self._ended_streams.discard(frame.stream)  # it has come back
        window = self._windows.setdefault(frame.stream, deque())
        anew = bool(window) and self._begins_anew(window[-1], frame)
        if anew:
            self._ends.pop(frame.stream, None)
        while window and (anew or len(window) == self._length):
            left = window.popleft()
            self.skipped[frame.stream] += self._is_fresh(left)
        window.append(frame)

    def _begins_anew(self, before: Frame, frame: Frame) -> bool:
        if (before.height, before.width) != (frame.height, frame.width):
            return True
        return self._length > 1 and is_cut(before, frame)

    def _is_fresh(self, frame: Frame) -> bool:
        return frame.index > self._taken.get(frame.stream, -1)

    def _take(self) -> tuple[list[Frame], int] | None:
        with self._changed:
            while (stream := self._next_stream()) is None:
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return None
                self._changed.wait()
            frames, shared = self._window(stream)
            self._taken[stream] = frames[-1].index
            self._windows[stream] = self._windows.pop(stream)  # to the end of the queue
            if self._carried:
                self._ends[stream] = frames[-self._carried :]
            self._forget_ended()
            return frames, shared

    def _window(self, stream: Stream) -> tuple[list[Frame], int]:
        frames = list(self._windows[stream])
        fresh = [frame for frame in frames if self._is_fresh(frame)]
        if not self._carried:
            return frames, len(frames) - len(fresh)
        ends = self._ends.get(stream, [])
        if ends and is_cut(ends[-1], fresh[-(self._length - len(ends)) :][0]):
            ends = []  # so much was left out that it is another shot
        room = self._length - len(ends)
        self.skipped[stream] += max(0, len(fresh) - room)
        return ends + fresh[-room:], len(ends)

    def _next_stream(self) -> Stream | None:
        for stream, window in self._windows.items():
            if window[-1].index > self._taken.get(stream, -1):
                return stream
        return None
