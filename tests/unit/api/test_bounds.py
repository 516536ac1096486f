"""How large a training may be: the same for admission, operator and command line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.bounds import MAX_CONFIGURATIONS, MAX_METADATA, MAX_READ, MAX_SPEC, size_problem, written_size
from nnunet_api.contract import CONTRACT_ENV, contract_for
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("y" * (MAX_CONFIGURATIONS - 50), ""),
        ("y" * MAX_CONFIGURATIONS, "spec.planning.configurations has 65557"),
        ("ü" * 11_000, "spec.planning.configurations has 66021"),  # few characters and many bytes
    ],
)
def test_configurations_that_no_pod_could_be_told_of_are_refused(text: str, says: str) -> None:
    found = body(0)
    found["spec"]["planning"] = {"configurations": {"own": {"note": text}}}
    kept = trim_training(found)
    if not says:
        training = parse_training(kept, NnunetTrainingStatus())
        contract = contract_for(training.spec, "n" * 63, "n" * 253, training.uid, 16).to_text()
        assert len(f"{CONTRACT_ENV}={contract}\0") < 128 * 1024 / 2 + 2000  # half is left for the policies' decisions
        return
    with pytest.raises(InvalidSpecError, match=rf"^{says} bytes in ASCII, may have at most {MAX_CONFIGURATIONS}"):
        parse_training(kept, NnunetTrainingStatus())
