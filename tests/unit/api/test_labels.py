"""Names and labels of children: deterministic, distinct, within Kubernetes' limits."""

import re

import pytest

from nnunet_api.fold_key import FoldKey
from nnunet_api.labels import MAX_LABEL, STAGE_FOLD, STAGE_PLAN, child_labels, job_name, short_name

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@pytest.mark.parametrize(
    ("training", "stage", "key", "expected"),
    [
        ("hippocampus", STAGE_PLAN, None, "hippocampus-plan"),
        ("hippocampus", STAGE_FOLD, FoldKey("2d", "0"), "hippocampus-fold-0"),
        ("hippocampus", STAGE_FOLD, FoldKey("2d", "all"), "hippocampus-fold-all"),
        ("hippocampus", STAGE_FOLD, FoldKey("3d_Big", "0", 2, of_several=True), "hippocampus-fold-3d-big-0-r2"),
        ("hippo.v2", STAGE_PLAN, None, "hippo-v2-plan"),
    ],
)
def test_job_names_are_readable(training: str, stage: str, key: FoldKey | None, expected: str) -> None:
    assert job_name(training, stage, key) == expected


@pytest.mark.parametrize("length", [1, 50, 56, 57, 58, 62, 63, 64, 100, 253])
@pytest.mark.parametrize(
    "key",
    [None, FoldKey("_2d", "0"), FoldKey("2d", "all"), FoldKey("A" + "_" * 30 + "b", "all", 10, of_several=True)],
)
def test_names_of_any_length_fit(length: int, key: FoldKey | None) -> None:
    name = job_name("a" * length, STAGE_FOLD, key)
    assert len(name) <= MAX_LABEL
    assert DNS_LABEL.fullmatch(name)
    for value in child_labels("a" * length, STAGE_FOLD, key).values():
        assert len(value) <= MAX_LABEL
        assert LABEL_VALUE.fullmatch(value)


def test_long_names_that_differ_at_the_end_stay_apart() -> None:
    assert job_name("x" * 80 + "a", STAGE_PLAN) != job_name("x" * 80 + "b", STAGE_PLAN)
    assert short_name("x" * 80 + "a") != short_name("x" * 80 + "b")


def test_a_cut_does_not_end_in_punctuation_before_the_hash() -> None:
    assert "--" not in short_name("a" * 52 + "--" + "b" * 40)
