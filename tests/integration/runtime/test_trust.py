"""What a training has to prove, and what is told of early stops, stalls and replicates."""

import time
from typing import Any

import pytest

from nnunet_api.contract import EvidenceFacts, TerminationReport
from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.reasons import EarlyStoppingState
from tests.integration.conftest import Lab
from tests.support.api import Object
from tests.support.builders import evidence, training, words
from tests.support.kubelet import Autopilot
from tests.support.trainer import Trainer

LONG: dict[str, Any] = {"folds": [0], "schedule": {"epochs": 1000}}
FORTY = evidence({"0": 40})


def fold_report(epoch: int, verdict: EarlyStopFacts | None = None, target: int = 1000) -> str:
    """Return what fold 0 says at its end."""
    facts = FoldFacts(fold="0", epoch=epoch, epochs_target=target, attempts=1, early_stopping=verdict, held_seconds=60)
    return words(TerminationReport(message="trained", fold=facts))


def proof_report(found: EvidenceFacts) -> str:
    """Return what the verification says at its end."""
    return words(TerminationReport(message="verified", evidence=found))


def train(lab: Lab, message: str | None = None) -> None:
    """Let planning and fold 0 end with exit code 0."""
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"), message=message)


@pytest.mark.parametrize(
    ("said", "code", "proof"),
    [
        pytest.param("", 0, proof_report(FORTY), id="a silent trainer and what its checkpoint proves"),
        pytest.param(fold_report(1000), 0, proof_report(FORTY), id="a trainer that claims all epochs"),
        pytest.param("", 70, '{"message": "fold 0: 40 of 1000 epochs"}', id="a verification that fails by itself"),
        pytest.param("", 0, "", id="a verification without evidence"),
        pytest.param(fold_report(40), None, None, id="a trainer that says itself that it ended early"),
    ],
)
def test_exit_code_0_at_epoch_40_of_1000(lab: Lab, said: str, code: int | None, proof: str | None) -> None:
    """It ends as Failed, whoever says what, and is neither evaluated nor complete."""
    lab.apply(training(lab.namespace, **LONG))
    train(lab, said)
    if code is not None:
        lab.kubelet.end(lab.kubelet.pod("hippo", "verify"), code, proof)
    failed = lab.wait_reason("Failed", "EpochsNotReached")
    assert failed["status"] == "True" and "spec.suspend" in failed["message"]
    if proof != "":
        assert "fold 0" in failed["message"] and "40 of 1000" in failed["message"]
    assert (lab.condition("Complete")["status"], lab.status()["phase"]) == ("False", "Failed")
    assert lab.condition("EpochsProven")["reason"] == "EpochsNotReached"
    verification = [] if code is None else ["hippo-verify"]
    lab.wait_jobs("hippo-fold-0", "hippo-plan", *verification)
    lab.wait_event("EpochsNotReached")


