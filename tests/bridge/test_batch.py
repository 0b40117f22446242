"""Many recordings at once, by real workers of a real Ray, some of which are killed."""

import importlib.util
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from renderlift.bridge.batch import Failure, Look, Stream, enhance_all, streams_of
from renderlift.bridge.cluster import Cluster
from renderlift.bridge.enhance import Enhanced, enhance
from renderlift.bridge.errors import RecordingError, SetupError
from renderlift.bridge.record import Recorder

if importlib.util.find_spec("ray") is None:  # imported by the tests it would not know yet how to behave
    pytest.skip("Ray is not installed", allow_module_level=True)

TWO = Cluster(2, gpus=False)
# A renderer of which each clip looks a little different, that leaves a line for each.
RENDERER = """
import os, time
from pathlib import Path
import numpy as np

def load(log, pause_s=0.0, fail_at="", die_at="", gain=0):
    def render(clip):
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()} {clip.frames[0].session} {clip.frames[0].index}\\n")
        time.sleep(pause_s)
        if f"{clip.frames[0].session} {clip.frames[0].index}" == fail_at:
            raise ValueError("as asked for")
        if f"{clip.frames[0].session} {clip.frames[0].index}" == die_at:
            os.kill(os.getpid(), 9)
        before = 0 if clip.before is None else int(clip.before.pictures[0, 0, 0, 0]) // 8
        return (clip.channels["rgb"] // 2 + clip.frames[0].index * 7 % 50 + before + gain).astype(np.uint8)
    render.clip_size = 5, 2
    return render
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("renderer")
    (folder / "logging_renderer.py").write_text(RENDERER)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        patched.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)  # of the workers
        yield folder


@pytest.fixture(scope="module")
def ray_here(module):
    """Ray as the command starts it, for all tests of this file."""
    from renderlift.bridge import cluster

    with cluster._ray(TWO) as running:
        yield running


@pytest.fixture
def look(module, tmp_path):
    return Look("logging_renderer:load", {"log": str(tmp_path / "log")})


@pytest.fixture
def record(tmp_path, make_frame):
    def write(name, indices=range(20), **settings):
        settings = {"height": 16, "width": 16, "session": name, **settings}
        with Recorder(tmp_path / name) as recorder:
            for index in indices:
                recorder.write(make_frame(index, **settings))
        return tmp_path / name

    return write


@pytest.fixture
def plainly(tmp_path, look):
    """What `enhance` makes of a stream, one after the other, in this process."""

    def render(stream: Stream, **options):
        from logging_renderer import load

        output = tmp_path / "plain" / stream.output.name
        output.parent.mkdir(exist_ok=True)
        given = {**look.options, "log": os.devnull, **options}
        names = {"session": stream.summary.session, "camera": stream.summary.camera}
        enhance(stream.recording, output, load(**given), length=5, overlap=2, **names)
        return content(output)

    return render


def content(output: Path) -> dict[str, bytes]:
    if output.is_dir():
        return {path.name: path.read_bytes() for path in output.iterdir()}
    return {output.suffix: output.read_bytes()}


def clips_rendered(tmp_path) -> Counter[str]:
    """How often each clip was rendered."""
    return Counter(line.partition(" ")[2] for line in (tmp_path / "log").read_text().splitlines())


def workers(tmp_path) -> set[str]:
    return {line.partition(" ")[0] for line in (tmp_path / "log").read_text().splitlines()}


# Which streams, and what they are called


def test_streams_are_named_by_what_tells_them_apart(tmp_path, record):
    one, two = record("one"), record("two", camera="left")
    record("two", camera="right")
    (tmp_path / "other").mkdir()
    again = record("other/one")
    streams = streams_of([one, two, again, one], tmp_path / "out").streams
    parent = tmp_path.name
    assert [stream.output.name for stream in streams] == [
        f"{parent}-one.mp4",
        "two-left.mp4",
        "two-right.mp4",
        "other-one.mp4",
    ]
    assert [stream.output.name for stream in streams_of([two], tmp_path, png=True, camera="left").streams] == [
        "two"
    ]


def test_a_dataset_brings_all_its_scenes(tmp_path, record):
    (tmp_path / "data" / "000003").mkdir(parents=True)
    (tmp_path / "data" / "900000").mkdir(parents=True)
    record("data/000003/render")
    record("data/900000/render")
    assert [stream.name for stream in streams_of([tmp_path / "data"], tmp_path / "out").streams] == [
        "000003",
        "900000",
    ]


def test_streams_that_nobody_recorded_are_no_work(tmp_path, record):
    with pytest.raises(RecordingError, match="no stream to render"):
        streams_of([record("one")], tmp_path / "out", camera="rear")


# Workers


@pytest.mark.parametrize("png", [False, True])
def test_two_workers_make_what_one_process_makes(tmp_path, record, ray_here, look, plainly, png):
    recordings = [record(f"take{i}", range(10 + 3 * i)) for i in range(4)]
    streams = streams_of(recordings, tmp_path / "out", png=png).streams
    done = dict(enhance_all(streams, look, TWO))
    assert {stream.name: result.frames for stream, result in done.items()} == {
        f"take{i}": 10 + 3 * i for i in range(4)
    }
    # One may be so slow to start that the other has done it all by then; this process does nothing of it.
    assert 1 <= len(workers(tmp_path)) <= 2 and str(os.getpid()) not in workers(tmp_path)
    assert all(content(stream.output) == plainly(stream) for stream in streams)
    # Given again, nothing is rendered again.
    rendered = clips_rendered(tmp_path)
    assert all(result.reused_frames == result.frames for _, result in enhance_all(streams, look, TWO))
    assert clips_rendered(tmp_path) == rendered
    assert set(rendered.values()) == {1}


@pytest.mark.parametrize("png", [False, True])
def test_the_shots_of_one_recording_are_shared_out_and_the_output_is_the_same(
    tmp_path, record, ray_here, look, plainly, png
):
    # Gaps part shots as cuts do.
    indices = [index for start in range(0, 200, 20) for index in range(start, start + 11)]
    streams = streams_of([record("long", indices)], tmp_path / "out", png=png).streams
    slow = Look(look.render, {**look.options, "pause_s": 0.05})
    [(_, result)] = list(enhance_all(streams, slow, TWO))
    assert (result.frames, result.missing_frames) == (110, 81)
    assert 1 <= len(workers(tmp_path)) <= 2 and str(os.getpid()) not in workers(tmp_path)
    assert set(clips_rendered(tmp_path).values()) == {1}
    assert content(streams[0].output) == plainly(streams[0])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".finished", streams[0].output.name]


class KillOnce:
    """Kills a worker once it has finished some frames, as a crash would."""

    def __init__(self, after_frames: int) -> None:
        self.after_frames = after_frames
        self.died: list[str] = []
        self.killed = False

    def told(self, busy, done):
        for worker in busy:
            if not self.killed and worker.piece and done.get(worker.piece.stream.name, 0) >= self.after_frames:
                os.kill(int(worker.place.rpartition(" ")[2]), signal.SIGKILL)
                self.killed = True


@pytest.mark.parametrize("takes", [1, 3])
def test_a_killed_worker_loses_nothing_and_doubles_nothing(tmp_path, record, ray_here, look, plainly, takes):
    indices = [index for start in range(0, 150, 50) for index in range(start, start + 31)]
    streams = streams_of([record(f"take{i}", indices) for i in range(takes)], tmp_path / "out").streams
    slow = Look(look.render, {**look.options, "pause_s": 0.1})
    killer = KillOnce(9)
    done = dict(enhance_all(streams, slow, TWO, told=killer.told, died=lambda s: killer.died.append(s.name)))
    assert killer.killed
    assert len(killer.died) == 1
    assert [result.frames for result in done.values()] == [93] * takes
    assert all(content(stream.output) == plainly(stream) for stream in streams)
    counts = clips_rendered(tmp_path)
    # One was being rendered, one waited, one was being written.
    assert sum(counts.values()) - len(counts) <= 3


def test_a_recording_that_fails_stops_no_other(tmp_path, record, ray_here, look, plainly):
    streams = streams_of([record(f"take{i}") for i in range(3)], tmp_path / "out").streams
    failing = Look(look.render, {**look.options, "fail_at": "take1 9"})
    done = {stream.name: result for stream, result in enhance_all(streams, failing, TWO)}
    assert isinstance(done["take1"], Failure)
    assert "frames 9 to 13 of test/take1/main failed: ValueError: as asked for" in done["take1"].message
    for stream in (streams[0], streams[2]):
        assert isinstance(done[stream.name], Enhanced)
        assert content(stream.output) == plainly(stream)


def test_a_clip_that_kills_every_worker_is_given_up(tmp_path, record, ray_here, look):
    streams = streams_of([record(f"take{i}") for i in range(2)], tmp_path / "out").streams
    deadly = Look(look.render, {**look.options, "die_at": "take0 9"})
    died = []
    done = {s.name: result for s, result in enhance_all(streams, deadly, TWO, died=lambda s: died.append(s.name))}
    assert died == ["take0"] * 3
    assert isinstance(done["take0"], Failure)
    assert "died 3 times" in done["take0"].message
    assert isinstance(done["take1"], Enhanced)


def test_what_every_stream_needs_is_told_once(tmp_path, record, ray_here):
    streams = streams_of([record(f"take{i}") for i in range(2)], tmp_path / "out").streams
    for cluster in (None, TWO):
        with pytest.raises(SetupError, match="no renderer 'nonsense'"):
            list(enhance_all(streams, Look("nonsense"), cluster))


def test_one_process_does_it_too_and_goes_on_with_what_workers_began(tmp_path, record, ray_here, look, plainly):
    indices = [index for start in range(0, 200, 50) for index in range(start, start + 21)]
    streams = streams_of([record("long", indices)], tmp_path / "out").streams
    failing = Look(look.render, {**look.options, "fail_at": "long 150"})
    [(_, failure)] = list(enhance_all(streams, failing, TWO))
    assert isinstance(failure, Failure)
    assert (tmp_path / "out" / "long.mp4.parts" / "plan.json").exists()
    with pytest.raises(RecordingError, match="other settings"):  # which would have another look
        enhance(streams[0].recording, streams[0].output, lambda clip: clip.channels["rgb"], length=5, overlap=2)
    same = Look(look.render, failing.options)
    (tmp_path / "log").unlink()
    from logging_renderer import load

    render = load(os.devnull)
    render.clip_size = 5, 2
    done = enhance(
        streams[0].recording,
        streams[0].output,
        render,
        length=5,
        overlap=2,
        settings={"render": same.render, **same.options},
    )
    assert done.frames == 84
    assert done.reused_frames >= 21
    assert content(streams[0].output) == plainly(streams[0])


def test_restarting_renders_all_again_with_other_settings(tmp_path, record, look):
    streams = streams_of([record("take")], tmp_path / "out").streams
    list(enhance_all(streams, look, None))
    other = Look(look.render, {**look.options, "pause_s": 0.01})
    [(_, failure)] = list(enhance_all(streams, other, None))
    assert isinstance(failure, Failure)
    assert "pause_s was not set, is 0.01" in failure.message
    [(_, done)] = list(enhance_all(streams, other, None, restart=True))
    assert isinstance(done, Enhanced)
    assert done.reused_frames == 0


@pytest.mark.parametrize("png", [False, True])
def test_workers_replace_old_outputs_and_keep_that_of_a_restart_that_failed(
    tmp_path, record, ray_here, look, plainly, png
):
    indices = [index for start in range(0, 100, 20) for index in range(start, start + 11)]
    streams = streams_of([record("long", indices)], tmp_path / "out", png=png).streams
    bright = Look(look.render, {**look.options, "gain": 40})
    list(enhance_all(streams, bright, None))
    old = content(streams[0].output)
    failing = Look(look.render, {**look.options, "fail_at": "long 0"})
    for cluster in (None, TWO):
        [(_, failure)] = list(enhance_all(streams, failing, cluster, restart=True))
        assert isinstance(failure, Failure)
        if cluster is None or not png:  # of pictures, other shares may have replaced theirs
            assert content(streams[0].output) == old
    (tmp_path / "log").unlink()
    [(_, done)] = list(enhance_all(streams, look, TWO, restart=True))
    assert isinstance(done, Enhanced)
    assert content(streams[0].output) == plainly(streams[0])


def test_an_output_that_was_taken_away_is_made_again(tmp_path, record, look):
    streams = streams_of([record("take")], tmp_path / "out").streams
    list(enhance_all(streams, look, None))
    streams[0].output.unlink()
    [(_, done)] = list(enhance_all(streams, look, None))
    assert isinstance(done, Enhanced)
    assert (done.frames, done.reused_frames) == (20, 0)
