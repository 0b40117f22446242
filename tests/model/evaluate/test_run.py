"""The command from end to end, with renderers that take no time."""

import json
import shutil

import cv2
import numpy as np
import pytest

from renderlift.bridge.errors import RecordingError, SetupError
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder
from renderlift.bridge.video import VideoWriter, read_video
from renderlift.model.evaluate.command import Request, answer
from renderlift.model.evaluate.measures import BY_KEY
from renderlift.model.evaluate.report import best

from .conftest import frame, photo


class Studio:
    """Loads renderers, and notes what they were shown."""

    def __init__(self):
        self.loaded = []
        self.clips = []
        self.step = 0  # levels by which each clip is brighter than the one before

    def load(self, name, options):
        self.loaded.append((name, dict(options)))

        def render(clip):
            self.clips.append(clip)
            gain = options.get("gain", 20) + self.step * len(self.clips)
            grain = np.arange(len(clip)).reshape(-1, 1, 1, 1) % 2
            return np.clip(clip.channels[Channel.RGB].astype(int) + gain + grain * bool(self.step), 0, 255).astype(
                np.uint8
            )

        return render


@pytest.fixture
def studio():
    return Studio()


def run(studio, source, output, remarks=None, **asked):
    def remark(text):
        if remarks is not None:
            remarks.append(text)

    request = Request(source, output, asked.pop("render", "embedded"), **asked)
    return answer(request, load=studio.load, read_video=read_video, progress=lambda *_: None, remark=remark)


def test_a_dataset_gives_a_table_a_page_and_numbers(make_dataset, tmp_path, studio):
    done = run(studio, make_dataset(900000, 900001), tmp_path / "out", markdown=tmp_path / "results.md")
    summary = {subject.name: subject.summary for subject in done.report.subjects}
    assert list(summary) == ["render", "lifted", "truth"]
    assert summary["lifted"]["psnr_db"] > summary["render"]["psnr_db"]
    assert summary["lifted"]["psnr_gain_db"] == pytest.approx(
        summary["lifted"]["psnr_db"] - summary["render"]["psnr_db"]
    )
    assert "psnr_db" not in summary["truth"]
    assert "edge_f1" in summary["truth"]
    assert json.loads(done.files["numbers"].read_text())["main"] == "lifted"
    page = done.files["page"].read_text()
    assert page.count("<figure>") == 2 * 5  # render, lifted, truth, error, labels
    assert "http" not in page  # nothing is fetched
    told = (tmp_path / "results.md").read_text()
    assert "| PSNR to the truth |" in told
    assert "renderlift evaluate pairs --render embedded --markdown results.md" in told
    assert str(tmp_path) not in told


def test_what_is_finished_is_not_measured_again(make_dataset, tmp_path, studio):
    dataset = make_dataset(900000, 900001)
    first = run(studio, dataset, tmp_path / "out")
    (tmp_path / "out" / "results" / "lifted" / "900001.json").unlink()  # as if killed before it
    clips = len(studio.clips)
    again = run(studio, dataset, tmp_path / "out")
    assert len(studio.clips) == clips + 1
    assert again.report.subject("lifted").summary["psnr_db"] == first.report.subject("lifted").summary["psnr_db"]
    run(studio, dataset, tmp_path / "out", restart=True)
    assert len(studio.clips) == clips + 3


def test_progress_counts_the_frames_of_each_subject(make_dataset, tmp_path, studio):
    told = []
    request = Request(make_dataset(900000, 900001), tmp_path / "out", "embedded")
    answer(request, load=studio.load, read_video=read_video, progress=lambda *p: told.append(p), remark=print)
    assert told[0] == ("lifted", 0, 6)
    lifted = [done for name, done, _ in told if name == "lifted"]
    assert lifted == sorted(lifted)
    assert set(lifted) == set(range(7))
    assert {name for name, done, total in told if done == total} == {"lifted", "render", "truth"}


def test_other_settings_and_another_truth_are_measured_anew(make_dataset, tmp_path, studio):
    dataset = make_dataset(900000)
    run(studio, dataset, tmp_path / "out")
    done = run(studio, dataset, tmp_path / "out", options={"gain": 25})
    assert done.report.subject("lifted").summary["psnr_db"] == float("inf")
    cv2.imwrite(str(dataset / "900000" / "truth" / "000000.png"), np.zeros_like(photo(frame(0))))
    done = run(studio, dataset, tmp_path / "out", options={"gain": 25})
    assert done.report.subject("lifted").summary["ssim"] < 0.9


