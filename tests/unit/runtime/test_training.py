"""What other versions of the operator, and other hands, may have stored."""

from typing import Any

import pytest

from nnunet_operator.runtime.training import InvalidSpecError, parse_status, parse_training

METADATA = {
    "name": "hippo",
    "namespace": "clinic",
    "uid": "u",
    "generation": 1,
    "resourceVersion": "7",
    "creationTimestamp": "2026-03-01T12:00:00Z",
}


def stored(spec: Any = None, status: Any = None) -> dict[str, Any]:
    return {
        "metadata": METADATA,
        "spec": spec or {"dataset": {"name": "Dataset004_Hippocampus"}},
        "status": status or {},
    }


def test_words_of_a_newer_version_are_no_error() -> None:
    status = {"phase": "Dreaming", "folds": [{"fold": "0", "phase": "Resting", "epoch": 3}], "mood": "good"}
    read = parse_status(stored(status=status))
    assert (read.phase, read.folds[0].phase, read.folds[0].epoch) == (None, "Pending", 3)


def test_fold_runs_that_were_stored_by_one_name_are_known_by_their_parts() -> None:
    status = {"folds": [{"fold": "0-r1", "epoch": 3}, {"fold": "0-r2", "epoch": 4}]}
    spec = {"dataset": {"name": "Dataset004_Hippocampus"}, "folds": [0], "replicates": 2, "trainer": {"seed": 1}}
    read = parse_training(stored(spec, status), parse_status(stored(spec, status)))
    assert [fold.key for fold in read.status.folds] == read.spec.fold_keys
    assert [fold.epoch for fold in read.status.folds] == [3, 4]


def test_a_status_that_makes_no_sense_is_left_alone() -> None:
    with pytest.raises(ValueError, match=r"left alone: spec|left alone"):
        parse_status(stored(status={"folds": 3}))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"dataset": {}}, "spec.dataset.name: field required"),
        ({"dataset": {"name": "Dataset004_Hippocampus"}, "retryLimit": -1}, "spec.retryLimit is -1: input should be"),
        ({"dataset": {"name": "Dataset004_Hippocampus"}, "colour": "red"}, "spec.colour is 'red': extra inputs"),
    ],
)
def test_a_spec_that_does_not_parse_is_named(spec: Any, says: str) -> None:
    body = stored(spec)
    with pytest.raises(InvalidSpecError) as error:
        parse_training(body, parse_status(body))
    assert says in str(error.value)
