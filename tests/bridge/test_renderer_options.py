"""Every command that renders takes every option of renderers, and hands them on as `load` names them."""

import inspect
import json
import shlex
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner, Result

from renderlift.bridge import cli
from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.record import Recorder
from renderlift.bridge.renderer_options import OPTIONS, argument_name, as_words, option_word, takes_renderer_options

RENDERING = ("demo", "serve", "enhance", "evaluate", "pairs")
EVERY_WORD = shlex.split(
    "--base FOLDER --adapter mine --references rgb,depth --adapter-scale 0.5 --steps 4 --seed 7 --lock --keep text"
    " --keep hud=0.5 --working-size 64x48 --device cuda:1 --dtype bfloat16 --prompt 'a street, dusk'"
    " --negative-prompt blur --guidance 3 --strength 0.9 --control depth --anchors photos --preset parts"
    " --two-stages --window 41 --reference-images looks --distilled lightning"
)
EVERY_ARGUMENT = {
    "base": "FOLDER",
    "adapter": "mine",
    "references": "rgb,depth",
    "adapter_scale": 0.5,
    "steps": 4,
    "seed": 7,
    "lock": True,
    "keep": {"text": 1.0, "hud": 0.5},
    "working_pixels": 64 * 48,
    "device": "cuda:1",
    "dtype": "bfloat16",
    "prompt": "a street, dusk",
    "negative_prompt": "blur",
    "guidance": 3.0,
    "reference_strength": 0.9,
    "control": "depth",
    "anchors": "photos",
    "reference_images": "looks",
    "preset": "parts",
    "two_stages": True,
    "window": 41,
    "distilled": "lightning",
}
# It writes down what it was called with.
TELLING = """
import json, pathlib

def load(**options):
    pathlib.Path("options.json").write_text(json.dumps(options))
    return lambda clip: clip.channels["rgb"]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a recording and a renderer that tells what it is asked for."""
    (tmp_path / "telling_look.py").write_text(TELLING)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (16, 24, 3)).astype(np.uint8)
    with Recorder("take1") as recorder:
        for index in range(5):
            pose = CameraPose(np.eye(4), np.eye(3))
            recorder.write(Frame(index, index * 40_000_000, 0, pose, {Channel.RGB: pixels}, session="run1"))
    return tmp_path


def given_to_the_renderer() -> dict[str, Any]:
    return json.loads(Path("options.json").read_text())


def given_by(*words: str) -> dict[str, Any]:
    """What a command with these words on its command line hands to its renderer."""
    app, taken = typer.Typer(), dict[str, Any]()

    @app.command()
    @takes_renderer_options()
    def command(*, renderer: dict[str, Any]) -> None:
        taken.update(renderer)

    done = run_app(app, *words)
    assert done.exit_code == 0, done.output
    return taken


def run_app(app: typer.Typer, *words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_options_are_arguments_of_the_model_and_none_of_it_is_missing() -> None:
    render = pytest.importorskip("renderlift.model.render")
    assert {option.name for option in OPTIONS} == set(inspect.signature(render.load).parameters)


@pytest.mark.parametrize("command", RENDERING)
def test_every_command_that_renders_takes_them_all(command: str) -> None:
    # Typer has a copy of click of its own, so its types have no public name.
    group = cast(Any, typer.main.get_command(cli.app))
    words = {word for parameter in group.commands[command].params for word in parameter.opts}
    assert {option_word(option.name) for option in OPTIONS} <= words


def test_what_is_typed_arrives_as_the_arguments_of_the_model() -> None:
    assert given_by(*EVERY_WORD) == EVERY_ARGUMENT
    assert given_by() == {}
    assert given_by("--no-lock") == {"lock": False}


def test_the_help_names_every_control_that_there_is() -> None:
    (control,) = (option for option in OPTIONS if option.name == "control")
    told = control.default.help.partition(": ")[2].rstrip(".").split(", ")
    assert told == list(CONTROLS)
    assert {"edge", "depth", "seg", "blur", "rgb"} <= set(told)


def test_options_typed_again_are_the_same_options() -> None:
    assert given_by(*as_words(EVERY_ARGUMENT)) == EVERY_ARGUMENT
    assert as_words({"lock": False}) == ["--no-lock"]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("strength", "reference_strength"),
        ("--adapter-scale", "adapter_scale"),
        ("steps", "steps"),
        ("gain", "gain"),
    ],
)
def test_a_name_on_the_command_line_is_that_of_an_argument(word: str, name: str) -> None:
    assert argument_name(word) == name


@pytest.mark.parametrize("words", [["--working-size", "big"], ["--keep", "hud=2"], ["--guidance", "0"]])
def test_a_value_that_cannot_be_is_a_wrong_command_line(here: Path, words: list[str]) -> None:
    told = run_app(cli.app, "enhance", "take1", "-o", "out.mp4", *words)
    assert told.exit_code == 2
    assert words[0] in told.stderr or "not a size" in told.stderr


def test_enhance_hands_all_of_them_to_its_renderer(here: Path) -> None:
    told = run_app(cli.app, "enhance", "take1", "-o", "out.mp4", "--render", "telling_look:load", *EVERY_WORD)
    assert told.exit_code == 0, told.stderr
    assert given_to_the_renderer() == EVERY_ARGUMENT


def test_evaluate_hands_them_on_and_shows_the_command_that_asks_for_the_same(here: Path) -> None:
    Path("photos").mkdir()
    words = ["--strength", "0.9", "--no-lock", "--keep", "text", "--anchors", here / "photos"]
    told = run_app(
        cli.app, "evaluate", "take1", "--render", "telling_look:load", *words, "--markdown", "results.md"
    )
    assert told.exit_code == 0, told.stderr
    assert given_to_the_renderer() == {
        "reference_strength": 0.9,
        "lock": False,
        "keep": {"text": 1.0},
        "anchors": str(here / "photos"),
    }
    shown = Path("results.md").read_text()
    assert "--no-lock --keep=text=1.0 --strength=0.9 --anchors=photos --markdown results.md" in shown
    assert str(here) not in shown


def test_evaluate_names_changes_as_the_command_line_does(here: Path) -> None:
    told = run_app(
        cli.app, "evaluate", "take1", "--render", "telling_look:load", "--also", "strength=0.5,adapter-scale=0"
    )
    assert told.exit_code == 0, told.stderr
    assert given_to_the_renderer() == {"reference_strength": 0.5, "adapter_scale": 0}


def test_changes_are_read_as_the_options_are_that_they_change(here: Path) -> None:
    changes = "keep=text,hud=0.5; working-size=64x48; control=edge=0.7,depth=0.3"
    told = run_app(
        cli.app, "evaluate", "take1", "--render", "telling_look:load", "--keep", "sky", "--also", changes
    )
    assert told.exit_code == 0, told.stderr
    assert given_to_the_renderer() == {
        "keep": {"text": 1.0, "hud": 0.5},
        "working_pixels": 64 * 48,
        "control": "edge=0.7,depth=0.3",
    }


def test_a_change_that_a_comma_was_to_end_is_named_before_anything_is_rendered(here: Path) -> None:
    told = run_app(cli.app, "evaluate", "take1", "--render", "telling_look:load", "--also", "steps=1,lock=no;")
    assert told.exit_code == 1
    assert "--steps cannot be '1,lock=no'" in told.stderr


def test_an_option_that_a_renderer_does_not_know_is_named_as_it_was_typed(here: Path) -> None:
    told = run_app(cli.app, "enhance", "take1", "-o", "out.mp4", "--render", "identity", "--strength", "0.5")
    assert told.exit_code == 1
    assert "identity does not know --strength" in told.stderr
