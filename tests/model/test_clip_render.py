"""What surrounds the painting of a clip, which a window painted by hand shows best."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from renderlift.bridge.clip import Before, Clip, Video, stack
from renderlift.bridge.frame import Channel, IdName
from renderlift.model.bases.facts import EMBEDDED, LTX2, BaseFacts
from renderlift.model.clip_render import clip_render
from renderlift.model.regions import Regions

MakeClip = Callable[..., Clip]


def brighter(clip: Clip, known: Mapping[int, np.ndarray]) -> Video:
    noise = np.random.default_rng(clip.frames[0].index).integers(0, 40, clip.channels[Channel.RGB].shape)
    return (clip.channels[Channel.RGB] // 2 + noise).astype(np.uint8)


def rendering(facts: BaseFacts = EMBEDDED, *, begins: bool = True, keep: Mapping[str, float] | None = None) -> Any:
    return clip_render(
        brighter,
        facts,
        window=facts.window,
        packed_frames=4,
        anchors={},
        regions=Regions(keep or {}),
        steady=0.6,
        if_it_can=True,
        begin_window=(lambda clip: brighter) if begins else None,
        remedies=["tiles"],
    )


@pytest.mark.parametrize("keep", [None, {"Wall": 0.5}])
def test_a_clip_that_was_begun_without_the_pictures_before_it_ends_as_if_it_had_known_them(
    make_clip: MakeClip, keep: Mapping[str, float] | None
) -> None:
    names = (IdName(1, "wall", "Wall", "wall"),)
    frames = [replace(frame, names=names) for frame in make_clip(7, 64, 112).frames]
    later = stack(frames[2:], shared=2)
    before = Before(np.clip(later.channels[Channel.RGB][:2].astype(int) + 20, 0, 255).astype(np.uint8))
    known, render = replace(later, before=before), rendering(keep=keep)
    end = render.begin(later)
    assert np.array_equal(end(known), render(known))
    assert not np.array_equal(end(later), render(known))


def test_a_base_that_goes_on_from_the_pictures_before_it_cannot_begin_without_them() -> None:
    assert not hasattr(rendering(LTX2), "begin")


@pytest.mark.parametrize("facts", [LTX2, replace(EMBEDDED, window=9)], ids=["ltx2", "windows"])
def test_it_and_windows_that_are_held_to_the_colours_before_them_are_made_ready_instead(
    facts: BaseFacts, make_clip: MakeClip
) -> None:
    render, clip = rendering(facts), make_clip(4, 64, 112)
    assert not hasattr(render, "begin")
    assert np.array_equal(render.prepare(clip)(clip), render(clip))


def test_a_clip_is_not_begun_where_painting_and_the_rest_share_the_processor() -> None:
    for facts in (EMBEDDED, LTX2):
        render = rendering(facts, begins=False)
        assert not hasattr(render, "begin") and not hasattr(render, "prepare")
