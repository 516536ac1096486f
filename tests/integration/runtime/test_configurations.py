"""Several configurations in one training, from planning to their scores, through a suspension and a killed operator."""

import json

import pytest

from nnunet_api.contract import CONTRACT_ENV
from tests.integration.conftest import Lab
from tests.support.api import Api, ApiError, Object
from tests.support.builders import training
from tests.support.plan_facts import PLAN_FACTS

ASKED = ["3d_lowres", "2d", "3d_fullres"]


def contract_in(pod: Object) -> Object:
    """Return the contract that a pod is told."""
    env = pod["spec"]["containers"][0]["env"]
    contract: Object = json.loads(next(one["value"] for one in env if one["name"] == CONTRACT_ENV))
    return contract


def test_each_is_trained_proven_and_scored_and_one_that_is_not_planned_is_left_out(lab: Lab) -> None:
    spec: Object = {"configurations": ASKED, "skipUnavailableConfigurations": True, "folds": [0], "maxParallelFolds": 1}
    lab.apply(training(lab.namespace, **spec, resources={"configurations": {"2d": {"cpu": "2"}}}))
    plan = {"message": "planned", "plan": {**PLAN_FACTS.to_json_dict(), "leftOutConfigurations": ["3d_lowres"]}}
    lab.kubelet.end(lab.kubelet.pod("hippo", "plan"), 0, json.dumps(plan))
    assert "left out: 3d_lowres" in lab.wait_reason("DatasetReady", "Preprocessed")["message"]
    lab.wait_jobs("hippo-plan", "hippo-fold-2d-0")
    first = lab.kubelet.pod("hippo", "fold", "2d-0")
    assert first["metadata"]["labels"]["nnunet.dev/configuration"] == "2d"
    assert first["spec"]["containers"][0]["args"] == ["train", "--fold", "0", "--configuration", "2d"]
    assert first["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "2"
    assert contract_in(first)["leftOutConfigurations"] == ["3d_lowres"]
    lab.kubelet.run(first)
    lab.wait_reason("Progressing", "Training")
    lab.set(suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser")
    lab.wait_jobs("hippo-plan")
    lab.set(suspend=False)
    again = lab.kubelet.pod("hippo", "fold", "2d-0")
    lab.kubelet.run(again)
    lab.operator.kill()
    lab.kubelet.end(again)
    lab.operator.start()
    lab.wait_jobs("hippo-plan", "hippo-fold-2d-0", "hippo-fold-3d-fullres-0")
    other = lab.kubelet.pod("hippo", "fold", "3d_fullres-0")
    assert other["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "8"
    lab.kubelet.end(other)
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    status = lab.status()
    assert status["leftOutConfigurations"] == ["3d_lowres"]
    folds = [(fold["configuration"], fold["fold"], fold["provenEpochs"]) for fold in status["folds"]]
    assert folds == [("2d", "0", 10), ("3d_fullres", "0", 10)]
    assert status["progress"]["summary"] == "20/20"
    assert [one["configuration"] for one in status["results"]["configurations"]] == ["2d", "3d_fullres"]
    assert status["results"]["summary"] == "2d 0.800, 3d_fullres 0.800"
    lab.wait("the last Event", lambda: "TrainingComplete" in lab.events())
    assert lab.events().count("FoldCompleted") == 2


def test_what_is_chosen_by_cross_validation_is_scored_once_on_the_test_set(lab: Lab) -> None:
    """The evaluation predicts with any of them, tells what it has chosen, and has looked at the test set once."""
    own = {"2d": {"cpu": "2", "memory": "48Gi"}, "3d_fullres": {"cpu": "12"}}
    spec: Object = {"configurations": ["2d", "3d_fullres"], "selection": {}, "testSet": {}, "folds": [0]}
    lab.apply(training(lab.namespace, **spec, resources={"configurations": own}))
    lab.plan_and_train()
    fold = lab.kubelet.pod("hippo", "fold", "2d-0")
    assert contract_in(fold)["selection"] == {}, "all of it"
    for one in (fold, lab.kubelet.pod("hippo", "fold", "3d_fullres-0")):
        lab.kubelet.end(one)
    lab.kubelet.end(lab.kubelet.pod("hippo", "verify"))
    for changed in ({"selection": None}, {"selection": {"ensembles": False}}):
        with pytest.raises(ApiError, match="selection can't change after creation"):
            lab.set(**changed)
    evaluation = lab.kubelet.pod("hippo", "evaluate")
    container = evaluation["spec"]["containers"][0]
    requests = container["resources"]["requests"]
    assert (requests["cpu"], requests["memory"], requests["nvidia.com/gpu"]) == ("12", "48Gi", "1")
    assert "/nnunet/preprocessed" in [mount["mountPath"] for mount in container["volumeMounts"]]
    lab.kubelet.run(evaluation)
    lab.wait_reason("Progressing", "Evaluating")
    lab.operator.kill()
    lab.kubelet.end(evaluation)
    lab.operator.start()
    message = lab.wait_reason("Complete", "TrainingComplete")["message"]
    assert "2d and 3d_fullres together were chosen by cross-validation (0.820), postprocessing of: tumour" in message
    assert "test Dice 0.810 over 12 cases" in message
    results = lab.status()["results"]
    assert (results["summary"], results["selection"]["summary"]) == ("0.810", "2d + 3d_fullres")
    (looks,) = lab.wait("the ledger", lambda: looks_of(lab))
    assert looks["total"] == 1 and [look["name"] for look in looks["looks"]] == ["hippo"]


def looks_of(lab: Lab) -> list[Object]:
    """Return what each ledger of the namespace has counted."""
    return [body["status"] for body in lab.api.list("nnunettestsets", lab.namespace) if body.get("status")]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"configurations": ["2d", "3d_fullres"], "testSet": {}}, "give selection: {}"),
        ({"selection": {}, "folds": [], "trainOnAllCases": True}, "give folds, or leave selection out"),
        ({"selection": {}, "replicates": 2, "trainer": {"seed": 1}}, "leave replicates out"),
        ({"configurations": ["2d"], "selection": {"ensembles": True}, "testSet": {}}, ""),
        ({"configurations": ["2d", "3d_fullres"], "selection": {"postprocessing": False}, "testSet": {}}, ""),
    ],
)
def test_when_something_can_be_chosen(api: Api, namespace: str, spec: Object, said: str) -> None:
    refused = api.refusal("nnunettrainings", training(namespace, **spec))
    assert said in refused and bool(said) == bool(refused)


