"""YAML and JSON files as kubectl reads them: several documents in a file, lists unfolded."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nnunet_cli.errors import CliError, ExitCode

STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")
_MOST_PARTS = 1_000_000
"""Parts of a document with its aliases written out. A training or policy that the API server takes has far less."""


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


class _Loader(yaml.SafeLoader):
    """Reads what kubectl reads: time stamps stay strings, a key that is given twice is an error."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_document(self, node: Any) -> Any:
        """Return the document of a node. Raises yaml.YAMLError where its aliases make too much of it."""
        if _parts(node, {}) > _MOST_PARTS:
            words = f"its aliases make more than {_MOST_PARTS} parts of it: write out what they stand for"
            raise yaml.constructor.ConstructorError(None, None, words, node.start_mark)
        return super().construct_document(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of a node. Raises yaml.constructor.ConstructorError."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue  # two merges are fine, and a key that is no word is refused below
            key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice", key_node.start_mark)
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _parts(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many parts a node has where each alias counts as what it stands for; one in itself as one."""
    if id(node) not in known:
        known[id(node)] = 1
        pairs = node.value if isinstance(node, yaml.CollectionNode) else ()
        inner = (each for pair in pairs for each in (pair if isinstance(pair, tuple) else (pair,)))
        known[id(node)] = min(_MOST_PARTS + 1, 1 + sum(_parts(each, known) for each in inner))
    return known[id(node)]


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
        for body in yaml.load_all(data, _Loader):
            number += 1
            if problem := _no_json(body):
                yield Document(source, str(number), None, problem)
            elif body is not None:
                yield from _unfold(source, str(number), body)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        words = " ".join(str(error).split())
        yield Document(source, str(number + 1), None, f"it is no YAML that can be read: {words}")


def _no_json(body: Any) -> str:
    """Return why a document can't be sent to the API server, which takes JSON; empty where it can."""
    try:
        json.dumps(body)
    except (TypeError, ValueError, RecursionError) as error:
        return f"it holds what JSON has no form for: {error}"
    return ""


def _unfold(source: str, number: str, body: Any) -> Iterator[Document]:
    if isinstance(body, dict) and str(body.get("kind", "")).endswith("List") and isinstance(body.get("items"), list):
        for index, item in enumerate(body["items"], 1):
            yield Document(source, f"{number}.{index}", item)
    else:
        yield Document(source, number, body)
