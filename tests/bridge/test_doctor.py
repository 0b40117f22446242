"""The doctor names what is wrong and its fix, and survives what it looks at."""

import importlib.util
import json
import socket
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from renderlift.bridge import doctor, doctor_bases, options
from renderlift.bridge.cli import app
from renderlift.bridge.errors import SetupError
from renderlift.bridge.events import Events

DEFAULT_PORT = 5755


def test_the_examination_finds_something_about_everything_and_a_fix_for_what_is_wrong() -> None:
    told = CliRunner().invoke(app, ["doctor", "--json"])
    findings = json.loads(told.stdout.splitlines()[0])["findings"]
    assert {"versions", "disk", "shared memory", "port", "video", "engine", "renderer", "weights"} <= {
        finding["name"] for finding in findings
    }
    assert all(finding["found"] for finding in findings)
    assert all(finding["fix"] for finding in findings if finding["state"] != "ok")
    assert told.exit_code == int(any(finding["state"] == "fail" for finding in findings))


def test_people_see_the_fix_beside_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = doctor.Finding("engine", "fail", "no OpenGL", "apt-get install libegl1")
    monkeypatch.setattr(doctor, "examine", lambda: [broken])
    monkeypatch.setattr(doctor_bases, "is_installed", lambda name: False)
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


def told_of_bases(*, as_json: bool = True, **asked: object) -> str:
    out = StringIO()
    wanted = {"base": None, "gpu_memory_gb": None, **asked}
    doctor_bases.tell_bases(Events(as_json=as_json, out=out, err=out), **wanted)  # pyright: ignore
    return out.getvalue()


def test_a_gpu_that_is_thought_of_gets_a_preset_for_every_published_base() -> None:
    event = json.loads(told_of_bases(gpu_memory_gb=24).splitlines()[0])
    presets = {fit["base"]: (fit["preset"], fit["with_torchao"]) for fit in event["fits"]}
    assert event["memory_gb"] == pytest.approx(24, rel=0.02)  # the driver keeps some
    has_torchao = importlib.util.find_spec("torchao") is not None
    assert presets["Lightricks/LTX-2"] == (("parts-int8", "") if has_torchao else ("blocks", "parts-int8"))
    assert presets["Wan-AI/Wan2.1-T2V-1.3B-Diffusers"] == ("resident", "")
    assert all(fit["computed"] for fit in event["fits"])


def test_what_is_too_large_is_said_and_what_it_would_need() -> None:
    said = " ".join(told_of_bases(as_json=False, gpu_memory_gb=4).split())
    assert "too large for it" in said
    assert "Computed, not measured, from published sizes." in said


def test_what_is_a_little_too_large_is_said_with_what_makes_it_fit() -> None:
    said = " ".join(told_of_bases(as_json=False, gpu_memory_gb=12).split())
    assert "--window 77" in said
    assert "too large for it" not in said


def test_without_a_gpu_people_learn_what_would_be_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    said = told_of_bases(as_json=False)
    assert "no GPU here" in said
    assert "resident from" in said
    assert "LTX-2" in said


def test_a_folder_that_is_no_base_is_an_error_with_its_fix() -> None:
    with pytest.raises(SetupError, match=r"model_index\.json is missing") as error:
        told_of_bases(base="/", gpu_memory_gb=24)
    assert "save_pretrained" in error.value.fix


def test_a_folder_that_is_no_base_is_told_before_anything_is_examined(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: pytest.fail("examined"))
    for folder, said in ((tmp_path / "nope", "there is no folder"), (tmp_path, "no base at")):
        told = CliRunner().invoke(app, ["doctor", "--base", str(folder)])
        assert told.exit_code == 1
        assert f"error: {said}" in told.stderr
        assert "fix: Name the folder" in told.stderr
        assert told.stdout == ""


@pytest.mark.parametrize("text", ["80", "80GB", "80 GB", "80gb", "80.0g"])
def test_memory_may_be_given_with_its_unit(text: str) -> None:
    assert options.gigabytes(text) == 80


@pytest.mark.parametrize("text", ["0.5", "much", "80 MB", "-3", "nan"])
def test_what_is_no_memory_is_a_wrong_command_line(text: str) -> None:
    told = CliRunner().invoke(app, ["doctor", "--gpu-memory", text])
    assert told.exit_code == 2
    assert "write e.g. 24" in told.stderr


def test_presets_cannot_be_asked_for_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_bases, "is_installed", lambda name: False)
    assert told_of_bases() == ""
    with pytest.raises(SetupError, match="not installed"):
        told_of_bases(gpu_memory_gb=24)
