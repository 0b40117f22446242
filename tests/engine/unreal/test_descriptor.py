"""The plugin's folder is one that Unreal's build tool and Fab accept."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODULES = ["Renderlift", "RenderliftEditor", "RenderliftMovie", "RenderliftMovieGraph"]
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
HOST_TYPES = {"Runtime", "Editor", "UncookedOnly"}


@pytest.fixture
def descriptor(plugin: Any) -> dict[str, Any]:
    return json.loads((plugin.folder / "Renderlift.uplugin").read_text())


def build_file(plugin: Any, module: str) -> Path:
    return plugin.source / module / f"{module}.Build.cs"


def dependencies(plugin: Any, module: str) -> set[str]:
    """Names in a Build.cs's lists of dependencies, and in those of our module that it depends on."""
    text = build_file(plugin, module).read_text()
    lists = re.findall(r"DependencyModuleNames\.AddRange\(new string\[\]\s*\{(.*?)\}", text, re.DOTALL)
    named = {name for body in lists for name in re.findall(r'"(\w+)"', body)}
    return named | (dependencies(plugin, "Renderlift") if "Renderlift" in named else set())


def headers(plugin: Any) -> dict[str, str]:
    rows = [
        line.split() for line in (plugin.declarations / "headers.txt").read_text().splitlines() if line[:1] != "#"
    ]
    return {header: module for module, *names in rows for header in names}


def test_every_module_has_a_folder_a_build_file_and_a_row_in_the_descriptor(
    plugin: Any, descriptor: dict[str, Any]
) -> None:
    assert [row["Name"] for row in descriptor["Modules"]] == MODULES
    assert plugin.modules == MODULES
    for name in MODULES:
        assert f"public class {name} : ModuleRules" in build_file(plugin, name).read_text()


def test_every_module_is_implemented_once(plugin: Any) -> None:
    text = "".join(file.read_text() for file in plugin.files(".cpp"))
    found = re.findall(r"IMPLEMENT_MODULE\(\w+, (\w+)\)", text)
    assert sorted(found) == MODULES


def test_the_descriptor_has_what_fab_asks_for(plugin: Any, descriptor: dict[str, Any]) -> None:
    assert descriptor["FileVersion"] == 3
    assert re.fullmatch(r"5\.[3-8]\.0", descriptor["EngineVersion"])
    assert descriptor["Installed"] is False
    for key in ("FriendlyName", "Description", "Category", "CreatedBy", "VersionName"):
        assert descriptor[key], key
    for row in descriptor["Modules"]:
        assert row["Type"] in HOST_TYPES
        assert row["PlatformAllowList"] == descriptor["SupportedTargetPlatforms"]
    assert (plugin.folder / "Resources" / "Icon128.png").read_bytes()[16:24] == (128).to_bytes(4) * 2


def test_shaders_can_be_compiled_before_the_engine_makes_its_global_shaders(
    plugin: Any, descriptor: dict[str, Any]
) -> None:
    runtime = descriptor["Modules"][0]
    assert (runtime["Type"], runtime["LoadingPhase"]) == ("Runtime", "PostConfigInit")
    pack = (plugin.source / "Renderlift" / "Private" / "RenderliftPackPass.cpp").read_text()
    virtual = re.findall(r'"/Plugin/Renderlift/([^"]+\.usf)"', pack)
    assert [(plugin.folder / "Shaders" / name).is_file() for name in virtual] == [True]


def test_every_source_file_says_whose_it_is_and_under_which_licence(plugin: Any) -> None:
    files = [*plugin.files(".h", ".cpp", ".cs"), *plugin.folder.rglob("*.usf")]
    line = "// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0"
    assert not [file.name for file in files if file.read_text().splitlines()[0] != line]


@pytest.mark.parametrize("module", MODULES)
def test_every_header_comes_from_a_module_that_the_build_file_names(plugin: Any, module: str) -> None:
    known = headers(plugin)
    named = dependencies(plugin, module)
    ours = {file.name for file in plugin.files(".h")}
    core = {str(file.relative_to(plugin.core / "include")) for file in (plugin.core / "include").rglob("*.h")}
    for file in plugin.files(".h", ".cpp", module=module):
        for header in INCLUDE.findall(file.read_text()):
            if header in ours or header in core or header == f"{file.stem}.generated.h":
                continue
            assert header in known, f"{file.name} includes {header}, of which nobody knows the module"
            assert known[header] in named, f"{module}.Build.cs lacks {known[header]} for {header}"


def code_of(file: Path) -> str:
    """Without comments, texts, includes and what is merely declared to exist."""
    skipped = r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"|^#include[^\n]*"
    text = re.sub(skipped, "", file.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^\s*(class|struct) \w+;$", "", text, flags=re.MULTILINE)


def included(plugin: Any, file: Path, seen: set[str]) -> set[str]:
    """What a file includes, itself or through our own headers."""
    ours = {header.name: header for header in plugin.files(".h")}
    for header in INCLUDE.findall(file.read_text()):
        if header not in seen:
            seen.add(header)
            if header in ours:
                included(plugin, ours[header], seen)
    return seen


def test_every_file_includes_what_it_uses_of_the_engine(plugin: Any) -> None:
    rows = (plugin.declarations / "symbols.txt").read_text().splitlines()
    header_of = {name: line.split()[0] for line in rows if line[:1] != "#" for name in line.split()[1:]}
    # A header may name by declaration alone what only its .cpp looks into.
    missing = [
        f"{file.name}: {header} for {name}"
        for file in plugin.files(".cpp")
        for code, found in [(code_of(file), included(plugin, file, set()))]
        for name, header in header_of.items()
        if header not in found and re.search(rf"\b{name}\b", code)
    ]
    assert not missing, "\n".join(missing)


def test_only_the_runtime_module_sees_the_core(plugin: Any) -> None:
    files = [file for file in plugin.files(".h", ".cpp") if '"renderlift/' in file.read_text()]
    assert {plugin.module_of(file) for file in files} == {"Renderlift"}
    assert not [file.name for file in files if "Public" in file.parts]


def test_reflected_classes_stand_where_the_header_tool_can_read_them(plugin: Any) -> None:
    reflected = [file for file in plugin.files(".h") if "UCLASS(" in file.read_text()]
    assert len(reflected) == 4
    for file in reflected:
        text = file.read_text()
        assert "UE_VERSION" not in text, file.name  # it knows no other condition than WITH_EDITOR
        assert INCLUDE.findall(text)[-1] == f"{file.stem}.generated.h"


@pytest.mark.parametrize("last", [3, 5, 6, 8])
def test_the_build_files_are_well_formed_up_to(
    plugin: Any, tool: Callable[[str, str], str], tmp_path: Path, last: int
) -> None:
    compiler = tool("mcs", "mono-mcs")
    defines = [f"-define:UE_5_{minor}_OR_LATER" for minor in range(3, last + 1)]
    options = [
        compiler,
        "-target:library",
        f"-out:{tmp_path / 'rules.dll'}",
        *defines,
        "-warnaserror",
        "-nowarn:0649",
    ]
    files = [plugin.declarations / "BuildTool.cs", *plugin.files(".Build.cs")]
    ran = subprocess.run([*options, *files], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout
