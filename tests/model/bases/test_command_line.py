"""Every option of renderers, typed on a command line, with a large base behind it."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from renderlift.bridge import cli
from renderlift.bridge.clip import Clip
from renderlift.bridge.films import read_png
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder
from renderlift.model.render import load_base
from tests.model.bases.random_adapter import random_adapter

Shot = Callable[..., Clip]
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture
def take(shot: Shot, tmp_path: Path) -> Clip:
    """What tmp_path / "take" records."""
    clip = shot(12)
    with Recorder(tmp_path / "take") as recorder:
        for frame in clip.frames:
            recorder.write(frame)
    return clip


def enhance(tmp_path: Path, name: str, *words: object) -> Result:
    arguments = ("enhance", tmp_path / "take", "-o", tmp_path / name, "--steps", 1, "--device", "cpu", *words)
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def pictures(folder: Path) -> np.ndarray:
    return np.stack([read_png(path) for path in sorted(folder.glob("*.png"))])


def test_ltx_2_takes_every_option_but_those_of_vace(ltx2: Path, take: Clip, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    known = take.channels[Channel.RGB][0, ..., ::-1]
    cv2.imwrite(str(tmp_path / "photos" / "000000.png"), known)
    told = enhance(
        tmp_path,
        "out",
        *("--base", ltx2, "--adapter", "none", "--adapter-scale", 0.5, "--seed", 3, "--lock", "--keep", "text=0.5"),
        *(
            "--working-size",
            "64x48",
            "--dtype",
            "float32",
            "--prompt",
            "{scene} at dusk",
            "--negative-prompt",
            "rain",
        ),
        *("--guidance", 2, "--strength", 0.9, "--anchors", tmp_path / "photos"),
        *("--preset", "plain", "--two-stages", "--window", 9),
    )
    assert told.exit_code == 0, told.output
    assert pictures(tmp_path / "out").shape == (12, 32, 48, 3)


@pytest.mark.parametrize("words", [("--strength", 0), ("--two-stages",), ("--lock",), ("--window", 5)])
def test_what_is_typed_reaches_the_picture(
    ltx2: Path, take: Clip, tmp_path: Path, words: tuple[object, ...]
) -> None:
    plain = enhance(tmp_path, "plain", "--base", ltx2, "--window", 9)
    changed = enhance(
        tmp_path, "changed", "--base", ltx2, *(() if "--window" in words else ("--window", 9)), *words
    )
    assert (plain.exit_code, changed.exit_code) == (0, 0), plain.output + changed.output
    assert not np.array_equal(pictures(tmp_path / "plain"), pictures(tmp_path / "changed"))


@pytest.mark.parametrize("many", [(), ("--workers", 1), pytest.param(("--workers", 2), marks=needs_ray)])
def test_what_is_loaded_is_said_before_it_is_where_that_may_take_minutes(
    wan: Path, take: Clip, tmp_path: Path, many: tuple[object, ...]
) -> None:
    told = enhance(tmp_path, "out", "--base", wan, "--length", 9, "--preset", "tiny", *many)
    assert told.exit_code == 1
    assert told.stderr.count("Loading") == 1, "whatever the number of workers"
    said, refused = told.stderr.index("Loading Wan 2.1 and 2.2"), told.stderr.index("there is no preset 'tiny'")
    assert said < refused
    assert f"from {wan} (less than 1 GB) ..." in told.stderr


def test_programs_are_told_what_is_loaded_too_and_of_our_own_base_nothing_is_said(
    wan: Path, take: Clip, tmp_path: Path
) -> None:
    told = enhance(tmp_path, "json", "--base", wan, "--json", "--preset", "tiny")
    events = map(json.loads, told.stdout.splitlines())
    loading = next(event for event in events if event["event"] == "loading_base")
    assert loading["folder"] == str(wan)
    weights = sum(path.stat().st_size for path in wan.glob("*/*.safetensors"))
    assert loading["gigabytes"] == pytest.approx(weights / 2**30)
    assert "Loading" not in enhance(tmp_path, "own", "--preset", "tiny").stderr


def test_a_service_says_what_it_loads_and_a_folder_without_a_base_is_told_before(wan: Path, tmp_path: Path) -> None:
    def serve(base: Path) -> Result:
        asked = ["serve", "--endpoint", "tcp://127.0.0.1:*", "--base", str(base), "--preset", "tiny"]
        return CliRunner().invoke(cli.app, asked)

    told = serve(wan).stderr
    assert told.index("Listening at") < told.index("Loading Wan 2.1") < told.index("there is no preset 'tiny'")
    told = serve(tmp_path).stderr
    assert "no base at" in told
    assert "Loading" not in told


def test_a_comparison_says_what_it_loads_as_often_as_it_does(
    wan: Path, take: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from renderlift.model import render

    opened: list[Path] = []
    open_pipeline = render.open_pipeline

    def noted(folder: Path, *how: Any, **more: Any) -> object:
        opened.append(folder)
        return open_pipeline(folder, *how, **more)

    monkeypatch.setattr(render, "open_pipeline", noted)
    adapter = random_adapter(load_base(str(wan), torch.float32), tmp_path / "adapter")
    opened.clear()
    words = ("evaluate", tmp_path / "take", "-o", tmp_path / "out", "--render", "embedded", "--base", wan)
    how = ("--steps", 1, "--guidance", 1, "--device", "cpu", "--dtype", "float32", "--frames", 2)
    also = [f"adapter={adapter}", "seed=2", "preset=layers", "preset=layers,seed=2"]
    rows = [word for change in also for word in ("--also", change)]
    told = CliRunner().invoke(cli.app, [str(word) for word in (*words, *how, *rows)])
    assert told.exit_code == 0, told.output
    # One for the first three, and one for each whose weights are on their way and have no room for others.
    assert opened == [wan] * 3
    assert told.stderr.count(f"Loading Wan 2.1 and 2.2, in context (experimental), from {wan}") == 3


def test_what_a_base_cannot_take_is_said(cosmos: Path, take: Clip, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "000000.png"), take.channels[Channel.RGB][0])
    told = enhance(tmp_path, "out", "--base", cosmos, "--anchors", tmp_path / "photos")
    assert told.exit_code == 1
    assert "takes no anchors" in told.stderr


def test_options_of_pairs_reach_the_base_that_propagates(wan_vace: Path, take: Clip, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for index in range(12):
        photo = take.channels[Channel.RGB][index, ..., ::-1]
        cv2.imwrite(str(tmp_path / "photos" / f"{index:06d}.png"), photo)

    def pairs(name: str, *words: object) -> Result:
        made = ("--from", tmp_path / "take", "--anchors", tmp_path / "photos", "--propagate", wan_vace)
        arguments = ("pairs", tmp_path / name, *made, "--length", 5, "--keep-all", "--device", "cpu", *words)
        return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])

    one, two = pairs("one", "--steps", 1, "--guidance", 1), pairs("two", "--steps", 2, "--guidance", 1)
    assert (one.exit_code, two.exit_code) == (0, 0), one.output + two.output
    assert one.stderr.count(f"Loading Wan 2.1 and 2.2 VACE, from {wan_vace}") == 1
    between = [read_png(tmp_path / name / "000000/truth/000002.png") for name in ("one", "two")]
    assert not np.array_equal(*between)
    refused = pairs("three", "--two-stages")
    assert refused.exit_code == 1
    assert "does not know --two-stages" in refused.stderr
