"""What a run takes from cases.csv, and the splits of its own: checked when it is planned, kept in its folder."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_api.base import StatusModel
from nnunet_api.contract import PlanFacts, RunContract
from nnunet_api.dataset.cases import (
    CASES_FILE,
    PATIENT,
    Asked,
    Cases,
    ReadCases,
    case_notes,
    column_problems,
    content_problems,
    data_of,
    leaked_problems,
    read_cases,
    torn_problems,
)
from nnunet_api.dataset.splits import SPLITS_FILE, split_problems
from nnunet_api.splits import MAX_SUBGROUP_VALUES, NNUNET_SEED, folds_problem
from nnunet_api.words import counted
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.raw import CROSS_VALIDATION_FOLDS, RawDataset, require_file
from nnunet_trainer.dataset.splitting import Split, asked_columns, make_splits, nnunet_splits
from nnunet_trainer.process.failures import wrong_configuration, wrong_data
from nnunet_trainer.process.files import read_json, to_json, write_json
from nnunet_trainer.run.paths import RunPaths, has_checkpoints

_HASH_DIGITS = 12
"""Digits of a hash in a message."""
RUN_CASES_FILE = "cases.json"
"""In the run folder: `RunCases`, what the evaluation needs of cases.csv."""


class RunCase(StatusModel):
    """A case, without saying who its patient is."""

    patient: int | None = None
    """Number of its patient in this run; None where `RunCases.patient_column` is empty."""
    subgroups: dict[str, str] = {}
    """Its value in each column that scores are told apart by; columns that are empty for it are left out."""


class RunCases(StatusModel):
    """The cases that have a row in cases.csv, training and test, where there is something to know of them."""

    cases: dict[str, RunCase] = {}
    patient_column: str | None = None
    """Column that tells whose a case is (`Cases.whose`); empty where nothing tells. None in a file of a version before
    this, which tells nothing either way."""


NOTHING_TOLD = RunCases(patient_column="")
"""Of a dataset that says nothing of its cases, or of which nothing is needed."""


@dataclass(frozen=True)
class RunSplits:
    """What a run adds to the preprocessed data that it shares."""

    splits: list[dict[str, list[str]]] | None
    """The splits of its own; None where those beside the preprocessed data are to be trained by."""
    cases: RunCases = NOTHING_TOLD
    words: str = ""
    """How was split, in a few words; nothing where the run has no splits of its own."""
    notes: tuple[str, ...] = ()


def look_at_cases(raw: Path, dataset: RawDataset, test: Collection[str], contract: RunContract) -> RunSplits:
    """Return the splits of the run's own, and what it takes from cases.csv. Says all that is wrong with the two.

    Raises TrainerError: WRONG_CONFIGURATION for a column that is asked for and not there, and for a fold that the
    splits don't have; WRONG_DATA for what the table lacks or says in two ways, for patients on both sides, and for
    cases that can't be split as asked.
    """
    if problem := folds_problem(contract.splits, contract.folds):
        raise wrong_configuration(problem)
    asked = asked_columns(contract.splits, contract.evaluation)
    read = _read(raw, dataset)
    if missing := column_problems(read, asked):
        raise wrong_configuration("; ".join(missing))
    table = read.table if read else None
    problems = [*(read.problems if read else ()), *_contents(table, dataset, test, asked)]
    if problems:
        raise wrong_data(f"{dataset.folder.name}: {'; '.join(problems)}")
    own, words, notes = None, "", list(case_notes(read, dataset.cases, test)) if read else []
    if contract.splits.are_asked_for:
        made = make_splits(contract.splits, dataset.cases, table)
        own, words = made.splits, made.words
        notes += made.notes
        if dataset.ignores_splits:
            notes.append(f"{SPLITS_FILE} of the dataset is not used: splits of the training takes its place")
    _require_whole(dataset, contract, table, own, asked)
    return RunSplits(own, _cases(table, asked) if table else NOTHING_TOLD, words, tuple(notes))


def _read(raw: Path, dataset: RawDataset) -> ReadCases | None:
    path = dataset.folder / CASES_FILE
    return read_cases(data_of(path)) if require_file(raw, path) else None


def _contents(table: Cases | None, dataset: RawDataset, test: Collection[str], asked: Asked) -> list[str]:
    if table is None:
        return []
    problems = [
        *content_problems(table, dataset.cases, test, asked),
        *leaked_problems(table, dataset.cases, test, asked),
    ]
    for place, column in enumerate(asked.subgroups):
        values = table.groups(column, [*dataset.cases, *test])
        if len(values) > MAX_SUBGROUP_VALUES:
            problems.append(
                f"evaluation.subgroups[{place}] is {column}, which has {len(values)} values in {CASES_FILE}: at most "
                f"{MAX_SUBGROUP_VALUES}, such as ranges in place of numbers"
            )
    return problems


def _require_whole(
    dataset: RawDataset,
    contract: RunContract,
    table: Cases | None,
    own: list[dict[str, list[str]]] | None,
    asked: Asked,
) -> None:
    """Raise TrainerError for splits that tear a patient apart, that are empty on a side, or have not all folds."""
    splits: Sequence[Split] = own or dataset.splits or []
    remedy = "choose other columns in splits"
    if own is None and dataset.splits is not None:
        remedy = f"keep them together in {SPLITS_FILE}"
    elif own is None:
        remedy = f"set splits.groupBy: {PATIENT}, for nnU-Net splits by cases alone"
        if contract.folds != ["all"] and len(dataset.cases) >= CROSS_VALIDATION_FOLDS and table:
            splits = nnunet_splits(dataset.cases, CROSS_VALIDATION_FOLDS, NNUNET_SEED)
    if own is not None:
        absent = [fold for fold in contract.folds if int(fold) >= len(own)]
        if absent:
            raise wrong_configuration(
                f"fold {', '.join(absent)} does not exist: splits makes {counted(len(own), 'fold')}, counted from 0. "
                "Correct folds"
            )
        if problems := list(split_problems(own, dataset.cases)):
            raise wrong_data(f"splits can't be made so: {'; '.join(problems)}. Lower splits.folds, or add cases")
    if contract.folds != ["all"] and table and (torn := list(torn_problems(table, splits, asked, remedy))):
        raise wrong_data(f"{dataset.folder.name}: {'; '.join(torn)}")


def _cases(table: Cases, asked: Asked) -> RunCases:
    """Return what the evaluation needs. Who a patient is stays in the dataset."""
    column = table.whose
    if not asked.subgroups and not column:
        return NOTHING_TOLD
    patients = table.groups(column, table.rows).values() if column else ()
    units = {case: number for number, group in enumerate(patients) for case in group}
    return RunCases(
        cases={
            case: RunCase(patient=units.get(case), subgroups={name: row[name] for name in asked.subgroups if row[name]})
            for case, row in sorted(table.rows.items())
        },
        patient_column=column,
    )


def keep(found: RunSplits, paths: RunPaths) -> None:
    """Write the splits of the run's own into its folder, and what it takes from cases.csv."""
    if found.splits is not None:
        write_json(paths.splits, found.splits)
    write_json(paths.run / RUN_CASES_FILE, found.cases.to_json_dict())


