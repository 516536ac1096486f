"""Cheap checks of a dataset in nnU-Net's raw format, each with a message that names what to mend. No torch in here."""

import difflib
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nnunet_api.dataset.beside import detached_problem, spacing_files, voxels_elsewhere
from nnunet_api.dataset.description import channel_names, description_notes, description_problems
from nnunet_api.dataset.layout import find_images, named
from nnunet_api.dataset.nifti import headers_problem, is_nifti
from nnunet_api.dataset.places import Place, look, missing, other_than_a_file, place_problems, shared_files
from nnunet_api.dataset.splits import SPLITS_FILE, split_notes, split_problems
from nnunet_api.dataset.stand_ins import stand_ins_problem, stands_for
from nnunet_api.dataset.strict_json import read_json
from nnunet_api.dataset.truncation import head_of, is_cut_short
from nnunet_api.exit_codes import ExitCode
from nnunet_api.splits import Splits
from nnunet_api.training import TestSet
from nnunet_api.words import counted
from nnunet_trainer.dataset.labels import Labels, declared_labels
from nnunet_trainer.process.failures import TrainerError, wrong_configuration, wrong_data
from nnunet_trainer.process.heartbeat import heartbeat

Answer = TypeVar("Answer")
COLOURS = "rgb_to_0_1"
"""nnU-Net's name of a channel whose values it divides by 255."""
CROSS_VALIDATION_FOLDS = 5
"""Folds of nnU-Net's own cross-validation."""


@dataclass(frozen=True)
class Case:
    """Files of one case."""

    images: tuple[Path, ...]
    label: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """Images and label."""
        return *self.images, self.label

    def files(self) -> list[Path]:
        """Return every file that nnU-Net reads for the case, also those that its reader looks for beside the images."""
        beside = [path for path in spacing_files(self.images, self.label) if path.is_file()]
        return [*self.images, self.label, *beside]


@dataclass(frozen=True)
class RawDataset:
    """A dataset whose file names were found in order."""

    folder: Path
    description: dict[str, Any]
    """Contents of dataset.json."""
    cases: dict[str, Case]
    """Training cases by name."""
    splits: list[dict[str, list[str]]] | None
    """The dataset's own splits_final.json, if it brings one and it counts."""
    notes: tuple[str, ...] = ()
    """What is odd in names and dataset.json, and may be meant so."""
    ignores_splits: bool = False
    """It brings one, in whose place the training has splits of its own."""

    @property
    def channels(self) -> int:
        """Number of image channels."""
        return len(channel_names(self.description))

    @property
    def colours(self) -> tuple[int, ...]:
        """Channels that nnU-Net normalizes as colours, by their number, where its own planner asks their names."""
        names = channel_names(self.description).values()
        return tuple(number for number, name in enumerate(names) if str(name).casefold() == COLOURS)

    @property
    def ending(self) -> str:
        """File ending of images and labels, for example .nii.gz."""
        return str(self.description["file_ending"])

    @property
    def labels(self) -> Labels:
        """The labels that dataset.json declares."""
        return declared_labels(self.description)

    def name_of(self, path: Path) -> str:
        """Return the name of a file inside the dataset (or its path outside of it)."""
        return str(_relative(path, self.folder))

    def check_whole(self, workers: int) -> None:
        """Raise TrainerError with WRONG_DATA for files that were cut short, or that hold only a part of an image."""
        _require_whole("the dataset", self.folder, self.files().values(), workers)

    def files(self) -> dict[str, Path]:
        """Return every file that planning reads, by its name inside the dataset (or its path outside of it)."""
        paths = [self.folder / "dataset.json"]
        if self.splits is not None:
            paths.append(self.folder / SPLITS_FILE)
        for case in self.cases.values():
            paths += case.files()
        return {self.name_of(path): path for path in paths}


