import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.utils import filter_repo_objects

from renderlift.bridge.errors import SetupError
from renderlift.model.bases import hub
from renderlift.model.bases.facts import BASES
from renderlift.model.bases.hub import fetch

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What the hub is asked for; nothing is downloaded."""
    calls: list[dict[str, Any]] = []

    def download(repository: str, **how: Any) -> None:
        calls.append({"repository": repository, **how})
        Path(how["local_dir"]).mkdir(exist_ok=True)
        if repository != "someone/checkpoints":
            (Path(how["local_dir"]) / "model_index.json").write_text("{}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(hub, "refuse_no_hub", lambda: None)
    return calls


@pytest.mark.parametrize(
    "loose", ["Lightricks/LTX-2", "Lightricks/LTX-2@main", "Lightricks/LTX-2@0123abc", "x@" + COMMIT]
)
def test_a_branch_or_a_short_commit_is_no_version(asked: list[Any], tmp_path: Path, loose: str) -> None:
    with pytest.raises(SetupError, match="commits/main"):
        fetch(loose, tmp_path / "base", accepted=True)
    assert asked == []


def test_the_licence_is_shown_before_anything_is_downloaded(asked: list[Any], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"LTX-2 Community License.*huggingface.co"):
        fetch(f"Lightricks/LTX-2@{COMMIT}", tmp_path / "base", accepted=False)
    with pytest.raises(SetupError, match="not known here"):
        fetch(f"someone/a-base@{COMMIT}", tmp_path / "base", accepted=False)
    assert asked == []


def test_only_that_commit_comes_and_nothing_that_could_run(asked: list[Any], tmp_path: Path) -> None:
    folder = fetch(f"Lightricks/LTX-2@{COMMIT}", tmp_path / "base", accepted=True)
    (call,) = asked
    assert call["revision"] == COMMIT
    assert "*/*.safetensors" in call["allow_patterns"]
    assert {"*.bin", "*.py", "*.pkl"} <= set(call["ignore_patterns"])
    assert COMMIT in (folder / "renderlift_source.json").read_text()


def test_weights_come_once_and_not_again_in_one_file_for_other_programs(asked: list[Any], tmp_path: Path) -> None:
    fetch(f"Lightricks/LTX-2@{COMMIT}", tmp_path / "base", accepted=True)
    (call,) = asked
    offered = [
        "model_index.json",
        "transformer/diffusion_pytorch_model-00001-of-00008.safetensors",
        "latent_upsampler/diffusion_pytorch_model.safetensors",
        "ltx-2-19b-distilled-lora-384.safetensors",
        "ltx-2-19b-dev-fp8.safetensors",
        "ltx-2-19b-distilled.safetensors",
        "transformer_full/diffusion_pytorch_model.safetensors",
    ]
    taken = filter_repo_objects(
        offered, allow_patterns=call["allow_patterns"], ignore_patterns=call["ignore_patterns"]
    )
    assert list(taken) == offered[:4]


def test_a_part_that_is_published_alone_comes_whole(asked: list[Any], tmp_path: Path) -> None:
    fetch(f"nvidia/Cosmos-Transfer2.5-2B@{COMMIT}", tmp_path / "controlnet_edge", accepted=True)
    (call,) = asked
    offered = ["config.json", "diffusion_pytorch_model.safetensors", "general/edge/model.pt"]
    taken = filter_repo_objects(
        offered, allow_patterns=call["allow_patterns"], ignore_patterns=call["ignore_patterns"]
    )
    assert list(taken) == offered[:2]


def test_a_commit_without_a_pipeline_is_said(asked: list[Any], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="nothing in the form of diffusers"):
        fetch(f"someone/checkpoints@{COMMIT}", tmp_path / "base", accepted=True)


def test_a_repository_that_asks_for_a_login_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def gated(repository: str, **how: Any) -> None:
        raise OSError("401: access to this model is restricted")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", gated)
    monkeypatch.setattr(hub, "refuse_no_hub", lambda: None)
    with pytest.raises(SetupError, match="restricted") as told:
        fetch(f"Lightricks/LTX-2.5-Diffusers@{COMMIT}", tmp_path / "base", accepted=True)
    assert "hf auth login" in told.value.fix


def test_a_hub_that_cannot_be_reached_is_told_at_once_and_without_raw_lines(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "renderlift.bridge.cli", "fetch", f"Lightricks/LTX-2@{COMMIT}"]
    began_s = time.monotonic()
    told = subprocess.run(
        [*command, "-o", str(tmp_path / "base"), "--accept-licence"],
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert told.stderr.startswith("error: the hub at http://127.0.0.1:9 cannot be reached: ")
    assert "fix: Look at this machine's network" in told.stderr
    assert len(told.stderr.splitlines()) == 2
    assert time.monotonic() - began_s < 20


def test_every_base_states_its_licence() -> None:
    assert all(facts.licence and facts.licence_url.startswith("https://") for facts in BASES)
