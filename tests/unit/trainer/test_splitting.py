"""Splits of a training's own: patients stay together, and only content and seed decide."""

import random
from collections import Counter
from typing import Any

import pytest

from nnunet_api.dataset.cases import Cases, read_cases
from nnunet_api.exit_codes import ExitCode
from nnunet_api.splits import Splits
from nnunet_trainer.dataset.splitting import Made, make_splits
from nnunet_trainer.process.failures import TrainerError

CASES = [f"c{number:02d}" for number in range(40)]


def table(cases: list[str] = CASES, patients: int = 16) -> Cases:
    """Every third patient is of site B."""
    rows = [f"{case},p{int(case[1:]) % patients},{'B' if int(case[1:]) % patients % 3 == 0 else 'A'}" for case in cases]
    found = read_cases("\n".join(["case,patient,site", *rows]).encode()).table
    assert found
    return found


def made(known: Cases | None = None, cases: list[str] = CASES, **splits: Any) -> Made:
    return make_splits(Splits.model_validate(splits), cases, known or table())


@pytest.mark.parametrize(
    ("splits", "folds"),
    [
        ({"folds": 4}, 4),
        ({"folds": 10, "groupBy": "patient"}, 10),
        ({"stratifyBy": "site"}, 5),
        ({"folds": 2, "groupBy": "patient", "stratifyBy": "site"}, 2),
        ({"leaveOneOut": "site"}, 2),
        ({"leaveOneOut": "patient"}, 16),
    ],
)
def test_each_case_is_validated_once_and_no_patient_is_on_both_sides(splits: dict[str, Any], folds: int) -> None:
    known = table()
    found = made(**splits).splits
    assert len(found) == folds
    assert Counter(case for split in found for case in split["val"]) == Counter(CASES)
    for split in found:
        assert set(split["train"]) == set(CASES) - set(split["val"]) and split["val"] and split["train"]
        patients = [{known.rows[case]["patient"] for case in split[part]} for part in ("train", "val")]
        assert not patients[0] & patients[1]


def test_neither_order_counts_and_the_seed_does() -> None:
    shuffled = CASES.copy()
    random.Random(1).shuffle(shuffled)
    first = made(folds=5, stratifyBy="site")
    assert made(table(shuffled), shuffled, folds=5, stratifyBy="site") == first
    assert made(folds=5, stratifyBy="site", seed=1).splits != first.splits
    assert first.words == "5 folds by patient, site spread over them"


def test_values_are_spread_and_folds_are_of_a_size() -> None:
    known, found = table(), made(folds=4, stratifyBy="site").splits
    shares = [sum(known.rows[case]["site"] == "B" for case in split["val"]) / len(split["val"]) for split in found]
    assert max(shares) - min(shares) < 0.35, shares
    sizes = [len(split["val"]) for split in made(folds=8).splits]
    assert max(sizes) - min(sizes) <= 3, sizes


def test_each_fold_leaves_out_one_value_in_their_order() -> None:
    known, found = table(), made(leaveOneOut="site")
    assert [{known.rows[case]["site"] for case in split["val"]} for split in found.splits] == [{"A"}, {"B"}]
    assert found.words == "2 folds, each leaves out one site"
    assert [split["val"] for split in made(cases=CASES[:3], leaveOneOut="case").splits] == [["c00"], ["c01"], ["c02"]]


@pytest.mark.parametrize(
    ("splits", "patients", "words"),
    [
        ({"folds": 17}, 16, "40 training cases of 16 patients can't be split into 17 folds: lower splits.folds"),
        ({"leaveOneOut": "patient"}, 1, "has 1 value in the training cases: there may be 2 to 50"),
        ({"folds": 30, "groupBy": "site"}, 16, "of 2 sites can't be split into 30 folds"),
        ({"folds": 12, "stratifyBy": "site"}, 16, "of whose 2 values none has a patient for each of the 12 folds"),
    ],
)
def test_what_can_not_be_split(splits: dict[str, Any], patients: int, words: str) -> None:
    with pytest.raises(TrainerError) as caught:
        made(table(patients=patients), **splits)
    assert caught.value.code == ExitCode.WRONG_DATA and words in caught.value.message


def test_values_that_are_too_rare_are_told() -> None:
    (note,) = made(folds=8, stratifyBy="site").notes
    assert note == "some folds validate on no case with this site, which too few have: B (6)"
