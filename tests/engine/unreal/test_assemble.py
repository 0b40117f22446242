"""The plugin put together by assemble.py is whole: nothing of it lies outside its folder."""

import json
import os
import re
import runpy
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


def assemble(plugin: Any, *options: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, plugin.folder.parent / "assemble.py", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def reuse_build(plugin: Any, preset: str, folder: Path) -> None:
    """Lets assemble.py find libzmq as the core's own build has it; building it anew takes minutes."""
    build = plugin.core / "build" / preset
    if not (build / "third_party" / "lib" / "libzmq.a").is_file():
        pytest.skip(f"the core is not built: engine_plugin/core/check.sh {preset}")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(build)


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
    reuse_build(plugin, "plain", tmp_path / "build" / "linux")
    tool("g++", "g++")
    ran = assemble(plugin, "--engine", "5.6", "--out", tmp_path, "--build", tmp_path / "build")
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


def test_for_windows_libzmq_is_one_dll_that_needs_windows_alone_and_links_delayed(
    plugin: Any, tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    reuse_build(plugin, "windows", tmp_path / "build" / "windows")
    dlltool, link = tool("llvm-dlltool", "llvm"), tool("lld-link", "lld")
    assert dlltool
    options = ["--engine", "5.6", "--out", tmp_path, "--platform", "Win64", "--build", tmp_path / "build"]
    ran = assemble(plugin, *options)
    assert ran.returncode == 0, ran.stderr
    folder = tmp_path / "Renderlift/Source/ThirdParty/RenderliftZmq/lib/Win64"
    assert sorted(file.name for file in folder.iterdir()) == ["renderlift_zmq.dll", "renderlift_zmq.lib"]
    objdump = tool("x86_64-w64-mingw32-objdump", "binutils-mingw-w64-x86-64")
    headers = subprocess.run([objdump, "-p", folder / "renderlift_zmq.dll"], capture_output=True, text=True).stdout
    needed = {name.lower() for name in re.findall(r"DLL Name: (\S+)", headers)}
    assert needed <= {"kernel32.dll", "msvcrt.dll", "ws2_32.dll", "iphlpapi.dll", "advapi32.dll", "rpcrt4.dll"}
    exported = re.findall(r"^\s+\[ *\d+\] (?:\+base\[ *\d+\]\s+\w+ )?(\w+)$", headers, re.MULTILINE)
    assert "zmq_ctx_new" in exported and all(name.startswith("zmq_") for name in exported)

    # As Microsoft's compiler and linker would use it: an object for their ABI, bound at the first call.
    source = tmp_path / "use.c"
    source.write_text(
        "__declspec(dllimport) void *zmq_ctx_new(void);\n"
        "void *__delayLoadHelper2(void *a, void *b) { (void)a; return b; }\n"
        "int start(void) { return zmq_ctx_new() != 0; }\n"
    )
    clang = tool("clang", "clang")
    target = "--target=x86_64-pc-windows-msvc"
    subprocess.run([clang, target, "-c", source, "-o", tmp_path / "use.obj"], check=True)
    linked = [link, "/nodefaultlib", "/entry:start", "/subsystem:console", "/delayload:renderlift_zmq.dll"]
    linked += [tmp_path / "use.obj", folder / "renderlift_zmq.lib", f"/out:{tmp_path / 'use.exe'}"]
    subprocess.run(linked, check=True)
    assert b"renderlift_zmq.dll" in (tmp_path / "use.exe").read_bytes()


def test_a_missing_program_is_named_with_its_package(plugin: Any, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    ran = assemble(plugin, "--engine", "5.6", "--out", tmp_path / "out", PATH=str(tmp_path / "bin"))
    assert ran.returncode == 1
    assert "sudo apt-get install cmake g++" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not list((tmp_path / "out").iterdir())


def test_vcpkg_is_asked_for_libzmq_where_it_is_installed(
    plugin: Any, vcpkg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(plugin.folder.parent / "assemble.py"))
    root = tmp_path / "vcpkg"
    monkeypatch.setenv("VCPKG_ROOT", str(root))
    with pytest.raises(SystemExit, match=r"git clone .*microsoft/vcpkg"):
        script["install_with_vcpkg"]()
    root.mkdir()
    (root / ".vcpkg-root").touch()
    (root / "vcpkg").write_text(f'#!/bin/sh\necho "$@"\nmkdir installed && cp -r {vcpkg} installed/\n')
    (root / "vcpkg").chmod(0o755)
    monkeypatch.chdir(root)
    prefix = script["install_with_vcpkg"]()
    assert capfd.readouterr().out == "install zeromq[sodium]:x64-windows\n"
    assert (prefix / "include" / "zmq.h").is_file()