def load_dataset(raw: Path, name: str, folds: Iterable[str], own: Splits | None = None) -> RawDataset:
    """Return the dataset, complete in its file names, with enough cases for the folds.

    Where the training has splits of its `own`, splits_final.json is not read, and folds are not counted.

    Raises TrainerError with WRONG_DATA (or WRONG_CONFIGURATION for a fold that the splits don't have).
    """
    folder = _folder(raw, name)
    description = _description(raw, folder)
    if "dataset" in description:
        cases, problems, notes = _listed_cases(folder, description["dataset"]), list[str](), list[str]()
    else:
        cases, problems, notes = _found_cases(folder, description)
    problems += _place_problems(raw, folder, cases, "training")
    if not problems and len(cases) != description["numTraining"]:
        there = f"{'is' if len(cases) == 1 else 'are'} {counted(len(cases), 'training case')}"
        problems.append(
            f"dataset.json: numTraining is {description['numTraining']}, but there {there}. Correct numTraining, or "
            "add the missing images to imagesTr"
        )
    _require_none(name, problems)
    has_own = own is not None and own.are_asked_for
    splits = None if has_own else _splits(raw, folder, cases)
    if not has_own:
        _check_folds(name, list(folds), len(cases), splits)
    notes = [*description_notes(description), *notes, *split_notes(splits or ()), *shared_files(_places(folder, cases))]
    ignored = has_own and (folder / SPLITS_FILE).exists()
    return RawDataset(folder, description, cases, splits, tuple(notes), ignored)


def check_test_set(dataset: RawDataset, test_set: TestSet) -> dict[str, Case]:
    """Return the test cases by name. Raises TrainerError with WRONG_DATA where one is incomplete."""
    images, labels = dataset.folder / test_set.images, dataset.folder / test_set.labels
    for folder, field in ((images, "testSet.images"), (labels, "testSet.labels")):
        if not folder.is_dir():
            raise wrong_data(
                f"the test set's folder {folder.name} is not in {dataset.folder.name}. Correct {field}, add the "
                "folder, or leave testSet out"
            )
    cases, problems, _ = _cases_in(images, labels, dataset.ending, dataset.channels)
    problems += _place_problems(dataset.folder.parent, dataset.folder, cases, "test")
    _require_none(dataset.folder.name, problems)
    return cases


def check_test_set_whole(dataset: RawDataset, cases: Mapping[str, Case], workers: int) -> None:
    """Raise TrainerError with WRONG_DATA for files of the test set as `RawDataset.check_whole` does."""
    _require_whole("the test set", dataset.folder, [path for case in cases.values() for path in case.paths], workers)


def _require_whole(what: str, folder: Path, paths: Collection[Path], workers: int) -> None:
    # All of them before any is read as a whole, which may take hours.
    are_closed = _asked_of_each(f"opening the files of {what}", _is_closed, paths, workers)
    if closed := [str(_relative(path, folder)) for path, is_closed in are_closed.items() if is_closed]:
        words = counted(len(closed), "file of it", "files of it")
        raise TrainerError(
            ExitCode.STORAGE_FAILED,
            f"{what}: the trainer, which runs as UID {os.getuid()}, GID {os.getgid()}, may not read {words}: "
            f"{named(closed)}. Let it (chmod o+r, chown), or have it run as one who may "
            "(podTemplate.securityContext), then suspend and resume the training",
        )
    if problems := whole_problems(what, folder, paths, workers):
        raise wrong_data("; ".join(problems))


def whole_problems(what: str, folder: Path, paths: Collection[Path], workers: int) -> list[str]:
    """Return which files are cut short, or hold only a part of an image; `folder` is where they are named from."""
    problems = []
    looked = _asked_of_each(f"looking for files of {what} that are cut short", _looked_at, paths, workers)
    if stand_ins := {path: kind for path, (kind, _) in looked.items() if kind}:
        problems.append(stand_ins_problem((str(_relative(path, folder)), kind) for path, kind in stand_ins.items()))
        paths = [path for path in paths if path not in stand_ins]
    if damaged := [path for path, (_, is_short) in looked.items() if is_short]:
        names = {str(_relative(path, folder)) for path in damaged}
        words = counted(len(damaged), "file is", "files are")
        problems.append(f"{words} cut short or damaged: {named(names)}. Copy them again")
    if detached := [(str(_relative(path, folder)), where) for path in paths if (where := _voxels_elsewhere(path))]:
        problems.append(detached_problem(detached))
    if problem := headers_problem(((str(_relative(path, folder)), path) for path in paths), head_of):
        problems.append(problem)
    return problems


