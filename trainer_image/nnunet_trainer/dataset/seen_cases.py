"""Which cases a model has seen, and which it is tested on: kept in its run's folder for those that go on from it.

By the hashes of their voxels (`fingerprint`), whatever their names. No torch in here.
"""

from dataclasses import dataclass
from pathlib import Path

from nnunet_api.dataset.layout import named
from nnunet_api.initial_weights import CASES_FILE
from nnunet_api.words import counted
from nnunet_trainer.dataset.contents import Contents
from nnunet_trainer.process.failures import wrong_data
from nnunet_trainer.process.files import read_json, write_json


@dataclass(frozen=True)
class SeenCases:
    """Hashes of cases."""

    trained: frozenset[str]
    """Of all that the weights have learnt from, in earlier trainings, too."""
    tested: frozenset[str]
    """Of the test cases, of earlier trainings, too."""


def write_seen(run: Path, training: Contents, test: Contents, before: SeenCases | None) -> None:
    """Keep what a run's models learn from and are tested on, with what the weights that it begins with have seen.

    Raises TrainerError with WRONG_DATA where the test cases of one side are training cases of the other.
    """
    _require_apart(training, test, before)
    trained = {case.fingerprint for case in training.values()} | (before.trained if before else set())
    tested = {case.fingerprint for case in test.values()} | (before.tested if before else set())
    write_json(run / CASES_FILE, {"trained": sorted(trained), "tested": sorted(tested)})


def read_seen(folder: Path) -> SeenCases | None:
    """Return what is known of the cases; None where nothing is, or nothing that can be read."""
    try:
        content = read_json(folder / CASES_FILE)
        return SeenCases(frozenset(map(str, content["trained"])), frozenset(map(str, content["tested"])))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _require_apart(training: Contents, test: Contents, seen: SeenCases | None) -> None:
    if seen is None:
        return
    if leaks := _among(test, seen.trained):
        words = counted(len(leaks), "test case was a training case", "test cases were training cases")
        raise wrong_data(
            f"{words} of the weights in spec.initialWeights, voxel for voxel: {named(leaks)}. Remove them from the "
            "test set, or begin with other weights: a score on what was trained on says nothing"
        )
    if leaks := _among(training, seen.tested):
        words = counted(len(leaks), "training case is a test case", "training cases are test cases")
        raise wrong_data(
            f"{words} of the weights in spec.initialWeights, voxel for voxel: {named(leaks)}. Remove them from the "
            "training cases, or begin with other weights: the two could never be compared on that test set"
        )


def notes_on_seen(training: Contents, begins: bool, seen: SeenCases | None) -> list[str]:
    """Return what there is to know of the cases that the weights have seen."""
    if not begins:
        return []
    if seen is None:
        return ["it is not known which cases the initial weights have seen: test cases may be among them"]
    if not (same := _among(training, seen.trained)):
        return []
    words = counted(len(same), "training case is", "training cases are")
    return [f"{words} known to the initial weights: the cross-validation looks better than it is"]


def _among(contents: Contents, hashes: frozenset[str]) -> list[str]:
    return sorted(name for name, case in contents.items() if case.fingerprint in hashes)
