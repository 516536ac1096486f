"""YAML and JSON files as kubectl reads them: several documents in a file, lists unfolded."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.lint.reading import Unreadable, read_stream

STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Document:
    """One object in a file."""

    source: str
    """Path of the file, or "standard input"."""
    number: str
    """1 = first document of the file; 1.2 = second item of a list that is the first document."""
    body: Any
    problem: str = ""
    """Why it can't be read; then there is no body."""

    @property
    def place(self) -> str:
        """File and number, for messages."""
        return f"{self.source}, document {self.number}"

    @property
    def kind(self) -> str:
        """Its kind; empty where it has none."""
        kind = self.body.get("kind") if isinstance(self.body, dict) else None
        return kind if isinstance(kind, str) else ""


def read_all(names: Iterable[str]) -> list[Document]:
    """Return all documents of files and folders; "-" is the standard input. Raises CliError."""
    return [document for name in names for document in _read(name)]


def _read(name: str) -> Iterator[Document]:
    if name == STDIN:
        yield from _parse("standard input", sys.stdin.buffer.read())
        return
    path = Path(name)
    files = _files_in(path) if path.is_dir() else [path]
    if not files:
        raise CliError(f"{name} holds no file that ends in {', '.join(_SUFFIXES)}", ExitCode.USAGE)
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise CliError(f"{file} can't be read: {error.strerror}", ExitCode.USAGE) from None
        yield from _parse(str(file), data)


def _files_in(folder: Path) -> list[Path]:
    """Return the files of a folder and of those in it: what is passed over in silence would count as checked."""

    def unreadable(error: OSError) -> None:
        raise CliError(f"{error.filename} can't be read: {error.strerror}", ExitCode.USAGE)

    found = (Path(where, name) for where, _, names in os.walk(folder, onerror=unreadable) for name in names)
    return sorted(file for file in found if file.suffix in _SUFFIXES)


def _parse(source: str, data: bytes) -> Iterator[Document]:
    number = 0
    try:
        for body in read_stream(data):
            number += 1
            if body is not None:
                yield from _unfold(source, str(number), body)
    except (Unreadable, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        words = " ".join(str(error).split())
        yield Document(source, str(number + 1), None, f"it can't be read as YAML or JSON: {words}")


def _unfold(source: str, number: str, body: Any) -> Iterator[Document]:
    if not _is_list(body):
        yield Document(source, number, body)
        return
    # A list of one kind, as the API server itself answers, names it for all.
    kind = body["kind"].removesuffix("List")
    of_all = {"apiVersion": body.get("apiVersion"), "kind": kind} if kind else {}
    for index, item in enumerate(body["items"], 1):
        place = f"{number}.{index}"
        if _is_list(item):
            yield Document(source, place, None, "it is a list in a list, which kubectl does not take: write it out")
        else:
            yield Document(source, place, {**of_all, **item} if isinstance(item, dict) else item)


def _is_list(body: Any) -> bool:
    return isinstance(body, dict) and str(body.get("kind", "")).endswith("List") and isinstance(body.get("items"), list)