def _is_closed(path: Path) -> bool:
    """Tell whether a file may not be read. What else may be wrong with it is told by what reads it."""
    try:
        path.open("rb").close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _looked_at(path: Path) -> tuple[str, bool]:
    """Return what a file is in the place of an image, and whether it is one that was cut short."""
    kind = stands_for(path)
    return kind, not kind and is_cut_short(path)


def _asked_of_each(
    doing: str, ask: Callable[[Path], Answer], paths: Collection[Path], workers: int
) -> dict[Path, Answer]:
    """Return what a function says of each file, with signs of life: a file on a share takes milliseconds to open."""
    answers: list[Answer] = []
    with (
        heartbeat(doing, lambda: f"{len(answers)}/{len(paths)} files"),
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        # Unpacking and reading leave the interpreter to the other threads.
        answers.extend(pool.map(ask, paths))
    return dict(zip(paths, answers, strict=True))


def _voxels_elsewhere(path: Path) -> str:
    if is_nifti(path.name) or path.suffix.lower() == ".json":
        return ""
    with path.open("rb") as file:
        return voxels_elsewhere(path.name, file.read)


def _folder(raw: Path, name: str) -> Path:
    folder = raw / name
    if folder.is_dir():
        return folder
    present = sorted(entry.name for entry in raw.iterdir() if entry.is_dir()) if raw.is_dir() else []
    near = difflib.get_close_matches(name, present, n=1, cutoff=0.5)
    there = f"the claim holds {named(present)}" if present else "the claim holds no folder at all"
    hint = f" Did you mean {near[0]}?" if near else ""
    raise wrong_data(
        f"dataset {name} is not there: {there}.{hint} Correct dataset.name, dataset.claimName or dataset.subPath"
    )


def _require_none(name: str, problems: list[str]) -> None:
    if problems:
        raise wrong_data(f"{name}: {'; '.join(problems)}")


def _description(raw: Path, folder: Path) -> dict[str, Any]:
    path = folder / "dataset.json"
    if not require_file(raw, path):
        raise wrong_data(f"{folder.name} has no dataset.json; nnU-Net's dataset format asks for one")
    try:
        content = read_json(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise wrong_data(f"dataset.json of {folder.name} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise wrong_data(f"dataset.json of {folder.name} must hold an object, not a {type(content).__name__}")
    _require_none(folder.name, [f"dataset.json: {problem}" for problem in description_problems(content)])
    return content


def require_file(raw: Path, path: Path) -> bool:
    """Tell whether a file is there. Raises TrainerError with WRONG_DATA for what is there and is no file to read."""
    (place,) = look({path.name: path}).values()
    if not place.is_link and not path.exists():
        return False
    problems = list(place_problems({path.name: place}, os.path.realpath(raw), "the claim"))
    _require_none(
        path.parent.name, problems or [problem for problem in [other_than_a_file(path.name, place)] if problem]
    )
    return True


def _listed_cases(folder: Path, entries: Mapping[str, Any]) -> dict[str, Case]:
    """Cases named one by one under the key "dataset", nnU-Net's other way of describing them."""

    def at(path: str) -> Path:
        # As nnU-Net finds them: by names alone, whatever is a link.
        return Path(os.path.abspath(folder / path))  # noqa: PTH100 (resolve() would follow links)

    return {
        name: Case(tuple(at(path) for path in entry["images"]), at(entry["label"])) for name, entry in entries.items()
    }


def _found_cases(folder: Path, description: Mapping[str, Any]) -> tuple[dict[str, Case], list[str], list[str]]:
    """Cases found by their file names in imagesTr and labelsTr, what is wrong with these, and what is odd."""
    absent = [f"there is no folder {sub}" for sub in ("imagesTr", "labelsTr") if not (folder / sub).is_dir()]
    if absent:
        return {}, absent, []
    ending, channels = str(description["file_ending"]), len(channel_names(description))
    return _cases_in(folder / "imagesTr", folder / "labelsTr", ending, channels)


def _cases_in(images: Path, labels: Path, ending: str, channels: int) -> tuple[dict[str, Case], list[str], list[str]]:
    found = find_images(images.name, [path.name for path in images.iterdir()], ending, channels)
    cases = {
        name: Case(tuple(images / file for file in files), labels / f"{name}{ending}")
        for name, files in found.cases.items()
    }
    return cases, [*found.hidden, *found.problems], list(found.notes)


def _place_problems(raw: Path, folder: Path, cases: Mapping[str, Case], kind: str) -> list[str]:
    """Return what is wrong with where the files of cases lie."""
    images = look({str(_relative(path, folder)): path for case in cases.values() for path in case.images})
    labels = look({str(_relative(case.label, folder)): case.label for case in cases.values()})
    # A reader passes over a link that leads nowhere: a spacing would be another than the one that lies there.
    beside = [path for case in cases.values() for path in spacing_files(case.images, case.label)]
    spacings = look({str(_relative(path, folder)): path for path in beside if path.is_symlink() or path.is_file()})
    problems = list(place_problems(images | labels | spacings, os.path.realpath(raw), "the claim"))
    if gone := missing(images):
        words = counted(len(gone), "image is", "images are")
        problems.append(f"{words} missing: {named(gone)}. Add them, or correct dataset.json")
    if gone := missing(labels):
        problems.append(
            f"labels are missing for {len(gone)} of {len(cases)} {kind} cases: {named(gone)}. Add them or remove the "
            "images"
        )
    return problems


def _places(folder: Path, cases: Mapping[str, Case]) -> dict[str, Place]:
    return look({f"{name}: {_relative(path, folder)}": path for name, case in cases.items() for path in case.paths})


def _splits(raw: Path, folder: Path, cases: Mapping[str, Case]) -> list[dict[str, list[str]]] | None:
    path = folder / SPLITS_FILE
    if not require_file(raw, path):
        return None
    try:
        content = read_json(path)
    except ValueError as error:
        raise wrong_data(f"{SPLITS_FILE} is not valid JSON: {error}. Correct it, or remove it") from error
    _require_none(folder.name, list(split_problems(content, cases)))
    return [{"train": split["train"], "val": split["val"]} for split in content]


def _check_folds(name: str, folds: list[str], cases: int, splits: list[dict[str, list[str]]] | None) -> None:
    if folds == ["all"]:
        return
    if splits is not None:
        # nnU-Net would go on with a random 80:20 split, which nobody asked for.
        absent = [fold for fold in folds if int(fold) >= len(splits)]
        if absent:
            raise wrong_configuration(
                f"fold {', '.join(absent)} does not exist: {SPLITS_FILE} of {name} has "
                f"{counted(len(splits), 'fold')}, counted from 0"
            )
    elif cases < CROSS_VALIDATION_FOLDS:
        fewer = f"set splits.folds to at most {cases}, bring a {SPLITS_FILE}, " if cases > 1 else ""
        raise wrong_data(
            f"{name} has {counted(cases, 'training case')}, five-fold cross-validation needs at least "
            f"{CROSS_VALIDATION_FOLDS}. Add cases, {fewer}or set trainOnAllCases: true with folds: []"
        )
    elif absent := [fold for fold in folds if int(fold) >= CROSS_VALIDATION_FOLDS]:
        raise wrong_configuration(
            f"fold {', '.join(absent)} does not exist: nnU-Net's own split has {CROSS_VALIDATION_FOLDS} folds, counted "
            f"from 0. Set splits.folds, bring a {SPLITS_FILE}, or correct folds"
        )


def _relative(path: Path, folder: Path) -> Path:
    """Return a path as seen from a dataset; files of other datasets on the claim with ../ before them."""
    if not path.is_relative_to(folder.parent):
        return path
    return path.relative_to(folder) if path.is_relative_to(folder) else Path("..") / path.relative_to(folder.parent)
