"""`dataset check` and planning go by the same rules: what one refuses the other refuses, with the same words."""

from pathlib import Path

import pytest

from nnunet_trainer.dataset.raw import load_dataset
from nnunet_trainer.dataset.run_splits import look_at_cases
from nnunet_trainer.process.failures import TrainerError
from tests.support.command import Command
from tests.support.made_contracts import contract
from tests.support.odd_corpus import CORPUS
from tests.support.odd_datasets import Odd
from tests.support.spoilt_datasets import NAME, make


def said_by_planning(raw: Path) -> str:
    """Return why planning refuses a dataset before it reads a voxel; nothing where it goes on."""
    try:
        dataset = load_dataset(raw, NAME, ["0"])
        dataset.check_whole(1)
        look_at_cases(raw, dataset, (), contract(dataset=NAME, folds=["0"]))
    except TrainerError as error:
        return error.message
    return ""


@pytest.mark.parametrize("odd", CORPUS, ids=[odd.what for odd in CORPUS])
def test_the_verdicts_are_the_same(tmp_path: Path, nnunet: Command, odd: Odd) -> None:
    folder = make(tmp_path / "raw")
    odd.spoil(folder)
    run = nnunet("dataset", "check", str(folder))
    expected = odd.words if odd.seen_by_check else ""
    assert (run.code, expected in run.out) == (1 if expected else 0, True), run.out
    assert not odd.seen_by_check or odd.note in run.out, run.out
    planning = said_by_planning(folder.parent)
    expected = "" if odd.read else odd.words
    assert expected in planning and bool(expected) == bool(planning), planning
