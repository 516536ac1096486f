"""What summary.json says of whose the scored cases are."""

import pytest

from nnunet_trainer.dataset.run_splits import RunCase, RunCases
from nnunet_trainer.scoring.patients import read_patients, told_patients


def known(*patients: int | None, column: str | None = "patient") -> RunCases:
    cases = {f"c{place}": RunCase(patient=patient) for place, patient in enumerate(patients)}
    return RunCases(cases=cases, patient_column=column)


def test_patients_are_numbered_anew_in_the_order_of_the_scored_cases() -> None:
    """Also those of the dataset that were not scored have a number in the run."""
    told = told_patients(known(0, 7, 7, 3, 0), {"c4", "c1", "c2"})
    assert told == {"column": "patient", "byCase": {"c1": 0, "c2": 0, "c4": 1}}
    read = read_patients({"patients": told}, {"c4", "c1", "c2"})
    assert read is not None and read.numbers(["c1", "c2", "c4"]) == (0, 0, 1)


def test_that_no_column_tells_is_told() -> None:
    told = told_patients(known(None, None, column=""), {"c0", "c1"})
    assert told == {"column": "", "byCase": {}}
    read = read_patients({"patients": told}, {"c0", "c1"})
    assert read is not None and read.numbers(["c0", "c1"]) == ()


@pytest.mark.parametrize(
    "run",
    [known(column=None), known(0, column="patient"), known(0, None, column="patient")],
    ids=["planned by a version before", "a case that was not there when it was planned", "a case without a patient"],
)
def test_what_is_not_known_of_all_cases_is_not_told(run: RunCases) -> None:
    """A comparison then asks for another evaluation, in place of taking cases for independent."""
    assert told_patients(run, {"c0", "c1"}) is None
    assert read_patients({}, {"c0", "c1"}) is None
