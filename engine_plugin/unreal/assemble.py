#!/usr/bin/env python3
"""Makes the Unreal plugin out of its parts: the adapter beside this file, the C++ core, and libzmq.

    python engine_plugin/unreal/assemble.py --engine 5.6 --out MyProject/Plugins

The result is one folder, Renderlift, that builds in any project of that engine version. Needs nothing but Python
and what makes libzmq: on Linux CMake and g++, on Windows vcpkg. On Linux `--platform Win64 Linux` makes it for
both, with mingw-w64 and llvm, so that one machine serves a studio.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORE = HERE.parent / "core"
ENGINES = ("5.3", "5.4", "5.5", "5.6", "5.7", "5.8")
PLATFORMS = ("Win64", "Linux")
FIRST_WITH_MOVIE_GRAPH = (5, 4)
LINUX_LIBRARY = "librenderlift_zmq.so"
WINDOWS_LIBRARY = "renderlift_zmq.dll"
MINGW = "x86_64-w64-mingw32"
PACKAGES = {
    "cmake": "cmake",
    "g++": "g++",
    f"{MINGW}-g++-posix": "g++-mingw-w64-x86-64-posix",
    f"{MINGW}-nm": "binutils-mingw-w64-x86-64",
    "llvm-dlltool": "llvm",
}
VCPKG = "zeromq[sodium]:x64-windows"

THIRD_PARTY = """Renderlift contains:

- libzmq, https://libzmq.org: MPL-2.0 from 4.3.5 on, before that LGPL-3.0 with a static linking exception.
  It is a library of its own in Source/ThirdParty/RenderliftZmq and may be replaced.
- libsodium, https://libsodium.org, ISC licence, where libzmq was built with it.
- xxHash, https://xxhash.com, BSD-2-Clause.
"""


def version_tuple(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def require(*programs: str) -> None:
    """Raises SystemExit naming what is missing and the package that has it."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        packages = " ".join(PACKAGES[program] for program in missing)
        sys.exit(f"{', '.join(missing)}: not found. On Debian and Ubuntu: sudo apt-get install {packages}")


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


def library_folder(plugin: Path, header: Path, platform: str) -> Path:
    """Where Build.cs looks for a platform's libraries, empty; beside it lies zmq.h."""
    zmq = plugin / "Source" / "ThirdParty" / "RenderliftZmq"
    (zmq / "include").mkdir(exist_ok=True)
    shutil.copy(header, zmq / "include")
    folder = zmq / "lib" / platform
    folder.mkdir(parents=True)
    return folder


def copy_installed_libzmq(plugin: Path, prefix: Path) -> None:
    """libzmq for Windows that somebody else built, e.g. vcpkg's installed/x64-windows.

    Raises:
        SystemExit: the folder does not hold one.
    """
    header = prefix / "include" / "zmq.h"
    libraries = [*prefix.glob("lib/*zmq*.lib"), *prefix.glob("bin/*zmq*.dll"), *prefix.glob("bin/*sodium*.dll")]
    kinds = {library.suffix for library in libraries}
    if not header.is_file() or kinds != {".lib", ".dll"}:
        sys.exit(
            f"{prefix} holds no libzmq for Windows: wanted include/zmq.h, lib/*zmq*.lib and bin/*zmq*.dll, found "
            f"{sorted(library.name for library in libraries) or 'none of them'}. Install it with "
            f"`vcpkg install {VCPKG}` and give vcpkg's folder installed/x64-windows."
        )
    target = library_folder(plugin, header, "Win64")
    for library in libraries:
        shutil.copy(library, target)


def install_with_vcpkg() -> Path:
    """The folder that vcpkg installs libzmq into. Raises SystemExit where there is no vcpkg, or where it fails."""
    found = shutil.which("vcpkg")
    root = Path(os.environ.get("VCPKG_ROOT") or (Path(found).parent if found else ""))
    if not (root / ".vcpkg-root").is_file():
        sys.exit(
            "No vcpkg to get libzmq from. Install it and run this again (Visual Studio's own does not do):\n"
            "  git clone https://github.com/microsoft/vcpkg C:/vcpkg\n"
            "  C:/vcpkg/bootstrap-vcpkg.bat\n"
            "  set VCPKG_ROOT=C:/vcpkg\n"
            "Or give --libzmq: a folder with include/zmq.h, lib/*zmq*.lib and bin/*zmq*.dll."
        )
    if subprocess.run([shutil.which("vcpkg", path=str(root)) or root / "vcpkg", "install", VCPKG]).returncode:
        sys.exit(f"`vcpkg install {VCPKG}` failed; what it says stands above.")
    return root / "installed" / "x64-windows"


