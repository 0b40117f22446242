"""`renderlift enhance` of several recordings, as a user types it."""

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from renderlift.bridge import enhance_many as many
from renderlift.bridge.batch import Failure, Look, Piece, streams_of
from renderlift.bridge.cli import app
from renderlift.bridge.cluster import Busy, Cluster
from renderlift.bridge.enhance_many import cluster_for, with_whole_paths
from renderlift.bridge.errors import SetupError
from renderlift.bridge.events import Events
from renderlift.bridge.record import Recorder

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")

SLOW = """
import time
def load():
    def render(clip):
        time.sleep(0.2)
        return clip.channels["rgb"] // 2
    return render
"""
HELPED = """
def load():
    def render(clip):
        if clip.frames[0].session == "s1":
            render.remedies[:] = ["half the pixels (out of memory)"]
        return clip.channels["rgb"]
    render.remedies = []
    return render
"""


@pytest.fixture
def takes(tmp_path, make_frame):
    """takes(3): so many recordings of 30 frames."""

    def make(count):
        for number in range(count):
            with Recorder(tmp_path / f"take{number}") as recorder:
                for index in range(30):
                    recorder.write(make_frame(index, 16, 16, session=f"s{number}"))
        return [str(tmp_path / f"take{number}") for number in range(count)]

    return make


def run(*words):
    result = CliRunner().invoke(app, ["enhance", *words, "--render", "identity", "--json"])
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def ray_processes(*words: str) -> list[psutil.Process]:
    """Processes of Ray that are called so; without words, all of them."""
    words = words or ("raylet", "gcs_server", "ray::")
    found = (process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"])
    return [p for p in found if any(word in p.info["cmdline"][0] for word in words)]


def test_several_recordings_need_no_ray_in_one_process(tmp_path, takes):
    code, events = run(*takes(2), "-o", str(tmp_path / "out"), "--png")
    assert code == 0
    assert events[-1] == {
        "event": "enhanced_all",
        "finished": 2,
        "failed": 0,
        "frames": 60,
        "missing_frames": 0,
        "remedied": 0,
    }
    assert [e["name"] for e in events if e["event"] == "enhanced"] == ["take0", "take1"]
    assert len(list((tmp_path / "out" / "take1").glob("*.png"))) == 30


def test_outputs_with_frames_that_needed_a_remedy_are_marked(tmp_path, takes, monkeypatch):
    (tmp_path / "helped_renderer.py").write_text(HELPED)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = [*takes(2), "-o", str(tmp_path / "out"), "--png", "--render", "helped_renderer:load"]
    told = CliRunner().invoke(app, ["enhance", *words])
    assert told.exit_code == 0
    assert "take1: frames 0 to 29 with half the pixels (out of memory)" in told.stderr
    assert told.stdout.count("with remedies") == 1
    told = CliRunner().invoke(app, ["enhance", *words, "--json"])
    events = [json.loads(line) for line in told.stdout.splitlines()]
    assert events[-1]["remedied"] == 1
    assert [len(e["enhanced"]["remedied"]) for e in events if e["event"] == "enhanced"] == [0, 1]


def test_a_recording_that_cannot_be_read_is_told_and_the_others_are_rendered(tmp_path, takes):
    names = takes(2)
    (Path(names[0]) / "000000.mcap").write_bytes(b"something else entirely")
    code, events = run(*names, "-o", str(tmp_path / "out"))
    assert code == 3
    assert [e["name"] for e in events if e["event"] == "enhance_failed"] == [names[0]]
    assert (tmp_path / "out" / "take1.mp4").exists()


def test_if_nothing_can_be_rendered_that_is_an_error(tmp_path, takes):
    (name,) = takes(1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "take0.mp4").write_text("somebody else's")
    code, events = run(name, "-o", str(tmp_path / "out"), "--workers", "1")
    assert code == 1
    assert "is there already" in next(e["message"] for e in events if e["event"] == "enhance_failed")


def test_several_streams_do_not_go_into_one_file(tmp_path, takes):
    code, events = run(*takes(2), "-o", str(tmp_path / "out.mp4"))
    assert code == 1
    assert "2 streams do not go into" in events[-1]["message"]


def test_one_stream_may_go_into_a_file_of_that_name(tmp_path, takes):
    assert run(*takes(1), "-o", str(tmp_path / "out.mp4"), "--workers", "1")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "take0"]


