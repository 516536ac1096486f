"""Which cases the names of files make up: one verdict for planning and command line. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SEVERAL_CHANNELS = (".png", ".bmp", ".tif")
"""Endings of NaturalImage2DIO: a file may hold several channels, such as red, green and blue."""
_NAMED = 5
"""How many offenders a message names."""
_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that no name has: controls, halves of characters, ends of lines and paragraphs."""
_LONGEST_NAME = 200
"""Bytes in the name of a case. File systems take 255; endings, channels and marks of unfinished files come on top."""


@dataclass(frozen=True)
class Images:
    """What a folder of images holds."""

    cases: Mapping[str, tuple[str, ...]]
    """File names of each case, in the order of channels."""
    problems: tuple[str, ...]
    """What has to be put right, with the remedy."""
    hidden: tuple[str, ...] = ()
    """The same about hidden files, which are not sent to a claim: none, or one problem."""


def named(items: Iterable[str]) -> str:
    """Return the first few items and how many more there are."""
    every = sorted(items)
    rest = len(every) - _NAMED
    return ", ".join(every[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def shown(value: Any) -> str:
    """Return a value for a message, cut short; "missing" where there is none."""
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def name_problem(name: str) -> str:
    """Return what is wrong with the name of a case, which becomes the name of files; nothing where it is in order.

    Letters of any script, blanks and dots are: nnU-Net takes them.
    """
    if "/" in name or "\\" in name:
        return "must not have / or \\: files of that name would lie somewhere else"
    if not name or name.startswith("."):
        return "must not be empty or begin with a dot: such files are hidden, or lie somewhere else"
    if any(unicodedata.category(character) in _FORBIDDEN for character in name):
        return "must not have control characters, or bytes that are no UTF-8"
    if len(name.encode()) > _LONGEST_NAME:
        return f"must not be longer than {_LONGEST_NAME} bytes"
    return ""


def is_hidden(name: str) -> bool:
    """Tell whether a file is hidden; macOS leaves ._NAME beside NAME on foreign file systems."""
    return name.startswith(".")


def find_images(folder: str, names: Iterable[str], ending: str, channels: int) -> Images:
    """Sort the names of the files in a folder by case and channel."""
    mine = [name for name in sorted(names) if name.endswith(ending)]
    hidden, strangers = [name for name in mine if is_hidden(name)], []
    pattern = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})" + re.escape(ending), re.ASCII | re.DOTALL)
    found: dict[str, dict[int, str]] = {}
    for name in mine:
        if is_hidden(name):
            continue
        if match := pattern.fullmatch(name):
            found.setdefault(match["case"], {})[int(match["channel"])] = name
        else:
            strangers.append(name)
    problems = []
    if strangers:
        problems.append(
            f"{len(strangers)} files in {folder} don't end in a channel's number such as _0000{ending}: "
            f"{named(f'{folder}/{name}' for name in strangers)}. Rename or remove them"
        )
    problems += (
        f"{folder}: the name of the case {case!r} {problem}" for case in found if (problem := name_problem(case))
    )
    if not found and not strangers:
        problems.append(f"{folder} holds no file CASE_0000{ending}, and file_ending is {ending}")
    problems += _channel_problems(folder, found, ending, channels)
    cases = {case: tuple(files[number] for number in sorted(files)) for case, files in found.items()}
    return Images(cases, tuple(problems), tuple(_hidden_problems(folder, hidden)))


def _hidden_problems(folder: str, hidden: list[str]) -> Iterator[str]:
    if hidden:
        yield (
            f"{len(hidden)} files in {folder} are hidden, and nnU-Net takes them for images: {named(hidden)}. Remove "
            f"them (macOS leaves ._ files: find {folder} -name '._*' -delete)"
        )


def _channel_problems(folder: str, found: Mapping[str, Mapping[int, str]], ending: str, channels: int) -> Iterator[str]:
    wanted = channels
    if ending in SEVERAL_CHANNELS and found:
        # How many channels the files hold is known when they are read; each case has to have as many files.
        wanted = min(channels, max(max(files) for files in found.values()) + 1)
    missing = [
        f"{folder}/{case}_{number:04d}{ending}"
        for case, files in found.items()
        for number in range(wanted)
        if number not in files
    ]
    if missing:
        hint = "" if ending in SEVERAL_CHANNELS else f". In {ending} files each channel has a file of its own"
        yield (
            f"{len(missing)} images are missing for the {channels} channels of dataset.json: {named(missing)}{hint}. "
            "Add them, or correct channel_names"
        )
    extra = [f"{folder}/{name}" for files in found.values() for number, name in files.items() if number >= wanted]
    if extra:
        yield (
            f"{len(extra)} images have numbers of channels that dataset.json, with {channels} channels, does not name: "
            f"{named(extra)}. Remove them, or correct channel_names"
        )
