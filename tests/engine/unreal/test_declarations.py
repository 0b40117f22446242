"""Syntax and types of the adapter, held against declarations of our own of the engine's symbols that it uses.

It shows that the plugin is C++20, that it calls what it believes the engine to have with arguments that fit, in
every version that differs, and that it fits the core's real headers. It cannot show that the engine is as we
believe.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
# What the engine makes errors of; and every override must say so, then one that fits nothing fails here.
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wsuggest-override", "-Wunreachable-code-aggressive"]
WARNINGS += ["-Wno-unused-parameter", "-Wno-undefined-inline", "-Wno-unused-function"]


def write_stand_ins(plugin: Any, folder: Path) -> None:
    """One file for each engine header, so that the plugin's includes are found; empty for generated ones."""
    for file in plugin.files(".h", ".cpp"):
        for header in INCLUDE.findall(file.read_text()):
            stand_in = folder / header
            if header.startswith("renderlift/") or (list(plugin.source.rglob(header)) and "/" not in header):
                continue
            stand_in.parent.mkdir(parents=True, exist_ok=True)
            stand_in.write_text("" if header.endswith(".generated.h") else "#pragma once\n")


@pytest.mark.parametrize(("minor", "windows"), [(3, 0), (5, 1), (8, 0)], ids=["5.3", "5.5 on Windows", "5.8"])
def test_the_adapter_is_well_formed_for(
    plugin: Any, tool: Callable[[str, str], str], tmp_path: Path, minor: int, windows: int
) -> None:
    clang = tool("clang++", "clang")
    write_stand_ins(plugin, tmp_path)
    folders = [tmp_path, plugin.core / "include", plugin.source / "Renderlift" / "Public"]
    folders += [folder for name in plugin.modules for folder in (plugin.source / name).glob("P*")]
    options = ["-std=c++20", "-fno-exceptions", "-fno-rtti", f"-DENGINE_MINOR_VERSION={minor}"]
    options += [f"-DPLATFORM_WINDOWS={windows}", *WARNINGS, *(f"-I{folder}" for folder in folders)]
    # All declarations once, as the engine's shared header would be; files then take tenths of a second.
    shared = tmp_path / "shared.h"
    shared.write_text(f'#include "{plugin.declarations}/Editor.h"\n#include "renderlift/publisher.h"\n')
    made = [clang, *options, "-x", "c++-header", shared, "-o", f"{shared}.pch"]
    assert subprocess.run(made, capture_output=True, text=True).stderr == ""
    checked = [clang, *options, "-include-pch", f"{shared}.pch", "-fsyntax-only", *plugin.files(".cpp")]
    assert subprocess.run(checked, capture_output=True, text=True).stderr == ""
