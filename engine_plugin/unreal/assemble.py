#!/usr/bin/env python3
"""Makes the Unreal plugin out of its parts: the adapter beside this file, the C++ core, and libzmq.

    python engine_plugin/unreal/assemble.py --engine 5.6 --out MyProject/Plugins

The result is one folder, Renderlift, that builds in any project of that engine version. Needs nothing but Python,
and on Linux CMake and a C++ compiler for libzmq.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORE = HERE.parent / "core"
ENGINES = ("5.3", "5.4", "5.5", "5.6", "5.7", "5.8")
FIRST_WITH_MOVIE_GRAPH = (5, 4)
LINUX_LIBRARY = "librenderlift_zmq.so"

THIRD_PARTY = """Renderlift contains:

- libzmq, https://libzmq.org: MPL-2.0 from 4.3.5 on, before that LGPL-3.0 with a static linking exception.
  It is a library of its own in Source/ThirdParty/RenderliftZmq and may be replaced.
- libsodium, https://libsodium.org, ISC licence, where libzmq was built with it.
- xxHash, https://xxhash.com, BSD-2-Clause.
"""


def version_tuple(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def copy_adapter(plugin: Path, engine: str) -> None:
    """The plugin as it lies in the repository, for one engine version."""
    shutil.copytree(HERE / "Renderlift", plugin)
    file = plugin / "Renderlift.uplugin"
    descriptor = json.loads(file.read_text())
    descriptor["EngineVersion"] = f"{engine}.0"
    if version_tuple(engine) < FIRST_WITH_MOVIE_GRAPH:
        shutil.rmtree(plugin / "Source" / "RenderliftMovieGraph")
        descriptor["Modules"] = [row for row in descriptor["Modules"] if row["Name"] != "RenderliftMovieGraph"]
    file.write_text(json.dumps(descriptor, indent="\t") + "\n")
    shutil.copy(ROOT / "LICENSE", plugin / "LICENSE")
    (plugin / "THIRD_PARTY.md").write_text(THIRD_PARTY)


def copy_core(plugin: Path) -> None:
    """The core becomes part of the runtime module, so that the engine's own compiler and C++ library build it."""
    target = plugin / "Source" / "Renderlift" / "Core"
    for folder in ("include", "src", "third_party"):
        shutil.copytree(CORE / folder, target / folder)


def copy_installed_libzmq(plugin: Path, prefix: Path) -> None:
    """libzmq that somebody else built, e.g. vcpkg's installed/x64-windows.

    Raises:
        SystemExit: the folder does not hold one.
    """
    target = plugin / "Source" / "ThirdParty" / "RenderliftZmq"
    header = prefix / "include" / "zmq.h"
    libraries = [*prefix.glob("lib/*zmq*.lib"), *prefix.glob("bin/*zmq*.dll"), *prefix.glob("bin/*sodium*.dll")]
    kinds = {library.suffix for library in libraries}
    if not header.is_file() or kinds != {".lib", ".dll"}:
        sys.exit(
            f"{prefix} holds no libzmq for Windows: wanted include/zmq.h, lib/*zmq*.lib and bin/*zmq*.dll, found "
            f"{sorted(library.name for library in libraries) or 'none of them'}. Install it with "
            "`vcpkg install zeromq[sodium]:x64-windows` and give vcpkg's folder installed/x64-windows."
        )
    (target / "include").mkdir(exist_ok=True)
    shutil.copy(header, target / "include")
    (target / "lib" / "Win64").mkdir(parents=True)
    for library in libraries:
        shutil.copy(library, target / "lib" / "Win64")


def link_linux_library(archives: list[Path], output: Path) -> None:
    """One shared library that shows the C interface alone: its own C++ runtime never meets the engine's."""
    with tempfile.TemporaryDirectory() as folder:
        exports = Path(folder) / "exports"
        exports.write_text("{ global: zmq_*; local: *; };\n")
        whole = ["-Wl,--whole-archive", archives[0], "-Wl,--no-whole-archive", *archives[1:]]
        names = [f"-Wl,-soname,{LINUX_LIBRARY}", f"-Wl,--version-script={exports}", "-Wl,-z,defs", "-s"]
        runtime = ["-static-libstdc++", "-static-libgcc", "-lpthread", "-lrt"]
        subprocess.run(["g++", "-shared", "-o", output, *names, *whole, *runtime], check=True)


def build_linux_libzmq(plugin: Path, build: Path) -> None:
    """libzmq and libsodium as the core's own CMake builds them, in `build`, where a finished one is used again."""
    prefix = build / "third_party"
    archives = [prefix / "lib" / name for name in ("libzmq.a", "libsodium.a")]
    if not all(archive.is_file() for archive in archives):
        subprocess.run(["cmake", "-S", CORE, "-B", build, "-DRENDERLIFT_TESTS=OFF"], check=True)
        subprocess.run(["cmake", "--build", build, "--target", "renderlift_libzmq"], check=True)
    target = plugin / "Source" / "ThirdParty" / "RenderliftZmq"
    (target / "include").mkdir(exist_ok=True)
    shutil.copy(prefix / "include" / "zmq.h", target / "include")
    (target / "lib" / "Linux").mkdir(parents=True)
    link_linux_library(archives, target / "lib" / "Linux" / LINUX_LIBRARY)


def assemble(out: Path, engine: str, libzmq: Path | None, build: Path) -> Path:
    """The finished plugin folder; an older one is replaced only when the new one is complete."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".renderlift-") as folder:
        plugin = Path(folder) / "Renderlift"
        copy_adapter(plugin, engine)
        copy_core(plugin)
        if libzmq:
            copy_installed_libzmq(plugin, libzmq)
        elif sys.platform == "linux":
            build_linux_libzmq(plugin, build)
        else:
            sys.exit("Give --libzmq: on Windows, vcpkg's folder installed/x64-windows.")
        finished = out / "Renderlift"
        if finished.exists():
            shutil.rmtree(finished)
        return plugin.replace(finished)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True, choices=ENGINES, help="the Unreal version it is made for")
    parser.add_argument("--out", required=True, type=Path, help="a project's Plugins folder")
    parser.add_argument("--libzmq", type=Path, help="a built libzmq, e.g. vcpkg's installed/x64-windows")
    parser.add_argument("--build", type=Path, default=CORE / "build" / "unreal", help="where libzmq is built")
    arguments = parser.parse_args()
    finished = assemble(arguments.out, arguments.engine, arguments.libzmq, arguments.build)
    sys.stdout.write(f"{finished} is complete. Open the project; the editor offers to build the plugin.\n")


if __name__ == "__main__":
    main()
