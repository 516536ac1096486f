"""Each alert has a page, and what the pages and the alerts tell people to type exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from nnunet_cli.app import app
from tests.unit.monitoring.test_alerts import NAMES, rules

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
PLACEHOLDERS = {"NAME", "NAMESPACE", "FOLD", "POD", "POLICY"}
"""Labels of the alerts, as README.md says."""
SECTIONS = ["What is lost while you wait", "End, false alarms, silence"]
_ROW = re.compile(r"^\| \[(\w+)\]\(\1\.md\) \| ([a-z, ]+) \|", re.MULTILINE)


def test_there_is_a_page_for_each_alert_and_no_other() -> None:
    assert [page.stem for page in PAGES] == NAMES


def test_the_overview_names_all_with_their_severities() -> None:
    told = {
        name: set(severities.split(", ")) for name, severities in _ROW.findall((RUNBOOKS / "README.md").read_text())
    }
    severities = {name: {r["labels"]["severity"] for r in rules() if r["alert"] == name} for name in NAMES}
    assert told == severities


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_begins_with_a_command_and_what_it_prints(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n")
    first, output = re.findall(r"^```(sh|text)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[:2]
    assert (first[0], output[0]) == ("sh", "text")
    assert first[1].startswith("kubectl ") and first[1].count("\n") == 1, "one command"
    assert set(re.findall(r"\b[A-Z]{3,}\b", first[1])) <= PLACEHOLDERS, "placeholders that nobody knows"
    for section in SECTIONS:
        assert section in text, f"nothing under: {section}"
    assert "(README.md#silencing)" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_alert_names_the_same_command(page: Path) -> None:
    first = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0].strip()
    wanted = re.sub(rf"\b({'|'.join(PLACEHOLDERS)})\b", "VALUE", first)
    texts = [rule["annotations"]["description"] for rule in rules() if rule["alert"] == page.stem]
    assert any(f"`{wanted}`" in filled(text) for text in texts), f"{wanted} is in none of {texts}"


def filled(text: str) -> str:
    """Return a text of an alert with a word for each of its values."""
    return " ".join(re.sub(r"{{[^}]*}}", "VALUE", text).split())


def commands() -> Iterator[tuple[str, str]]:
    """Yield the commands of kubectl nnunet in pages and alerts, with where they are."""
    texts = [(page.stem, page.read_text(encoding="utf-8")) for page in [*PAGES, RUNBOOKS / "README.md"]]
    texts += [(f"{rule['alert']} (alert)", rule["annotations"]["description"]) for rule in rules()]
    for where, text in texts:
        typed = [line for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
        typed += re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
        for command in typed:
            if (words := filled(command)).startswith("kubectl nnunet "):
                yield where, words


COMMANDS = sorted(set(commands()))


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 2 * len(PAGES)


@pytest.mark.parametrize(("where", "command"), COMMANDS)
def test_commands_exist_with_their_options(where: str, command: str) -> None:
    program = get_command(app)
    words = shlex.split(command)[2:]
    name, subcommand, rest = program.resolve_command(program.make_context("nnunet", list(words)), words)  # type: ignore[attr-defined]
    # Raises what the command line says to an unknown option or a missing argument.
    subcommand.make_context(name, list(rest))
