"""The Dice of subgroups: nnU-Net's mean, an interval over patients that covers, and words where there are too few."""

import csv
import io
import math

import numpy as np
import pytest

from nnunet_trainer.dataset.run_splits import RunCase
from nnunet_trainer.scoring.scores import CaseScores
from nnunet_trainer.scoring.subgroups import (
    Subgroup,
    subgroup_csv,
    subgroup_data,
    subgroup_notes,
    subgroup_words,
    subgroups,
)
from tests.support import sizes

LABELS = {"background": 0, "liver": 1, "tumour": 2}


def known(**sites: str) -> dict[str, RunCase]:
    return {case: RunCase(subgroups={"site": site} if site else {}) for case, site in sites.items()}


def of(cases: dict[str, RunCase], *runs: CaseScores, labels: dict[str, int] | None = None) -> list[Subgroup]:
    return subgroups(["site"], cases, labels or LABELS, {"test": runs})


def test_the_mean_is_nnunets_and_cases_without_a_value_are_in_none() -> None:
    run = {"a": {"1": 0.9, "2": 0.5}, "b": {"1": 0.7, "2": math.nan}, "c": {"1": 0.2, "2": 0.2}, "d": {"1": 1.0}}
    first, second = of(known(a="X", b="X", c="Y", d=""), run)
    assert (first.value, first.cases, first.units) == ("X", 2, 2)
    assert first.dice == pytest.approx((0.8 + 0.5) / 2)
    assert first.per_class == {"liver": pytest.approx(0.8), "tumour": 0.5} and first.low is None
    assert second.value == "Y" and second.dice == pytest.approx(0.2)
    assert subgroup_words([first, second]) == ["test Dice by site from 0.2000 (Y) to 0.6500 (X)"]


def test_cases_of_a_patient_are_drawn_together() -> None:
    """Ten cases of each patient, all alike, tell as much as one of each: not a narrower interval."""
    values = np.random.default_rng(0).uniform(0.5, 1, 12)
    one = {f"p{p}": {"1": float(value)} for p, value in enumerate(values)}
    ten = {f"p{p}-{n}": {"1": float(value)} for p, value in enumerate(values) for n in range(10)}
    cases = {name: RunCase(patient=int(name.split("-")[0][1:]), subgroups={"site": "X"}) for name in [*one, *ten]}
    (single,), (many,) = (of(cases, run, labels={"background": 0, "liver": 1}) for run in (one, ten))
    assert (single.units, many.units, many.cases) == (12, 12, 120)
    assert (many.low, many.high) == pytest.approx((single.low, single.high))
    alone = {name: RunCase(subgroups={"site": "X"}) for name in ten}
    (independent,) = of(alone, ten, labels={"background": 0, "liver": 1})
    assert independent.low and single.low and independent.low > single.low


@pytest.mark.soak
def test_the_interval_covers_about_as_often_as_it_says() -> None:
    random, covered = np.random.default_rng(1), 0
    for _ in range(sizes.SUBGROUPS):
        run = {f"c{n}": {"1": float(random.beta(8, 2))} for n in range(40)}
        (found,) = of(known(**dict.fromkeys(run, "X")), run, labels={"background": 0, "liver": 1})
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.8 <= found.high
    assert 0.875 <= covered / sizes.SUBGROUPS <= 1, covered


def test_replicates_are_averaged() -> None:
    cases = known(**{f"c{n}": "X" for n in range(6)})
    runs = [{name: {"1": value} for name in cases} for value in (0.6, 0.8)]
    (found,) = of(cases, *runs, labels={"background": 0, "liver": 1})
    assert (found.dice, found.low, found.high) == pytest.approx((0.7, 0.7, 0.7))


def test_what_is_said_of_few_and_of_cases_without_a_patient() -> None:
    run = {f"c{n}": {"1": 0.5, "2": 0.5} for n in range(9)}
    cases = known(**{name: "X" if number < 3 else "Y" for number, name in enumerate(run)})
    found = of(cases, run)
    assert [each.low for each in found] == [None, 0.5]
    assert subgroup_notes(found, ["site"], has_patients=False) == [
        "subgroups of fewer than 5 cases have no interval: too few to tell",
        "intervals of fewer than 20 cases are narrower than they should be",
        "cases.csv has no column patient: intervals of subgroups take each case for another patient",
    ]
    assert subgroup_notes([], ["site"], True) == ["no scored case has a value of site: there are no such subgroups"]


def test_files_for_programs() -> None:
    run = {f"c{n}": {"1": 0.5, "2": math.nan} for n in range(6)}
    found = of(known(**dict.fromkeys(run, "=1+1")), run)
    (row,) = csv.DictReader(io.StringIO(subgroup_csv({"3d_fullres": found}, ["liver", "tumour"])))
    assert row["value"] == "'=1+1", "a spreadsheet would compute it"
    assert (row["cases"], row["dice"], row["low95"]) == ("6", "0.500000", "0.500000")
    assert (row["liver"], row["tumour"]) == ("0.500000", "")
    (data,) = subgroup_data(found)
    assert data["interval95"] == [0.5, 0.5] and data["perClass"] == {"liver": 0.5}
