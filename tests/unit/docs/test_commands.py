"""The command lines of the documentation: what a newcomer types is what the program and the Makefile take."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from nnunet_cli.app import app

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/**/*.md"), *ROOT.glob("manifests/**/*.md")]
)
PROGRAMS = ("kubectl nnunet ", "nnunetctl ")
_FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


def _lines() -> Iterator[tuple[str, str]]:
    """Yield each line of a shell in a page, with the page's name; a line that goes on is one."""
    for page in PAGES:
        for block in _FENCE.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                yield str(page.relative_to(ROOT)), line.strip()


def _words(line: str) -> list[str]:
    """Return the words of the first command of a line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(itertools.takewhile(lambda word: not set(word) <= set(lexer.punctuation_chars), lexer))


def _ours() -> Iterator[tuple[str, list[str]]]:
    for page, line in _lines():
        for program in PROGRAMS:
            for found in re.findall(rf"(?:^|[|&;(] *){re.escape(program)}.*", line):
                yield page, _words(found[found.index(program) + len(program) :])


def _commands() -> dict[str, Any]:
    """Return all commands by their words."""
    found: dict[str, Any] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        found |= {f"{name} {inner}": one for inner, one in getattr(command, "commands", {}).items()} or {name: command}
    return found


COMMANDS = _commands()
LINES = list(_ours())


def _command_of(words: list[str]) -> tuple[str, list[str]]:
    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
    assert name in COMMANDS, f"there is no command {name}"
    return name, words[len(name.split()) :]


def test_there_are_command_lines() -> None:
    assert len(LINES) > 60
    assert {_command_of(words)[0] for _, words in LINES if not words[0].startswith("-")} == COMMANDS.keys(), (
        "each command is shown at least once"
    )


@pytest.mark.parametrize(("page", "words"), LINES, ids=[f"{page}-{' '.join(words)}" for page, words in LINES])
def test_each_is_taken(page: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but what it needs of a cluster: the command, its options, and how many words stand behind it."""
    if words[0].startswith("-"):  # of the program itself
        assert words[0] in ("--help", "--install-completion", "--version")
        return
    name, given = _command_of(words)
    monkeypatch.chdir(tmp_path)
    for file in [word for word in given if word.endswith((".yaml", ".yml"))]:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    COMMANDS[name].make_context(name, list(given))


def test_options_that_prose_names_are_there() -> None:
    found = 0
    for page in PAGES:
        prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for code in _CODE.findall(prose):
            if not code.startswith(PROGRAMS) or "..." in code:
                continue
            words = code.removeprefix("kubectl nnunet ").removeprefix("nnunetctl ").split()
            if len(words) < 2 or words[0].startswith("-"):
                continue
            name, given = _command_of(words)
            known = {
                option for parameter in COMMANDS[name].params for option in [*parameter.opts, *parameter.secondary_opts]
            }
            for word in given:
                if word.startswith("-") and word != "-":
                    assert word.partition("=")[0] in known | {"-h", "--help"}, f"{page.name}: {code}"
                    found += 1
    assert found >= 10


def test_targets_of_make_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    named = set()
    for page in PAGES:
        named |= set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(named) > 15 and named <= targets, named - targets