def test_without_ray_several_workers_are_refused_with_the_fix(tmp_path, takes, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, events = run(*takes(2), "-o", str(tmp_path / "out"), "--workers", "2")
    assert code == 1
    assert "not installed" in events[-1]["message"]
    assert ".[ray]" in events[-1]["fix"]


def test_a_base_that_only_other_machines_have_is_not_missed_here(tmp_path, takes, monkeypatch):
    def by_far_workers(streams, look, cluster, *, told, **_):
        told([Busy(1, "", None)], {})
        yield streams[0], Failure("as asked for")

    monkeypatch.setattr(many, "enhance_all", by_far_workers)
    chosen = streams_of([Path(name) for name in takes(1)], tmp_path / "out")
    look = Look(options={"base": "/on/another/machine"})
    with Events(as_json=True, out=io.StringIO()) as events:
        assert many.enhance_many(chosen, look, Cluster(address="auto"), events, restart=False) == (0, 1, 0)


def test_each_worker_is_told_with_the_steps_of_its_clip_or_as_loading(tmp_path, takes, monkeypatch):
    def by_far_workers(streams, look, cluster, *, told, **_):
        plain, loading = Busy(1, "node1, process 41", Piece(streams[0])), Busy(2, "", None)
        told([plain, loading, Busy(3, "node7, process 4711", Piece(streams[1]), (3, 8))], {"take1": 12})
        yield streams[0], Failure("as asked for")
        yield streams[1], Failure("as asked for")

    monkeypatch.setattr(many, "enhance_all", by_far_workers)
    chosen = streams_of([Path(name) for name in takes(2)], tmp_path / "out")
    cluster, said = Cluster(address="auto"), io.StringIO()
    with Events(out=io.StringIO(), err=said) as events:
        many.enhance_many(chosen, Look(), cluster, events, restart=False)
    # The first has no steps that would take long, so it is told once, and not with every frame.
    assert said.getvalue().splitlines()[1:4] == [
        "worker 1: take0 (node1, process 41)",
        "worker 2: loading",
        "worker 3: 12/30 take1, step 3 of 8 (node7, process 4711)",
    ]


def test_one_gpu_is_not_enough_for_several_workers():
    with pytest.raises(SetupError, match="cannot all have cuda:1"):
        cluster_for(Look(options={"device": "cuda:1"}), 2, "")
    assert cluster_for(Look(options={"device": "cuda:1"}), None, "") is None
    assert cluster_for(Look(options={"device": "cpu"}), 3, "") == Cluster(3, gpus=False)


@needs_ray
def test_a_killed_command_leaves_nobody_behind_and_goes_on_when_given_again(tmp_path, takes):
    (tmp_path / "slow_renderer.py").write_text(SLOW)
    names = takes(2)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-m", "renderlift.bridge.cli", "enhance", *names, "--render", "slow_renderer:load"]
    command += ["--workers", "2", "-o", str(tmp_path / "out"), "--json"]
    before = {process.pid for process in ray_processes()}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["done"] >= 14:
                break
        crew = [p for p in ray_processes() if p.pid not in before]
        heard = {c.laddr.ip for p in crew for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        process.send_signal(signal.SIGKILL)
    assert any("ray::_Worker" in p.info["cmdline"][0] for p in crew)
    assert heard <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert heard
    # Ray's two agents look for it for a minute or two before they end; they touch nothing of ours.
    ours = ("raylet", "gcs_server", "ray::_Worker")
    until_s = time.monotonic() + 30
    while {p.pid for p in ray_processes(*ours)} - before and time.monotonic() < until_s:
        time.sleep(0.2)
    assert {p.pid for p in ray_processes(*ours)} - before == set()
    for agent in (p for p in crew if p.is_running()):
        agent.kill()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    finished = [event["enhanced"] for event in events if event["event"] == "enhanced"]
    assert [result["frames"] for result in finished] == [30, 30]
    assert sum(result["reused_frames"] for result in finished) >= 14
    plain = [*command[:4], names[0], "--render", "slow_renderer:load", "-o", str(tmp_path / "plain.mp4")]
    subprocess.run(plain, env=environment, check=True, capture_output=True)
    assert (tmp_path / "plain.mp4").read_bytes() == (tmp_path / "out" / "take0.mp4").read_bytes()
    assert {p.pid for p in ray_processes()} - before == set()


def test_options_that_name_places_and_no_others_become_whole_paths_for_other_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("depth", "looks", "base"):
        (tmp_path / name).mkdir()
    words = {"references": "depth", "control": "depth", "prompt": "a long one" * 100, "adapter": "none", "seed": 3}
    places = {"reference_images": "looks", "base": "base"}
    whole = {name: str(tmp_path / folder) for name, folder in places.items()}
    assert with_whole_paths(words | places) == words | whole
