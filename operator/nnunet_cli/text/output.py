"""Writing to the terminal, to files and to other programs.

The only module that writes to a terminal. What it writes may come from anybody who can write a training, an Event, a
log or a file name, so nothing in it reaches the terminal as a command.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import typer
import yaml
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.text.words import printable

_WIDE = 10_000


class Terminal(Console):
    """A console whose only control characters are its own: whatever is drawn on it is cleaned."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is drawn, cleaned."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def say(text: str, *, end: str = "\n") -> None:
    """Write a part of the result."""
    typer.echo(printable(text) + end, nl=False)


def note(text: str) -> None:
    """Say something that is no part of the result."""
    typer.echo(printable(text), err=True)


def as_json(value: Any) -> str:
    """Return JSON for scripts. What no terminal should see is escaped in it, so that nothing is lost."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def as_yaml(value: Any) -> str:
    """Return YAML for scripts: the same as the JSON, where words of this program are words."""
    plain = json.loads(json.dumps(value))

    def dump(allow_unicode: bool) -> str:
        text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=allow_unicode, width=120)
        return text.rstrip("\n")

    text = dump(allow_unicode=True)
    return text if printable(text) == text else dump(allow_unicode=False)


_FOR_SCRIPTS = {"json": as_json, "yaml": as_yaml}


def print_data(form: str, data: Callable[[], Any]) -> bool:
    """Print the data if the form that was asked for is one for scripts, json or yaml, and say whether it was.

    Every command that has something for scripts offers both.
    """
    write = _FOR_SCRIPTS.get(form)
    if write:
        say(write(data()))
    return write is not None


def print_lines(lines: Callable[[int | None], Iterable[Text]]) -> None:
    """Print lines that fit the terminal; `lines` gets its width, None where the output is none."""
    console = Terminal(markup=False, highlight=False, soft_wrap=True)
    for line in lines(console.width if console.is_terminal else None):
        console.print(line)


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns, in the manner of kubectl.

    Never cut: what does not fit the terminal is wrapped by it, and whoever searches the output finds it whole.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True, overflow="ignore")
    for row in rows:
        table.add_row(*(cell or "-" for cell in row))
    Terminal(width=_WIDE, markup=False, highlight=False, soft_wrap=True).print(table)


def print_file(data: bytes) -> None:
    """Write a file to the standard output: as it is to a program, as text to a terminal."""
    if sys.stdout.isatty():
        say(data.decode(errors="replace"), end="")
    else:
        typer.get_binary_stream("stdout").write(data)


def write_file(path: Path, data: bytes) -> None:
    """Write a file on this machine. Raises CliError."""
    try:
        path.write_bytes(data)
    except OSError as error:
        words = f"{path} can't be written: {error.strerror}. Give another place or make room"
        raise CliError(words, ExitCode.USAGE) from None
