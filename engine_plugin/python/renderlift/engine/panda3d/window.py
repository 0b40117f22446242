"""Photoreal frames in the game's window: off, on, or wiped in from the mouse to the right.

They are drawn over the 3-d view and under the HUD, after the capture has read the picture, so
they never come back to the model. A badge says which frame is shown and how old it is.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np

from renderlift.bridge.send import Result
from renderlift.engine.panda3d.capture import BEFORE_THE_HUD
from renderlift.engine.panda3d.panda import GraphicsOutput, NodePath, Texture, core

STALE_AFTER_S = 1.0
BADGE_HEIGHT = 0.045  # of the window's
WHITE, AMBER = (1, 1, 1, 1), (1, 0.72, 0.2, 1)


class View(StrEnum):
    """What the window shows."""

    OFF = "off"  # the game's own picture
    ON = "on"  # the photoreal one
    WIPE = "wipe"  # the game's left of the mouse, the photoreal one right of it

    def next(self) -> "View":
        """The view that follows when the user cycles through them."""
        order = list(View)
        return order[(order.index(self) + 1) % len(order)]


class Overlay:
    """Holds the display region that shows what came back.

    Args:
        output: the game's window.
        wipe_at: where the wipe is now, 0 at the left edge to 1 at the right.
        problem: why nothing comes back, or empty; shown while there is nothing to show.
    """

    def __init__(
        self, output: GraphicsOutput, *, wipe_at: Callable[[], float], problem: Callable[[], str] = lambda: ""
    ) -> None:
        self.view = View.OFF
        self._output = output
        self._wipe_at = wipe_at
        self._problem = problem
        self._result: Result | None = None
        self._arrived_s = 0.0
        self._root: NodePath = core.NodePath("renderlift-overlay")
        self._root.setDepthTest(False)
        self._root.setDepthWrite(False)
        self._root.setBin("unsorted", 0)
        self._texture: Texture = core.Texture("renderlift-photoreal")
        self._texture.setMagfilter(core.SamplerState.FTLinear)
        self._texture.setWrapU(core.SamplerState.WMClamp)
        self._texture.setWrapV(core.SamplerState.WMClamp)
        self._picture: NodePath = self._root.attachNewNode("picture")
        self._line: NodePath = self._root.attachNewNode("line")
        self._badge = _text(self._root, core.TextNode.ALeft)
        self._before, self._after = _text(self._root, core.TextNode.ARight), _text(self._root, core.TextNode.ALeft)
        self._before.node().setText("before")
        self._after.node().setText("after")
        self._region = output.makeDisplayRegion()
        self._region.setSort(BEFORE_THE_HUD + 1)
        self._region.setCamera(_flat_camera(self._root))
        self._region.setActive(False)

    def show(self, result: Result) -> None:
        """Show a picture that came back."""
        height, width = result.picture.shape[:2]
        if (self._texture.getYSize(), self._texture.getXSize()) != (height, width):
            srgb = self._output.getFbProperties().getSrgbColor()
            kind = core.Texture.FSrgb if srgb else core.Texture.FRgb
            self._texture.setup2dTexture(width, height, core.Texture.TUnsignedByte, kind)
        self._texture.setRamImage(np.ascontiguousarray(result.picture[::-1, :, ::-1]).tobytes())
        self._result = result
        self._arrived_s = time.monotonic()

    def update(self) -> None:
        """Bring wipe and badge to now; once per frame."""
        self._region.setActive(self.view is not View.OFF)
        if self.view is View.OFF:
            return
        wipe = min(max(self._wipe_at(), 0.0), 1.0) if self.view is View.WIPE else 0.0
        self._place(wipe)
        text, color = self._badge_text()
        if self._badge.node().getText() != text:
            self._badge.node().setText(text)
            self._badge.node().setTextColor(*color)

    def close(self) -> None:
        """Give the window back to the game."""
        self._output.removeDisplayRegion(self._region)
        self._root.removeNode()

    def _place(self, wipe: float) -> None:
        """Lay everything out, the line of the wipe at this share of the width."""
        self._picture.node().removeAllChildren()
        self._line.node().removeAllChildren()
        if self._result is not None:
            self._picture.attachNewNode(_card(wipe, 1.0)).setTexture(self._texture)
        for label in (self._before, self._after):
            label.hide()
        if self.view is View.WIPE:
            half = 1.0 / self._output.getXSize()
            self._line.attachNewNode(_card(wipe - half, wipe + half))
            self._before.show()
            self._after.show()
        size = 2 * BADGE_HEIGHT
        letter = size * self._output.getYSize() / self._output.getXSize()
        self._badge.setPos(0.7 * letter - 1, 0, 1 - 1.3 * size)
        self._before.setPos(2 * wipe - 1 - 0.6 * letter, 0, 0.7 * size - 1)
        self._after.setPos(2 * wipe - 1 + 0.6 * letter, 0, 0.7 * size - 1)
        for label in (self._badge, self._before, self._after):
            label.setScale(letter, 1, size)

    def _badge_text(self) -> tuple[str, tuple[float, ...]]:
        if self._result is None:
            return self._problem() or "waiting for the first photoreal frame", AMBER
        age_s = time.monotonic() - self._arrived_s
        text = f"photoreal  frame {self._result.index}  {self._result.latency_ms:.0f} ms"
        if age_s < STALE_AFTER_S:
            return text, WHITE
        return f"{text}  stale for {age_s:.0f} s", AMBER


def _card(left: float, right: float) -> Any:
    """A card of the window's full height between two shares of its width, with the picture's part there."""
    card = core.CardMaker("card")
    card.setFrame(2 * left - 1, 2 * right - 1, -1, 1)
    card.setUvRange(core.LPoint2f(left, 0), core.LPoint2f(right, 1))
    return card.generate()


def _text(root: NodePath, align: Any) -> NodePath:
    node = core.TextNode("label")
    node.setAlign(align)
    node.setTextColor(*WHITE)
    node.setCardColor(0, 0, 0, 0.6)
    node.setCardAsMargin(0.35, 0.35, 0.2, 0.1)
    node.setCardDecal(True)
    return root.attachNewNode(node)


def _flat_camera(root: NodePath) -> NodePath:
    lens = core.OrthographicLens()
    lens.setFilmSize(2, 2)
    lens.setNearFar(-10, 10)
    return root.attachNewNode(core.Camera("renderlift-overlay", lens))