def test_a_former_training_keeps_its_configuration(lab: Lab) -> None:
    """It has configuration alone, which is neither changed nor pruned; whoever writes it as before may go on to."""
    body = training(lab.namespace, configuration="2d", folds=[0])
    lab.apply(body)
    lab.plan_and_train()
    contract = contract_in(lab.kubelet.pod("hippo", "fold", "0"))
    assert contract["configuration"] == "2d" and "configurations" not in contract
    for changed in ({"configurations": ["3d_fullres"], "configuration": None}, {"configuration": None}):
        with pytest.raises(ApiError, match="configurations can't change after creation"):
            lab.set(**changed)
    lab.set(configuration=None, configurations=["2d"])  # the same in the present form
    assert lab.training()["spec"]["configurations"] == ["2d"]


def test_a_cascade_waits_for_the_folds_that_it_learns_from(lab: Lab) -> None:
    lab.apply(training(lab.namespace, configurations=["3d_cascade_fullres", "3d_lowres"], folds=[0, 1]))
    plan = {"message": "planned", "plan": PLAN_FACTS.to_json_dict()}
    lab.kubelet.end(lab.kubelet.pod("hippo", "plan"), 0, json.dumps(plan))
    lab.wait_jobs("hippo-plan", "hippo-fold-3d-lowres-0", "hippo-fold-3d-lowres-1")
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "3d_lowres-1"))
    waits = "waits for the folds of 3d_lowres, on whose predictions it learns (1 of 2 done)"
    lab.wait_said(waits)
    lab.operator.kill()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "3d_lowres-0"))
    lab.operator.start()
    high = [f"hippo-fold-3d-cascade-fullres-{fold}" for fold in (0, 1)]
    lab.wait_jobs("hippo-plan", "hippo-fold-3d-lowres-0", "hippo-fold-3d-lowres-1", *high)
