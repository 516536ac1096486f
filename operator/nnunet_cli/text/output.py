"""Writing to the terminal, to files and to other programs."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer
import yaml
from rich.console import Console
from rich.text import Text

from nnunet_cli.errors import CliError, ExitCode


def note(text: str) -> None:
    """Say something that is no part of the result."""
    typer.echo(text, err=True)


def as_json(value: Any) -> str:
    """Return JSON for scripts."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def as_yaml(value: Any) -> str:
    """Return YAML for scripts: the same as the JSON, where words of this program are words."""
    text: str = yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False, allow_unicode=True, width=120)
    return text.rstrip("\n")


_FOR_SCRIPTS = {"json": as_json, "yaml": as_yaml}


def print_data(form: str, data: Callable[[], Any]) -> bool:
    """Print the data if the form that was asked for is one for scripts, json or yaml, and say whether it was.

    Every command that has something for scripts offers both.
    """
    write = _FOR_SCRIPTS.get(form)
    if write:
        typer.echo(write(data()))
    return write is not None


def print_lines(lines: Callable[[int | None], Iterable[Text]]) -> None:
    """Print lines that fit the terminal; `lines` gets its width, None where the output is none."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
    for line in lines(console.width if console.is_terminal else None):
        console.print(line)


def write_file(path: Path, data: bytes) -> None:
    """Write a file on this machine. Raises CliError."""
    try:
        path.write_bytes(data)
    except OSError as error:
        words = f"{path} can't be written: {error.strerror}. Give another place or make room"
        raise CliError(words, ExitCode.USAGE) from None
