"""Somebody's own game in a window, attached to a bridge that answers every frame with its negative.

Run by test_window.py in a process of its own, since there is one ShowBase in each; what it saw
goes to the .npz file named on the command line.
"""

import sys
import threading
import time
from collections.abc import Callable

import numpy as np
from direct.gui.OnscreenText import OnscreenText
from direct.showbase.ShowBase import ShowBase
from panda3d.core import AmbientLight, DirectionalLight, loadPrcFileData

from renderlift.bridge.frame import Array, Channel, Frame
from renderlift.bridge.receive import Receiver
from renderlift.engine.panda3d import attach
from renderlift.engine.panda3d.window import View

loadPrcFileData("", "win-size 480 360\naudio-library-name null\nsync-video 0\nnotify-level-device fatal")
base = ShowBase()
base.disableMouse()
base.setBackgroundColor(0.2, 0.4, 0.6)
panda = base.loader.loadModel("models/panda")
panda.reparentTo(base.render)
panda.setScale(0.4)
base.cam.setPos(2, -14, 3)
base.cam.lookAt(0, 0, 2)
for light, color, hpr in ((DirectionalLight("sun"), 0.8, (30, -40, 0)), (AmbientLight("sky"), 0.3, (0, 0, 0))):
    light.setColor((color, color, color, 1))
    holder = base.render.attachNewNode(light)
    holder.setHpr(hpr)
    base.render.setLight(holder)
hud = OnscreenText("3 lives", pos=(0, -0.9), scale=0.1, fg=(1, 1, 0, 1))

receiver = Receiver("tcp://127.0.0.1:*")
frames: list[Frame] = []
answering = threading.Event()
answering.set()


def answer() -> None:
    for frame in receiver.frames():
        frames.append(frame)
        if answering.is_set():
            receiver.send_result(frame, 255 - frame.channels[Channel.RGB])


threading.Thread(target=answer, daemon=True).start()


def screenshot() -> Array:
    base.taskMgr.step()
    texture = base.win.getScreenshot()
    pixels = np.frombuffer(texture.getRamImageAs("RGB"), np.uint8)
    return pixels.reshape(texture.getYSize(), texture.getXSize(), 3)[::-1]


def step_until(done: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not done() and time.monotonic() < end_s:
        base.taskMgr.step()
        time.sleep(0.005)
    assert done()


seen: dict[str, Array] = {"before": screenshot()}
lift = attach(base, endpoint=receiver.endpoint, fps=60)
step_until(lambda: len(frames) > 3)
seen["off"] = screenshot()

base.messenger.send("f9")
assert lift.overlay.view is View.ON
step_until(lambda: lift.publisher.status.results > 3)
seen["on"] = screenshot()
shown = len(frames)
step_until(lambda: len(frames) > shown + 5)
seen["captured_while_on"] = frames[-1].channels[Channel.RGB]

base.messenger.send("f9")
base.win.movePointer(0, 120, 180)
step_until(lambda: base.mouseWatcherNode.hasMouse() and base.mouseWatcherNode.getMouseX() < -0.4)
seen["wipe"] = screenshot()

answering.clear()
arrived = lift.publisher.status.results
step_until(lambda: lift.publisher.status.results == arrived)
for _ in range(5):
    base.taskMgr.step()
time.sleep(1.5)
seen["stale"] = screenshot()

base.messenger.send("f9")
assert lift.overlay.view is View.OFF
lift.close()
seen["after"] = screenshot()
time.sleep(0.3)  # the last ones sent before closing are still arriving
sent = len(frames)
for _ in range(10):
    base.taskMgr.step()
seen["frames_after_close"] = np.array(len(frames) - sent)
np.savez(sys.argv[1], **seen)
