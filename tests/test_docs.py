"""The docs are held against the program: their commands parse, their names exist, their links lead somewhere."""

import re
import shlex
from pathlib import Path
from typing import Any, cast

import pytest
import typer.main

from renderlift.bridge import cli, wire

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def shell_lines(page: Path) -> list[str]:
    return [
        line
        for kind, body in FENCE.findall(page.read_text())
        if kind == "bash"
        for line in body.replace("\\\n", " ").splitlines()
    ]


def renderlift_commands(page: Path) -> list[list[str]]:
    """The words after `renderlift` of every command in the page's shell blocks."""
    found: list[list[str]] = []
    for line in shell_lines(page):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("&|;<>"):
                if command and Path(command[0]).name == "renderlift":
                    found.append(command[1:])
                command = []
            else:
                command.append(word)
    return found


COMMANDS = [(named(page), words) for page in PAGES for words in renderlift_commands(page)]


def test_the_front_page_has_two_set_up_commands_of_one_line_each() -> None:
    section = (ROOT / "README.md").read_text().partition("## Two commands")[2].partition("\n## ")[0]
    blocks = [body.splitlines() for _, body in FENCE.findall(section)]
    assert [len(block) for block in blocks] == [1, 1]
    assert blocks[0][0].endswith("renderlift demo")
    assert blocks[1][0].endswith("pytest")
    ci = (ROOT / ".ci" / "run").read_text()
    assert blocks[1][0].rpartition("&& ")[2] in ci.splitlines()[-1]


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{page}: {' '.join(words)}" for page, words in COMMANDS]
)
def test_every_command_in_the_docs_is_one_that_the_program_takes(page: str, words: list[str]) -> None:
    # Typer has a copy of click of its own, so its types have no public name.
    group = cast(Any, typer.main.get_command(cli.app))
    group.commands[words[0]].make_context(words[0], words[1:])


def test_every_command_is_in_its_table() -> None:
    group = cast(Any, typer.main.get_command(cli.app))
    page = (ROOT / "docs" / "cli.md").read_text()
    assert all(f"| `{name}` |" in page for name in group.commands)


def test_every_event_that_the_program_tells_is_in_its_table() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    sources = (ROOT / "bridge" / "renderlift" / "bridge").glob("*.py")
    told = {
        name for source in sources for name in re.findall(r"\.(?:tell|table)\(\s*\"(\w+)\"", source.read_text())
    }
    assert told
    assert not [name for name in told if f"`{name}`" not in page]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    targets = [target.partition("#")[0] for target in LINK.findall(text) if "://" not in target]
    assert not [target for target in targets if target and not (page.parent / target).exists()]


def test_the_messages_of_the_protocol_are_those_of_the_program() -> None:
    messages = (*wire.EngineMessage.__args__, *wire.BridgeMessage.__args__)
    documented = set(re.findall(r"^`(\w+)`(?=: |\n\n\|)", PROTOCOL, re.MULTILINE))
    # `reason` is a key of `nack`, explained on a line of its own.
    assert documented - {"reason"} == {message.__struct_config__.tag for message in messages}
