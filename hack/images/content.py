"""What an image is made of, and the tag that follows from it."""

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
TAG_LENGTH = 12


def content_tag(paths: Iterable[Path], extra: str = "") -> str:
    """Return a tag that changes when a file (its name or content) or `extra` does.

    Folders count with all files below them, except compiled Python. Raises FileNotFoundError for a missing path.
    """
    digest = hashlib.sha256(extra.encode())
    for path in sorted(_files(paths)):
        digest.update(f"\0{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:TAG_LENGTH]


def _files(paths: Iterable[Path]) -> set[Path]:
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found |= {file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
        else:
            path.stat()
            found.add(path)
    return found


def requirements(extra: str, pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """Return the project's own dependencies and those of one extra, as pip takes them."""
    project = tomllib.loads(pyproject.read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"][extra]]
