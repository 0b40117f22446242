"""From a function that paints windows to a `Render`: joined, steadied, with what is to be kept laid over it.

It comes with what the bridge asks a renderer for (CONTRIBUTING.md, "Extending").
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from renderlift.bridge.clip import Clip, Look, Render, Video, stack
from renderlift.bridge.frame import Channel
from renderlift.model.bases.facts import BaseFacts
from renderlift.model.bases.settings import Picture
from renderlift.model.colour import look_of
from renderlift.model.continuity import BeginWindow, Continuous, RenderWindow, continuous, windows
from renderlift.model.regions import Regions, feathered, kept
from renderlift.model.steady import can_steady, finished_before, steadied


def clip_render(
    render_window: RenderWindow,
    facts: BaseFacts,
    *,
    window: int,
    packed_frames: int,
    anchors: Mapping[int, Picture],
    regions: Regions,
    steady: float,
    if_it_can: bool,
    begin_window: BeginWindow | None,
    remedies: Sequence[str],
) -> Render:
    """A render of clips of any length.

    Args:
        window: frames that `render_window` takes at once, at most; 0 = any number.
        packed_frames: that make one latent of a video, after its first frame.
        steady: as in `steady.steadied`; 0 = not at all.
        if_it_can: leave a clip that tells of no surfaces unsteadied, rather than refuse it.
        begin_window: as in `continuity.continuous`. With it, a clip can be painted while the one before is
            steadied, where the base allows it, or else made ready while that one is painted.
        remedies: those in force, see `renderlift.bridge.remedied`; it may grow.
    """
    overlap = min(facts.overlap, window // 2)
    render = continuous(
        render_window,
        window=window,
        overlap=overlap,
        takes_before=facts.takes_before,
        anchors=anchors,
        kept=regions,
        begin_window=begin_window,
    )

    def begin(clip: Clip, first: RenderWindow | None = None) -> Render:
        masks = regions(clip)  # before anything is painted: a name may be wrong
        steadies = bool(steady) and (can_steady(clip) or not if_it_can)
        alone = steadies and not facts.takes_before
        video = _fresh_alone(render, clip) if alone else render(clip, first)

        def end(clip: Clip) -> Video:
            if not steadies:
                return video if masks is None else kept(clip, video, masks)
            known = finished_before(clip)
            painted = None if masks is None or not len(known) else 1 - feathered(masks[len(known) - 1])
            done = steadied(clip, video, steady, painted=painted)
            return done if masks is None else kept(clip, done, masks, first=len(known))

        return end

    def whole(clip: Clip, first: RenderWindow | None = None) -> Video:
        return begin(clip, first)(clip)

    def look(clip: Clip, video: Video) -> Look | None:
        held_to = clip.before.look if clip.before else None
        if held_to and not any(frame.index in anchors for frame in clip.frames):
            return held_to
        found = look_of(clip.channels[Channel.RGB], video, kept=regions(clip))
        return (*found.gain.tolist(), *found.offset.tolist()) if found else held_to

    told: dict[str, object] = {"remedies": remedies, "anchors": frozenset(anchors)}
    if window:
        told |= {"clip_size": (window, overlap), "look": look}
    if facts.takes_before:
        told["preview_size"] = 1 + packed_frames, 1
    elif steady:
        told["preview_size"] = 2, 1
    if begin_window and (window or facts.takes_before):
        told["prepare"] = partial(_prepared, whole, begin_window, window, overlap)
    elif begin_window:  # windows are held to the colours that the clips before had
        told["begin"] = begin
    for name, value in told.items():
        setattr(whole, name, value)
    return whole


def _prepared(whole: Continuous, begin_window: BeginWindow, window: int, overlap: int, clip: Clip) -> Render:
    return partial(whole, first=begin_window(next(windows(clip, window, overlap))))


def _fresh_alone(render: Render, clip: Clip) -> Video:
    """Render a preview's one fresh frame by itself, beside the finished picture: two are twice the latents."""
    known = finished_before(clip)
    if not len(known) == len(clip) - 1 == 1:
        return render(clip)
    return np.concatenate([known, render(stack(clip.frames[1:], last=clip.last))])
