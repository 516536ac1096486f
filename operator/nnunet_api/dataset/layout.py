"""Which cases the names of files make up: one verdict for planning and command line. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_api.words import counted

_SEVERAL_CHANNELS = (".png", ".bmp", ".tif")
"""Endings of NaturalImage2DIO."""
_IMAGES = (
    ".nii.gz",
    ".nii",
    ".mha",
    ".mhd",
    ".nrrd",
    ".nhdr",
    ".gipl",
    ".tif",
    ".tiff",
    ".png",
    ".bmp",
    ".jpg",
    ".jpeg",
)
"""Endings of files that somebody may take for images of a dataset."""
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
    notes: tuple[str, ...] = ()
    """What is odd, and may be meant so."""


def named(items: Iterable[str]) -> str:
    """Return the first few items and how many more there are."""
    every = sorted(items)
    rest = len(every) - _NAMED
    return ", ".join(every[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def shown(value: Any, none: str = "missing") -> str:
    """Return a value for a message, cut short; `none` is the word for None: it is missing, or stands as null."""
    text = none if value is None else repr(value)
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


def same_names(cases: Iterable[str]) -> Iterator[str]:
    """Yield which cases have the same name on volumes that go by neither capitals nor forms of Unicode (SMB, macOS)."""
    alike: dict[str, list[str]] = {}
    for case in sorted(cases):
        alike.setdefault(unicodedata.normalize("NFC", unicodedata.normalize("NFC", case).casefold()), []).append(case)
    if told := [" and ".join(ascii(case)[1:-1] for case in group) for group in alike.values() if len(group) > 1]:
        yield (
            f"the names of cases differ by capitals or by the form of an accent alone: {named(told)}. On some volumes "
            "the files of one would take the place of the other's: rename them"
        )


def takes_several_channels(ending: Any) -> bool:
    """Tell whether a file of this ending may hold several channels, such as red, green and blue."""
    return isinstance(ending, str) and ending.lower() in _SEVERAL_CHANNELS


def is_hidden(name: str) -> bool:
    """Tell whether a file is hidden; macOS leaves ._NAME beside NAME on foreign file systems."""
    return name.startswith(".")


def find_images(folder: str, names: Iterable[str], ending: str, channels: int) -> Images:
    """Sort the names of the files in a folder by case and channel."""
    every = sorted(names)
    mine = [name for name in every if name.endswith(ending)]
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
            f"{counted(len(strangers), 'file')} in {folder} without a channel's number such as _0000{ending}: "
            f"{named(f'{folder}/{name}' for name in strangers)}. Rename or remove them"
        )
    problems += (
        f"{folder}: the name of the case {case!r} {problem}" for case in found if (problem := name_problem(case))
    )
    if not found and not strangers:
        problems.append(f"{folder} holds no file CASE_0000{ending}, and file_ending is {ending}")
    problems += same_names(found)
    problems += _channel_problems(folder, found, ending, channels)
    cases = {case: tuple(files[number] for number in sorted(files)) for case, files in found.items()}
    notes = tuple(_notes_on_others(folder, set(every) - set(mine), ending))
    return Images(cases, tuple(problems), tuple(_hidden_problems(folder, hidden)), notes)


def _notes_on_others(folder: str, others: Iterable[str], ending: str) -> Iterator[str]:
    if images := [f"{folder}/{name}" for name in others if name.lower().endswith(_IMAGES) and not is_hidden(name)]:
        yield f"{counted(len(images), 'image')} without the ending {ending}, and not read: {named(images)}"


def _hidden_problems(folder: str, hidden: list[str]) -> Iterator[str]:
    if hidden:
        yield (
            f"{counted(len(hidden), 'hidden file')} in {folder}, taken for images by nnU-Net: {named(hidden)}. Remove "
            f"them (macOS leaves ._ files: find {folder} -name '._*' -delete)"
        )


def _channel_problems(folder: str, found: Mapping[str, Mapping[int, str]], ending: str, channels: int) -> Iterator[str]:
    wanted = channels
    if takes_several_channels(ending) and found:
        # How many channels the files hold is known when they are read; each case has to have as many files.
        wanted = min(channels, max(max(files) for files in found.values()) + 1)
    missing = [
        f"{folder}/{case}_{number:04d}{ending}"
        for case, files in found.items()
        for number in range(wanted)
        if number not in files
    ]
    if missing:
        hint = "" if takes_several_channels(ending) else f". In {ending} files each channel has a file of its own"
        yield (
            f"{counted(len(missing), 'image is', 'images are')} missing for the {counted(channels, 'channel')} of "
            f"dataset.json: {named(missing)}{hint}. "
            "Add them, or correct channel_names"
        )
    extra = [f"{folder}/{name}" for files in found.values() for number, name in files.items() if number >= wanted]
    if extra:
        yield (
            f"{counted(len(extra), 'image has a number', 'images have numbers')} of channels that dataset.json, with "
            f"{counted(channels, 'channel')}, does not name: "
            f"{named(extra)}. Remove them, or correct channel_names"
        )
