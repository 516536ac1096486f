"""Is a folder a dataset in nnU-Net's raw format? All that is wrong at once, from names and dataset.json alone.

The trainer checks again, in the pod, what planning reads; here a person learns of it before anything is sent.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_api.dataset.beside import sidecar_problems, spacing_files
from nnunet_api.dataset.description import READER_KEY, channel_names, description_notes, description_problems
from nnunet_api.dataset.layout import find_images, is_hidden, named
from nnunet_api.dataset.places import look, missing, other_than_a_file, place_problems, shared_files
from nnunet_api.dataset.strict_json import read_json
from nnunet_api.words import counted
from nnunet_cli.datasets.cases import look_at_cases
from nnunet_cli.datasets.splits import look_at_splits

_NAME = re.compile(r"Dataset\d{3}_.+")


@dataclass(frozen=True)
class Case:
    """Files of a case that are there."""

    images: tuple[Path, ...]
    label: Path | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Images, and the label where there is one."""
        return (*self.images, self.label) if self.label else self.images


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
    hidden: list[str] = field(default_factory=list)
    """The same about hidden files: in the way where the folder itself is trained on, and not sent to a claim."""
    notes: list[str] = field(default_factory=list)
    """What is odd, and in nobody's way."""

    @property
    def channels(self) -> int:
        """Channels that dataset.json declares."""
        return len(channel_names(self.description))


def read_layout(folder: Path, follow_links: bool = False) -> Layout:
    """Return what a folder holds and all that is wrong with it. Raises OSError where it can't be read.

    With `follow_links` links may lead anywhere.
    """
    layout = Layout(folder.resolve())
    if not _NAME.fullmatch(layout.folder.name):
        words = f"the folder is called {layout.folder.name}, must be DatasetNNN_Name with three digits: rename it"
        layout.problems.append(words)
    content = _read_description(layout)
    if content is None:
        return layout
    layout.description = content
    wrong = [f"dataset.json: {problem}" for problem in description_problems(content)]
    layout.problems += wrong
    ending = content.get("file_ending")
    if "dataset" in content:
        if not wrong:
            layout.training = _listed(layout, content["dataset"])
    elif isinstance(ending, str) and layout.channels:
        layout.training = _cases(layout, "imagesTr", "labelsTr", ending)
    if isinstance(ending, str) and layout.channels and (folder / "imagesTs").is_dir():
        # Labels of a test set are only needed where it is to be scored.
        layout.test = _cases(layout, "imagesTs", "labelsTs" if (folder / "labelsTs").is_dir() else None, ending)
    _look_at_places(layout, follow_links)
    declared = content.get("numTraining")
    if type(declared) is int and layout.training and declared != len(layout.training):
        there = f"{'is' if len(layout.training) == 1 else 'are'} {counted(len(layout.training), 'training case')}"
        words = f"numTraining is {declared}, but there {there}: correct it"
        layout.problems.append(f"dataset.json: {words}, or add what is missing")
    problems, notes, splits = look_at_splits(layout.folder, set(layout.training))
    scored = [case for case, files in layout.test.items() if files.label]
    about_cases = look_at_cases(layout.folder, layout.training, scored, layout.test, splits)
    layout.problems += [*problems, *about_cases[0]]
    layout.notes += [*description_notes(content), *notes, *about_cases[1]]
    _look_beside(layout)
    return layout


def _look_beside(layout: Layout) -> None:
    """Add what is wrong with the spacings beside tifs; volumes have them, and whether these are some is not known."""
    cases = [(case.images, case.label) for case in layout.training.values()]
    found = sidecar_problems(cases, layout.folder)
    if layout.description.get(READER_KEY) == "Tiff3DIO":
        layout.problems += found
    else:
        layout.notes += (f"if the images are volumes: {problem}" for problem in found)


def _read_description(layout: Layout) -> dict[str, Any] | None:
    path = layout.folder / "dataset.json"
    (place,) = look({path.name: path}).values()
    if path.exists() and (problem := other_than_a_file(path.name, place)):
        layout.problems.append(problem)
        return None
    try:
        content = read_json(path)
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


def _listed(layout: Layout, entries: dict[str, Any]) -> dict[str, Case]:
    """Return the cases that dataset.json names one by one, nnU-Net's other way of describing them."""

    def at(path: str) -> Path:
        # As nnU-Net finds them: by names alone, whatever is a link.
        return Path(os.path.abspath(layout.folder / path))  # noqa: PTH100 (resolve() would follow links)

    return {
        name: Case(tuple(at(path) for path in entry["images"]), at(entry["label"])) for name, entry in entries.items()
    }


def _cases(layout: Layout, images: str, labels: str | None, ending: str) -> dict[str, Case]:
    """Return the cases of two folders, and add what is wrong with the names in them."""
    absent = [name for name in (images, labels) if name and not (layout.folder / name).is_dir()]
    if absent:
        layout.problems += [f"there is no folder {name}" for name in absent]
        return {}
    found = find_images(images, _names(layout.folder / images), ending, layout.channels)
    layout.problems += found.problems
    layout.hidden += found.hidden
    layout.notes += found.notes
    if labels:
        with_label = {name.removesuffix(ending) for name in _names(layout.folder / labels) if name.endswith(ending)}
        if alone := {name for name in with_label - set(found.cases) if not is_hidden(name)}:
            names = named(f"{labels}/{case}{ending}" for case in alone)
            layout.notes.append(f"{counted(len(alone), 'label has', 'labels have')} no image: {names}")
    return {
        case: Case(
            tuple(layout.folder / images / file for file in files),
            layout.folder / labels / f"{case}{ending}" if labels else None,
        )
        for case, files in found.cases.items()
    }


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _look_at_places(layout: Layout, follow_links: bool) -> None:
    """Add what is wrong with where the files lie, after all links."""
    cases = [*layout.training.values(), *layout.test.values()]
    images = look({_name(layout, path): path for case in cases for path in case.images})
    labels = look({_name(layout, case.label): case.label for case in cases if case.label})
    # Others are not read, but sent: the README of somebody's dataset could be any file of this machine.
    links = {_name(layout, path): path for path in layout.folder.rglob("*") if path.is_symlink() and not path.is_dir()}
    beside = [path for case in cases for path in spacing_files(case.images, case.label) if path.is_file()]
    spacings = {_name(layout, path): path for path in beside}
    links = {name: path for name, path in links.items() if not any(map(is_hidden, name.split("/")))}
    whole = look({"dataset.json": layout.folder / "dataset.json", **spacings, **links}) | images | labels
    raw = layout.folder.parent
    whole = {name: place for name, place in whole.items() if not (follow_links and place.is_file)}
    hint = "" if follow_links else ". Or take what links lead to, where they are meant so: --follow-links"
    outside = place_problems(whole, os.path.realpath(raw), f"{raw}, where the claim would end")
    layout.problems += [problem + hint for problem in outside]
    if gone := missing(images):
        words = counted(len(gone), "image is", "images are")
        layout.problems.append(f"{words} missing: {named(gone)}: add them, or correct dataset.json")
    if gone := missing(labels):
        words = counted(len(gone), "case has", "cases have")
        layout.problems.append(f"{words} no label: {named(gone)}: add them, or remove the images")
    shared = {f"{case}: {_name(layout, path)}": path for case, files in layout.training.items() for path in files.paths}
    layout.notes += shared_files(look(shared))


def _name(layout: Layout, path: Path) -> str:
    return path.relative_to(layout.folder).as_posix() if path.is_relative_to(layout.folder) else str(path)