def test_a_damaged_scene_is_left_out_by_name_and_for_all(make_dataset, tmp_path, studio):
    dataset = make_dataset(900000, 900001)
    damaged = dataset / "900001" / "truth" / "000001.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    remarks = []
    done = run(studio, dataset, tmp_path / "out", remarks)
    assert done.report.scenes == ["900000"]
    assert all(len(subject.scenes) == 1 for subject in done.report.subjects)
    assert "900001" in done.report.left_out[0]
    assert remarks == done.report.left_out


def test_only_held_out_scenes_count_unless_asked_otherwise(make_dataset, tmp_path, studio):
    dataset = make_dataset(7, 900000)
    assert run(studio, dataset, tmp_path / "out").report.scenes == ["900000"]
    trained = run(studio, dataset, tmp_path / "all", part="all")
    assert trained.report.scenes == ["000007", "900000"]
    assert "1 of 2 scenes may have been trained on" in trained.report.remarks[0]


def test_variants_stand_beside_the_renderer(make_dataset, tmp_path, studio):
    done = run(studio, make_dataset(900000), tmp_path / "out", also=("gain=25,lock=no", "drop=depth+albedo"))
    assert [s.name for s in done.report.subjects] == [
        "render",
        "lifted",
        "gain=25,lock=no",
        "drop=depth+albedo",
        "truth",
    ]
    assert ("embedded", {"gain": 25, "lock": False}) in studio.loaded
    dropped = studio.clips[-1]
    assert Channel.DEPTH not in dropped.channels
    assert Channel.INSTANCE_ID in dropped.channels
    assert Channel.DEPTH not in dropped.frames[0].channels


def test_figures_of_pictures_that_were_painted_leaner_say_so_and_still_do_when_nothing_is_measured_anew(
    make_dataset, tmp_path, studio
):
    render = studio.load("embedded", {})
    said = []

    def tight(clip):
        if len(studio.clips) == 1:
            said.append("half the pixels (out of memory)")
        return render(clip)

    tight.remedies = said
    studio.load = lambda name, options: tight
    dataset = make_dataset(900000, 900001, 900002)
    for _ in range(2):
        remarks = []
        done = run(studio, dataset, tmp_path / "out", remarks, markdown=tmp_path / "results.md")
        told = "lifted: from 900001 on, 2 of 3 scenes rendered with half the pixels (out of memory)"
        assert told in remarks
        assert told in (tmp_path / "results.md").read_text()
    assert [scene.remedies for scene in done.report.subjects[1].scenes] == [(), tuple(said), tuple(said)]


def test_ablations_leave_out_the_lock_the_averaging_the_adapter_and_each_buffer(make_dataset, tmp_path, studio):
    done = run(studio, make_dataset(900000), tmp_path / "out", ablate=True)
    names = [subject.name for subject in done.report.subjects]
    assert names[1:-1] == [
        "lifted",
        "no lock",
        "not steadied",
        "no adapter",
        "no albedo",
        "no normal",
        "no depth",
        "no material",
        "rgb only",
    ]
    assert ("embedded", {"lock": False}) in studio.loaded
    assert [table.event for table in done.tables] == ["evaluation", "comparison"]


def test_kinds_of_scenes_are_told_apart(make_dataset, tmp_path, studio):
    dataset = make_dataset(900000, 900001)
    for number, kind in ((900000, "room"), (900001, "workshop")):
        (dataset / str(number) / "scene.json").write_text(json.dumps({"kind": kind}))
    run(studio, dataset, tmp_path / "out", markdown=tmp_path / "results.md")
    told = (tmp_path / "results.md").read_text()
    assert "| room | 1 |" in told
    assert "| workshop | 1 |" in told


def test_nobody_beats_the_render_where_the_render_is_the_measure(make_dataset, tmp_path, studio):
    report = run(studio, make_dataset(900000), tmp_path / "out", also=("gain=25",)).report
    assert best(BY_KEY["label_fit"], report) == {"lifted", "gain=25"}
    assert best(BY_KEY["psnr_db"], report) == {"gain=25"}


def test_a_recording_without_truth_is_judged_by_what_the_engine_knows(make_dataset, tmp_path, studio):
    recording = make_dataset(900000) / "900000" / "render"
    done = run(studio, recording, tmp_path / "out")
    assert [subject.name for subject in done.report.subjects] == ["render", "lifted"]
    assert "PSNR to the truth" in done.report.skipped
    assert done.report.subject("lifted").summary["label_fit"] == 1


