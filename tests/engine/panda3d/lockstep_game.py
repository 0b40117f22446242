"""Somebody's own game without a window, attached in capture mode; run by test_attach.py, endpoint given.

A ball that an interval moves by one unit a second, for a second of the game's own time.
"""

import sys

from direct.interval.LerpInterval import LerpPosInterval
from direct.showbase.ShowBase import ShowBase
from panda3d.core import ClockObject, loadPrcFileData

from renderlift.bridge.wire import Mode
from renderlift.engine.panda3d import attach

loadPrcFileData("", "load-display p3headlessgl\nwindow-type offscreen\nwin-size 200 150\naudio-library-name null")
base = ShowBase()
ball = base.loader.loadModel("models/smiley")
ball.reparentTo(base.render)
LerpPosInterval(ball, 2, (1, 10, 0), (-1, 10, 0)).loop()
lift = attach(base, endpoint=sys.argv[1], mode=Mode.CAPTURE, fps=20)
for _ in range(20):
    base.taskMgr.step()
lift.close()
assert ClockObject.getGlobalClock().getMode() == ClockObject.MNormal
