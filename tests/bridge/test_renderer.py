"""Renderers are found by name, and what is missing is named together with its fix."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from renderlift.bridge.clip import stack
from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import CameraPose, Channel, Frame
from renderlift.bridge.renderer import load_renderer, renderer_name

OWN_RENDERER = """
def load(*, gain=1):
    return lambda clip: clip.channels["rgb"] * gain

not_a_function = 3
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_look.py").write_text(OWN_RENDERER)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return "my_look"


def one_frame_clip(value: int):
    pixels = np.full((4, 6, 3), value, np.uint8)
    return stack([Frame(0, 0, 0, CameraPose(np.eye(4), np.eye(3)), {Channel.RGB: pixels})])


def test_identity_returns_the_engines_own_picture() -> None:
    assert np.all(load_renderer("identity", {})(one_frame_clip(7)) == 7)


def test_a_function_of_ones_own_is_called_with_the_options(own_module: str) -> None:
    assert np.all(load_renderer(f"{own_module}:load", {"gain": 3})(one_frame_clip(7)) == 21)


@pytest.mark.parametrize(
    ("spec", "options", "said", "fix"),
    [
        ("nonsense", {}, "no renderer 'nonsense'", "identity, embedded, or module:function"),
        ("no_such_module:load", {}, "no module 'no_such_module'", "PYTHONPATH"),
        ("my_look:missing", {}, "no function 'missing'", "returns a Render"),
        ("my_look:not_a_function", {}, "no function", "returns a Render"),
        ("my_look:load", {"colour": 1}, "does not know --colour", "--gain"),
        ("identity", {"steps": 4}, "does not know --steps", "none"),
        ("embedded", {"base": "ltx-2", "bogus": 1}, "our own renderer does not know --bogus", "--strength"),
    ],
)
def test_what_cannot_be_loaded_is_said_with_its_fix(
    own_module: str, spec: str, options: dict[str, object], said: str, fix: str
) -> None:
    with pytest.raises(SetupError) as error:
        load_renderer(spec, options)
    assert said in error.value.message
    assert fix in error.value.fix


def test_our_own_renderer_goes_by_its_base() -> None:
    assert renderer_name("embedded", {}) == "embedded base"
    assert renderer_name("embedded", {"base": "bases/ltx-2"}) == "base bases/ltx-2"
    assert renderer_name("my_look:load", {}) == "renderer my_look:load"


def test_without_torch_the_embedded_renderer_names_the_pip_command() -> None:
    # A fresh interpreter in which torch cannot be found, as after a base install.
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from renderlift.bridge.renderer import load_renderer\n"
        "load_renderer('embedded', {})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs torch, which is not installed" in done.stderr
    assert "pip install -c constraints.txt -e '.[model]'" in done.stderr