def test_the_truth_of_a_recording_may_lie_anywhere_and_be_of_some_frames_only(make_dataset, tmp_path, studio):
    scene = make_dataset(900000) / "900000"
    shutil.copytree(scene / "truth", tmp_path / "photos")
    (tmp_path / "photos" / "000001.png").unlink()
    done = run(studio, scene / "render", tmp_path / "out", truth=tmp_path / "photos")
    [truth] = done.report.subject("truth").scenes
    assert (truth.frames, truth.truth_frames) == (2, 2)
    assert "psnr_db" in done.report.subject("lifted").summary


def test_a_finished_video_of_another_size_is_measured_against_the_recording(make_dataset, tmp_path, studio):
    recording = make_dataset(900000) / "900000" / "render"
    with VideoWriter(tmp_path / "theirs.mp4", 96, 128, 24, lossless=True) as video:
        for index in range(3):
            video.write(photo(frame(index)).repeat(2, 0).repeat(2, 1))
    done = run(studio, recording, tmp_path / "out", render=None, videos=(tmp_path / "theirs.mp4",))
    assert not studio.loaded
    assert done.report.main == "theirs.mp4"
    assert done.report.subject("theirs.mp4").summary["label_fit"] == 1


def test_a_folder_of_pictures_counts_as_a_video(make_dataset, tmp_path, studio):
    dataset = make_dataset(900000)
    shutil.copytree(dataset / "900000" / "truth", tmp_path / "theirs" / "900000")
    done = run(studio, dataset, tmp_path / "out", render=None, videos=(tmp_path / "theirs",))
    assert done.report.subject("theirs").summary["psnr_db"] == float("inf")


def test_a_video_that_is_too_short_for_one_scene_costs_that_scene_only(make_dataset, tmp_path, studio):
    dataset = make_dataset(900000, 900001)
    shutil.copytree(dataset / "900000" / "truth", tmp_path / "theirs" / "900000")
    (tmp_path / "theirs" / "900001").mkdir()
    done = run(studio, dataset, tmp_path / "out", render=None, videos=(tmp_path / "theirs",))
    assert done.report.scenes == ["900000"]
    assert "the video ends" in done.report.left_out[0]


def test_a_video_that_is_too_short_is_refused(make_dataset, tmp_path, studio):
    recording = make_dataset(900000) / "900000" / "render"
    with VideoWriter(tmp_path / "short.mp4", 48, 64, 24) as video:
        video.write(photo(frame(0)))
    with pytest.raises(RecordingError, match="ends before frame 1"):
        run(studio, recording, tmp_path / "out", render=None, videos=(tmp_path / "short.mp4",))


def test_seams_are_measured_where_a_recording_is_longer_than_a_clip(tmp_path, studio):
    with Recorder(tmp_path / "take1") as recorder:
        for index in range(8):
            recorder.write(frame(index))
    studio.step = 10
    done = run(studio, tmp_path / "take1", tmp_path / "out", length=4, overlap=0)
    assert [len(clip) for clip in studio.clips] == [4, 4]
    summary = {subject.name: subject.summary for subject in done.report.subjects}
    assert summary["lifted"]["seam_ratio"] > 5
    assert summary["render"].get("seam_ratio", 1) < 1.5  # what it has at the same places, if it moves at all


def test_clips_are_cut_as_the_renderer_likes_them_and_go_on_from_each_other(tmp_path, studio):
    with Recorder(tmp_path / "take1") as recorder:
        for index in range(8):
            recorder.write(frame(index))
    load = studio.load

    def sized(name, options):
        render = load(name, options)
        render.clip_size = 5, 2
        return render

    studio.load = sized
    run(studio, tmp_path / "take1", tmp_path / "out", also=("drop=depth",))
    assert [len(clip) for clip in studio.clips] == [5, 5] * 2
    assert [len(clip.before.pictures) if clip.before else 0 for clip in studio.clips] == [0, 2] * 2


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"also": ("steps",)}, "not NAME=VALUE"),
        ({"also": ("drop=rgb",)}, "drop=rgb"),
        ({"also": ("drop=smell",)}, "smell"),
        ({"also": ("gain=1", "gain=1")}, "compared with itself"),
    ],
)
def test_what_cannot_be_compared_is_refused(asked, complaint, make_dataset, tmp_path, studio):
    with pytest.raises(SetupError, match=complaint):
        run(studio, make_dataset(900000), tmp_path / "out", **asked)


def test_a_folder_that_is_neither_recording_nor_dataset_is_refused(tmp_path, studio):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match="no recording"):
        run(studio, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(RecordingError):
        run(studio, tmp_path / "nowhere", tmp_path / "out")
