"""A clip's channels as the pictures that a base reads: one mapping for training and for rendering.

A base knows colours only, so every buffer becomes an sRGB-like picture. All references of a call
share their positions, and nothing but their looks tells them apart; that is why each has a look
that the others do not have.
"""

from collections.abc import Container, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Video
from renderlift.bridge.errors import ChannelError, SetupError
from renderlift.bridge.frame import Array, Channel
from renderlift.model.control import nearness
from renderlift.model.drawn_edges import EDGE_CHANNELS, drawn_edges
from renderlift.model.frame_by_frame import each_frame

# What an adapter may be shown, and the channels that each picture is made of. "photo" is for adapters that go
# from a photo to a buffer: in training the truth, in use the picture that comes in. "geometry" is depth and
# normals in one picture, for half the tokens of both. "edge" makes do with rgb where the others lack.
CHANNELS_OF = {
    "rgb": (Channel.RGB,),
    "photo": (Channel.RGB,),
    "depth": (Channel.DEPTH,),
    "normal": (Channel.NORMAL,),
    "geometry": (Channel.NORMAL, Channel.DEPTH),
    "albedo": (Channel.ALBEDO,),
    "material": (Channel.MATERIAL,),
    "edge": EDGE_CHANNELS,
}
PHOTO, EDGE = "photo", "edge"


def can_show(name: str, channels: Container[Channel]) -> bool:
    """Whether these channels are enough for the picture `name`."""
    return all(channel in channels for channel in (CHANNELS_OF[name] if name != EDGE else [Channel.RGB]))


def check_names(names: Sequence[str], *, what: str) -> None:
    """Refuse names that are not in `CHANNELS_OF`, or the same one twice.

    Raises:
        SetupError: says which there are.
    """
    unknown = [name for name in names if name not in CHANNELS_OF]
    if unknown or len(set(names)) != len(names):
        raise SetupError(
            f"{what}: {', '.join(unknown) or 'a name stands there twice'}",
            fix=f"Use each of these at most once: {', '.join(CHANNELS_OF)}.",
        )


def reference_videos(
    names: Sequence[str], channels: Mapping[Channel, Array], size: tuple[int, int] | None = None
) -> list[Video]:
    """Those of the named references that a clip has, each a `picture`, in the order of `names`.

    Args:
        names: of `CHANNELS_OF`, as an adapter's metadata lists them.
        channels: of the clip, (T, H, W, C).
        size: (height, width) that they will be shown at.

    Raises:
        ChannelError: the clip has none of them; the base would paint it from nothing.
    """
    found = [picture(name, channels, size) for name in names if can_show(name, channels)]
    if names and not found:
        raise ChannelError(
            f"the adapter reads {', '.join(names)}, and the recording has {', '.join(sorted(channels))}",
            fix="Capture one of those channels, or use another adapter.",
        )
    return found


def picture(name: str, channels: Mapping[Channel, Array], size: tuple[int, int] | None = None) -> Video:
    """One reference as (T, H, W, 3) uint8.

    Args:
        size: (height, width) that it will be shown at. Edges are drawn at it: lines that are scaled would be grey.
    """
    wanted = {channel: channels[channel] for channel in CHANNELS_OF[name] if channel in channels}
    first = wanted[CHANNELS_OF[name][0]]
    frames = len(first)
    if name == EDGE:
        height, width = size or first.shape[1:3]
        return each_frame(lambda t: _edges({c: wanted[c][t] for c in wanted}, height, width), frames)
    if Channel.RGB in wanted:
        return first
    return each_frame(lambda t: _frame(name, {channel: wanted[channel][t] for channel in wanted}), frames)


def _frame(name: str, channels: Mapping[Channel, Array]) -> NDArray[np.uint8]:
    """The same of one frame, (H, W, C) to (H, W, 3)."""
    values = channels[CHANNELS_OF[name][0]]
    match name:
        case "depth":
            return np.repeat(_bytes(_nearness(channels)), 3, axis=-1)
        case "normal":
            return _bytes(_normal_colours(values))
        case "geometry":
            # A normal faces the camera, so x and y say all of it; blue is free for nearness.
            return _bytes(np.concatenate([_normal_colours(values)[..., :2], _nearness(channels)], axis=-1))
        case "albedo":
            # The square root spreads dark linear colours as sRGB would.
            return _bytes(np.sqrt(values.astype(np.float32) / 255))
        case _:
            # Roughness red, metallic green, and a blue that no other reference has everywhere.
            return np.concatenate([values, np.full_like(values[..., :1], 255)], axis=-1)


def _edges(channels: Mapping[Channel, Array], height: int, width: int) -> NDArray[np.uint8]:
    """White on black, as the control `edge`."""
    return _bytes(np.repeat(drawn_edges(channels, height, width)[..., None], 3, axis=-1).astype(np.float32))


def _normal_colours(normal: Array) -> NDArray[np.float32]:
    """x right, y up, z to the camera: the colours in which normal maps are usually shown."""
    shown = ((normal.astype(np.float32) + 1) / 2).astype(np.float32)
    shown[..., 1:] = 1 - shown[..., 1:]
    return shown


def _nearness(channels: Mapping[Channel, Array]) -> NDArray[np.float32]:
    return nearness(channels[Channel.DEPTH].astype(np.float32))


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
