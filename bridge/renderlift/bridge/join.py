"""What makes one seamless video of renderings that overlap.

Two renderings of the same frame never agree exactly, so a hard cut between clips shows.
Over the frames that two clips share, the first fades into the second.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.clip import Clip, Sink, Video
from renderlift.bridge.frame import Frame

FrameSink = Callable[[Frame, NDArray[np.uint8]], None]  # a frame and its finished picture (H, W, 3)


def fade(before: Video, after: Video) -> Video:
    """Two renderings (S, H, W, 3) of the same frames, blended from the first to the second.

    Integer arithmetic, so it is the same on every machine, and equal renderings stay as they are.
    """
    count = len(before)
    blended = np.empty_like(after)
    for i in range(count):  # frame by frame, or the 32-bit copies would be the largest thing in memory
        mix = before[i].astype(np.uint32) * (count - i) + after[i].astype(np.uint32) * (i + 1)
        blended[i] = (mix + (count + 1) // 2) // (count + 1)
    return blended


def join_clip(tail: Video | None, clip: Clip, video: Video, *, overlap: int) -> tuple[Video, Video]:
    """Join the rendering of one clip to what came before it.

    Args:
        tail: pictures held back from the clip before; None where `clip` begins a run.
        video: (T, H, W, 3), the rendering of `clip`.
        overlap: how many frames the clips of this stream share.

    Returns:
        The finished pictures of the first frames of `clip`, and those of its last frames,
        held back until the next clip has come: none where `clip` is the last.
    """
    if clip.shared:
        if tail is None or len(tail) != clip.shared:
            kept = 0 if tail is None else len(tail)
            raise ValueError(f"the clip shares {clip.shared} frames with the one before, of which {kept} were kept")
        video = np.concatenate([fade(tail, video[: clip.shared]), video[clip.shared :]])
    finished = len(video) if clip.last else len(video) - overlap
    return video[:finished], video[finished:].copy()


def cross_fade(sink: FrameSink, *, overlap: int) -> Sink:
    """A sink for clips that passes each frame of each stream to `sink` once, finished and in order.

    Holds back the last `overlap` pictures of a stream until its next clip has come, so
    cut the clips with `live=False`, which marks the last clip of each run.
    """
    tails: dict[tuple[str, str, str], Video] = {}

    def join(clip: Clip, video: Video) -> None:
        pictures, tail = join_clip(tails.pop(clip.stream, None), clip, video, overlap=overlap)
        if len(tail):
            tails[clip.stream] = tail
        _pass(sink, clip.frames, pictures)

    return join


def fresh_only(sink: FrameSink) -> Sink:
    """A sink for clips that never holds anything back: shared frames were shown already.

    For a preview, where the latest frame matters more than the seam.
    """

    def show(clip: Clip, video: Video) -> None:
        _pass(sink, clip.frames[clip.shared :], video[clip.shared :])

    return show


def _pass(sink: FrameSink, frames: Sequence[Frame], pictures: Video) -> None:
    for frame, picture in zip(frames, pictures, strict=False):  # the held-back frames have no picture yet
        sink(frame, picture)
