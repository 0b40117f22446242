"""Two lines for somebody's own game: its frames to the bridge, photoreal ones back into its window."""

import atexit
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from renderlift.bridge.errors import RenderliftError
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import DEFAULT_ENDPOINT, Mode
from renderlift.engine.panda3d.capture import CHANNELS, Capture, Shot
from renderlift.engine.panda3d.panda import core, new_event_listener
from renderlift.engine.panda3d.window import Overlay, View

_log = logging.getLogger(__name__)

PREVIEW_WIDTH = 640  # preview frames are at most this wide unless a size is asked for
BEFORE_RENDERING, AFTER_RENDERING = 49, 51  # ShowBase renders in a task of sort 50


def attach(
    base: Any,
    *,
    endpoint: str = DEFAULT_ENDPOINT,
    mode: Mode = Mode.PREVIEW,
    size: tuple[int, int] | None = None,
    fps: float = 24.0,
    view: View = View.OFF,
    key: str = "f9",
    class_ids: Mapping[str, int] | None = None,
    metres_per_unit: float = 1.0,
    linear_colors: bool | None = None,
) -> "Lift":
    """Send what `base.cam` sees to the bridge, and show what comes back in `base.win`.

    Preview: the game runs as it did; at most `fps` frames a second are captured, and none is
    ever waited for. Capture: the game's clock steps by 1/`fps`, every frame is captured, and
    the game waits whenever the bridge has no room.

    Args:
        base: a ShowBase.
        size: (height, width) of the frames. By default the window's; in preview shrunk by a
            whole number to at most 640 pixels of width.
        view: what the window shows at first; `key` cycles off, on, wipe.
        class_ids, metres_per_unit, linear_colors: see `Capture`.

    Raises:
        SetupError: a camera or OpenGL that cannot be captured.
        TransportError: an endpoint that is not allowed.
    """
    if size is None and mode is Mode.PREVIEW:
        size = _preview_size(base.win.getYSize(), base.win.getXSize())
    capture = Capture(
        base.win,
        base.cam,
        size=size,
        class_ids=class_ids,
        metres_per_unit=metres_per_unit,
        linear_colors=linear_colors,
    )
    publisher = Publisher(
        endpoint,
        engine="panda3d",
        engine_version=str(core.PandaSystem.getVersionString()),
        mode=mode,
        channels=CHANNELS,
        cameras=(capture.camera_name,),
    )
    lift = Lift(base, capture, publisher, fps)
    lift.overlay.view = view
    lift.cycle_with(key)
    return lift


class Lift:
    """A game that is attached. `close()` leaves it as it was."""

    def __init__(self, base: Any, capture: Capture, publisher: Publisher, fps: float) -> None:
        self.capture = capture
        self.publisher = publisher
        self.overlay = Overlay(base.win, wipe_at=_mouse(base), problem=lambda: publisher.status.problem)
        self._base = base
        self._clock = core.ClockObject.getGlobalClock()
        self._clock_mode = self._clock.getMode()
        self._interval_s = 1.0 / fps
        self._due_s = 0.0
        self._names = capture.names
        self._closed = False
        self._keys = new_event_listener()
        self._shots: queue.SimpleQueue[Shot | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send, name="renderlift-frames", daemon=True)
        self._sender.start()
        self._tasks = [base.taskMgr.add(self._before_rendering, "renderlift-before", sort=BEFORE_RENDERING)]
        if publisher.mode is Mode.CAPTURE:
            self._clock.setMode(core.ClockObject.MNonRealTime)
            self._clock.setDt(self._interval_s)
            self._tasks.append(base.taskMgr.add(self._after_rendering, "renderlift-after", sort=AFTER_RENDERING))
        base.finalExitCallbacks.append(self.close)
        atexit.register(self.close)

    def cycle_with(self, key: str) -> None:
        """Let `key` cycle what the window shows."""
        self._keys.ignoreAll()
        self._keys.accept(key, self.cycle)

    def cycle(self) -> None:
        """Show the next view: off, on, wipe, and off again."""
        self.overlay.view = self.overlay.view.next()

    def close(self) -> None:
        """Detach: the game goes on without us."""
        if self._closed:
            return
        self._closed = True
        self._base.finalExitCallbacks.remove(self.close)
        atexit.unregister(self.close)
        for task in self._tasks:
            self._base.taskMgr.remove(task)
        self._keys.ignoreAll()
        self._clock.setMode(self._clock_mode)
        self._shots.put(None)
        self._sender.join()
        self.overlay.close()
        self.capture.close()
        self.publisher.close()

    def _before_rendering(self, task: Any) -> Any:
        if result := self.publisher.result(self.capture.camera_name):
            self.overlay.show(result)
        self.overlay.update()
        if self.publisher.mode is Mode.CAPTURE:
            self.capture.arm(self._engine_time_ns(), wait=True)
            return task.cont
        while shot := self.capture.take():
            self._shots.put(shot)
        now_s = time.monotonic()
        if now_s >= self._due_s and self.capture.arm(self._engine_time_ns()):
            self._due_s = max(self._due_s + self._interval_s, now_s)
        return task.cont

    def _after_rendering(self, task: Any) -> Any:
        while shot := self.capture.take():
            self._publish(shot)
        return task.cont

    def _engine_time_ns(self) -> int:
        return round(self._clock.getFrameTime() * 1e9)

    def _send(self) -> None:
        """Preview: making frames of shots takes milliseconds that are not the game's to lose."""
        while shot := self._shots.get():
            try:
                self._publish(shot)
            except RenderliftError:
                _log.exception("a frame was not sent")

    def _publish(self, shot: Shot) -> None:
        if shot.names is not self._names:
            self._names = shot.names
            self.publisher.set_names(shot.names)
        self.publisher.publish(self.capture.frame(shot))


def _mouse(base: Any) -> Callable[[], float]:
    """Where the mouse is across the window, 0 to 1; where it left, while it is outside."""
    last = 0.5

    def share() -> float:
        nonlocal last
        watcher = base.mouseWatcherNode
        if watcher is not None and watcher.hasMouse():
            last = 0.5 + 0.5 * watcher.getMouseX()
        return last

    return share


def _preview_size(height: int, width: int) -> tuple[int, int]:
    shrink = -(-width // PREVIEW_WIDTH)
    return height // shrink, width // shrink
