"""What the cases of a dataset hold: who is the same image as whom, who has which labels. No torch in here."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_api.dataset.layout import named
from nnunet_api.words import counted
from nnunet_trainer.dataset.raw import Case, RawDataset
from nnunet_trainer.process.failures import wrong_data
from nnunet_trainer.process.files import read_json, write_json

log = logging.getLogger(__name__)

CONTENTS_FILE = "contents.json"
"""In the folder of preprocessed data: `Contents` of the training cases, which then need not be read again."""
CHECKS = 4
"""Goes up when cases are looked at for more than before: those that were preprocessed earlier are then read again."""


@dataclass(frozen=True)
class CaseContents:
    """What a case holds."""

    fingerprint: str
    """Hash of its images, see `fingerprint`."""
    labels: tuple[int, ...]
    """Values in its label image."""
    notes: tuple[str, ...] = ()
    """What is odd, and may be meant so."""


Contents = Mapping[str, CaseContents]
"""By name of the case."""
Splits = Sequence[Mapping[str, Sequence[str]]]
"""By fold: the names of the cases to train and to validate on."""


def fingerprint(images: Any) -> str:
    """Return a hash of decoded images (an array, channels first): voxels and shape, nothing of file or header.

    The order of the channels does not count. Files that were renamed, compressed anew or given another header have
    the same; images that were resampled, cropped or flipped have another.
    """
    digests = []
    for channel in images:
        values = channel.astype("<f4")
        # -0.0 and 0.0 are the same intensity.
        values += 0
        digests.append(hashlib.sha256(values.reshape(-1)).hexdigest())
    return hashlib.sha256(f"{tuple(images.shape[1:])} {sorted(digests)}".encode()).hexdigest()


def read_contents(folder: Path) -> Contents | None:
    """Return what was noted in a folder of preprocessed data; None where nothing was, or nothing that can be read.

    Also None where the cases were looked at for less than now.
    """
    try:
        noted = read_json(folder / CONTENTS_FILE)
        if any(entry.get("checks") != CHECKS for entry in noted.values()):
            return None
        return {
            name: CaseContents(
                str(entry["fingerprint"]),
                tuple(int(value) for value in entry["labels"]),
                tuple(map(str, entry.get("notes", ()))),
            )
            for name, entry in noted.items()
        }
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_contents(folder: Path, contents: Contents) -> None:
    """Note the contents in a folder of preprocessed data."""
    noted = {
        name: {
            "checks": CHECKS,
            "fingerprint": case.fingerprint,
            "labels": list(case.labels),
            **({"notes": list(case.notes)} if case.notes else {}),
        }
        for name, case in contents.items()
    }
    write_json(folder / CONTENTS_FILE, noted)


def require_labels(dataset: RawDataset, training: Contents) -> None:
    """Raise TrainerError with WRONG_DATA for a label that is declared and occurs in no training case."""
    counts = dataset.labels.cases_with(case.labels for case in training.values())
    absent = [name for name, count in counts.items() if count == 0]
    if absent:
        told = [
            f"{name} ({', '.join(str(value) for value in sorted(dataset.labels.foreground[name]))})" for name in absent
        ]
        raise wrong_data(
            f"{named(told)} of labels in dataset.json occurs in none of the {counted(len(training), 'training case')}: "
            "nothing could learn it. Correct labels, the label images, or add cases that have it"
        )


def unlearned(dataset: RawDataset, training: Contents, splits: Splits) -> Iterator[str]:
    """Yield for each class which folds have it in no case to train on: they can't learn it, and score 0 on it."""
    for name, folds in _absent(dataset, training, splits, "train").items():
        yield (
            f"{name} occurs in no training case of fold {', '.join(folds)}: such a fold can't learn it. Bring a "
            "splits_final.json that spreads the cases that have it, or add cases"
        )


def unvalidated(dataset: RawDataset, training: Contents, splits: Splits) -> Iterator[str]:
    """Yield for each class which folds have it in no case to validate on: nothing there tells how well it is found."""
    for name, folds in _absent(dataset, training, splits, "val").items():
        yield (
            f"{name} occurs in no validation case of fold {', '.join(folds)}: the Dice of such a fold leaves it out, "
            "or counts it as 0 where it is predicted. Bring a splits_final.json that spreads the cases that have it"
        )


def _absent(dataset: RawDataset, training: Contents, splits: Splits, side: str) -> dict[str, list[str]]:
    """Return by class the folds that have it in no case on one side."""
    absent: dict[str, list[str]] = {}
    for fold, split in enumerate(splits):
        present = dataset.labels.cases_with(training[case].labels for case in split[side] if case in training)
        for name, count in present.items():
            if count == 0:
                absent.setdefault(name, []).append(str(fold))
    return absent


def require_disjoint(dataset: RawDataset, training: Contents, test_cases: Mapping[str, Case], test: Contents) -> None:
    """Raise TrainerError with WRONG_DATA for test cases whose images are those of training cases."""
    by_fingerprint = {case.fingerprint: name for name, case in sorted(training.items(), reverse=True)}
    leaks = {
        f"{dataset.name_of(test_cases[name].images[0])} is {dataset.name_of(dataset.cases[twin].images[0])}"
        for name, case in test.items()
        if (twin := by_fingerprint.get(case.fingerprint)) is not None
    }
    if leaks:
        both = "is a training case" if len(leaks) == 1 else "are training cases"
        raise wrong_data(
            f"{len(leaks)} of {counted(len(test), 'test case')} {both}, too, voxel for voxel: {named(leaks)}. Remove "
            "them from the test set, or from the training cases: a score on what was trained on says nothing"
        )
    if same := training.keys() & test.keys():
        log.warning("%s: names of training cases and of test cases; the images are different ones", named(same))


def notes_on(dataset: RawDataset, training: Contents, splits: Splits) -> list[str]:
    """Return what is odd in a dataset and may be meant so, what matters most first."""
    return [
        *unlearned(dataset, training, splits),
        *(
            f"the same image, voxel for voxel, to train on and to validate on: {told}. The fold looks better than it "
            "is: remove all but one of them, or keep them together in a splits_final.json"
            for told in torn_apart(same_images(training), splits)
        ),
        *unvalidated(dataset, training, splits),
        *dataset.notes,
        *(note for case in training.values() for note in case.notes),
    ]


def same_images(contents: Contents) -> list[list[str]]:
    """Return the groups of cases that have the same images."""
    groups: dict[str, list[str]] = {}
    for name, case in sorted(contents.items()):
        groups.setdefault(case.fingerprint, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def torn_apart(groups: Iterable[Sequence[str]], splits: Splits) -> list[str]:
    """Return for each group that a fold trains and validates on, which it is and which folds do so."""
    told = []
    for group in groups:
        folds = [
            str(fold)
            for fold, split in enumerate(splits)
            if not set(group).isdisjoint(split["train"]) and not set(group).isdisjoint(split["val"])
        ]
        if folds:
            told.append(f"{' = '.join(group)} (fold {', '.join(folds)})")
    return told
