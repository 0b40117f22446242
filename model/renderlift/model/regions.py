"""Leave things as the engine drew them: text, screens, a HUD, faces, by the engine's own ids.

A mask from ids is exact and free; no model has to be trusted to keep letters legible.
"""

import logging
from collections.abc import Iterable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.errors import ChannelError
from renderlift.bridge.frame import Array, Channel, IdName

_log = logging.getLogger(__name__)
FEATHER_PIXELS = 1.5  # of the border between kept and painted


class Regions:
    """What a render is to leave as the engine drew it.

    Where a recording begins, its id table must know all of the names. Later some may be gone or still to come, and
    a job of hours does not end over it, nor one that goes on after it was killed.
    """

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._shares = shares
        self._missed: set[str] = set()  # names that it was said of

    def __call__(self, clip: Clip) -> NDArray[np.float32] | None:
        """As `region_mask`; None where nothing is to be kept."""
        if not self._shares:
            return None
        begins = clip.frames[0].index == 0
        for name in set(unknown_names(clip, self._shares)) - self._missed if not begins else ():
            self._missed.add(name)
            _log.warning("nothing is called %r in frame %d and those after it", name, clip.frames[0].index)
        return region_mask(clip, self._shares, may_lack=() if begins else self._shares)


def unknown_names(clip: Clip, names: Iterable[str]) -> list[str]:
    """Those that the clip's id tables lack."""
    found = _ids_by_name(clip, names, frozenset(names))
    return [name for name, ids in found.items() if not ids]


def kept(clip: Clip, video: Video, masks: NDArray[np.float32], *, first: int = 0) -> Video:
    """The rendered pictures with the engine's own laid over them.

    Args:
        video: (T, H, W, 3), of the clip's size.
        masks: (T, H, W), how much of the engine's picture, 0..1.
        first: place of the first frame to do; those before it are done already.
    """
    done = video.copy()
    for t in range(first, len(clip)):
        engine, picture = clip.channels[Channel.RGB][t].astype(np.float32), video[t]
        done[t] = np.rint(picture + feathered(masks[t])[..., None] * (engine - picture)).astype(np.uint8)
    return done


def feathered(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) with soft borders; where the mask is whole it stays whole: letters are thin."""
    return np.maximum(cv2.GaussianBlur(mask, (0, 0), FEATHER_PIXELS), mask)


def region_mask(clip: Clip, shares: Mapping[str, float], *, may_lack: Iterable[str] = ()) -> NDArray[np.float32]:
    """(T, H, W), the largest share of those that hold at each pixel.

    Args:
        shares: how much of the engine's picture, 0..1, by name of a class, or of an instance or its path.
        may_lack: names that the clip's id tables need not know.

    Raises:
        ChannelError: the id tables lack another of the names, or the recording has no ids.
    """
    ids = _ids_by_name(clip, shares, frozenset(may_lack))
    mask = np.zeros((len(clip), clip.height, clip.width), np.float32)
    for name, share in shares.items():
        for channel, numbers in ids[name]:
            found = np.isin(clip.channels[channel][..., 0], numbers)
            mask = np.where(found, np.maximum(mask, np.float32(share)), mask)
    return mask


def _ids_by_name(
    clip: Clip, names: Iterable[str], may_lack: frozenset[str]
) -> dict[str, list[tuple[Channel, Array]]]:
    """Where each name is found: instances by their row, classes by the row without a path."""
    table = list(dict.fromkeys(row for names in _tables(clip) for row in names))
    found: dict[str, list[tuple[Channel, Array]]] = {}
    for name in names:
        instances = [row.id for row in table if row.path and name in (row.name, row.path, row.class_name)]
        classes = [row.id for row in table if not row.path and name in (row.name, row.class_name)]
        candidates = ((Channel.INSTANCE_ID, instances), (Channel.CLASS_ID, classes))
        found[name] = [
            (channel, np.array(numbers, np.uint32))
            for channel, numbers in candidates
            if numbers and channel in clip.channels
        ]
        if not found[name] and name not in may_lack:
            raise ChannelError(_unknown(clip, name), fix=_fix(clip))
    return found


def _tables(clip: Clip) -> Iterable[tuple[IdName, ...]]:
    """The id tables of a clip: mostly one, which its frames have in common."""
    return {id(frame.names): frame.names for frame in clip.frames}.values()


def _unknown(clip: Clip, name: str) -> str:
    if Channel.INSTANCE_ID not in clip.channels and Channel.CLASS_ID not in clip.channels:
        return f"{name!r} cannot be kept: the recording has no ids"
    return f"{name!r} cannot be kept: nothing of that name is in the engine's id table"


def _fix(clip: Clip) -> str:
    known = sorted({row.class_name for names in _tables(clip) for row in names if row.class_name})
    return f"Its classes: {', '.join(known[:20])}." if known else "Capture instance_id or class_id as well."
