"""Policies as people meet them: the answer of kubectl, a training under an exception, a trainer that lies."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import CLAIMS, Lab
from tests.support.kube import Object, condition
from tests.support.small_training import PLATEAU, training, yielding

NAMESPACE, LIAR = "e2e-policy", "liar"
FLOOR = 6
POLICY: Object = {
    "apiVersion": "nnunet.dev/v1alpha1",
    "kind": "NnunetTrainingPolicy",
    "metadata": {"name": "e2e"},
    "spec": {
        "mode": "Enforce",
        "namespaces": [NAMESPACE],
        "rules": {"minEpochs": 1000, "earlyStopping": {"allowedModes": ["Disabled", "Observe"]}},
        "exceptions": [],
    },
}
EXCEPTION: Object = {
    "namespace": NAMESPACE,
    "name": "excepted",
    "minEpochs": FLOOR,
    "liftedRules": ["earlyStopping.allowedModes"],
    "reason": "the scanner is gone and no case can be added",
    "ticket": "QM-17",
    "approvedBy": "dr.x@example.org",
}


def in_the_background(lab: Lab) -> list[Object]:
    """Two replicates of one fold under an exception, stopped by the rule, and a trainer that lies.

    In a namespace with data and a policy of 1000 epochs.
    """
    lab.make_namespace(NAMESPACE)
    for folder in neighbours(lab):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        folder.parent.chmod(0o777)  # as nodes find folders that trainers made
    lab.kube.apply(excepting())
    spec: dict[str, Any] = {
        "replicates": 2,
        "trainer": {"device": "cpu", "seed": 5},
        "earlyStopping": {"mode": "Stop", **PLATEAU},
        "testSet": {},
    }
    excepted = yielding(training("excepted", NAMESPACE, epochs=9, **spec))
    # Admission learns of policies by a watch.
    probe, kube = training("probe", NAMESPACE), lab.kube
    kube.wait("the policy to be in force", lambda: "policy e2e:" in lab.admission(probe), timeout=180)
    kube.wait("the exception to be in force", lambda: "excepted created" in lab.admission(excepted), timeout=180)
    env = [{"name": "DISHONEST", "value": "1"}]
    trainer = {"device": "cpu", "image": lab.references["dishonest"], "env": env}
    return [excepted, yielding(training(LIAR, NAMESPACE, epochs=1000, trainer=trainer))]


def neighbours(lab: Lab) -> list[Path]:
    """Return the folders of another training that the liar would write to, if it could."""
    return [lab.volume(claim, NAMESPACE) / NAMESPACE / "neighbour-0a1b2c3d" for claim in CLAIMS]


@pytest.fixture(scope="module")
def namespace(lab: Lab) -> str:
    """The namespace with the policy."""
    return NAMESPACE


def excepting() -> Object:
    """Return the policy with an exception of half a year."""
    end = (datetime.now(UTC) + timedelta(days=180)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**POLICY, "spec": {**POLICY["spec"], "exceptions": [{**EXCEPTION, "expiresAt": end}]}}


def test_kubectl_says_what_is_wrong_and_what_to_do(lab: Lab, namespace: str) -> None:
    """The refusal and the advice come at apply, and nothing is created."""
    said = lab.kube.run("apply", "-f", "-", stdin=json.dumps(training("short", namespace)), check=False)
    assert "is forbidden" in said and "policy e2e: spec.schedule.epochs is 2, must be at least 1000" in said
    assert "ask those who may write the policy for an exception" in said
    assert "1-3 % Dice" in said
    assert lab.kube.get("nnt", "short", namespace) == {}


def test_the_policy_of_the_chart_guards_clinical_namespaces(lab: Lab) -> None:
    """A namespace that gets the label is guarded from then on."""
    name = "e2e-clinical"
    labels = {"nnunet.dev/clinical": "true"}
    lab.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    said = lab.kube.run("apply", "-f", "-", stdin=json.dumps(training("short", name)), check=False)
    for field in ("spec.schedule.epochs", "spec.trainer.image", "spec.trainer.seed", "spec.testSet"):
        assert field in said, said


@pytest.fixture(scope="module")
def excepted(lab: Lab, namespace: str) -> Object:
    """The status of the training under an exception when it is complete."""
    return lab.kube.wait_complete(namespace, "excepted", timeout=400)


def test_an_excepted_training_stops_no_earlier_than_its_floor(lab: Lab, namespace: str, excepted: Object) -> None:
    """The rule would act at epoch 3; the exception leaves 6."""
    assert [(fold["fold"], fold["replicate"]) for fold in excepted["folds"]] == [("0", 1), ("0", 2)]
    for fold in excepted["folds"]:
        assert (fold["epoch"], fold["epochsTarget"], fold["provenEpochs"]) == (FLOOR, 9, FLOOR)
        told = {"state": "Stopped", "epoch": FLOOR, "endEpoch": FLOOR, "suppressedEpoch": 3, "epochsSaved": 3}
        assert told.items() <= fold["earlyStopping"].items(), fold
    assert excepted["progress"]["percent"] == 100
    stopped = condition(excepted, "EarlyStopped")
    assert (stopped["status"], stopped["reason"]) == ("True", "PlateauStopped")
    lab.kube.wait_event(namespace, "excepted", "PolicyDecision")
    lab.kube.wait_event(namespace, "excepted", "EarlyStopSuppressed")


def test_replicates_tell_their_proof_spread_and_usage(lab: Lab, namespace: str, excepted: Object) -> None:
    """Evidence, seeds, scores of each, GPU-seconds."""
    for fold in excepted["folds"]:
        assert len(fold["checkpointHash"]) == 64 and fold["gpuSeconds"] >= 1
    assert condition(excepted, "EpochsProven")["reason"] == "CheckpointsVerified"
    results = excepted["results"]
    assert [(one["replicate"], one["seed"]) for one in results["replicates"]] == [(1, 5), (2, 6)]
    assert results["spread"]["testDice"] >= 0 and 0 <= results["testSurface"]["nsd"] <= 1
    # The evaluation predicts the test set with a GPU, too.
    assert excepted["usage"]["gpuSeconds"] > sum(fold["gpuSeconds"] for fold in excepted["folds"])
    assert excepted["provenance"]["seed"] == 5 and excepted["provenance"]["configurationHash"]

    volume = lab.volume("nnunet-results", namespace)
    evidence = json.loads((volume / excepted["provenance"]["evidencePath"]).read_text())
    assert [(fold["fold"], fold["epochs"]) for fold in evidence["folds"]] == [("0-r1", FLOOR), ("0-r2", FLOOR)]
    page = (volume / results["reportPath"]).read_text()
    assert "<svg" in page or "<img" in page


def test_that_there_was_an_exception_shows_for_ever(lab: Lab, namespace: str, excepted: Object) -> None:
    """Status, evidence, report and the audit tell of it, also when it is gone."""
    compliant = condition(excepted, "PolicyCompliant")
    assert (compliant["status"], compliant["reason"]) == ("True", "PolicyExcepted")
    assert excepted["policy"]["minEpochs"] == FLOOR
    (granted,) = excepted["policy"]["exceptions"]
    assert (granted["ticket"], granted["minEpochs"]) == ("QM-17", FLOOR)

    run = lab.volume("nnunet-results", namespace) / excepted["runPath"]
    lines = [json.loads(line) for line in (run / "policy.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {"plan", "train", "verify", "evaluate"}
    assert all(line["policy"]["exceptions"][0]["ticket"] == "QM-17" for line in lines)
    for file in ("evidence.json", "summary.json", "report.html"):
        assert "QM-17" in (run / file).read_text(), file
    lab.kube.apply(POLICY)
    after = lab.kube.status(namespace, "excepted")
    assert condition(after, "PolicyCompliant")["reason"] == "PolicyExcepted" and after["phase"] == "Completed"


def test_an_image_that_lies_about_its_epochs_and_writes_wherever_it_can(lab: Lab, namespace: str) -> None:
    """It trains 2 of 1000 epochs, ends with exit code 0 and says nothing: the operator's own image reads what was
    trained. No early stop is allowed. Of the claims it finds no more than its own part."""
    kube, name = lab.kube, LIAR
    status = kube.wait_finished(namespace, name, timeout=400)
    failed = condition(status, "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "PolicyEpochsNotProven"), failed
    assert "2" in failed["message"] and "1000" in failed["message"]
    assert condition(status, "Complete")["status"] == "False"
    assert not any(job["metadata"]["name"] == f"{name}-evaluate" for job in kube.jobs(namespace, name))

    left = {claim: lab.volume(claim, namespace) for claim in CLAIMS}
    found = {claim: {path.parent for path in root.rglob("was-here-*")} for claim, root in left.items()}
    run = left["nnunet-results"] / status["runPath"]
    shared = (left["nnunet-preprocessed"] / status["provenance"]["preprocessedPath"]).parent
    assert run in found["nnunet-results"] and shared in found["nnunet-preprocessed"], "it did not try"
    assert all(path.is_relative_to(run) for path in found["nnunet-results"])
    assert all(path.is_relative_to(shared) for path in found["nnunet-preprocessed"])
    assert not found["nnunet-raw"]
    assert not list(shared.rglob("*-train")), "what trainings share is planning's to write"
    assert not any(list(folder.iterdir()) for folder in neighbours(lab))
