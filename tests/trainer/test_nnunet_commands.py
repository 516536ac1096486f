"""The table of nnU-Net's commands and options, against those of the nnU-Net that is installed.

Its own programs are asked: each is started as a user would, up to where it would read its arguments.
"""

import argparse
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import nnunetv2
import pytest

PAGE = Path(__file__).parents[2] / "docs/reference/nnunet-commands.md"
PRINTED = {"-h", "--help", "--verbose", "--no_pbar", "--disable_progress_bar"}
"""What the page says that it leaves out."""
_COMMAND = re.compile(r"`(nnUNetv2_\w+)`")
_OPTION = re.compile(r"`(--?[a-z]\w*)")
_VARIABLE = re.compile(r"""(?:environ(?:\.get|\.pop)?[\[(]|getenv\(|_enabled\()\s*["'](nnUNet_\w+)["']""")


class _Asked(Exception):
    """Ends a program of nnU-Net's where it reads its arguments."""


@pytest.fixture(scope="module")
def options() -> dict[str, list[set[str]]]:
    """Return the options of each command; those of one set are one option by several names."""
    found = {}
    for entry in metadata.distribution("nnunetv2").entry_points:
        if entry.group == "console_scripts":
            found[entry.name] = list(_options_of(entry))
    return found


def _options_of(entry: metadata.EntryPoint) -> Iterator[set[str]]:
    asked: list[argparse.ArgumentParser] = []

    def read(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        asked.append(parser)
        raise _Asked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_known_args", read)  # parse_args calls it, too
        program = entry.load()
        with pytest.raises(_Asked):
            program()
    for action in asked[0]._actions:
        if names := set(action.option_strings) - PRINTED:
            yield names


def _described() -> dict[str, set[str]]:
    """Return the options that the page has of each command: in its paragraph, in its row, and in rows below these.

    Of a table the first column counts: the others say what takes their place.
    """
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    above = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        row = line.startswith("|")
        told = line.split("|")[1] if row else line
        if line.startswith("#"):
            current = set()
        if commands := set(_COMMAND.findall(told)):
            goes_on = not row and above and not above.startswith("|")
            current = current | commands if goes_on else commands
        for command in current:
            found.setdefault(command, set()).update(_OPTION.findall(told))
        above = line
    return found


def test_every_command_and_option_has_its_row(options: dict[str, list[set[str]]]) -> None:
    table = _described()
    assert len(options) > 15 and "nnUNetv2_train" in options
    assert sorted(set(options) - set(table)) == [], "commands that the page does not have"
    missing = [
        f"{command} {' or '.join(sorted(names))}"
        for command, own in options.items()
        for names in own
        if not names <= table[command]
    ]
    assert missing == []


def test_no_row_is_of_what_there_is_no_more(options: dict[str, list[set[str]]]) -> None:
    table = _described()
    assert sorted(set(table) - set(options)) == [], "commands that nnU-Net does not have"
    for command, told in table.items():
        # Commands of one paragraph or row share what is said there.
        together = [other for other, also in table.items() if also == told]
        known = {name for other in together for names in options[other] for name in names}
        assert sorted(told - known) == [], command


def test_every_variable_is_named() -> None:
    source = Path(nnunetv2.__file__).parent
    files = [path for path in source.rglob("*.py") if not {"tests", "batch_running"} & set(path.parts)]
    found = {name for path in files for name in _VARIABLE.findall(path.read_text(encoding="utf-8"))}
    assert {"nnUNet_compile", "nnUNet_n_proc_DA", "nnUNet_wandb_enabled"} <= found
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(name for name in found if f"`{name}`" not in page) == []
