"""Comparisons that an operator of before has registered go on with this one: by its digests, whatever came since.

`recorded` has what it stored: operators before commit b472949 made the digests in the files, later ones the others. A
field, or a default, that this version brings must leave all of them as they are.
"""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.registration import is_as_registered
from nnunet_api.comparison.template import made_specs
from nnunet_operator.core.comparison.decide import decide
from nnunet_operator.core.comparison.decision import Seen
from nnunet_operator.core.comparison.model import JobSeen
from nnunet_operator.core.observation import State
from nnunet_operator.runtime.comparison import parse_comparison
from tests.support.made_comparisons import arm
from tests.support.made_trainings import NOW

RECORDED = Path(__file__).parent / "recorded"
LATER = {
    "trainings": "374da2cf67b2f62140fa89b9e34436464e84d98d5d306b79c78a45dca00eccf6",
    "template": "4fe9130021c213d235c391bd99469986c8a7e4f089b4217aeaf4514b61a80142",
}
"""Of the same comparisons: made of what is not as by default."""
EACH = pytest.mark.parametrize(
    ("name", "digest"), [*((name, "") for name in sorted(LATER)), *sorted(LATER.items())], ids=lambda value: value[:9]
)


def recorded(name: str, digest: str) -> dict[str, Any]:
    """Return a recorded comparison; with another digest than its own, if one is given."""
    body: dict[str, Any] = yaml.safe_load((RECORDED / f"{name}.yaml").read_text())
    body["status"]["registration"]["digest"] = digest or body["status"]["registration"]["digest"]
    return body


def test_each_that_was_recorded_is_tried() -> None:
    assert sorted(path.stem for path in RECORDED.iterdir()) == sorted(LATER)


@EACH
def test_it_goes_on(name: str, digest: str) -> None:
    of = parse_comparison(recorded(name, digest))
    made = made_specs(of.spec, of.name)
    known = {one: arm(one, complete=False) for one in of.spec.training_names}
    trainings = {one: replace(of_arm, spec=made.get(one, of_arm.spec)) for one, of_arm in known.items()}
    found = decide(Seen(of, trainings, JobSeen(State.ABSENT, name_free=True), NOW)).status
    failed = found.condition("Failed")
    assert is_as_registered(of.spec, of.status)
    assert failed is not None and failed.reason != "ArmChanged", failed
    assert found.registration == of.status.registration


class Later(NnunetComparisonSpec):
    """The spec with a field that another version has brought."""

    cohorts: list[str] = []


@EACH
@pytest.mark.parametrize(("cohorts", "same"), [([], True), (["women"], False)])
def test_a_field_that_comes_later_counts_where_it_is_used(
    name: str, digest: str, cohorts: list[str], same: bool
) -> None:
    of = parse_comparison(recorded(name, digest))
    spec = Later.model_validate({**of.spec.model_dump(by_alias=True), "cohorts": cohorts})
    assert is_as_registered(spec, of.status) is same


@EACH
@pytest.mark.parametrize(
    "changed",
    [
        {"maxDiceLoss": 0.5},
        {"alpha": 0.2},
        {"varies": []},
        {"classes": ["heart"]},
    ],
    ids=str,
)
def test_its_digest_still_holds_it(name: str, digest: str, changed: dict[str, Any]) -> None:
    body = recorded(name, digest)
    of = parse_comparison({**body, "spec": {**body["spec"], **changed}})
    assert not is_as_registered(of.spec, of.status)


@pytest.mark.parametrize("digest", ["", LATER["template"]], ids=["first", "later"])
def test_its_template_and_its_trainings_are_held_too(digest: str) -> None:
    for path, value in (
        (("spec", "baseline"), "250-epochs"),
        (("spec", "template", "spec", "trainer", "seed"), 2),
        (("spec", "template", "spec", "schedule", "epochs"), 500),
        (("spec", "template", "spec", "planning", "configurations", "3d_fullres", "batch_size"), 4),
        (("status", "registration", "trainings", 0, "uid"), "another"),
        (("status", "registration", "trainings", 0, "complete"), True),
    ):
        body = deepcopy(recorded("template", digest))
        place: Any = body
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        of = parse_comparison(body)
        assert not is_as_registered(of.spec, of.status), path
