"""Live previews by a large base: as the bridge serves them, over a real socket."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from itertools import pairwise

import numpy as np
import pytest

from renderlift.bridge.clip import Clip, Render, Video, clip_size, preview_size
from renderlift.bridge.events import Events
from renderlift.bridge.frame import CameraPose, Frame
from renderlift.bridge.receive import Receiver
from renderlift.bridge.send import Publisher
from renderlift.bridge.serve import Service, serve
from renderlift.bridge.wire import Mode
from renderlift.model.render import load

Shot = Callable[..., Clip]
CLIPS = 6  # of the preview, before it ends


@pytest.mark.parametrize(
    ("base", "previews", "captures"),
    [
        # This LTX-2 packs 4 frames into a latent; the published ones pack 8, for previews of 9.
        ("ltx2", (5, 1), (121, 9)),
        ("wan", (5, 1), (81, 5)),
        ("wan_vace", (5, 1), (81, 5)),
        ("cosmos", (5, 1), (93, 5)),
    ],
)
def test_a_preview_is_one_latent_that_goes_on_from_the_last_picture(
    request: pytest.FixtureRequest, base: str, previews: tuple[int, int], captures: tuple[int, int]
) -> None:
    render = load(base=str(request.getfixturevalue(base)), steps=1, device="cpu", dtype="float32")
    assert preview_size(render, None) == previews
    assert clip_size(render, None, None) == captures


@pytest.mark.parametrize("base", ["ltx2", "wan_vace"])
def test_a_steady_preview_shows_fresh_pictures_only_and_goes_on_over_frames_it_left_out(
    request: pytest.FixtureRequest, base: str, shot: Shot
) -> None:
    lift = load(base=str(request.getfixturevalue(base)), steps=1, guidance=1.0, device="cpu", dtype="float32")
    length, carried = preview_size(lift, None)
    clips: list[Clip] = []

    def render(clip: Clip) -> Video:
        clips.append(clip)
        return lift(clip)

    pictures = preview(render, Service(preview_length=length, preview_carried=carried, once=True), shot(600), clips)

    fresh = [frame.index for clip in clips for frame in clip.frames[clip.shared :]]
    assert fresh == sorted(set(fresh)), "a frame was rendered twice"
    assert pictures == sorted(set(pictures)), "a picture was shown twice, or out of order"
    assert set(pictures) <= set(fresh)
    assert max(np.diff(fresh)) > 1, "the renderer kept up, so nothing was left out"
    # Every clip but the first goes on from what was shown last, though frames in between are missing.
    for before, clip in pairwise(clips):
        assert (clip.shared, clip.frames[0].index) == (carried, before.frames[-1].index)
        assert clip.before is not None and clip.before.pictures.shape == (carried, 32, 48, 3)
        assert len(clip) <= length
    assert not np.array_equal(lift(clips[2]), lift(replace(clips[2], before=None))), "it makes no difference"


def preview(render: Render, service: Service, shot: Clip, clips: list[Clip]) -> list[int]:
    """Publish a shot, 100 frames a second, until enough clips were rendered; frames whose pictures came back."""
    came: list[int] = []
    with Receiver("tcp://127.0.0.1:*") as receiver:
        how = {"events": Events(as_json=True, out=StringIO()), "stop": threading.Event()}
        serving = threading.Thread(target=serve, args=(receiver, render, service), kwargs=how)
        serving.start()
        with Publisher(receiver.endpoint, engine="test", mode=Mode.PREVIEW, channels=list(shot.channels)) as engine:
            assert engine.wait_connected(5)
            for frame in shot.frames:
                engine.publish(slowed(frame))
                time.sleep(0.01)
                if result := engine.result():
                    came.append(result.index)
                if len(clips) > CLIPS:
                    break
        serving.join(60)
    assert len(clips) > CLIPS, "the preview did not keep going"
    assert not serving.is_alive()
    return came


def slowed(frame: Frame) -> Frame:
    """A camera so slow that a base which is still warming up does not take what it missed for a cut."""
    world_from_camera = frame.camera.world_from_camera.copy()
    world_from_camera[:3, 3] /= 20
    return replace(frame, camera=CameraPose(world_from_camera, frame.camera.image_from_camera))
