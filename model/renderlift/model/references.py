"""A clip's channels as the pictures that a base reads: one mapping for training and for rendering.

A base knows colours only, so every buffer becomes an sRGB-like picture. All references of a call
share their positions, and nothing but their looks tells them apart; that is why each has a look
that the others do not have.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Video
from renderlift.bridge.errors import ChannelError, SetupError
from renderlift.bridge.frame import Array, Channel
from renderlift.model.control import nearness

# What an adapter may be shown. "photo" is for adapters that go from a photo to a buffer: in training the
# truth, in use the picture that comes in.
CHANNEL_OF = {
    "rgb": Channel.RGB,
    "photo": Channel.RGB,
    "depth": Channel.DEPTH,
    "normal": Channel.NORMAL,
    "albedo": Channel.ALBEDO,
    "material": Channel.MATERIAL,
}
PHOTO = "photo"


def check_names(names: Sequence[str], *, what: str) -> None:
    """Refuse names that are not in `CHANNEL_OF`, or the same one twice.

    Raises:
        SetupError: says which there are.
    """
    unknown = [name for name in names if name not in CHANNEL_OF]
    if unknown or len(set(names)) != len(names):
        raise SetupError(
            f"{what}: {', '.join(unknown) or 'a name stands there twice'}",
            fix=f"Use each of these at most once: {', '.join(CHANNEL_OF)}.",
        )


def reference_videos(names: Sequence[str], channels: Mapping[Channel, Array]) -> list[Video]:
    """Those of the named references that a clip has, each (T, H, W, 3) uint8, in the order of `names`.

    Args:
        names: of `CHANNEL_OF`, as an adapter's metadata lists them.
        channels: of the clip, (T, H, W, C).

    Raises:
        ChannelError: the clip has none of them; the base would paint it from nothing.
    """
    found = [picture(name, channels) for name in names if CHANNEL_OF[name] in channels]
    if names and not found:
        raise ChannelError(
            f"the adapter reads {', '.join(names)}, and the recording has {', '.join(sorted(channels))}",
            fix="Capture one of those channels, or use another adapter.",
        )
    return found


def picture(name: str, channels: Mapping[Channel, Array]) -> Video:
    """One reference as (T, H, W, 3) uint8."""
    values = channels[CHANNEL_OF[name]]
    match CHANNEL_OF[name]:
        case Channel.DEPTH:
            return _grey(nearness(values.astype(np.float32)))
        case Channel.NORMAL:
            # x right, y up, z to the camera: the colours in which normal maps are usually shown.
            shown = ((values.astype(np.float32) + 1) / 2).astype(np.float32)
            shown[..., 1:] = 1 - shown[..., 1:]
            return _bytes(shown)
        case Channel.ALBEDO:
            # The square root spreads dark linear colours as sRGB would.
            return _bytes(np.sqrt(values.astype(np.float32) / 255))
        case Channel.MATERIAL:
            # Roughness red, metallic green, and a blue that no other reference has everywhere.
            return np.concatenate([values, np.full_like(values[..., :1], 255)], axis=-1)
        case _:
            return values


def _grey(values: NDArray[np.float32]) -> Video:
    return np.repeat(_bytes(values), 3, axis=-1)


def _bytes(values: NDArray[np.float32]) -> Video:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
