"""The splits that a training asks for, made by scikit-learn: the same for the same cases, columns and seed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_api.dataset.cases import CASE, CASES_FILE, PATIENT, Asked, Cases
from nnunet_api.dataset.layout import named
from nnunet_api.splits import DEFAULT_FOLDS, MAX_FOLDS, Splits
from nnunet_api.training import Evaluation
from nnunet_api.words import counted
from nnunet_trainer.process.failures import wrong_data

Split = Mapping[str, Sequence[str]]
"""train and val of a fold, by name of the case; as in splits_final.json."""


@dataclass(frozen=True)
class Made:
    """Splits, and what is to be said of them."""

    splits: list[dict[str, list[str]]]
    words: str
    """How was split, in a few words."""
    notes: tuple[str, ...] = ()


def asked_columns(splits: Splits, evaluation: Evaluation) -> Asked:
    """Return the columns of cases.csv that a training asks for. A case needs no table to be left out by itself."""
    left_out = "" if splits.leave_one_out == CASE else splits.leave_one_out or ""
    return Asked(splits.group_by or "", splits.stratify_by or "", left_out, tuple(evaluation.subgroups))


def nnunet_splits(cases: Iterable[str], folds: int, seed: int) -> list[dict[str, list[str]]]:
    """Return nnU-Net's own seeded split."""
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    made = generate_crossval_split(sorted(cases), seed=seed, n_splits=folds)
    return [{part: [str(case) for case in chosen] for part, chosen in split.items()} for split in made]


def make_splits(splits: Splits, cases: Iterable[str], table: Cases | None) -> Made:
    """Return the splits. Raises TrainerError with WRONG_DATA where the cases can't be split so.

    The table, whose contents were found in order, has all columns that are asked for.
    """
    ordered = sorted(cases)
    if splits.leave_one_out:
        return _one_left_out(splits.leave_one_out, ordered, table)
    folds = splits.folds or DEFAULT_FOLDS
    column = splits.group_by or (PATIENT if table and PATIENT in table.columns else "")
    groups = table.values(column, ordered) if table and column else {case: case for case in ordered}
    strata = table.values(splits.stratify_by, ordered) if table and splits.stratify_by else {}
    what = column or CASE
    if len(set(groups.values())) < folds:
        raise wrong_data(
            f"{counted(len(ordered), 'training case')} of {counted(len(set(groups.values())), what)} can't be split "
            f"into {folds} folds: lower splits.folds, or add cases"
        )
    by = f" by {column}" if column else ""
    if not column and not strata:
        return Made(nnunet_splits(ordered, folds, splits.seed), f"{folds} folds")
    notes = tuple(_stratum_notes(splits.stratify_by or "", strata, groups, folds, what)) if strata else ()
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedGroupKFold if column else StratifiedKFold
    chosen = kind(n_splits=folds, shuffle=True, random_state=splits.seed).split(
        ordered, [strata.get(case, "") for case in ordered], [groups[case] for case in ordered]
    )
    words = f"{folds} folds{by}{f', {splits.stratify_by} spread over them' if strata else ''}"
    return Made(_named(ordered, chosen), words, notes)


def _one_left_out(column: str, cases: Sequence[str], table: Cases | None) -> Made:
    from sklearn.model_selection import LeaveOneGroupOut

    values = table.values(column, cases) if table and column != CASE else {case: case for case in cases}
    several = sorted(set(values.values()))
    if not 2 <= len(several) <= MAX_FOLDS:
        raise wrong_data(
            f"splits.leaveOneOut is {column}, which has {counted(len(several), 'value')} in the training cases: there "
            f"may be 2 to {MAX_FOLDS}, each makes a fold. Choose another column, or groupBy with a number of folds"
        )
    chosen = LeaveOneGroupOut().split(cases, groups=[values[case] for case in cases])
    return Made(_named(cases, chosen), f"{len(several)} folds, each leaves out one {column}")


def _named(cases: Sequence[str], chosen: Iterable[tuple[Any, Any]]) -> list[dict[str, list[str]]]:
    return [
        {"train": [cases[place] for place in train], "val": [cases[place] for place in val]} for train, val in chosen
    ]


def _stratum_notes(
    column: str, strata: Mapping[str, str], groups: Mapping[str, str], folds: int, what: str
) -> Iterable[str]:
    """Return which values are too rare to be in each fold. Raises TrainerError where all are: nothing is spread."""
    counts = Counter(stratum for stratum, _ in {(strata[case], groups[case]) for case in strata})
    rare = [f"{value or '(empty)'} ({count})" for value, count in counts.items() if count < folds]
    if len(rare) == len(counts):
        raise wrong_data(
            f"splits.stratifyBy is {column}, of whose {counted(len(counts), 'value')} none has a {what} for each of "
            f"the {folds} folds, by {CASES_FILE}: choose a column with fewer values, or lower splits.folds"
        )
    return [f"some folds validate on no case with this {column}, which too few have: {named(rare)}"] if rare else []
