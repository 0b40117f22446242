"""The doctor names what is wrong and its fix, and survives what it looks at."""

import json
import socket

import pytest
from typer.testing import CliRunner

from renderlift.bridge import doctor
from renderlift.bridge.cli import app

DEFAULT_PORT = 5755


def test_the_examination_finds_something_about_everything_and_a_fix_for_what_is_wrong() -> None:
    told = CliRunner().invoke(app, ["doctor", "--json"])
    findings = json.loads(told.stdout)["findings"]
    assert {"versions", "disk", "shared memory", "port", "video", "engine", "renderer", "weights"} <= {
        finding["name"] for finding in findings
    }
    assert all(finding["found"] for finding in findings)
    assert all(finding["fix"] for finding in findings if finding["state"] != "ok")
    assert told.exit_code == int(any(finding["state"] == "fail" for finding in findings))


def test_people_see_the_fix_beside_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = doctor.Finding("engine", "fail", "no OpenGL", "apt-get install libegl1")
    monkeypatch.setattr(doctor, "examine", lambda: [broken])
    told = CliRunner().invoke(app, ["doctor"])
    assert told.exit_code == 1
    assert "no OpenGL" in told.stdout
    assert "fix: apt-get install libegl1" in told.stdout


def test_a_taken_port_is_a_warning_that_names_the_option() -> None:
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", DEFAULT_PORT))
            other.listen()
        except OSError:
            pytest.skip("somebody else has the port")
        finding = doctor.look_at_port()
    assert finding.state == "warn"
    assert "--endpoint" in finding.fix


@pytest.mark.parametrize(
    ("package", "look", "fix"),
    [
        ("torch", doctor.look_at_renderer, ".[model]"),
        ("panda3d", doctor.look_at_engine, ".[engines]"),
    ],
)
def test_a_base_install_is_fine_and_told_how_to_get_the_rest(
    monkeypatch: pytest.MonkeyPatch, package: str, look: doctor.Look, fix: str
) -> None:
    def is_installed(name: str) -> bool:
        return name != package

    monkeypatch.setattr(doctor, "is_installed", is_installed)
    finding = look()
    assert finding.state == "warn"
    assert fix in finding.fix


def test_missing_weights_are_a_failure_that_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "WEIGHTS", ("no_such_weights.safetensors",))
    finding = doctor.look_at_weights()
    assert finding.state == "fail"
    assert "no_such_weights.safetensors" in finding.found
    assert finding.fix


@pytest.mark.parametrize("body", ["import os; os.abort()", "import no_such_module", "raise SystemExit(3)"])
def test_what_crashes_while_it_is_looked_at_is_a_finding_too(body: str) -> None:
    assert doctor.probe(body)["problem"]


def test_a_probe_that_works_gives_what_it_found() -> None:
    assert doctor.probe("found = {'gpus': []}") == {"found": {"gpus": []}}
