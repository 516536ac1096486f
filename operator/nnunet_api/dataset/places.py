"""Do the files of a dataset lie where its claim is? A dataset comes from others, and names and links lead anywhere."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunet_api.dataset.layout import named
from nnunet_api.words import counted


@dataclass(frozen=True)
class Place:
    """Where a file really lies."""

    real: str
    """Its path after all links."""
    is_file: bool
    is_link: bool


def look(files: Mapping[str, Path]) -> dict[str, Place]:
    """Return where files lie, by their names. The only thing here that asks the file system."""
    folders: dict[Path, str] = {}
    places = {}
    for name, path in files.items():
        is_link = path.is_symlink()
        if is_link:
            real = os.path.realpath(path)
        else:
            if path.parent not in folders:
                folders[path.parent] = os.path.realpath(path.parent)
            real = f"{folders[path.parent]}/{path.name}"
        places[name] = Place(real, path.is_file(), is_link)
    return places


def place_problems(places: Mapping[str, Place], root: str, called: str) -> Iterator[str]:
    """Yield which files are not inside a folder that is called so, or are links that lead nowhere.

    What is missing without a link is not said here.
    """
    broken = [f"{name} -> {place.real}" for name, place in places.items() if place.is_link and not place.is_file]
    if broken:
        words = counted(len(broken), "file is a link", "files are links")
        yield (f"{words} to what is not there: {named(broken)}. Copy the files themselves (cp -L, rsync --copy-links)")
    outside = [
        f"{name} ({place.real})" for name, place in places.items() if place.is_file and not _in(place.real, root)
    ]
    if outside:
        yield (
            f"{counted(len(outside), 'file lies', 'files lie')} outside of {called}: {named(outside)}. Copy the files "
            "themselves into the dataset"
        )


def shared_files(places: Mapping[str, Place]) -> Iterator[str]:
    """Yield which names stand for one file, by links or because they are given twice."""
    names: dict[str, list[str]] = {}
    for name, place in places.items():
        names.setdefault(place.real, []).append(name)
    if told := [" and ".join(sorted(group)) for group in names.values() if len(group) > 1]:
        yield f"one file stands for several: {named(told)}"


def other_than_a_file(name: str, place: Place) -> str:
    """Return what is wrong with something that is there and is no file: a folder, a pipe; nothing where it is one."""
    return "" if place.is_file else f"{name} is there and is no file: put a file in its place, or remove it"


def missing(places: Mapping[str, Place]) -> list[str]:
    """Return what is no file, apart from links that lead nowhere."""
    return [name for name, place in places.items() if not place.is_file and not place.is_link]


def _in(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
