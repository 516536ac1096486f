"""Is a folder a dataset in nnU-Net's raw format? All that is wrong at once, from names and dataset.json alone.

The trainer checks again, in the pod, what planning reads; here a person learns of it before anything is sent.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_cli.datasets.splits import split_problems
from nnunet_operator.api.dataset_labels import label_problems

_NAME = re.compile(r"Dataset\d{3}_.+")
_REQUIRED = ("channel_names", "labels", "numTraining", "file_ending")
_NAMED = 5
"""How many offenders a finding names."""


@dataclass(frozen=True)
class Case:
    """Files of a case that are there."""

    images: tuple[Path, ...]
    label: Path | None


@dataclass
class Layout:
    """What a folder holds."""

    folder: Path
    description: dict[str, Any] = field(default_factory=dict)
    """dataset.json; empty where it can't be read."""
    training: dict[str, Case] = field(default_factory=dict)
    test: dict[str, Case] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """What has to be put right, with the remedy."""
    notes: list[str] = field(default_factory=list)
    """What is odd, and in nobody's way."""

    @property
    def channels(self) -> int:
        """Channels that dataset.json declares."""
        names = _channel_names(self.description)
        return len(names) if isinstance(names, dict) else 0


def read_layout(folder: Path) -> Layout:
    """Return what a folder holds and all that is wrong with it. Raises OSError where it can't be read."""
    layout = Layout(folder.resolve())
    if not _NAME.fullmatch(layout.folder.name):
        words = f"the folder is called {layout.folder.name}, must be DatasetNNN_Name with three digits: rename it"
        layout.problems.append(words)
    content = _read_description(layout)
    if content is None:
        return layout
    layout.description = content
    layout.problems += _description_problems(content)
    ending = content.get("file_ending")
    if "dataset" in content:
        _add_listed(layout, content["dataset"])
    elif isinstance(ending, str) and layout.channels:
        layout.training = _cases(layout, "imagesTr", "labelsTr", ending)
    if isinstance(ending, str) and layout.channels and (folder / "imagesTs").is_dir():
        # Labels of a test set are only needed where it is to be scored.
        layout.test = _cases(layout, "imagesTs", "labelsTs" if (folder / "labelsTs").is_dir() else None, ending)
    declared = content.get("numTraining")
    if isinstance(declared, int) and layout.training and declared != len(layout.training):
        words = f"numTraining is {declared}, but there are {len(layout.training)} training cases: correct it"
        layout.problems.append(f"dataset.json: {words}, or add what is missing")
    layout.problems += split_problems(layout.folder, set(layout.training))
    return layout


def _read_description(layout: Layout) -> dict[str, Any] | None:
    path = layout.folder / "dataset.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        layout.problems.append("there is no dataset.json: nnU-Net's dataset format asks for one")
        return None
    except ValueError as error:
        layout.problems.append(f"dataset.json is no valid JSON: {error}")
        return None
    if not isinstance(content, dict):
        layout.problems.append(f"dataset.json must hold an object, not a {type(content).__name__}")
        return None
    return content


def _channel_names(content: Mapping[str, Any]) -> Any:
    return content.get("channel_names", content.get("modality"))  # the older name


def _description_problems(content: Mapping[str, Any]) -> Iterator[str]:
    for key in _REQUIRED:
        if key not in content and not (key == "channel_names" and "modality" in content):
            yield f"dataset.json: {key} is missing"
    channels = _channel_names(content)
    if channels is not None:
        wanted = {str(number) for number in range(len(channels))} if isinstance(channels, dict) else set()
        if not wanted or set(channels) != wanted:
            words = f"channel_names is {channels!r}, must name the channels by number from 0"
            yield f'dataset.json: {words}, such as {{"0": "CT"}}'
    ending = content.get("file_ending")
    if ending is not None and not (isinstance(ending, str) and ending.startswith(".")):
        yield f"dataset.json: file_ending is {ending!r}, must be an ending with its dot, such as .nii.gz"
    count = content.get("numTraining")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        yield f"dataset.json: numTraining is {count!r}, must be the number of training cases"
    if "labels" in content:
        yield from (f"dataset.json: {problem}" for problem in label_problems(content))


