"""What commands say can be read by machines, on a terminal, and in a log file."""

import json
import re
import threading
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from renderlift.bridge import events as events_module
from renderlift.bridge.events import Events
from renderlift.bridge.tally import StreamProgress
from renderlift.bridge.wire import Mode


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Row:
    name: str
    psnr_db: float


def test_with_json_every_line_of_stdout_is_one_event_and_nothing_else_is_said() -> None:
    out, err = StringIO(), StringIO()
    with Events(as_json=True, out=out, err=err) as events:
        events.tell("listening", "Listening.", endpoint="tcp://127.0.0.1:1", path=Path("a/b"))
        events.progress("rendering", 3, 3)
        events.table("result", "Result", ["name"], [["x"]], rows=[Row("x", float("inf"))])
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert told == [
        {"event": "listening", "endpoint": "tcp://127.0.0.1:1", "path": "a/b"},
        {"event": "progress", "stage": "rendering", "done": 3, "total": 3},
        {"event": "result", "rows": [{"name": "x", "psnr_db": None}]},
    ]
    assert err.getvalue() == ""


def test_json_progress_is_thinned_out_but_always_tells_the_end() -> None:
    out = StringIO()
    events = Events(as_json=True, out=out)
    for done in range(1001):
        events.progress("rendering", done, 1000)
    told = [json.loads(line)["done"] for line in out.getvalue().splitlines()]
    assert told[0] == 0
    assert told[-1] == 1000
    assert len(told) < 100


def test_in_a_log_file_progress_comes_as_few_plain_lines() -> None:
    out, err = StringIO(), StringIO()
    with Events(out=out, err=err) as events:
        for done in range(101):
            events.progress("rendering", done, 100, text="4.0 fps")
        events.tell("done", "Done.")
    assert err.getvalue().splitlines() == ["rendering: 0/100 4.0 fps", "rendering: 100/100 4.0 fps", "Done."]
    assert out.getvalue() == ""


def test_in_a_log_file_nothing_is_said_twice_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "PLAIN_PROGRESS_S", 0.0)
    err = StringIO()
    with Events(err=err) as events:
        for done in (0, 0, 0, 10, 10, 20):
            events.progress("rendering", done, 20, text="0 of 2 outputs")
    assert [line.split()[1] for line in err.getvalue().splitlines()] == ["0/20", "10/20", "20/20"]


def test_steps_of_a_clip_are_worth_a_line_of_a_log_file_only_where_they_take_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [0.0]
    monkeypatch.setattr(events_module.time, "monotonic", lambda: now_s[0])
    err = StringIO()
    with Events(err=err) as events:
        for pause_s in (0.0, 0.6, 0.0, 0.6):
            for done in range(1, 5):
                now_s[0] += pause_s * events_module.PLAIN_PROGRESS_S
                events.denoising(done, 4)
    assert err.getvalue().splitlines() == ["denoising: 3/4", "denoising: 3/4"]


def test_steps_of_clips_are_thinned_out_for_machines_as_all_progress_is() -> None:
    out = StringIO()
    with Events(as_json=True, out=out) as events:
        for _ in range(100):
            for done in range(1, 5):
                events.denoising(done, 4)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert told[0] == {"event": "progress", "stage": "denoising", "done": 1, "total": 4}
    assert len(told) < 20


def test_steps_that_are_told_by_another_thread_stand_beside_the_frames_and_end_with_the_command() -> None:
    err = Terminal()

    def paint() -> None:
        for step in range(200):
            events.denoising(step % 8 + 1, 8)

    with Events(err=err) as events:
        painter = threading.Thread(target=paint)
        painter.start()
        for done in range(200):
            events.progress("rendering", done, 200)
        painter.join()
    paint()
    assert "denoising" in err.getvalue()
    assert "rendering" in err.getvalue()


def test_on_a_terminal_progress_is_a_bar_and_what_is_told_stays_above_it() -> None:
    out, err = StringIO(), Terminal()
    with Events(out=out, err=err) as events:
        events.progress("rendering", 50, 100)
        events.tell("note", "A note [with brackets].")
        events.progress("rendering", 100, 100)
    assert "100/100" in err.getvalue()
    assert "A note [with brackets]." in err.getvalue()
    assert out.getvalue() == ""


def test_a_preview_s_line_fits_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    row = StreamProgress("panda3d", "s", "main", Mode.PREVIEW, True, 12345, 2333, 10012, 0, 29.9, 3.4, 904.4)
    err = Terminal()
    with Events(err=err) as events:
        events.progress("panda3d main preview", row.rendered, text=row.brief, bar=False)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err.getvalue()).replace("\r", "\n").splitlines()
    assert any("904 ms" in line and line.rstrip().endswith("2333 dropped") for line in lines)
    assert max(len(line.rstrip()) for line in lines) <= 80


def test_results_go_to_stdout_so_that_they_can_be_kept() -> None:
    out, err = StringIO(), StringIO()
    Events(out=out, err=err).table("result", "Result", ["name", "PSNR"], [["render", "20.1 dB"]])
    assert "20.1 dB" in out.getvalue()
    assert err.getvalue() == ""
