"""Control videos for bases that read one: edges, blur, depth, segmentation, all from the engine's own buffers.

An estimator's guess is never needed, and the pictures are absolute (no scaling by what a clip happens to
hold), so the same surface looks the same in every window.
"""

import math
from collections.abc import Container, Mapping
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.errors import ChannelError, SetupError
from renderlift.bridge.frame import Array, Channel
from renderlift.model.bases.facts import BaseFacts
from renderlift.model.bases.settings import Picture
from renderlift.model.control import nearness, resize, resize_frame
from renderlift.model.drawn_edges import EDGE_CHANNELS, drawn_edges, nearest
from renderlift.model.frame_by_frame import each_frame

# What each is made from: of several channels, whatever is there.
CHANNELS_OF = {
    "edge": EDGE_CHANNELS,
    "depth": (Channel.DEPTH,),
    "seg": (Channel.CLASS_ID, Channel.INSTANCE_ID),
    "blur": (Channel.RGB,),
    "rgb": (Channel.RGB,),
}
USUAL = "edge"  # where neither user nor adapter says which
COUNTED = 1 << 16  # ids


def controls_of(text: str) -> dict[str, float]:
    """Controls with their weights: "edge", or "edge=0.7,depth=0.3".

    Weights that sum to more than 1 are scaled to 1, as Cosmos-Transfer's publishers do.

    Raises:
        SetupError: one is none of `CONTROLS`, or stands there twice, or its weight is not in 0..1.
    """
    found: dict[str, float] = {}
    for word in text.split(","):
        name, _, weight = (part.strip() for part in word.partition("="))
        check_control(name)
        try:
            found[name] = float(weight or 1) if name not in found else math.nan
        except ValueError:
            found[name] = math.nan
        if not 0 <= found[name] <= 1:
            raise SetupError(
                f"the control {word!r} cannot be",
                fix='Name each once, with a weight from 0 to 1: "edge=0.7,depth=0.3".',
            )
    over = max(1.0, sum(found.values()))
    return {name: weight / over for name, weight in found.items()}


def one_control(controls: Mapping[str, float], facts: BaseFacts) -> tuple[str, float]:
    """The name and the weight of the control of a base that takes one.

    Raises:
        SetupError: there are several.
    """
    if len(controls) != 1:
        raise SetupError(
            f"{facts.title} takes one control, not {' and '.join(controls)}", fix="Name one, such as edge or depth."
        )
    return next(iter(controls.items()))


def check_control(name: str) -> None:
    """Refuse what is none of `CONTROLS`.

    Raises:
        SetupError: it is none.
    """
    if name not in CONTROLS:
        raise SetupError(f"there is no control {name!r}", fix=f"Use one of {', '.join(CONTROLS)}.")


def can_make(name: str, channels: Container[Channel]) -> bool:
    """Whether these channels are enough for the control `name`."""
    return any(channel in channels for channel in CHANNELS_OF[name])


def control_video(name: str, clip: Clip, height: int, width: int) -> Video:
    """One of `CONTROLS` as (T, height, width, 3) uint8.

    Raises:
        ChannelError: the clip lacks what it is made from.
        SetupError: there is no such control.
    """
    check_control(name)
    if name == "rgb":
        return resize(clip.channels[Channel.RGB], height, width)
    if not can_make(name, clip.channels):
        lacking = CHANNELS_OF[name][0]
        raise ChannelError(
            f"the control {name!r} is made from the channel {lacking}, which this recording lacks",
            fix=f"Capture {lacking} as well, or use the control edge, which makes do with the picture.",
        )
    there = {channel: clip.channels[channel] for channel in CHANNELS_OF[name] if channel in clip.channels}
    return each_frame(
        lambda t: _frame(name, {channel: there[channel][t] for channel in there}, height, width), len(clip)
    )


def _frame(name: str, channels: Mapping[Channel, Array], height: int, width: int) -> Picture:
    """A control of one frame, of channels (H, W, C), as (height, width, 3)."""
    match name:
        case "blur":
            rgb = resize_frame(channels[Channel.RGB], height, width)
            # Colours without detail: what stays when 1/20 of the side is blurred away.
            return np.asarray(cv2.GaussianBlur(rgb, (0, 0), height / 20), np.uint8)
        case "depth":
            depth_m = channels[Channel.DEPTH]
            how = cv2.INTER_AREA if height < depth_m.shape[0] else cv2.INTER_LINEAR
            return _grey(cv2.resize(nearness(depth_m), (width, height), interpolation=how))
        case "seg":
            ids = next(channels[channel] for channel in CHANNELS_OF["seg"] if channel in channels)
            return _coloured(nearest(ids, height, width))
        case _:
            return _grey(drawn_edges(channels, height, width))


def _coloured(ids: Array) -> Picture:
    """A colour for each id, the same in every frame: the golden angle around the hues, by the id's bits."""
    if ids.max() < COUNTED:  # finding out which there are would take longer than all else
        return _few()[ids[..., 0]]
    unique, place = np.unique(ids, return_inverse=True)
    return _palette(unique)[place.reshape(ids.shape[:2])]


@cache
def _few() -> NDArray[np.uint8]:
    return _palette(np.arange(COUNTED))


def _palette(ids: Array) -> NDArray[np.uint8]:
    """(N, 3): the colours of ids, whatever others are beside them."""
    hue = (ids.astype(np.float64) * 0.618033988749895 % 1 * 180).astype(np.uint8)
    value = (255 - ids % 4 * 40).astype(np.uint8)
    hsv = np.stack([hue, np.full_like(hue, 200), value], axis=-1)
    # OpenCV rounds the last few of a row in another way.
    padded = np.pad(hsv, ((0, 64), (0, 0)))[None]
    palette = cv2.cvtColor(np.ascontiguousarray(padded), cv2.COLOR_HSV2RGB)[0, : len(ids)]
    palette[ids == 0] = 0
    return np.asarray(palette, np.uint8)


def _grey(values: Array) -> Picture:
    """(H, W), 0..1, to three equal channels."""
    return np.repeat(np.rint(values.clip(0, 1) * 255).astype(np.uint8)[..., None], 3, axis=-1)
