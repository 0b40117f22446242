"""The plugin put together by assemble.py is whole: nothing of it lies outside its folder."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def vcpkg(tmp_path: Path) -> Path:
    """A libzmq for Windows as vcpkg lays it out; what is in the files does not matter here."""
    names = ["include/zmq.h", "lib/libzmq-mt-4_3_5.lib", "bin/libzmq-mt-4_3_5.dll", "bin/libsodium.dll"]
    for name in names:
        file = tmp_path / "x64-windows" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "x64-windows"


def assemble(plugin: Any, *options: object) -> subprocess.CompletedProcess[str]:
    script = plugin.folder.parent / "assemble.py"
    return subprocess.run([sys.executable, script, *map(str, options)], capture_output=True, text=True)


@pytest.mark.parametrize(("engine", "has_graph"), [("5.3", False), ("5.6", True)])
def test_the_plugin_for(plugin: Any, vcpkg: Path, tmp_path: Path, engine: str, has_graph: bool) -> None:
    ran = assemble(plugin, "--engine", engine, "--out", tmp_path / "Plugins", "--libzmq", vcpkg)
    assert ran.returncode == 0, ran.stderr
    made = tmp_path / "Plugins" / "Renderlift"
    descriptor = json.loads((made / "Renderlift.uplugin").read_text())
    assert descriptor["EngineVersion"] == f"{engine}.0"
    assert ("RenderliftMovieGraph" in [row["Name"] for row in descriptor["Modules"]]) is has_graph
    assert (made / "Source" / "RenderliftMovieGraph").exists() is has_graph
    zmq = made / "Source" / "ThirdParty" / "RenderliftZmq"
    assert (zmq / "include" / "zmq.h").is_file()
    assert {file.suffix for file in (zmq / "lib" / "Win64").iterdir()} == {".lib", ".dll"}
    assert (made / "LICENSE").is_file() and (made / "THIRD_PARTY.md").is_file()
    for folder in ("include", "src"):
        core = made / "Source" / "Renderlift" / "Core" / folder
        assert {file.name for file in core.rglob("*.*")} == {
            file.name for file in (plugin.core / folder).rglob("*.*")
        }
    assert not [file for file in made.rglob("*") if file.is_symlink()]
    # Fab's limit, from the folder above the plugin on
    assert max(len(str(file.relative_to(tmp_path / "Plugins"))) for file in made.rglob("*")) <= 170


def test_a_folder_without_libzmq_is_named_and_an_older_plugin_stays(
    plugin: Any, vcpkg: Path, tmp_path: Path
) -> None:
    out = tmp_path / "Plugins"
    assert assemble(plugin, "--engine", "5.6", "--out", out, "--libzmq", vcpkg).returncode == 0
    ran = assemble(plugin, "--engine", "5.6", "--out", out, "--libzmq", tmp_path / "nothing")
    assert ran.returncode == 1
    assert "nothing holds no libzmq" in ran.stderr and "vcpkg install" in ran.stderr
    assert [file.name for file in out.iterdir()] == ["Renderlift"]
    assert (out / "Renderlift" / "Renderlift.uplugin").is_file()


def test_on_linux_libzmq_is_one_library_that_needs_libc_alone_and_shows_the_c_interface_alone(
    plugin: Any, tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    build = plugin.core / "build" / "plain"
    if not (build / "third_party" / "lib" / "libzmq.a").is_file():
        pytest.skip(
            "the core is not built: cd engine_plugin/core && cmake --preset plain && cmake --build --preset plain"
        )
    tool("g++", "g++")
    ran = assemble(plugin, "--engine", "5.6", "--out", tmp_path, "--build", build)
    assert ran.returncode == 0, ran.stderr
    library = tmp_path / "Renderlift/Source/ThirdParty/RenderliftZmq/lib/Linux/librenderlift_zmq.so"
    dynamic = subprocess.run([tool("readelf", "binutils"), "-d", library], capture_output=True, text=True).stdout
    needed = {line.split("[")[1].rstrip("]") for line in dynamic.splitlines() if "NEEDED" in line}
    assert needed <= {"libc.so.6", "ld-linux-x86-64.so.2", "libm.so.6"}
    names = subprocess.run(
        [tool("nm", "binutils"), "-D", "--defined-only", library], capture_output=True, text=True
    )
    symbols = [line.split()[-1].partition("@")[0] for line in names.stdout.splitlines()]
    assert "zmq_ctx_new" in symbols
    assert all(symbol.startswith("zmq_") for symbol in symbols)
