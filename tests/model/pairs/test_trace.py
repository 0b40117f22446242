from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from renderlift.bridge.clip import Clip, stack
from renderlift.bridge.errors import RenderError
from renderlift.bridge.frame import Channel
from renderlift.model.following import follow_on
from renderlift.model.pairs.trace import traces_to

MakeSliding = Callable[[int], Clip]
SPEED_PX = 3


def at(clip: Clip, t: int) -> dict[Channel, np.ndarray]:
    return {channel: array[t] for channel, array in clip.channels.items()}


@pytest.mark.parametrize("anchor", [0, 2, 4])
def test_points_are_found_where_the_flow_says_before_and_after_the_anchor(
    sliding: MakeSliding, anchor: int
) -> None:
    clip = sliding(5)
    wall = clip.channels[Channel.INSTANCE_ID][..., 0] == 1
    for t, trace in enumerate(traces_to(clip, anchor)):
        x = np.broadcast_to(np.arange(clip.width), trace.x.shape)
        seen = trace.seen & wall[t]
        assert seen.mean() > 0.5
        np.testing.assert_allclose(trace.x[seen], x[seen] + SPEED_PX * (t - anchor), atol=1e-3)
        board = trace.seen & ~wall[t]
        np.testing.assert_allclose(trace.x[board], x[board], atol=1e-3)


@pytest.mark.parametrize("anchor", [0, 4])
def test_pictures_fetched_along_a_trace_lie_on_the_frame(sliding: MakeSliding, anchor: int) -> None:
    clip = sliding(5)
    rgb = clip.channels[Channel.RGB]
    for t, trace in enumerate(traces_to(clip, anchor)):
        error = np.abs(trace.fetch(rgb[anchor].astype(np.float32)) - rgb[t])[trace.seen]
        assert np.percentile(error, 99) < 2, t


def test_what_was_hidden_or_outside_is_not_seen(sliding: MakeSliding) -> None:
    clip = sliding(5)
    last = traces_to(clip, 0)[4]
    assert not last.seen[:, -4 * SPEED_PX :].any(), "it has come in from the right"
    behind = last.seen[30, 50 - 12 - 4 * SPEED_PX + 1 : 50 - 12]
    assert not behind.any(), "it has come out from behind the board"


def test_the_way_forward_is_the_way_back_reversed(sliding: MakeSliding) -> None:
    clip = sliding(2)
    trace = follow_on(at(clip, 0), at(clip, 1))
    assert (trace.x[2:-2, 20:30] - np.arange(20, 30) == -SPEED_PX).all()
    assert not trace.seen[:, : SPEED_PX - 1].any()


def test_the_sky_is_followed_too(sliding: MakeSliding) -> None:
    frames = []
    for frame in sliding(3).frames:
        depth = frame.channels[Channel.DEPTH].copy()
        depth[:10] = np.inf
        frames.append(replace(frame, channels={**frame.channels, Channel.DEPTH: depth}))
    assert traces_to(stack(frames), 0)[2].seen[:10, : 112 - 2 * SPEED_PX].all()


def test_without_flow_there_is_no_way(sliding: MakeSliding) -> None:
    frames = [
        replace(frame, channels={c: a for c, a in frame.channels.items() if c is not Channel.FLOW})
        for frame in sliding(3).frames
    ]
    with pytest.raises(RenderError, match=r"(?s)no flow.*Record"):
        traces_to(stack(frames), 0)
