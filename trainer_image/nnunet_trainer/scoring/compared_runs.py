"""The runs that are compared: their scores, and the conditions under which these were made. No torch in here.

The folders were written by the trainings' own images, and whoever can write to the claim may have changed them since:
scores count only where the operator's status has the hash of their file.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunet_api.comparison.conditions import Known, flat, of_fold
from nnunet_api.comparison.contract import ComparedRun
from nnunet_api.contract import PROVENANCE_FILE
from nnunet_api.fold_key import FoldKey
from nnunet_api.words import counted
from nnunet_trainer.process.failures import TrainerError, is_missing_or_damaged, wrong_data
from nnunet_trainer.process.files import read_bytes
from nnunet_trainer.run.paths import RunPaths, compared_run
from nnunet_trainer.run.provenance import conditions_hash
from nnunet_trainer.scoring.patients import PATIENTS, Patients, read_patients
from nnunet_trainer.scoring.scores import class_names

UNEVALUATED = "none"
"""In the place of the hash of a file that was not there when a run was evaluated."""
Scores = Mapping[str, Mapping[str, float]]
"""Case -> class by name -> score; NaN where the class is in neither of the segmentations."""


@dataclass(frozen=True)
class Replicate:
    """One replicate of a run."""

    seed: int | None
    dice: Scores
    nsd: Scores
    """Empty without a test set."""
    hd95: Scores
    """In mm, NaN where the class is missing in one of the segmentations. Empty without a test set, or without mm."""
    folds: Mapping[str, tuple[str, ...]]
    """Without a test set: the validation cases of each fold."""


@dataclass(frozen=True)
class FoldRun:
    """One fold of a replicate."""

    replicate: int
    """1 is the first."""
    folder: Path
    gpus: int


@dataclass(frozen=True)
class Run:
    """A run of an arm."""

    arm: str
    training: str
    classes: tuple[str, ...]
    """In nnU-Net's order."""
    known: tuple[Known, ...]
    """The conditions of each of its folds."""
    replicates: tuple[Replicate, ...]
    patients: Patients | None
    """None where its evaluation has left nothing of them."""
    paths: RunPaths
    fold_runs: tuple[FoldRun, ...]