def require_same_splits(contract: RunContract, paths: RunPaths, found: RunSplits) -> None:
    """Raise TrainerError with WRONG_DATA when a run with checkpoints would go on with other splits than it began with.

    What was trained on would be validated on. Splits of the dataset are part of its hash, which is looked at anyway.
    """
    if found.splits is None or not has_checkpoints(contract, paths):
        return
    try:
        before = PlanFacts.model_validate(read_json(paths.plan_result)).splits_hash
    except (FileNotFoundError, ValueError):
        return
    now = hashlib.sha256(to_json(found.splits).encode()).hexdigest()
    if now != before:
        raise wrong_data(
            f"the splits of this training have changed since it began: their hash was {before[:_HASH_DIGITS]} and is "
            f"{now[:_HASH_DIGITS]} now, and there are checkpoints. Restore {CASES_FILE} and the trainer image as they "
            "were, then suspend and resume the training, or create a new training"
        )


def read_run_cases(paths: RunPaths, required: bool) -> RunCases:
    """Return what planning kept of cases.csv. Raises TrainerError where that can't be read, or is required and gone.

    Versions before this left none where no subgroups were asked for: then nothing is known of patients.
    """
    try:
        return RunCases.model_validate(read_json(paths.run / RUN_CASES_FILE))
    except (FileNotFoundError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not required:
            return RunCases()
        raise wrong_configuration(
            f"{RUN_CASES_FILE} of the run can't be read, which planning leaves there ({error}). Suspend and resume the "
            "training to have it planned again"
        ) from error


def read_splits(contract: RunContract, paths: RunPaths, plan: PlanFacts) -> list[dict[str, list[str]]] | None:
    """Return the splits of the run's own; None where those beside the preprocessed data are trained by.

    Raises TrainerError with WRONG_DATA where the splits are not those that planning has made or taken.
    """
    shared = paths.preprocessed / plan.preprocessed_key / contract.dataset / SPLITS_FILE
    path = paths.splits if contract.splits.are_asked_for else shared
    if contract.folds == ["all"] or not plan.splits_hash:
        return None
    found = file_hash(path) if path.is_file() else ""
    if found != plan.splits_hash:
        raise wrong_data(
            f"{SPLITS_FILE} of this training {'has changed' if found else 'is gone'} since it was planned ({path}). "
            "Suspend and resume the training to have it made again; it then goes on from its checkpoints"
        )
    content: Any = read_json(path)
    return content if contract.splits.are_asked_for else None