def _add_listed(layout: Layout, entries: Any) -> None:
    """Take the cases that dataset.json names one by one, nnU-Net's other way of describing them."""
    missing = []
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            listed = entry["images"]
            if not isinstance(listed, list):
                raise TypeError(listed)
            images, label = tuple(layout.folder / path for path in listed), layout.folder / entry["label"]
        except (KeyError, TypeError):
            layout.problems.append(f"dataset.json: dataset.{name} needs images, a list of paths, and label, a path")
            continue
        missing += [str(path.relative_to(layout.folder)) for path in (*images, label) if not path.is_file()]
        layout.training[name] = Case(images, label)
        if len(images) != layout.channels:
            words = f"dataset.{name} has {len(images)} images, must have {layout.channels}, one for each channel"
            layout.problems.append(f"dataset.json: {words}")
    if missing:
        layout.problems.append(f"{len(missing)} files that dataset.json names are missing: {_named(missing)}")


def _cases(layout: Layout, images: str, labels: str | None, ending: str) -> dict[str, Case]:
    """Return the cases of two folders, and add what is wrong with them."""
    absent = [name for name in (images, labels) if name and not (layout.folder / name).is_dir()]
    if absent:
        layout.problems += [f"there is no folder {name}" for name in absent]
        return {}
    found, strangers = _images(layout.folder / images, ending)
    wanted = set(range(layout.channels))
    missing = [
        f"{images}/{case}_{channel:04d}{ending}" for case, files in found.items() for channel in wanted - set(files)
    ]
    extra = [
        f"{images}/{path.name}" for files in found.values() for number, path in files.items() if number not in wanted
    ]
    with_label = (
        {path.name.removesuffix(ending) for path in _files(layout.folder / labels, ending)} if labels else set()
    )
    add = layout.problems.append
    if strangers:
        add(f"{len(strangers)} files don't end in a channel's number such as _0000{ending}: {_named(strangers)}")
    if missing:
        add(f"{len(missing)} images are missing for the {layout.channels} channels: {_named(missing)}")
    if extra:
        add(f"{len(extra)} images have numbers of channels that dataset.json does not name: {_named(extra)}")
    if labels and (bare := set(found) - with_label):
        add(f"{len(bare)} cases have no label: {_named(f'{labels}/{case}{ending}' for case in bare)}")
    if alone := with_label - set(found):
        names = _named(f"{labels}/{case}{ending}" for case in alone)
        layout.notes.append(f"{len(alone)} labels have no image: {names}")
    if not found and not strangers:
        add(f"{images} holds no file CASE_0000{ending}, and file_ending is {ending}")
    return {
        case: Case(
            tuple(files[number] for number in sorted(files)),
            layout.folder / labels / f"{case}{ending}" if labels and case in with_label else None,
        )
        for case, files in found.items()
    }


def _images(folder: Path, ending: str) -> tuple[dict[str, dict[int, Path]], list[str]]:
    """Return the images by case and channel, and the names that have no channel."""
    pattern = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})" + re.escape(ending))
    found: dict[str, dict[int, Path]] = {}
    strangers = []
    for path in _files(folder, ending):
        if match := pattern.fullmatch(path.name):
            found.setdefault(match["case"], {})[int(match["channel"])] = path
        else:
            strangers.append(f"{folder.name}/{path.name}")
    return found, strangers


def _files(folder: Path, ending: str) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.name.endswith(ending) and not path.name.startswith(".")]


def _named(items: Iterable[str]) -> str:
    every = sorted(items)
    rest = len(every) - _NAMED
    return ", ".join(every[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