def build_archives(build: Path, *options: str | Path) -> tuple[Path, list[Path]]:
    """zmq.h; libzmq and libsodium as the core's own CMake builds them in `build`, where finished ones are kept."""
    prefix = build / "third_party"
    archives = [prefix / "lib" / name for name in ("libzmq.a", "libsodium.a")]
    if not archives[0].is_file():  # libzmq is built last
        configure = ["cmake", "-S", CORE, "-B", build, "-DRENDERLIFT_TESTS=OFF", *options]
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", build, "--target", "renderlift_libzmq"], check=True)
    return prefix / "include" / "zmq.h", [archive for archive in archives if archive.is_file()]


def whole(archives: list[Path]) -> list[str | Path]:
    return ["-Wl,--whole-archive", archives[0], "-Wl,--no-whole-archive", *archives[1:]]


def build_linux_libzmq(plugin: Path, build: Path) -> None:
    """One shared library that shows the C interface alone: its own C++ runtime never meets the engine's."""
    require("cmake", "g++")
    header, archives = build_archives(build / "linux")
    output = library_folder(plugin, header, "Linux") / LINUX_LIBRARY
    with tempfile.TemporaryDirectory() as folder:
        exports = Path(folder) / "exports"
        exports.write_text("{ global: zmq_*; local: *; };\n")
        names = [f"-Wl,-soname,{LINUX_LIBRARY}", f"-Wl,--version-script={exports}", "-Wl,-z,defs", "-s"]
        runtime = ["-static-libstdc++", "-static-libgcc", "-lpthread", "-lrt"]
        subprocess.run(["g++", "-shared", "-o", output, *names, *whole(archives), *runtime], check=True)


def cross_build_windows_libzmq(plugin: Path, build: Path) -> None:
    """The same as a DLL that needs Windows alone, and the import library that Microsoft's linker reads."""
    require("cmake", f"{MINGW}-g++-posix", f"{MINGW}-nm", "llvm-dlltool")
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={CORE / 'cmake' / 'windows.cmake'}"
    header, archives = build_archives(build / "windows", toolchain)
    output = library_folder(plugin, header, "Win64") / WINDOWS_LIBRARY
    listed = subprocess.run(
        [f"{MINGW}-nm", "-g", "--defined-only", archives[0]], check=True, capture_output=True, text=True
    )
    names = sorted({line.split()[-1] for line in listed.stdout.splitlines() if " T zmq_" in line})
    system = ["-lws2_32", "-liphlpapi", "-lrpcrt4", "-ladvapi32"]
    with tempfile.TemporaryDirectory() as folder:
        exports = Path(folder) / "exports.def"
        exports.write_text("\n".join([f"LIBRARY {WINDOWS_LIBRARY}", "EXPORTS", *names, ""]))
        linked = [f"{MINGW}-g++-posix", "-shared", "-static", "-s", "-o", output, exports]
        subprocess.run([*linked, *whole(archives), *system], check=True)
        imports = ["-m", "i386:x86-64", "-d", exports, "-l", output.with_suffix(".lib")]
        subprocess.run(["llvm-dlltool", *imports], check=True)


def add_libzmq(plugin: Path, platform: str, libzmq: Path | None, build: Path) -> None:
    if platform == "Linux":
        if sys.platform != "linux":
            sys.exit("libzmq for Linux is built on Linux; the Windows Subsystem for Linux will do.")
        build_linux_libzmq(plugin, build)
    elif libzmq or sys.platform == "win32":
        copy_installed_libzmq(plugin, libzmq or install_with_vcpkg())
    else:
        cross_build_windows_libzmq(plugin, build)


def assemble(out: Path, engine: str, platforms: list[str], libzmq: Path | None, build: Path) -> Path:
    """The finished plugin folder; an older one is replaced only when the new one is complete."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".renderlift-") as folder:
        plugin = Path(folder) / "Renderlift"
        copy_adapter(plugin, engine)
        copy_core(plugin)
        for platform in platforms:
            add_libzmq(plugin, platform, libzmq, build)
        finished = out / "Renderlift"
        if finished.exists():
            shutil.rmtree(finished)
        return plugin.replace(finished)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True, choices=ENGINES, help="the Unreal version it is made for")
    parser.add_argument("--out", required=True, type=Path, help="a project's Plugins folder")
    parser.add_argument("--platform", nargs="+", choices=PLATFORMS, help="default: this machine's")
    parser.add_argument("--libzmq", type=Path, help="one for Windows, e.g. vcpkg's installed/x64-windows")
    parser.add_argument("--build", type=Path, default=CORE / "build" / "unreal", help="where libzmq is built")
    arguments = parser.parse_args()
    here = "Win64" if arguments.libzmq or sys.platform == "win32" else "Linux"
    platforms = sorted(set(arguments.platform or [here]))
    finished = assemble(arguments.out, arguments.engine, platforms, arguments.libzmq, arguments.build)
    sys.stdout.write(
        f"{finished} is complete, for {' and '.join(platforms)}. Open the project; the editor offers to build it.\n"
    )


if __name__ == "__main__":
    main()
