from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderlift.bridge.clip import Clip, Video, identity
from renderlift.bridge.errors import RecordingError, RenderError
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder
from renderlift.model.pairs import read_pairs
from renderlift.model.pairs.anchor_pairs import Candidate, Fate, anchor_pairs, limits_from, sources
from renderlift.model.pairs.anchors import edited, from_folder
from renderlift.model.pairs.dataset import read_json
from renderlift.model.pairs.judge import Limits
from renderlift.model.pairs.propagate import Propagate, along_flow

MakeSliding = Callable[[int], Clip]
Photos = Callable[[Clip], Video]
DEFAULT = Limits()


def lost(clip: Clip, anchors: Mapping[int, np.ndarray]) -> Video:
    """A propagator that forgets on the way what the anchors look like."""
    video = 255 - clip.channels[Channel.RGB]
    for place, picture in anchors.items():
        video[place] = picture
    return video


@pytest.fixture
def recording(tmp_path: Path, sliding: MakeSliding) -> Path:
    with Recorder(tmp_path / "take1") as recorder:
        for frame in sliding(10).frames:
            recorder.write(frame)
    return tmp_path / "take1"


def run(
    tmp_path: Path,
    recording: Path,
    photos: Photos,
    propagate: Propagate,
    limits: Limits | None = DEFAULT,
    first: int = 0,
) -> list[Candidate]:
    (source,) = sources(recording, first)
    made = anchor_pairs(
        tmp_path / "dataset", source, photos, propagate, length=4, limits=limits, facts={"anchors": "photos"}
    )
    return list(made)


def test_clips_that_pass_become_pairs_with_the_frames_own_numbers(
    tmp_path: Path, recording: Path, photos: Photos
) -> None:
    fates = [candidate.fate for candidate in run(tmp_path, recording, photos, along_flow(identity), first=900_000)]
    assert fates == [Fate.KEPT, Fate.KEPT, Fate.SHORT]
    pairs = list(read_pairs(tmp_path / "dataset"))
    assert [pair.name for pair in pairs] == ["900000", "900001"]
    assert [frame.index for frame in pairs[1].clip.frames] == [4, 5, 6, 7]
    assert all(pair.whole for pair in pairs)
    np.testing.assert_array_equal(pairs[1].truth_video[0], photos(pairs[1].clip)[0])
    facts = read_json(tmp_path / "dataset/900001/scene.json")
    assert facts["part"] == "held_out" and facts["anchors"] == "photos" and facts["measures"]["edges"] > 0.75


def test_clips_that_do_not_pass_leave_their_reasons_and_a_picture(
    tmp_path: Path, recording: Path, photos: Photos
) -> None:
    first = run(tmp_path, recording, photos, lost)[0]
    assert first.fate is Fate.REJECTED and first.verdict is not None
    rejected = tmp_path / "dataset/rejected"
    assert read_json(rejected / "000000.json")["reasons"] == list(first.verdict.reasons) != []
    picture = cv2.imread(str(rejected / "000000.jpg"))
    assert picture is not None and picture.shape == (2 * 64, 3 * 112, 3)
    assert not (tmp_path / "dataset/000000").exists()


def test_nothing_is_rejected_where_everything_is_to_be_kept(
    tmp_path: Path, recording: Path, photos: Photos
) -> None:
    assert [c.fate for c in run(tmp_path, recording, photos, lost, limits=None)][:2] == [Fate.KEPT, Fate.KEPT]


def test_a_second_run_makes_nothing_again(tmp_path: Path, recording: Path, photos: Photos) -> None:
    run(tmp_path, recording, photos, along_flow(identity))

    def must_not_be_asked(clip: Clip) -> Video:
        raise AssertionError

    fates = [c.fate for c in run(tmp_path, recording, must_not_be_asked, along_flow(identity))]
    assert fates == [Fate.THERE, Fate.THERE, Fate.SHORT]


def test_two_recordings_do_not_share_numbers(
    tmp_path: Path, recording: Path, photos: Photos, sliding: MakeSliding
) -> None:
    run(tmp_path, recording, photos, along_flow(identity))
    other = tmp_path / "take2"
    with Recorder(other) as recorder:
        for frame in sliding(4).frames:
            recorder.write(frame)
    with pytest.raises(RecordingError, match=r"(?s)take1, not take2.*--number"):
        run(tmp_path, other, photos, along_flow(identity))
    assert run(tmp_path, other, photos, along_flow(identity), first=50)[0].fate is Fate.KEPT


def test_a_dataset_is_a_source_too_and_keeps_its_numbers(tmp_path: Path, recording: Path) -> None:
    for number in ("000004", "900002"):
        (tmp_path / "scenes" / number).mkdir(parents=True)
        (tmp_path / "scenes" / number / "render").symlink_to(recording)
    (tmp_path / "scenes/900002/scene.json").write_text('{"scene": "random:900002"}')
    found = sources(tmp_path / "scenes", 0)
    assert [(source.number, source.facts) for source in found] == [(4, {}), (900_002, {"scene": "random:900002"})]


def test_an_editor_sees_one_frame_at_a_time(sliding: MakeSliding) -> None:
    seen: list[int] = []

    def editor(clip: Clip) -> Video:
        seen.extend(frame.index for frame in clip.frames)
        assert len(clip) == 1
        return clip.channels[Channel.RGB]

    assert sorted(edited(editor, sliding(5), (0, 4))) == [0, 4] == seen


def test_anchors_from_a_folder_are_found_by_frame_index(tmp_path: Path, sliding: MakeSliding) -> None:
    cv2.imwrite(str(tmp_path / "000003.png"), np.full((64, 112, 3), (1, 2, 3), np.uint8))
    clip = sliding(5)
    assert edited(from_folder(tmp_path), clip, (3,))[3][0, 0].tolist() == [3, 2, 1]
    with pytest.raises(RenderError, match=r"000004.png"):
        edited(from_folder(tmp_path), clip, (4,))


def test_a_propagator_that_returns_another_shape_is_told_so(
    tmp_path: Path, recording: Path, photos: Photos
) -> None:
    with pytest.raises(RenderError, match=r"propagator returned.*wanted"):
        run(tmp_path, recording, photos, lambda clip, anchors: clip.channels[Channel.RGB][1:])


def test_limits_are_set_by_name() -> None:
    assert limits_from(["warp=2", "edges=0.9"]) == Limits(warp=2, edges=0.9)
    for wrong in ("warp", "warp=x", "beauty=1", "warp=-1"):
        with pytest.raises(RecordingError, match=r"(?s)limit.*warp"):
            limits_from([wrong])