def test_a_retry_after_missing_proof_trains_on_and_verifies_again(lab: Lab) -> None:
    """Suspending and resuming believes neither folds nor evidence."""
    lab.apply(training(lab.namespace, **LONG))
    train(lab)
    lab.kubelet.end(lab.kubelet.pod("hippo", "verify"), message=proof_report(FORTY))
    lab.wait_reason("Failed", "EpochsNotReached")
    assert lab.status()["folds"][0]["provenEpochs"] == 40
    lab.set(suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser")
    lab.wait_jobs()
    assert "provenEpochs" not in lab.status()["folds"][0]
    lab.set(suspend=False)
    train(lab)
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    assert lab.status()["folds"][0]["provenEpochs"] == 1000


def test_the_verification_runs_the_operators_settings_without_the_users_environment(lab: Lab) -> None:
    """An image that checks itself proves nothing, and a class on a volume can make any image say anything."""
    own = {"image": "registry.example/ours:7", "env": [{"name": "nnUNet_extTrainer", "value": "/nnunet/results/lie"}]}
    lab.apply(training(lab.namespace, folds=[0], trainer=own))
    train(lab)
    (verify,) = lab.kubelet.pod("hippo", "verify")["spec"]["containers"]
    trained = lab.api.list("pods", lab.namespace, labelSelector="nnunet.dev/stage=fold")
    (fold,) = trained[0]["spec"]["containers"]
    assert fold["image"] == "registry.example/ours:7" and names(fold) >= {"nnUNet_extTrainer"}
    assert verify["image"] == "registry.example/trainer:1" and "nnUNet_extTrainer" not in names(verify)
    assert (verify["imagePullPolicy"], verify["args"]) == ("IfNotPresent", ["verify"])
    run = f"/nnunet/results/{lab.status()['runPath']}"
    assert [mount["mountPath"] for mount in verify["volumeMounts"]] == [run, "/dev/shm", "/tmp"]
    assert "nvidia.com/gpu" not in verify["resources"]["limits"]
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    provenance = lab.status()["provenance"]
    assert provenance["image"] == "registry.example/ours:7"
    assert provenance["evidencePath"] == lab.status()["runPath"] + "/evidence.json"
    assert lab.status()["folds"][0]["checkpointHash"] == "c" * 64


def names(container: Object) -> set[str]:
    """Return the names of a container's environment variables."""
    return {variable["name"] for variable in container["env"]}


def test_evidence_that_nobody_read_is_looked_for_again(lab: Lab) -> None:
    """The verification ends and its node is removed while there is no operator."""
    lab.apply(training(lab.namespace, folds=[0]))
    train(lab)
    pod = lab.kubelet.pod("hippo", "verify")
    lab.operator.kill()
    lab.kubelet.end(pod)
    lab.wait("the Job to be complete", lambda: complete(lab, "hippo-verify"))
    old = lab.api.get("jobs", lab.namespace, "hippo-verify") or {}
    lab.api.delete("pods", lab.namespace, pod["metadata"]["name"])
    lab.wait("no pod", lambda: not lab.api.get("pods", lab.namespace, pod["metadata"]["name"]))
    lab.operator.start()
    again = lab.kubelet.pod("hippo", "verify")
    assert again["metadata"]["ownerReferences"][0]["uid"] != old["metadata"]["uid"]
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")


def complete(lab: Lab, name: str) -> bool:
    """Say whether a Job has completed."""
    job = lab.api.get("jobs", lab.namespace, name) or {}
    return any(c["type"] == "Complete" and c["status"] == "True" for c in job.get("status", {}).get("conditions", []))


def test_replicates_are_trained_each_with_its_own_jobs(lab: Lab) -> None:
    """Two replicates of one fold, one at a time; one plan, one verification, one evaluation."""
    trainer = {"seed": 5}
    lab.apply(training(lab.namespace, folds=[0], replicates=2, trainer=trainer, maxParallelFolds=1))
    lab.plan_and_train()
    lab.wait_jobs("hippo-fold-0-r1", "hippo-plan")
    first = lab.kubelet.pod("hippo", "fold", "0-r1")
    assert first["spec"]["containers"][0]["args"] == ["train", "--fold", "0", "--replicate", "1"]
    lab.kubelet.end(first)
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0-r2"))
    lab.verify_and_evaluate()
    message = lab.wait_reason("Complete", "TrainingComplete")["message"]
    assert "in 2 replicates" in message
    lab.wait_jobs("hippo-evaluate", "hippo-fold-0-r1", "hippo-fold-0-r2", "hippo-plan", "hippo-verify")
    status = lab.status()
    assert [(fold["fold"], fold["replicate"], fold["provenEpochs"]) for fold in status["folds"]] == [
        ("0", 1, 10),
        ("0", 2, 10),
    ]
    assert (status["progress"]["summary"], status["provenance"]["seed"]) == ("20/20", 5)


def test_an_early_stop_is_told_and_proven(lab: Lab, trainer: Trainer) -> None:
    """Annealing, the end, the evidence: the condition names the epochs, and all of them make 100 %."""
    rule = {"mode": "Anneal", "minEpochs": 4, "patienceEpochs": 2, "annealEpochs": 2}
    lab.apply(training(lab.namespace, folds=[0], earlyStopping=rule))
    lab.plan_and_train()
    trainer.says(3, early_stopping=EarlyStopFacts(state=EarlyStoppingState.WATCHING))
    pod = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(pod, trainer.address)
    lab.wait_reason("EarlyStopped", "RuleNotFired")
    annealing = EarlyStopFacts(state=EarlyStoppingState.ANNEALING, epoch=5, end_epoch=7, epochs_saved=3)
    trainer.says(5, early_stopping=annealing, held_seconds=50)
    message = lab.wait_reason("EarlyStopped", "PlateauAnnealing")["message"]
    assert "until epoch 7 (plateau at 5)" in message
    assert (lab.status()["progress"]["summary"], lab.status()["usage"]["gpuSeconds"]) == ("5/7", 50)
    verdict = EarlyStopFacts(state=EarlyStoppingState.STOPPED, epoch=5, end_epoch=7, epochs_saved=3)
    lab.kubelet.end(pod, message=fold_report(7, verdict, target=10))
    stopped = lab.wait_reason("EarlyStopped", "PlateauAnnealed")
    assert stopped["status"] == "True" and "not convergence" in stopped["message"]
    lab.kubelet.end(lab.kubelet.pod("hippo", "verify"), message=proof_report(evidence({"0": 7}, verdict)))
    lab.kubelet.end(lab.kubelet.pod("hippo", "evaluate"))
    lab.wait_reason("Complete", "TrainingComplete")
    status = lab.status()
    fold = status["folds"][0]
    assert (status["progress"]["percent"], status["usage"]["gpuSeconds"]) == (100, 60)
    assert (fold["epoch"], fold["epochsTarget"], fold["provenEpochs"]) == (7, 10, 7)
    assert fold["earlyStopping"] == {"state": "Stopped", "epoch": 5, "endEpoch": 7, "epochsSaved": 3}
    lab.wait_event("PlateauFound", times=2)  # it began to anneal, it ended


STALL: dict[str, Any] = {"folds": [0], "stallTimeoutSeconds": 10}


@pytest.mark.parametrize("answers", [True, False], ids=["it answers", "it is frozen"])
def test_a_fold_that_stands_still_is_restarted_from_its_checkpoint(lab: Lab, trainer: Trainer, answers: bool) -> None:
    """Told first, then restarted, counted once."""
    trainer.says(3)
    lab.apply(training(lab.namespace, **STALL, restartOnStall=True))
    lab.plan_and_train()
    first = lab.kubelet.pod("hippo", "fold", "0")
    began = time.monotonic()
    lab.kubelet.run(first, trainer.address)
    lab.wait("epoch 3", lambda: lab.status()["folds"][0]["epoch"] == 3)
    if not answers:
        trainer.answer = b"no facts, nor {"
    lab.wait("an Event", lambda: "RestartedAfterStall" in lab.events())
    assert time.monotonic() - began > 8
    lab.wait_event("NoEpochFinished")
    second = another_pod(lab, first)
    assert second["metadata"]["ownerReferences"][0]["uid"] != first["metadata"]["ownerReferences"][0]["uid"]
    trainer.says(4)
    lab.kubelet.run(second, trainer.address)
    lab.wait("epoch 4", lambda: lab.status()["folds"][0]["epoch"] == 4)
    assert lab.condition("Stalled")["reason"] == "NotStalled"
    assert lab.status()["folds"][0]["stallRestarts"] == 1
    lab.kubelet.end(second)
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")


def test_a_stall_survives_the_operator(lab: Lab, trainer: Trainer) -> None:
    """Without restartOnStall nothing is touched. A new operator knows of it, although it has measured nothing yet."""
    trainer.says(3)
    lab.apply(training(lab.namespace, **STALL))
    lab.plan_and_train()
    pod = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(pod, trainer.address)
    told = lab.wait_reason("Stalled", "NoEpochFinished")
    assert pod["metadata"]["name"] in told["message"] and "since epoch 3" in told["message"]
    assert lab.status()["folds"][0]["stalledPod"] == pod["metadata"]["name"]
    before = lab.status()
    lab.operator.kill()
    lab.operator.start()
    lab.look()
    assert lab.status() == before, lab.describe()
    assert lab.kubelet.pod("hippo", "fold", "0")["metadata"]["uid"] == pod["metadata"]["uid"]


def another_pod(lab: Lab, first: Object) -> Object:
    """Wait for the pod of fold 0 that takes another's place, which the garbage collector may still have to delete."""

    def found() -> Object | None:
        pods = lab.kubelet.pods("hippo", "fold", "0")
        return next((pod for pod in pods if pod["metadata"]["uid"] != first["metadata"]["uid"]), None)

    return lab.wait("another pod", found)


def test_a_refused_dataset_is_named_in_its_condition(lab: Lab) -> None:
    """DatasetReady=False with the reason and the offending file, and no GPU was asked for."""
    lab.apply(training(lab.namespace))
    leak = "imagesTs/case_07_0000.nii.gz is the training case case_03: a test case must not be trained on"
    lab.kubelet.end(lab.kubelet.pod("hippo", "plan"), 65, words(TerminationReport(message=leak)))
    refused = lab.wait_reason("DatasetReady", "WrongData")
    assert refused["status"] == "False" and "imagesTs/case_07_0000.nii.gz" in refused["message"]
    lab.wait_jobs("hippo-plan")


def test_trainings_of_all_kinds_come_to_their_end(lab: Lab) -> None:
    """Replicates and an early-stopping rule change nothing in how a training ends well."""
    trainer = {"seed": 1}
    lab.apply(training(lab.namespace, "many", folds=[0, 1], replicates=3, trainer=trainer, maxParallelFolds=5))
    lab.apply(training(lab.namespace, "watched", earlyStopping={"mode": "Observe"}))
    with Autopilot(lab.api, lab.namespace, lambda: 0.3) as kubelet:
        for name in ("many", "watched"):
            lab.wait_reason("Complete", "TrainingComplete", name)
            assert lab.condition("EpochsProven", name)["status"] == "True"
    assert kubelet.most_running["many"] <= 5
