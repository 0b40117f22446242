"""Who loads what: the base install stays light, and the namespace stays whole."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE_ROOTS = ("bridge", "model", "engine_plugin/python")
BRIDGE = sorted(path.stem for path in (ROOT / "bridge/renderlift/bridge").glob("*.py") if path.stem != "__init__")
# What docs and README tell people to import.
PUBLIC = (
    "renderlift.bridge.clip:Clip",
    "renderlift.bridge.clip:clips",
    "renderlift.bridge.frame:Channel",
    "renderlift.bridge.frame:Frame",
    "renderlift.bridge.receive:Receiver",
    "renderlift.bridge.record:Recorder",
    "renderlift.bridge.record:read_frames",
    "renderlift.bridge.record:summarize",
    "renderlift.bridge.send:Publisher",
    "renderlift.engine.mujoco:Capture",
    "renderlift.engine.mujoco:attach",
    "renderlift.engine.panda3d:Capture",
    "renderlift.engine.panda3d:attach",
    "renderlift.engine.unrealcv:Capture",
    "renderlift.engine.scenes:demo_courtyard",
    "renderlift.engine.scenes:demo_truth",
    "renderlift.engine.scenes:random_scene",
    "renderlift.model.evaluate:measure",
    "renderlift.model.render:load",
)


def loaded_by(*modules: str) -> set[str]:
    """Top-level packages in a fresh interpreter that has imported these modules."""
    script = f"import sys, {', '.join(modules)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_bridge_never_loads_torch() -> None:
    loaded = loaded_by(*(f"renderlift.bridge.{name}" for name in BRIDGE))
    assert "zmq" in loaded
    assert not loaded & {"torch", "diffusers", "peft", "transformers", "panda3d", "mujoco", "unrealcv", "mitsuba"}


def test_the_engine_side_never_loads_torch() -> None:
    pytest.importorskip("panda3d")
    loaded = loaded_by("renderlift.engine.panda3d", "renderlift.engine.scenes")
    assert not loaded & {"torch", "diffusers", "peft", "mitsuba", "av"}


def test_no_portion_claims_the_namespace_for_itself() -> None:
    # An __init__.py there would hide the other portions.
    assert not [root for root in SOURCE_ROOTS if (ROOT / root / "renderlift" / "__init__.py").exists()]


@pytest.mark.parametrize("name", PUBLIC)
def test_what_the_docs_import_is_there(name: str) -> None:
    module, _, attribute = name.partition(":")
    if module.startswith("renderlift.model.render"):
        pytest.importorskip("torch")
    for engine in ("panda3d", "mujoco", "unrealcv"):
        if module.startswith(f"renderlift.engine.{engine}"):
            pytest.importorskip(engine)
    assert callable(getattr(importlib.import_module(module), attribute))
