"""Two lines for somebody's own simulation loop: its frames to the bridge, photoreal ones into its viewer."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

from renderlift.bridge.frame import Array
from renderlift.bridge.send import Publisher
from renderlift.bridge.wire import DEFAULT_ENDPOINT, Mode
from renderlift.engine.mujoco.capture import CHANNELS, Capture
from renderlift.engine.mujoco.labels import Instances
from renderlift.engine.mujoco.library import Data, Model, core

SHARE_OF_VIEWER = 0.5  # of its width, for the picture that came back


def attach(
    model: Model,
    data: Data,
    *,
    cameras: Sequence[str] | Mapping[str, Any] | None = None,
    endpoint: str = DEFAULT_ENDPOINT,
    mode: Mode = Mode.PREVIEW,
    size: tuple[int, int] = (360, 640),
    fps: float = 24.0,
    viewer: Any = None,
    instances: Instances = Instances.BODY,
    class_ids: Mapping[str, int] | None = None,
    session: str | None = None,
) -> "Lift":
    """Send what the model's cameras see to the bridge. Call `sync()` after every step.

    Preview: at most `fps` frames a second are drawn, and the network is never waited for. Capture:
    `fps` frames for each second of the simulation's clock, and the loop waits when the bridge has no room.

    Args:
        cameras, size, instances, class_ids: see `Capture`. With a viewer, its own camera by default.
        viewer: what `mujoco.viewer.launch_passive` returned; shows what comes back in its corner.
        session: one run; give the same again to go on after a crash.

    Raises:
        SetupError: no such camera, or no OpenGL.
        TransportError: an endpoint that is not allowed.
    """
    if cameras is None and viewer is not None:
        cameras = {"viewer": viewer.cam}
    capture = Capture(model, cameras=cameras, size=size, instances=instances, class_ids=class_ids)
    publisher = Publisher(
        endpoint,
        engine="mujoco",
        engine_version=str(core.__version__),
        mode=mode,
        channels=CHANNELS,
        cameras=capture.camera_names,
        names=capture.names,
        session=session,
    )
    return Lift(capture, publisher, data, fps=fps, viewer=viewer)


class Lift:
    """A simulation that is attached. `close()` says goodbye to the bridge."""

    def __init__(self, capture: Capture, publisher: Publisher, data: Data, *, fps: float, viewer: Any) -> None:
        self.capture = capture
        self.publisher = publisher
        self._data = data
        self._interval_s = 1.0 / fps
        self._viewer = viewer
        self._start_s = self._last_s = float(data.time)
        self._captured = 0
        self._due_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sync(self) -> bool:
        """Send a frame of each camera if one is due; True if so."""
        self._show()
        time_s = float(self._data.time)
        if time_s < self._last_s:  # the simulation was reset
            self.capture.cut()
            self._start_s, self._captured = time_s, 0
        self._last_s = time_s
        if not self._is_due(time_s):
            return False
        for frame in self.capture.grab(self._data):
            self.publisher.publish(frame)
        return True

    def close(self) -> bool:
        """Wait for the last acknowledgements; whether all came."""
        done = self.publisher.close()
        self.capture.close()
        return done

    def _is_due(self, time_s: float) -> bool:
        if self.publisher.mode is Mode.CAPTURE:
            if time_s - self._start_s < (self._captured - 1e-6) * self._interval_s:
                return False
            self._captured += 1
            return True
        now_s = time.monotonic()
        if now_s < self._due_s:
            return False
        self._due_s = max(self._due_s + self._interval_s, now_s)
        return True

    def _show(self) -> None:
        """Put the newest picture, if there is one, into the lower left corner of what the viewer shows."""
        if self._viewer is None:
            return
        view = self._viewer.viewport
        result = self.publisher.result(self.capture.camera_names[0]) if view else None
        if result is not None:
            picture = _resized(result.picture, round(SHARE_OF_VIEWER * view.width))
            place = core.MjrRect(view.left, view.bottom, picture.shape[1], picture.shape[0])
            self._viewer.set_images((place, picture))


def _resized(picture: Array, width: int) -> Array:
    import cv2  # only here: it takes longer to load than the rest of the engine side

    return cv2.resize(picture, (width, round(width * picture.shape[0] / picture.shape[1])))
