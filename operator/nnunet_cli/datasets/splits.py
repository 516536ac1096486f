"""The splits_final.json that a folder may bring."""

import json
from collections.abc import Iterator, Set
from pathlib import Path

from nnunet_api.dataset.splits import SPLITS_FILE
from nnunet_api.dataset.splits import split_problems as problems_of


def split_problems(folder: Path, cases: Set[str]) -> Iterator[str]:
    """Yield what is wrong with the splits, if the dataset brings any. Without them nnU-Net needs five cases."""
    try:
        splits = json.loads((folder / SPLITS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if 0 < len(cases) < 5:
            yield f"there are {len(cases)} training cases, five folds need 5: add cases, or bring a {SPLITS_FILE}"
        return
    except ValueError as error:
        yield f"{SPLITS_FILE} is no valid JSON: {error}: correct it, or remove it"
        return
    yield from problems_of(splits, cases)
