"""The Unreal plugin without Unreal: its files, and the programs that can check them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Plugin:
    """Where things lie."""

    folder: Path = ROOT / "engine_plugin" / "unreal" / "Renderlift"
    core: Path = ROOT / "engine_plugin" / "core"
    declarations: Path = Path(__file__).parent / "declarations"

    @property
    def source(self) -> Path:
        return self.folder / "Source"

    @property
    def modules(self) -> list[str]:
        """The plugin's own; ThirdParty holds an external one."""
        return sorted(folder.name for folder in self.source.iterdir() if folder.name != "ThirdParty")

    def files(self, *suffixes: str, module: str = "") -> list[Path]:
        return sorted(file for suffix in suffixes for file in (self.source / module).rglob(f"*{suffix}"))

    def module_of(self, file: Path) -> str:
        return file.relative_to(self.source).parts[0]


@pytest.fixture(scope="session")
def plugin() -> Plugin:
    return Plugin()


@pytest.fixture(scope="session")
def tool() -> Callable[[str, str], str]:
    """Path of a program; skips the test where it is missing."""

    def find(name: str, package: str) -> str:
        found = shutil.which(name)
        if not found:
            pytest.skip(f"{name} is missing: apt-get install {package}")
        return found

    return find
