"""What a training shows and wants painted, as pictures: references and targets, and the controls of VACE."""

from collections.abc import Container

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.frame import Channel
from renderlift.model import references
from renderlift.model.bases import controls
from renderlift.model.bases.wan_vace import shown_control
from renderlift.model.control import resize
from renderlift.model.training.recipe import CONTROL


def channels_of(name: str) -> tuple[Channel, ...]:
    """The channels that the picture `name` is made from."""
    if name.startswith(CONTROL):
        return controls.CHANNELS_OF[name.removeprefix(CONTROL)]
    return references.CHANNELS_OF[name]


def can_show(name: str, channels: Container[Channel]) -> bool:
    """Whether these channels are enough for the picture `name`."""
    if name.startswith(CONTROL):
        return controls.can_make(name.removeprefix(CONTROL), channels)
    return references.can_show(name, channels)


def picture(name: str, clip: Clip, height: int, width: int) -> Video:
    """The picture `name` of a clip, (T, height, width, 3) uint8, as a renderer would show it."""
    # Made at its size, as when rendering: lines that are drawn and then scaled would be grey.
    if name.startswith(CONTROL):
        return shown_control(name.removeprefix(CONTROL), clip, height, width)
    return resize(references.picture(name, clip.channels, (height, width)), height, width)
