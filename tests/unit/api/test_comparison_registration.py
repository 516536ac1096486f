"""What changes the digest of a registration, and what does not."""

from typing import Any

import pytest

from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.registration import digest_of
from nnunet_api.comparison.template import with_made_names
from tests.support.made_verdicts import registered

KNOWN = [registered("a", "shorter-a"), registered("b", "shorter-b")]


def digest(
    patch: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, known: Any = KNOWN, **changes: Any
) -> str:
    planning = {"configurations": {"3d_fullres": settings or {"patch_size": [8, 8, 8]}}}
    template = {"spec": {"dataset": {"name": "Dataset001_A"}, "planning": planning}}
    arms = [{"name": "a", "patch": patch or {"schedule": {"epochs": 250}}}, {"name": "b", "patch": {}}]
    spec = NnunetComparisonSpec.model_validate({"arms": arms, "template": template, **changes})
    return digest_of(with_made_names(spec, "shorter"), known)


@pytest.mark.parametrize(
    "changed",
    [
        {"patch": {"earlyStopping": {"mode": "Stop"}}},  # a field for another: equal to the schema
        {"patch": {"schedule": {"iterationsPerEpoch": 250}}},
        {"patch": {"testSet": None}},
        {"settings": {"batch_size": 2}},
        {"known": [KNOWN[0], registered("b", "shorter-b", complete=True)]},
        {"known": KNOWN[::-1]},
        {"baseline": "b"},
        {"maxDiceLoss": 0.02},
    ],
)
def test_what_was_said_before_the_result_changes_it(changed: dict[str, Any]) -> None:
    assert digest(**changed) != digest()


def test_null_takes_one_field_away_and_not_another() -> None:
    assert digest(patch={"testSet": None}) != digest(patch={"podTemplate": None})


@pytest.mark.parametrize(
    "same",
    [
        {"suspend": True, "retryLimit": 7, "queueName": "fast", "resources": {"cpu": "2"}},
        {"maxDiceLoss": 0.01, "alpha": 0.05, "classes": []},  # as by default: so are fields of later versions
    ],
)
def test_what_may_change_and_what_is_by_default_changes_nothing(same: dict[str, Any]) -> None:
    assert digest(**same) == digest()


def test_a_configuration_that_a_former_schema_filled_in_changes_nothing() -> None:
    arms = [{"name": "a", "patch": {}}, {"name": "b", "patch": {}}]
    specs = [
        NnunetComparisonSpec.model_validate(
            {"arms": arms, "template": {"spec": {"dataset": {"name": "Dataset001_A"}, **template}}}
        )
        for template in ({}, {"configuration": "3d_fullres"}, {"configuration": "2d"})
    ]
    none, filled_in, other = (digest_of(spec, KNOWN) for spec in specs)
    assert none == filled_in != other
