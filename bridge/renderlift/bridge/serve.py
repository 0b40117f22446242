"""The service: clips of connected engines go through a renderer, pictures go back.

Previews and captures run side by side, each as this line:

    for clip in clips: sink(clip, render(clip))

A preview takes the newest frames. Captured frames are recorded and acknowledged as they
come, and rendered as fast as the renderer can, which never holds up the recording.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from renderlift.bridge.ahead import ahead
from renderlift.bridge.backlog import Backlog
from renderlift.bridge.clip import Clip, Render, StreamEnd, Video, begun, clips, identity, prepared
from renderlift.bridge.errors import RecordingError, RenderError, with_fix
from renderlift.bridge.events import Events
from renderlift.bridge.films import Films
from renderlift.bridge.frame import Frame
from renderlift.bridge.going_on import GoingOn
from renderlift.bridge.join import cross_fade, fresh_only
from renderlift.bridge.newest import NewestFrames
from renderlift.bridge.receive import Receiver, StreamStatistics
from renderlift.bridge.record import Recorder
from renderlift.bridge.remedied import remedies_of
from renderlift.bridge.tally import Stream, StreamProgress, Tally
from renderlift.bridge.video import Picture
from renderlift.bridge.wire import Mode

RETRY_S = 1.0  # between two attempts to write to a full disk
TELL_S = 1.0  # between two reports of progress
IDLE_S = 0.2  # without a frame, after which it is looked who has gone


@dataclass(frozen=True)
class Service:
    """How frames are served.

    `preview_length` is how many of the newest frames make a clip of a preview, and `preview_carried` how many of
    these it goes on from, see `newest.NewestFrames`; `length` and `overlap` are those of captured clips,
    see `clip.clips`.
    """

    preview_length: int = 1
    preview_carried: int = 0
    length: int = 9
    overlap: int = 2
    once: bool = False  # end when engines have come and all of them have said goodbye


@dataclass(frozen=True)
class Served:
    """What became of the captured frames."""

    rendered: int
    failed: int  # the renderer failed on them
    left_out: int  # taken in, but not rendered before the service was stopped
    remedies: tuple[str, ...] = ()  # what the renderer had to do to go on, see `remedied`

    def text(self, recording: Path | None) -> str:
        """As a sentence, and how to lift what is left of a recording."""
        if not (self.rendered or self.failed or self.left_out):
            return "Stopped; no frames were captured."
        text = f"{self.rendered} captured frames lifted"
        if self.failed:
            text += f", {self.failed} failed"
        if self.left_out:
            text += f", {self.left_out} left out"
        if recording and (self.failed or self.left_out):
            text += f": lift them with `renderlift enhance {recording} -o NAME.mp4`"
        if self.remedies:
            text += f"; the renderer went on with {', then with '.join(self.remedies)}"
        return text + "."


def serve(
    receiver: Receiver,
    render: Render,
    service: Service,
    *,
    events: Events,
    stop: threading.Event,
    recorder: Recorder | None = None,
    films: Films | None = None,
) -> Served:
    """Serve all engines until `stop` is set.

    Where the renderer fails on a clip, the engine is told and gets its own picture for those
    frames, and everything else goes on.

    Args:
        recorder: keeps captured frames, which are acknowledged once they are safe there.
            Without it they are kept nowhere, and the engine goes in step with the renderer.
        films: where the pictures of captured frames go, besides back to the engine.

    Raises:
        TransportError: the receiver failed.
        RecordingError: the recording cannot be read back.
    """
    works = _Works(receiver, render, service, events, stop, recorder, films)
    threads = [
        threading.Thread(target=works.guarded, args=(work,), daemon=True)
        for work in (works.lift_previews, works.take_captures, works.lift_captures)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        works.look_after()
        _join(threads, TELL_S)
    works.look_after()
    return works.served()


def arrivals(
    receiver: Receiver, *, stop: threading.Event, once: bool = False, mode: Mode | None = None
) -> Iterator[Frame | StreamEnd]:
    """The frames of all engines, and where a stream ends because its engine has gone.

    Args:
        stop: ends it.
        once: end when engines have come and all of them have said goodbye.
        mode: only frames of engines in this mode; None = all.
    """
    coming: set[Stream] = set()
    while not (stop.is_set() or receiver.closed):
        for frame in receiver.frames(mode=mode, timeout_s=IDLE_S, stop=stop):
            coming.add(frame.stream)
            yield frame
            yield from _ends(receiver.streams, coming)
        rows = receiver.streams
        yield from _ends(rows, coming)
        if once and rows and all(row.ended and not row.pending for row in rows):
            return


def _ends(rows: Iterable[StreamStatistics], coming: set[Stream]) -> Iterator[StreamEnd]:
    """Streams of `coming` whose engine has gone, and whose frames have all been read; they leave it."""
    for row in rows:
        stream = (row.engine, row.session, row.camera_name)
        if stream in coming and not row.connected and not row.pending:
            coming.discard(stream)
            yield StreamEnd(stream)


def kept(
    frames: Iterable[Frame | StreamEnd],
    receiver: Receiver,
    recorder: Recorder,
    events: Events,
    stop: threading.Event,
) -> Iterator[Frame | StreamEnd]:
    """Pass frames on once they are safe in the recording, and acknowledged.

    While the disk is full, the engine waits and is told why; so is the user, once.
    """
    for frame in frames:
        if isinstance(frame, StreamEnd):
            yield frame
            continue
        told = ""
        while error := _failure(frame, recorder):
            if error.message != told:
                events.tell(
                    "recording_waits", with_fix(error.message, error.fix), message=error.message, fix=error.fix
                )
            told = error.message
            receiver.report(frame, error)
            if stop.wait(RETRY_S):
                return
        if told:
            events.tell("recording_goes_on", "The recording goes on.")
        receiver.acknowledge(frame)
        yield frame


def _failure(frame: Frame, recorder: Recorder) -> RecordingError | None:
    """Write a frame; returns what prevents it."""
    try:
        recorder.write(frame)
        recorder.flush()
    except RecordingError as error:
        return error
    return None


class _Works:
    """What the threads of one service share."""

    def __init__(
        self,
        receiver: Receiver,
        render: Render,
        service: Service,
        events: Events,
        stop: threading.Event,
        recorder: Recorder | None,
        films: Films | None,
    ) -> None:
        self._receiver = receiver
        self._render = render
        # They share the device and no run: each goes on from its own pictures.
        self._render_preview = GoingOn(render, overlap=service.preview_length - 1, fades=False)
        self._render_capture = GoingOn(render, overlap=service.overlap)
        self._service = service
        self._events = events
        self._stop = stop
        self._recorder = recorder
        self._films = films
        self._device = threading.Lock()  # renders one clip at a time
        self._tallies: dict[Stream, Tally] = {}
        self._newest = NewestFrames(
            self._arrivals(Mode.PREVIEW), length=service.preview_length, carried=service.preview_carried
        )
        self._backlog = Backlog(recorder.path if recorder else None)
        self._stopping = False
        self._left_out = 0
        self._told: list[StreamProgress] = []
        self._remedies: list[str] = []
        self._told_cause: str | None = None  # why the last clip failed, if it did
        self._error: BaseException | None = None

    # Each of these three runs in a thread of its own

    def lift_previews(self) -> None:
        sink = fresh_only(self._send)
        for clip in self._newest.clips():
            sink(clip, self._lift(clip, self._render_preview, self._on_device))
            self._render_preview.forget_all_but(self._newest.streams)

    def take_captures(self) -> None:
        frames = self._arrivals(Mode.CAPTURE)
        if self._recorder:
            frames = kept(frames, self._receiver, self._recorder, self._events, self._stop)
        try:
            for frame in frames:
                if isinstance(frame, StreamEnd):
                    self._backlog.put_end(frame)
                    continue
                self._backlog.put(frame)
                if not self._recorder:
                    self._receiver.acknowledge(frame)
        finally:
            self._backlog.end()

    def lift_captures(self) -> None:
        length, overlap = self._service.length, self._service.overlap
        sink = cross_fade(self._finish, overlap=overlap)
        cut = clips(self._backlog.frames(), length=length, overlap=overlap)
        with closing(ahead(((clip, self._started(clip)) for clip in cut), 1)) as started:
            lifted = ((clip, self._lift(clip, self._render_capture, end)) for clip, end in started)
            with closing(ahead(lifted, 1)) as videos:
                for clip, video in videos:
                    sink(clip, video)

    def guarded(self, work: Callable[[], None]) -> None:
        """Run one of them; what ends it ends the service."""
        try:
            work()
        except BaseException as error:  # raised again in the caller's thread
            self._error = self._error or error
            self._stop.set()

    # The caller's thread

    def look_after(self) -> None:
        """Tell how far it is; once stopped, only the clips at work are finished."""
        if self._stop.is_set():
            if not self._stopping:
                self._events.tell("stopping", "Finishing the clip at work; Ctrl-C once more to leave at once.")
            self._stopping = True
            self._left_out += self._backlog.abandon()
        for remedy in remedies_of(self._render)[len(self._remedies) :]:
            self._remedies.append(remedy)
            self._events.tell("remedied", f"The renderer goes on with {remedy}.", remedy=remedy)
        rows = [self._progress(row) for row in self._receiver.streams]
        if rows == self._told:
            return
        _tell(self._events, self._told, rows, recorded=self._recorder is not None)
        self._told = rows

    def served(self) -> Served:
        if self._error is not None:
            raise self._error
        captures = [row for row in self._told if row.mode is Mode.CAPTURE]
        rendered, failed = sum(r.rendered for r in captures), sum(r.failed for r in captures)
        return Served(rendered, failed, self._left_out, tuple(self._remedies))

    def _progress(self, row: StreamStatistics) -> StreamProgress:
        stream = (row.engine, row.session, row.camera_name)
        return self._tally(stream).progress(row, self._newest.skipped[stream])

    def _tally(self, stream: Stream) -> Tally:
        return self._tallies.setdefault(stream, Tally())

    def _arrivals(self, mode: Mode) -> Iterator[Frame | StreamEnd]:
        return arrivals(self._receiver, mode=mode, stop=self._stop, once=self._service.once)

    def _on_device(self, clip: Clip, render: Render | None = None) -> Video:
        with self._device:
            return (render or self._render)(clip)

    def _started(self, clip: Clip) -> Render:
        """What does the rest of a clip; where it could be begun, without the device."""
        ready = prepared(self._render, clip)
        with self._device:
            return begun(self._render, clip) or partial(self._on_device, render=ready)

    def _lift(self, clip: Clip, going_on: GoingOn, end: Render) -> Video:
        try:
            video = going_on(clip, end)
        except RenderError as error:
            # What is wrong with an option is wrong with every clip, and read once.
            cause = repr(error.__cause__ or error)
            text = "" if cause == self._told_cause else with_fix(error.message, error.fix)
            self._told_cause = cause
            self._events.tell("clip_failed", text, message=error.message, fix=error.fix)
            self._receiver.report(clip.frames[-1], error)
            self._tally(clip.stream).note_clip(clip, failed=True)
            return identity(clip)
        self._told_cause = None
        self._tally(clip.stream).note_clip(clip, failed=False)
        return video

    def _send(self, frame: Frame, picture: Picture) -> None:
        self._receiver.send_result(frame, picture)
        self._tally(frame.stream).note_sent(frame)

    def _finish(self, frame: Frame, picture: Picture) -> None:
        self._send(frame, picture)
        if self._films is None:
            return
        try:
            self._films.write(frame, picture)
        except RecordingError as error:
            self._films = None  # the service goes on without a film
            text = with_fix(error.message, error.fix)
            self._events.tell("film_failed", text, message=error.message, fix=error.fix)


def _tell(
    events: Events, before: Sequence[StreamProgress], now: Sequence[StreamProgress], *, recorded: bool
) -> None:
    known = {(row.session, row.camera) for row in before}
    connected = {(row.session, row.camera) for row in before if row.connected}
    for row in now:
        names = {"engine": row.engine, "session": row.session, "camera": row.camera, "mode": row.mode}
        name = f"{row.engine} {row.camera} {row.mode}"
        key = (row.session, row.camera)
        # One may have come and gone since the last look, as while the renderer was loaded.
        came = key not in (connected if row.connected else known)
        if came:
            events.tell("engine_came", f"{name} has come.", **names)
        if not row.connected and (came or key in connected):
            how = "recorded and still to be lifted" if recorded else "still to be lifted"
            waiting = f", {row.waiting} {how}" if row.waiting else ""
            events.tell("engine_left", f"{name} has gone: {row}{waiting}.", **names)
        if row.connected:
            total = row.received if row.mode is Mode.CAPTURE else None
            events.progress(name, row.rendered, total, text=row.brief, bar=False)
    events.tell("streams", streams=now)


def _join(threads: Iterable[threading.Thread], timeout_s: float) -> None:
    """Wait for all of them, together at most `timeout_s`."""
    until_s = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
