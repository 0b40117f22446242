"""What a renderer goes on from, kept for it from clip to clip (docs/decisions/0010)."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from renderlift.bridge.clip import Before, Clip, Look, Render, Video, look_of, rendered
from renderlift.bridge.join import fade

Stream = tuple[str, str, str]


@dataclass(frozen=True)
class _Run:
    """What was made so far of a stream, since its last cut."""

    look: Look | None
    tail: Video  # finished pictures of the last frames, (at most `overlap`, H, W, 3)


class GoingOn:
    """A `Render` for the clips of any number of streams, each stream's in order: it fills in `Clip.before`.

    A clip that could not be rendered leaves nothing to go on from: the next one begins afresh.
    """

    def __init__(self, render: Render, *, overlap: int, fades: bool = True) -> None:
        """Args:
        overlap: frames that a clip shares with the one before, at most.
        fades: shared frames fade from the picture before to the new one, as in a film (`join.cross_fade`).
            False: they keep the picture before, which a preview has shown already (`join.fresh_only`).
        """
        self._render = render
        self._overlap = overlap
        self._fades = fades
        self._runs: dict[Stream, _Run] = {}

    def __call__(self, clip: Clip, end: Render | None = None) -> Video:
        """The pictures of a clip, (T, H, W, 3), as its renderer made them.

        Args:
            end: what renders this clip, where that is not the renderer itself: the rest of it, see `clip.begun`.

        Raises:
            RenderError: as `clip.rendered`.
        """
        run = self._runs.pop(clip.stream, None)
        before = _before(run, clip)
        clip = replace(clip, before=before)
        video = rendered(end or self._render, clip)
        if not clip.last and self._overlap:
            look = look_of(self._render, clip, video)
            self._runs[clip.stream] = _Run(look, self._finished(before, video)[-self._overlap :].copy())
        return video

    def forget_all_but(self, streams: Collection[Stream]) -> None:
        """Let go of streams that have ended without a clip that was the last."""
        for stream in [stream for stream in self._runs if stream not in streams]:
            del self._runs[stream]

    def _finished(self, before: Before | None, video: Video) -> Video:
        if before is None:
            return video
        shared = len(before.pictures)
        head = fade(before.pictures, video[:shared]) if self._fades else before.pictures
        return np.concatenate([head, video[shared:]])


def _before(run: _Run | None, clip: Clip) -> Before | None:
    if run is None or not 0 < clip.shared <= len(run.tail):
        return None
    return Before(run.tail[-clip.shared :], run.look)
