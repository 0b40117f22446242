"""The packing shader passes a front end for HLSL in every permutation that the plugin compiles."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHANNELS = ["rgb", "depth", "normal", "class_id", "instance_id", "flow", "albedo", "material"]
FROM_GBUFFER = {"normal", "albedo", "material"}
PERMUTATIONS = [(name, 0) for name in CHANNELS if name != "material"] + [(name, 1) for name in sorted(FROM_GBUFFER)]


@pytest.mark.parametrize(("channel", "from_gbuffer"), PERMUTATIONS)
def test_the_shader_compiles_for(
    plugin: Any, tool: Callable[[str, str], str], tmp_path: Path, channel: str, from_gbuffer: int
) -> None:
    glslang = tool("glslangValidator", "glslang-tools")
    # The front end has no virtual paths: what the engine calls /Engine is a folder of our declarations.
    text = (plugin.folder / "Shaders" / "Private" / "RenderliftPack.usf").read_text()
    source = tmp_path / "pack.hlsl"
    source.write_text(text.replace('"/Engine/', '"Engine/'))
    defines = {
        "RENDERLIFT_CHANNEL": CHANNELS.index(channel),
        "RENDERLIFT_FROM_GBUFFER": from_gbuffer,
        "RENDERLIFT_GROUP": 8,
    }
    ran = subprocess.run(
        [glslang, "-D", "-V", "-S", "comp", "-e", "MainCS", "--auto-map-bindings", "--auto-map-locations"]
        + [f"-D{name}={value}" for name, value in defines.items()]
        + [f"-I{plugin.declarations / 'shaders'}", "-o", str(tmp_path / "pack.spv"), str(source)],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout
