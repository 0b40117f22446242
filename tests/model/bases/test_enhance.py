"""A recording through `enhance` with a large base: as a user runs it, killed and resumed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import WanTransformer3DModel

from renderlift.bridge.clip import Clip, Render, Video, clip_size
from renderlift.bridge.enhance import enhance
from renderlift.bridge.errors import RecordingError, RenderError
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder
from renderlift.model.bases.facts import facts_of
from renderlift.model.render import load

Shot = Callable[..., Clip]
FRAMES = 20


BASES = ("ltx2", "ltx2_3", "ltx2_5", "wan", "wan_a14b", "wan_5b", "wan_vace", "wan_vace_a14b", "cosmos")


def recorded(clip: Clip, folder: Path) -> Path:
    with Recorder(folder) as recorder:
        for frame in clip.frames:
            recorder.write(frame)
    return folder


@pytest.fixture
def recording(shot: Shot, tmp_path: Path) -> Path:
    return recorded(shot(FRAMES), tmp_path / "take")


@pytest.fixture(params=BASES)
def render(request: pytest.FixtureRequest) -> Render:
    folder: Path = request.getfixturevalue(request.param)
    return load(
        base=str(folder), steps=1, guidance=1.0, device="cpu", dtype="float32", window=9, keep={"text": 0.5}
    )


def pictures(folder: Path) -> Iterator[np.ndarray]:
    import cv2

    for path in sorted(folder.glob("*.png")):
        picture = cv2.imread(str(path))
        assert picture is not None
        yield picture


@pytest.mark.parametrize("frames", [9, 73, 200])
@pytest.mark.parametrize("name", BASES)
def test_as_many_pictures_come_out_as_were_recorded_in_the_windows_that_the_base_likes(
    name: str, frames: int, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    render = load(base=str(folder), steps=1, guidance=1.0, device="cpu", dtype="float32")
    length, overlap = clip_size(render, None, None)
    assert length == facts_of(folder).window
    recording = recorded(shot(frames), tmp_path / "take")
    done = enhance(recording, tmp_path / "out", render, length=length, overlap=overlap)
    assert (done.frames, done.missing_frames) == (frames, 0)
    names = [path.name for path in sorted((tmp_path / "out").glob("*.png"))]
    assert names == [f"{index:06d}.png" for index in range(frames)]
    assert {picture.shape for picture in pictures(tmp_path / "out")} == {(32, 48, 3)}


def test_a_killed_job_ends_with_the_very_pictures_of_one_that_was_not(
    recording: Path, render: Render, tmp_path: Path
) -> None:
    length, overlap = clip_size(render, None, None)
    assert (length, overlap > 0) == (9, True)
    calls = [0]

    def dying(clip: Clip) -> Video:
        calls[0] += 1
        if calls[0] == 3:
            raise MemoryError("killed")
        return render(clip)

    dying.look = render.look  # type: ignore[attr-defined]

    enhance(recording, tmp_path / "whole", render, length=length, overlap=overlap)
    with pytest.raises(RenderError, match="killed"):
        enhance(recording, tmp_path / "resumed", dying, length=length, overlap=overlap)
    done = enhance(recording, tmp_path / "resumed", render, length=length, overlap=overlap)
    assert 0 < done.reused_frames < FRAMES
    whole, resumed = list(pictures(tmp_path / "whole")), list(pictures(tmp_path / "resumed"))
    assert len(whole) == FRAMES
    assert np.array_equal(whole, resumed)


def test_a_job_that_runs_out_of_memory_midway_ends_with_every_frame(
    recording: Path, wan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = [0]
    forward = WanTransformer3DModel.forward

    def failing(self: Any, *args: Any, **inputs: Any) -> Any:
        calls[0] += 1
        if calls[0] in (2, 3, 4, 6):
            raise torch.OutOfMemoryError
        return forward(self, *args, **inputs)

    monkeypatch.setattr(WanTransformer3DModel, "forward", failing)
    render = load(base=str(wan), steps=1, guidance=1.0, device="cpu", dtype="float32", window=9)
    done = enhance(recording, tmp_path / "out", render, length=9, overlap=4)
    assert done.frames == FRAMES
    assert {picture.shape for picture in pictures(tmp_path / "out")} == {(32, 48, 3)}
    remedies = ("the autoencoder in tiles", "smaller tiles", "half the pixels", "a quarter of the pixels")
    assert [caplog.text.count(said) for said in remedies] == [1, 1, 1, 1]


def test_later_clips_go_on_from_the_pictures_of_the_earlier(recording: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, bool]] = []

    def looking(clip: Clip) -> Video:
        seen.append((clip.shared, clip.before is not None and len(clip.before.pictures) == clip.shared))
        return clip.channels[Channel.RGB]

    enhance(recording, tmp_path / "out", looking, length=9, overlap=3)
    assert seen == [(0, False), (3, True), (3, True)]


def test_anchors_of_frames_that_are_not_there_are_refused_before_anything_is_painted(
    recording: Path, ltx2: Path, tmp_path: Path
) -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    render = load(base=str(ltx2), anchors={5: picture, 20: picture, 900: picture}, device="cpu")
    with pytest.raises(RecordingError, match=r"frames 20, 900.*0 to 19"):
        enhance(recording, tmp_path / "out", render, length=9, overlap=1)
    assert not (tmp_path / "out").exists()
