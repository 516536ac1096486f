"""How large a training may be: the same for admission, operator and command line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.bounds import MAX_METADATA, MAX_READ, MAX_SPEC, size_problem, written_size
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.kube.trim import trim_training
from nnunet_operator.runtime.training import InvalidSpecError, parse_training
from tests.support.made_statuses import training_body

CHART = Path(__file__).parents[3] / "charts/nnunet-operator/templates/admission-sizes.yaml"


def test_admission_has_the_same_bounds() -> None:
    numbers = set(map(int, re.findall(r"\d{4,}", CHART.read_text())))
    assert numbers == {MAX_SPEC, MAX_METADATA}


@pytest.mark.parametrize(
    ("part", "size"),
    [({}, 2), ({"a": [1, 2]}, len('{"a":[1, 2]}')), ({"a": "ü", "b": None}, len('{"a":"ü", "b":null}'))],
)
def test_sizes_are_those_of_what_is_written_out(part: Any, size: int) -> None:
    assert written_size(part) == size


def test_a_problem_names_size_bound_and_remedy() -> None:
    assert size_problem(MAX_SPEC, MAX_SPEC) == ""
    said = size_problem(MAX_SPEC + 1, MAX_SPEC)
    assert said.startswith("the spec has 65537 characters, may have at most 65536: shorten")


def body(characters: int) -> dict[str, Any]:
    dataset = {"name": "Dataset004_Hippocampus"}
    found = training_body(spec={"dataset": dataset, "podTemplate": {"affinity": {"x": "y" * characters}}})
    found["metadata"] |= {"resourceVersion": "7", "generation": 1, "creationTimestamp": "2026-03-01T12:00:00Z"}
    return found


def test_of_a_spec_that_is_too_large_nothing_is_kept_but_its_size() -> None:
    kept = trim_training(body(MAX_READ))
    assert len(json.dumps(kept)) < 2000
    with pytest.raises(InvalidSpecError, match=rf"the spec has \d+ characters, may have at most {MAX_READ}: shorten"):
        parse_training(kept, NnunetTrainingStatus())


def test_what_admission_takes_is_read() -> None:
    kept = trim_training(body(MAX_SPEC))
    assert parse_training(kept, NnunetTrainingStatus()).spec.pod_template.affinity == {"x": "y" * MAX_SPEC}
