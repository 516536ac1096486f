"""The splits_final.json that a folder may bring."""

from collections.abc import Set
from pathlib import Path

from nnunet_api.dataset.places import look, other_than_a_file
from nnunet_api.dataset.splits import SPLITS_FILE, split_notes, split_problems
from nnunet_api.dataset.strict_json import read_json
from nnunet_api.words import counted

Splits = list[dict[str, list[str]]]


def look_at_splits(folder: Path, cases: Set[str]) -> tuple[list[str], list[str], Splits | None]:
    """Return what is wrong with the splits, if the dataset brings any, what is odd in them, and those in order.

    Without them nnU-Net needs five cases.
    """
    path = folder / SPLITS_FILE
    (place,) = look({path.name: path}).values()
    if path.exists() and (problem := other_than_a_file(path.name, place)):
        return [problem], [], None
    try:
        splits = read_json(path)
    except FileNotFoundError:
        if 0 < len(cases) < 5:
            there = f"{'is' if len(cases) == 1 else 'are'} {counted(len(cases), 'training case')}"
            return [f"there {there}, five folds need 5: add cases, or bring a {SPLITS_FILE}"], [], None
        return [], [], None
    except ValueError as error:
        return [f"{SPLITS_FILE} is no valid JSON: {error}: correct it, or remove it"], [], None
    problems = list(split_problems(splits, cases))
    return (problems, [], None) if problems else ([], list(split_notes(splits)), splits)
