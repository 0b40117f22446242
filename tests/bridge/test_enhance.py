import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from renderlift.bridge import clip as clip_module
from renderlift.bridge import parts
from renderlift.bridge.clip import identity
from renderlift.bridge.enhance import enhance
from renderlift.bridge.errors import RecordingError, RenderError
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder
from renderlift.bridge.video import read_video

CUT = {"length": 5, "overlap": 2}


def tinted(clip):
    """A renderer of which each clip looks a little different, as a real one's do."""
    tint = clip.frames[0].index * 7 % 50
    return (identity(clip) // 2 + tint).astype(np.uint8)


class Counting:
    """A renderer that notes which clips it was given."""

    def __init__(self, render=tinted):
        self.render = render
        self.clips = []

    def __call__(self, clip):
        self.clips.append((clip.frames[0].index, clip.frames[-1].index))
        return self.render(clip)


def interrupt_after(clips):
    """A progress callback like Ctrl-C once so many clips are finished."""
    calls = iter(range(1000))

    def progress(done, total):
        if next(calls) == clips:
            raise KeyboardInterrupt

    return progress


def test_the_next_clip_is_cut_while_one_is_rendered(recorded, tmp_path, monkeypatch):
    cut, changed = [], threading.Condition()
    stack = clip_module.stack

    def counted(frames, **facts):
        with changed:
            cut.append(stack(frames, **facts))
            changed.notify_all()
        return cut[-1]

    def render(clip):
        with changed:
            after = [c.frames[0].index for c in cut].index(clip.frames[0].index) + 2
            assert clip.last or changed.wait_for(lambda: len(cut) >= after, timeout=10), (
                "the renderer waits for cuts"
            )
        return identity(clip)

    monkeypatch.setattr(clip_module, "stack", counted)
    assert enhance(recorded(range(17)), tmp_path / "out", render, **CUT).frames == 17
    assert len(cut) == 5


class Begins:
    """A renderer that paints a clip before it has to know of the one before, and helps itself at some of them."""

    def __init__(self, *, fails_at=(), helps_itself_at=()):
        self.begun, self.changed = [], threading.Condition()
        self.remedies = []
        self._fails_at, self._helps_itself_at = fails_at, helps_itself_at

    def __call__(self, clip):
        return self.begin(clip)(clip)

    def begin(self, clip):
        first = clip.frames[0].index
        with self.changed:
            self.begun.append(first)
            self.changed.notify_all()
        if first in self._fails_at:
            raise MemoryError("no memory left")
        if first in self._helps_itself_at:
            self.remedies.append(f"tiles at {first}")

        def end(clip):
            with self.changed:
                begun = self.changed.wait_for(lambda: clip.last or self.begun[-1] > first, timeout=10)
            assert begun, "the next clip waits for this one"
            before = clip.before.pictures[0, 0, 0, 0] if clip.before else 0
            return np.full_like(identity(clip), before + 1)

        return end


def test_a_clip_is_begun_while_the_one_before_is_ended_and_ends_with_its_pictures(tmp_path, recorded):
    assert enhance(recorded(range(17)), tmp_path / "out", Begins(), length=5, overlap=2).frames == 17
    # A clip is as bright as the clip before by one more, and fades in over what they share.
    shown = [int(picture[0, 0, 0]) for picture in pngs(tmp_path / "out").values()]
    assert shown == [1, 1, 1, *[1, 2, 2], *[2, 3, 3], *[3, 4, 4], *[4, 5, 5, 5, 5]]


def test_what_fails_as_a_clip_is_begun_costs_none_of_those_before_it(tmp_path, recorded):
    recording = recorded(range(20))
    with pytest.raises(RenderError, match="frames 9 to 13 of test/s/main failed: MemoryError: no memory left"):
        enhance(recording, tmp_path / "out", Begins(fails_at=[9]), **CUT)
    assert enhance(recording, tmp_path / "out", Begins(), **CUT).reused_frames == 9


def test_nothing_is_painted_any_more_once_a_failure_is_told(tmp_path, recorded):
    at_work = []

    class Slow(Begins):
        def begin(self, clip):
            at_work.append(clip)
            time.sleep(0.2)
            at_work.pop()
            return super().begin(clip)

    with pytest.raises(RenderError):
        enhance(recorded(range(30)), tmp_path / "out", Slow(fails_at=[0]), **CUT)
    assert not at_work
    assert not [thread for thread in threading.enumerate() if thread.name == "renderlift-ahead"]


def test_a_remedy_is_told_of_the_clips_that_were_begun_with_it(tmp_path, recorded):
    done = enhance(recorded(range(17)), tmp_path / "out", Begins(helps_itself_at=[6]), **CUT)
    assert [(row.remedy, row.first_index, row.last_index) for row in done.remedied] == [("tiles at 6", 6, 16)]


class MadeReady:
    """A renderer that renders a clip only once the next one is made ready."""

    def __init__(self, *, fails_at=()):
        self.ready, self.changed = [], threading.Condition()
        self.rendered_bare = []
        self._fails_at = fails_at

    def __call__(self, clip):
        self.rendered_bare.append(clip.frames[0].index)
        return identity(clip)

    def prepare(self, clip):
        first = clip.frames[0].index
        with self.changed:
            self.ready.append(first)
            self.changed.notify_all()
        if first in self._fails_at:
            raise MemoryError("no memory left")

        def render(clip):
            with self.changed:
                assert self.changed.wait_for(lambda: clip.last or self.ready[-1] > first, timeout=10)
            return identity(clip)

        return render


def test_a_clip_is_made_ready_while_the_one_before_is_rendered(tmp_path, recorded):
    render = MadeReady()
    assert enhance(recorded(range(17)), tmp_path / "out", render, **CUT).frames == 17
    assert render.ready == [0, 3, 6, 9, 12]
    assert not render.rendered_bare


def test_a_clip_that_could_not_be_made_ready_is_left_to_the_renderer(tmp_path, recorded):
    render = MadeReady(fails_at=[6])
    assert enhance(recorded(range(17)), tmp_path / "out", render, **CUT).frames == 17
    assert render.rendered_bare == [6]


@pytest.fixture
def recorded(tmp_path, make_frame):
    def record(indices, name="recording", **settings):
        with Recorder(tmp_path / name) as recorder:
            for index in indices:
                recorder.write(make_frame(index, **settings))
        return tmp_path / name

    return record


def pngs(folder):
    return {path.name: cv2.imread(str(path))[:, :, ::-1] for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(("height", "width"), [(16, 24), (15, 23)])
@pytest.mark.parametrize("count", [1, 72, 73])
def test_a_video_has_the_recording_s_frames_size_and_rate(tmp_path, recorded, count, height, width):
    recording = recorded(range(count), height=height, width=width)
    done = enhance(recording, tmp_path / "out.mp4", identity, **CUT)
    assert (done.path, done.frames, done.reused_frames) == (tmp_path / "out.mp4", count, 0)
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.height, stream.width) == (count, height, width)
        assert stream.average_rate == (25 if count > 1 else 24)
        assert sum(1 for _ in container.decode(stream)) == count


def test_the_rate_of_film_is_kept_exactly(tmp_path, make_frame):
    with Recorder(tmp_path / "r") as recorder:
        for i in range(30):
            recorder.write(replace(make_frame(i, 16, 16), engine_time_ns=round(i * 1001 / 24000 * 1e9)))
    enhance(tmp_path / "r", tmp_path / "out.mp4", identity, **CUT)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == Fraction(24000, 1001)


def test_pictures_are_lossless_and_named_by_frame(tmp_path, recorded, make_frame):
    recording = recorded([0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13])
    enhance(recording, tmp_path / "out", identity, **CUT)
    read = pngs(tmp_path / "out")
    assert list(read) == [f"{i:06d}.png" for i in (0, 1, 2, 3, *range(7, 14))]
    for i in (0, 3, 7, 13):
        assert np.array_equal(read[f"{i:06d}.png"], make_frame(i).channels[Channel.RGB])


def test_nothing_but_the_output_is_left(tmp_path, recorded):
    recording = recorded(range(9))
    enhance(recording, tmp_path / "out.mp4", identity, **CUT)
    enhance(recording, tmp_path / "out", identity, **CUT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.mp4", "recording"]


def test_clips_are_cross_faded(tmp_path, recorded):
    recording = recorded(range(8))
    levels = iter([0, 90])
    enhance(recording, tmp_path / "out", lambda clip: np.full_like(identity(clip), next(levels)), **CUT)
    shown = [int(p[0, 0, 0]) for p in pngs(tmp_path / "out").values()]
    assert shown == [0, 0, 0, 30, 60, 90, 90, 90]


def test_side_by_side_is_twice_as_wide(tmp_path, recorded, make_frame):
    recording = recorded(range(3))
    enhance(recording, tmp_path / "out", tinted, **CUT, side_by_side=True)
    picture = pngs(tmp_path / "out")["000001.png"]
    before = make_frame(1).channels[Channel.RGB]
    assert picture.shape == (5, 14, 3)
    assert np.array_equal(picture[:, :6], before[:, :6])
    assert np.array_equal(picture[:, 8:], before[:, 1:] // 2)


def test_progress_ends_with_every_frame(tmp_path, recorded):
    seen = []
    enhance(recorded(range(9)), tmp_path / "out", identity, **CUT, progress=lambda *at: seen.append(at))
    assert seen == [(0, 9), (3, 9), (6, 9), (9, 9)]


# Resuming


@pytest.mark.parametrize("name", ["out.mp4", "out"])
@pytest.mark.parametrize("clips", range(1, 6))
def test_an_interrupted_run_goes_on_where_it_stopped_and_ends_the_same(tmp_path, recorded, name, clips):
    recording = recorded([*range(12), *range(15, 20)], height=16, width=16)
    whole = Counting()
    enhance(recording, tmp_path / f"whole{name}", whole, **CUT)

    first, second = Counting(), Counting()
    with pytest.raises(KeyboardInterrupt):
        enhance(recording, tmp_path / name, first, **CUT, progress=interrupt_after(clips))
    done = enhance(recording, tmp_path / name, second, **CUT)

    # While one clip is written, the next waits and one more is rendered: those two are done again.
    assert second.clips == whole.clips[clips:]
    assert clips <= len(first.clips) <= clips + 2
    assert (done.frames, done.reused_frames > 0) == (17, True)
    if name == "out.mp4":
        assert (tmp_path / name).read_bytes() == (tmp_path / f"whole{name}").read_bytes()
    else:
        assert pngs(tmp_path / name).keys() == pngs(tmp_path / f"whole{name}").keys()
        for key, picture in pngs(tmp_path / name).items():
            assert np.array_equal(picture, pngs(tmp_path / f"whole{name}")[key])


ENHANCE_SLOWLY = """
import os, sys, time
sys.path.insert(0, sys.argv[3])
from test_enhance import CUT, tinted
from renderlift.bridge.enhance import enhance
def slowly(clip):
    time.sleep(0.02)
    return tinted(clip)
enhance(sys.argv[1], sys.argv[2], slowly, **CUT, progress=lambda done, total: os.write(1, b"%d\\n" % done))
"""


@pytest.mark.parametrize(("name", "seed"), [("out.mp4", 1), ("out", 2)])
def test_kill_9_costs_one_clip_at_most_and_the_result_is_the_same(tmp_path, recorded, name, seed):
    # Enough that no run can finish before it is killed, however late a busy machine kills it.
    recording = recorded(range(240), height=32, width=48)
    enhance(recording, tmp_path / f"whole{name}", tinted, **CUT)
    times = random.Random(seed)
    command = [sys.executable, "-c", ENHANCE_SLOWLY, recording, tmp_path / name, str(Path(__file__).parent)]
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            first = process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(times.uniform(0.02, 0.25))
            process.send_signal(signal.SIGKILL)
            finished = int((first + process.stdout.read()).split()[-1])
    last = Counting()
    done = enhance(recording, tmp_path / name, last, **CUT)
    assert done.frames == 240
    assert finished <= done.reused_frames <= finished + 3
    assert last.clips[0][0] == done.reused_frames
    if name == "out.mp4":
        assert (tmp_path / name).read_bytes() == (tmp_path / f"whole{name}").read_bytes()
    else:
        whole = pngs(tmp_path / f"whole{name}")
        assert all(np.array_equal(picture, whole[key]) for key, picture in pngs(tmp_path / name).items())
        assert len(pngs(tmp_path / name)) == 240


def interrupted(recording, output, **settings):
    with pytest.raises(KeyboardInterrupt):
        enhance(recording, output, tinted, **CUT, progress=interrupt_after(2), **settings)


def test_other_settings_are_not_mixed_into_an_interrupted_run(tmp_path, recorded):
    recording = recorded(range(20), height=16, width=16)
    interrupted(recording, tmp_path / "out.mp4", settings={"seed": 1})
    with pytest.raises(RecordingError, match="other settings: seed was 1, is 2") as caught:
        enhance(recording, tmp_path / "out.mp4", tinted, **CUT, settings={"seed": 2})
    assert "--restart" in caught.value.fix
    with pytest.raises(RecordingError, match="length was 5, is 6"):
        enhance(recording, tmp_path / "out.mp4", tinted, length=6, overlap=2, settings={"seed": 1})
    done = enhance(recording, tmp_path / "out.mp4", tinted, **CUT, settings={"seed": 2}, restart=True)
    assert (done.frames, done.reused_frames) == (20, 0)


def test_a_recording_that_grew_is_not_mixed_either(tmp_path, recorded, make_frame):
    recording = recorded(range(20))
    interrupted(recording, tmp_path / "out")
    recorded(range(20, 25))
    with pytest.raises(RecordingError, match="frames was 20, 0 to 19, is 25, 0 to 24"):
        enhance(recording, tmp_path / "out", tinted, **CUT)


@pytest.mark.parametrize("name", ["out.mp4", "out"])
def test_an_output_in_the_way_is_kept_unless_told_otherwise(tmp_path, recorded, name):
    enhance(recorded(range(9), height=16, width=16), tmp_path / name, identity, **CUT)
    shorter = recorded(range(4), name="shorter", height=16, width=16)
    with pytest.raises(RecordingError, match="is there already"):
        enhance(shorter, tmp_path / name, identity, **CUT)
    assert enhance(shorter, tmp_path / name, identity, **CUT, restart=True).frames == 4
    if name == "out":
        assert len(pngs(tmp_path / name)) == 4
    else:
        assert len(list(read_video(tmp_path / name))) == 4


def fails(clip):
    raise ValueError("as asked for")


@pytest.mark.parametrize("name", ["out.mp4", "out"])
def test_the_old_output_stays_when_a_restart_fails_and_is_replaced_when_it_goes_on(tmp_path, recorded, name):
    def content(name=name):
        output = tmp_path / name
        return {p.name: p.read_bytes() for p in output.iterdir()} if output.is_dir() else output.read_bytes()

    enhance(recorded(range(20), height=16, width=16), tmp_path / name, identity, **CUT)
    old, shorter = content(), recorded(range(12), name="shorter", height=16, width=16)
    with pytest.raises(RenderError):
        enhance(shorter, tmp_path / name, fails, **CUT, restart=True)
    assert content() == old
    interrupted(shorter, tmp_path / name)
    # The same without --restart, which would begin again.
    assert enhance(shorter, tmp_path / name, tinted, **CUT).reused_frames == 6
    enhance(shorter, tmp_path / f"plain-{name}", tinted, **CUT)
    assert content() == content(f"plain-{name}")
    with pytest.raises(RecordingError, match="is there already"):
        enhance(shorter, tmp_path / name, tinted, **CUT)


@pytest.mark.parametrize("at", range(1, 12, 3))
def test_a_restart_that_is_killed_within_a_clip_loses_no_picture(tmp_path, recorded, monkeypatch, at):
    """A picture that is written once more may get the very file that it had before: its number tells nothing."""
    recording = recorded(range(12), height=16, width=16)
    enhance(recording, tmp_path / "out", identity, **CUT)
    written, encode = [0], parts._png

    def dying(picture):
        written[0] += 1
        if written[0] == at + 1:
            raise KeyboardInterrupt
        return encode(picture)

    monkeypatch.setattr(parts, "_png", dying)
    with pytest.raises(KeyboardInterrupt):
        enhance(recording, tmp_path / "out", tinted, **CUT, restart=True)
    monkeypatch.setattr(parts, "_png", encode)
    enhance(recording, tmp_path / "out", tinted, **CUT)
    enhance(recording, tmp_path / "plain", tinted, **CUT)
    out, plain = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("out", "plain"))
    assert out == plain


def test_restarting_leaves_other_files_in_the_folder_alone(tmp_path, recorded):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    enhance(recorded(range(3)), tmp_path / "out", identity, **CUT, restart=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


# What goes wrong


def test_a_failing_clip_is_named_and_the_finished_ones_are_kept(tmp_path, recorded):
    recording = recorded(range(20))

    def fails_at_nine(clip):
        if clip.frames[0].index == 9:
            raise MemoryError("no memory left")
        return tinted(clip)

    with pytest.raises(RenderError, match="frames 9 to 13 of test/s/main failed: MemoryError: no memory left"):
        enhance(recording, tmp_path / "out", fails_at_nine, **CUT)
    again = Counting()
    assert enhance(recording, tmp_path / "out", again, **CUT).reused_frames == 9
    assert again.clips[0] == (9, 13)


def test_the_stream_has_to_be_named_where_there_are_several(tmp_path, recorded):
    recording = recorded(range(3), camera="left")
    recorded(range(4), camera="right")
    with pytest.raises(RecordingError, match=r"2 streams of .* fit, one is wanted") as caught:
        enhance(recording, tmp_path / "out", identity, **CUT)
    assert "session s, camera right (4 frames)" in caught.value.message
    assert enhance(recording, tmp_path / "out", identity, **CUT, camera="right").frames == 4
    with pytest.raises(RecordingError, match="0 streams"):
        enhance(recording, tmp_path / "out", identity, **CUT, camera="rear")


def test_a_change_of_size_makes_pictures_but_no_video(tmp_path, recorded):
    recording = recorded(range(4), height=16, width=16)
    recorded(range(4, 8), height=32, width=32)
    with pytest.raises(RecordingError, match="frame 0 is 16x16, the last 32x32") as caught:
        enhance(recording, tmp_path / "out.mp4", identity, **CUT)
    assert "PNGs" in caught.value.fix
    enhance(recording, tmp_path / "out", identity, **CUT)
    assert {picture.shape for picture in pngs(tmp_path / "out").values()} == {(16, 16, 3), (32, 32, 3)}


def test_another_ending_is_refused_before_anything_is_rendered(tmp_path, recorded):
    render = Counting()
    with pytest.raises(RecordingError, match=r"cannot write \.avi files"):
        enhance(recorded(range(3)), tmp_path / "out.avi", render, **CUT)
    assert render.clips == []


def test_a_place_that_cannot_be_written_is_named(tmp_path, recorded):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match=r"cannot write .*file") as caught:
        enhance(recorded(range(3)), tmp_path / "file" / "out.mp4", identity, **CUT)
    assert "Choose a place" in caught.value.fix


def test_a_spoiled_ledger_is_not_believed(tmp_path, recorded):
    recording = recorded(range(20))
    interrupted(recording, tmp_path / "out")
    (tmp_path / "out.parts" / "ledger.json").write_text("{]")
    with pytest.raises(RecordingError, match="is not a ledger of ours"):
        enhance(recording, tmp_path / "out", tinted, **CUT)


MANY_FRAMES = """
import resource, sys
sys.path.insert(0, sys.argv[3])
from renderlift.bridge.clip import identity
from renderlift.bridge.enhance import enhance
peaks_mb = []
def progress(done, total): peaks_mb.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
enhance(sys.argv[1], sys.argv[2], identity, length=9, overlap=2, progress=progress)
print(peaks_mb[-1] - peaks_mb[3])
"""


def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path, recorded):
    recording = recorded(range(250), height=180, width=320)
    command = [sys.executable, "-c", MANY_FRAMES, recording, tmp_path / "out.mp4", str(Path(__file__).parent)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    recording_mb = 250 * 180 * 320 * 3 / 1e6
    assert float(output) < recording_mb / 4
