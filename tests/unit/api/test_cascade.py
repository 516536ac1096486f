"""Which configuration learns from the predictions of which other one."""

from typing import Any

import pytest

from nnunet_api.cascade import next_stages, previous_stage
from nnunet_api.fold_key import FoldKey
from tests.support.made_contracts import contract
from tests.support.made_trainings import training

OWN: dict[str, Any] = {
    "high": {"inherits_from": "3d_fullres", "previous_stage": "low"},
    "higher": {"inherits_from": "high"},
    "mine": {"inherits_from": "3d_cascade_fullres"},
    "plain": {"inherits_from": "high", "previous_stage": None},
    "round": {"inherits_from": "about"},
    "about": {"inherits_from": "round"},
}


@pytest.mark.parametrize(
    ("configuration", "own", "expected"),
    [
        ("3d_fullres", {}, None),
        ("3d_cascade_fullres", {}, "3d_lowres"),
        ("3d_cascade_fullres", {"3d_cascade_fullres": {"batch_size": 3}}, "3d_lowres"),
        ("3d_cascade_fullres", {"3d_cascade_fullres": {"previous_stage": "low"}}, "low"),
        ("high", OWN, "low"),
        ("higher", OWN, "low"),
        ("mine", OWN, "3d_lowres"),
        ("plain", OWN, None),
        ("round", OWN, None),
    ],
)
def test_previous_stage(configuration: str, own: dict[str, Any], expected: str | None) -> None:
    assert previous_stage(configuration, own) == expected


def test_next_stages_are_those_that_are_trained() -> None:
    assert next_stages("low", ["low", "higher", "2d"], OWN) == ["higher"]
    assert next_stages("3d_lowres", ["3d_lowres"], {}) == []
    made = contract(configurations=["3d_lowres", "3d_cascade_fullres"], configuration="3d_lowres")
    assert made.next_stages == ["3d_cascade_fullres"] and made.previous_stage is None
    assert made.of_configuration("3d_cascade_fullres").previous_stage == "3d_lowres"
    left = made.model_copy(update={"left_out_configurations": ["3d_cascade_fullres"]})
    assert left.next_stages == []


def test_a_fold_waits_for_all_folds_of_its_replicate() -> None:
    spec = training(
        configurations=["3d_cascade_fullres", "3d_lowres"], folds=[0, 1], replicates=2, trainer={"seed": 1}
    ).spec
    assert spec.fold_keys_before(FoldKey("3d_cascade_fullres", "0", 2)) == [
        FoldKey("3d_lowres", "0", 2),
        FoldKey("3d_lowres", "1", 2),
    ]
    assert spec.fold_keys_before(FoldKey("3d_lowres", "0", 2)) == []