def read_run(arm: str, run: ComparedRun, test_set: bool) -> Run:
    """Return a run. Raises TrainerError with WRONG_DATA where its files are not what the training reported."""
    paths = compared_run(run.folder)
    content = _read(run.training, paths, paths.summary, run.summary_hash)
    try:
        conditions = content.get("conditions") or {}
        stated = dict(scored for key, value in conditions.items() for scored in _stated(key, value))
        replicates = tuple(_replicate(one, test_set) for one in content["replicates"])
        classes = tuple(class_names(conditions.get("labels") or {}).values())
        scored = {case for one in replicates for case in one.dice}
        patients = read_patients(content, scored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(run.training, paths.summary, error) from error
    if patients is not None:
        stated[PATIENTS] = patients.in_words(scored)
    folds = list(_folds(run, paths, content))
    known = tuple(Known(arm, f"{run.training} fold {fold}", {**stated, **found}) for fold, found, _ in folds)
    return Run(arm, run.training, classes, known, replicates, patients, paths, tuple(one for _, _, one in folds))


def of_earlier_images(runs: Sequence[Run]) -> list[Run]:
    """Return the runs, with what others tell of the patients where one has nothing on them.

    Whose a case is does not depend on the run that it was scored in, and comparable runs are scored on the same cases.
    So one that an earlier image has planned or evaluated takes it from those that tell, if these agree. Where none
    tells, nobody does.
    """
    telling = {one.conditions[PATIENTS]: run.patients for run in runs if run.patients for one in run.known}
    if len(telling) != 1:
        return list(runs)
    ((words, patients),) = telling.items()
    return [run if run.patients else _with_patients(run, words, patients) for run in runs]


def _with_patients(run: Run, words: str, patients: Patients) -> Run:
    known = tuple(replace(one, conditions={**one.conditions, PATIENTS: words}) for one in run.known)
    return replace(run, patients=patients, known=known)


def _stated(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    # The names of labels may hold dots and all else: they are one value.
    yield from flat(key, value) if key != "labels" else [(key, value)]


def _replicate(content: Mapping[str, Any], test_set: bool) -> Replicate:
    seed = content.get("seed")
    if test_set:
        cases = content["testByCase"]
        return Replicate(seed, _scores(cases, "dice"), _scores(cases, "nsd"), _scores(cases, "hd95Mm"), {})
    dice: dict[str, Mapping[str, float]] = {}
    folds: dict[str, tuple[str, ...]] = {}
    for name, cases in content["validationByCase"].items():
        if twice := sorted(dice.keys() & cases.keys()):
            raise ValueError(
                f"{counted(len(twice), 'case is', 'cases are')} validated in several folds, such as {twice[0]}: such a "
                "cross-validation can't be compared, give a test set"
            )
        folds[FoldKey.parse(name, "").fold] = tuple(sorted(cases))
        dice |= {case: {key: _number(value) for key, value in found.items()} for case, found in cases.items()}
    return Replicate(seed, dice, {}, {}, folds)


def _scores(cases: Mapping[str, Any], metric: str) -> Scores:
    return {
        case: {name: _number(numbers.get(metric)) for name, numbers in classes.items()}
        for case, classes in cases.items()
    }


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _folds(
    run: ComparedRun, paths: RunPaths, summary: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any], FoldRun]]:
    """Yield each fold of a run with what its provenance.json says of its conditions, and where it is."""
    hashes: list[str] = []
    # Those of the evaluation cover all that is in the files; an older image left none.
    evaluated = summary.get("provenanceHashes")
    for fold in run.folds:
        key = FoldKey.parse(fold, run.configuration)
        model = Path(str(summary["replicates"][(key.replicate or 1) - 1]["modelPath"]))
        path = paths.results / model / key.folder / PROVENANCE_FILE
        hash_ = "" if evaluated is None else str(evaluated.get(fold) or UNEVALUATED)
        content = _read(run.training, paths, path, hash_)
        try:
            hashes.append(conditions_hash(content["conditions"]))
            gpus = content["conditions"].get("gpus")
            place = FoldRun(key.replicate or 1, path.parent, gpus if type(gpus) is int else 1)
            yield fold, of_fold(content), place
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable(run.training, path, error) from error
    if run.configuration_hash and run.configuration_hash not in hashes:
        raise wrong_data(
            f"training {run.training}: no {PROVENANCE_FILE} of its folds has the conditions that the training reported "
            f"(SHA-256 {run.configuration_hash}): the files were changed since"
        )


def _read(training: str, paths: RunPaths, path: Path, hash_: str = "") -> dict[str, Any]:
    try:
        data = read_bytes(paths.own_file(path))
        content = json.loads(data)
    except RecursionError as error:  # another's file, nested as deep as they liked
        raise _unreadable(training, path, error) from error
    except (OSError, ValueError) as error:
        if not is_missing_or_damaged(error):
            raise
        raise _unreadable(training, path, error) from error
    if hash_ and (found := hashlib.sha256(data).hexdigest()) != hash_:
        raise wrong_data(
            f"training {training}: {os.path.relpath(path, paths.run)} was changed after its evaluation: its SHA-256 is "
            f"{found}, the training reported {hash_}. Restore the file, or train and evaluate anew"
        )
    if not isinstance(content, dict):
        raise _unreadable(training, path, ValueError("it holds no object"))
    return content


def _unreadable(training: str, path: Path, error: Exception) -> TrainerError:
    return wrong_data(
        f"training {training}: {path.name} can't be read ({type(error).__name__}: {error}). Restore the file, or train "
        "and evaluate anew"
    )
