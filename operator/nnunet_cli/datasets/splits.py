"""Is a dataset's own splits_final.json one that nnU-Net trains by?"""

import json
from collections.abc import Iterator, Set
from pathlib import Path

FILE = "splits_final.json"


def split_problems(folder: Path, cases: Set[str]) -> Iterator[str]:
    """Yield what is wrong with the splits, if the dataset brings any. Without them nnU-Net needs five cases."""
    try:
        splits = json.loads((folder / FILE).read_text(encoding="utf-8"))
        parts = [(set(split["train"]), set(split["val"])) for split in splits]
    except FileNotFoundError:
        if 0 < len(cases) < 5:
            yield f"there are {len(cases)} training cases, five folds need 5: add cases, or bring a {FILE}"
        return
    except (ValueError, KeyError, TypeError) as error:
        yield f"{FILE} must be a list of objects with train and val: {error!r}"
        return
    for number, (train, val) in enumerate(parts):
        if unknown := sorted((train | val) - cases):
            yield f"{FILE}, fold {number}: there is no case {unknown[0]}: correct the name, or add it"
        if both := sorted(train & val):
            yield f"{FILE}, fold {number}: {both[0]} is in train and in val: remove it from one of them"
        if not train or not val:
            yield f"{FILE}, fold {number}: {'train' if not train else 'val'} is empty: give it cases"
