"""Policies as the operator applies them: before the first Job, while it runs, when they change, at the end."""

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nnunet_api.contract import FoldEvidence, TerminationReport
from nnunet_api.facts import EarlyStopFacts
from nnunet_api.reasons import EarlyStoppingState
from tests.integration.conftest import Lab, make_namespace
from tests.support.api import Api, Object, wait_for
from tests.support.builders import evidence, training, words
from tests.support.kubelet import contract_of
from tests.support.process import OperatorProcess
from tests.support.trainer import Trainer

ONE: dict[str, Any] = {"folds": [0], "schedule": {"epochs": 10}}
STOP = {"mode": "Stop", "minEpochs": 2, "patienceEpochs": 1}
Write = Callable[..., str]


@pytest.fixture
def policy(api: Api, lab: Lab) -> Iterator[Write]:
    """Return a function that writes a policy for the lab's namespace, with these rules, and returns its name."""
    name = f"p-{uuid.uuid4().hex[:8]}"

    def write(mode: str = "Enforce", exceptions: Any = (), **rules: Any) -> str:
        spec = {"mode": mode, "namespaces": [lab.namespace], "rules": rules, "exceptions": list(exceptions)}
        body = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingPolicy", "metadata": {"name": name}}
        api.apply("nnunettrainingpolicies", {**body, "spec": spec})
        return name

    yield write
    if api.get("nnunettrainingpolicies", "", name):
        api.delete("nnunettrainingpolicies", "", name)


def exception(lab: Lab, seconds: float, **changes: Any) -> Object:
    """Return an exception for hippo that ends in so many seconds."""
    end = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "namespace": lab.namespace,
        "name": "hippo",
        "reason": "the scanner is gone and no case can be added",
        "ticket": "QM-17",
        "approvedBy": "dr.x@example.org",
        "expiresAt": end,
        "minEpochs": 10,
        **changes,
    }


def test_a_verification_by_a_tag_that_was_moved_proves_nothing(lab: Lab, policy: Write) -> None:
    """The node that verifies has another image under the operator's tag than the one that made the folders."""
    policy(minEpochs=10)
    digest = "sha256:" + "c" * 64
    lab.apply(training(lab.namespace, **ONE, trainer={"image": f"registry.example/mine@{digest}"}))
    plan = lab.kubelet.pod("hippo", "plan")
    image = f"registry.example/trainer@{digest}"
    made: Object = {"name": "prepare", "image": image, "imageID": image, "ready": True, "restartCount": 0}
    made["state"] = {"terminated": {"exitCode": 0, "containerID": "containerd://1"}}
    lab.api.merge(
        "pods", lab.namespace, plan["metadata"]["name"], {"status": {"initContainerStatuses": [made]}}, sub="status"
    )
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    assert lab.status()["provenance"]["verifierImageDigest"] == image
    lab.kubelet.end(lab.kubelet.pod("hippo", "verify"))
    failed = lab.wait_reason("Failed", "PolicyEpochsNotProven")
    assert f"and was {image} when the training was planned, so its tag was moved" in failed["message"]
    assert "provenEpochs" not in lab.status()["folds"][0]


def wait_use(api: Api, name: str, **wanted: Any) -> Object:
    """Wait until the status of a policy says this, and return it."""

    def found() -> Object | None:
        body = api.get("nnunettrainingpolicies", "", name) or {}
        status: Object = body.get("status", {})
        return status if wanted.items() <= status.items() else None

    return wait_for(f"policy status {wanted}", found, about=lambda: str(api.get("nnunettrainingpolicies", "", name)))


def test_a_denied_training_waits_and_begins_when_it_is_allowed(lab: Lab, policy: Write) -> None:
    """Also one that admission has let through: here there is no admission policy at all."""
    name = policy(minEpochs=1000)
    wait_use(lab.api, name, observedGeneration=1)  # the watches of policies and trainings are in no order
    lab.apply(training(lab.namespace, **ONE))
    held = lab.wait_reason("PolicyCompliant", "PolicyDenied")
    assert f"policy {name}: spec.schedule.epochs is 10, must be at least 1000" in held["message"]
    assert (lab.status()["phase"], lab.condition("Suspended")["status"]) == ("PolicyDenied", "True")
    lab.wait_event("PolicyDecision")
    wait_use(lab.api, name, trainings=1, denied=1)
    assert lab.jobs() == []
    series = f'nnunet_policy_decisions_total{{outcome="Denied",policy="{name}",rule="minEpochs"}}'
    assert lab.operator.metrics()[series] == 1
    policy(minEpochs=10)
    lab.wait_jobs("hippo-plan")
    lab.wait_reason("PolicyCompliant", "PoliciesKept")
    assert lab.status()["policy"]["minEpochs"] == 10
    wait_use(lab.api, name, trainings=1, denied=0)
    lab.wait_event("PolicyDecision", 2)


def test_a_tightened_policy_suspends_at_the_checkpoint_and_a_loosened_one_resumes(lab: Lab, policy: Write) -> None:
    policy(minEpochs=10)
    lab.apply(training(lab.namespace, **ONE))
    lab.plan_and_train()
    lab.kubelet.run(lab.kubelet.pod("hippo", "fold", "0"))
    lab.wait_reason("Progressing", "Training")
    policy(minEpochs=11)
    lab.wait_reason("PolicyCompliant", "PolicyChanged")
    suspended = lab.wait_reason("Suspended", "PolicyChanged")
    assert suspended["status"] == "True"
    lab.wait_jobs("hippo-plan")
    policy(minEpochs=10)
    lab.wait_jobs("hippo-fold-0", "hippo-plan")
    lab.wait_event("Resumed")


def test_the_label_of_a_namespace_counts_at_once(lab: Lab) -> None:
    lab.apply(training(lab.namespace, **ONE))
    lab.wait_jobs("hippo-plan")
    lab.api.merge("namespaces", "", lab.namespace, {"metadata": {"labels": {"nnunet.dev/clinical": "true"}}})
    lab.wait_reason("PolicyCompliant", "PolicyMissing")
    lab.wait_jobs()
    lab.api.merge("namespaces", "", lab.namespace, {"metadata": {"labels": {"nnunet.dev/clinical": None}}})
    lab.wait_jobs("hippo-plan")


def test_a_training_that_was_created_while_the_operator_was_down(lab: Lab, policy: Write) -> None:
    lab.operator.kill()
    policy(minEpochs=1000)
    lab.apply(training(lab.namespace, **ONE))
    lab.operator.start()
    lab.wait_reason("PolicyCompliant", "PolicyDenied")
    assert lab.jobs() == []


def test_a_new_clinical_namespace_is_known_at_once(api: Api, start_operator: Callable[..., OperatorProcess]) -> None:
    """The operator sees the training, perhaps before the watch has told of its namespace."""
    namespace = make_namespace(api, **{"nnunet.dev/clinical": "true"})
    lab = Lab(api, namespace, start_operator(namespace))
    lab.apply(training(namespace, **ONE))
    lab.wait_reason("PolicyCompliant", "PolicyMissing")
    assert lab.jobs() == []


def test_an_exception_ends_by_the_clock_while_it_runs(lab: Lab, policy: Write) -> None:
    name = policy(minEpochs=1000, exceptions=[exception(lab, seconds=86400)])
    lab.apply(training(lab.namespace, **ONE))
    lab.wait_jobs("hippo-plan")
    excepted = lab.wait_reason("PolicyCompliant", "PolicyExcepted")
    assert "ticket QM-17, approved by dr.x@example.org" in excepted["message"]
    use = wait_use(lab.api, name, trainings=1, excepted=1)
    assert use["conditions"][0]["reason"] == "ExceptionEndsSoon"
    metrics = lab.operator.metrics()
    assert metrics[f'nnunet_training_policy_excepted{{namespace="{lab.namespace}",training="hippo"}}'] == 1
    expiry = f'nnunet_policy_exception_expiry_timestamp_seconds{{namespace="{lab.namespace}",policy="{name}"'
    (end,) = [value for series, value in metrics.items() if series.startswith(expiry)]
    assert 86000 < end - time.time() < 86400
    policy(minEpochs=1000, exceptions=[exception(lab, seconds=2)])
    changed = lab.wait_reason("PolicyCompliant", "PolicyChanged")
    assert "exception QM-17 ended at" in changed["message"]
    lab.wait_jobs()
    assert {granted["ticket"] for granted in lab.status()["policy"]["exceptions"]} == {"QM-17"}


def policy_events(api: Api, name: str) -> list[str]:
    """Return the reasons of the Events on a policy."""
    selector = f"involvedObject.kind=NnunetTrainingPolicy,involvedObject.name={name}"
    return [event["reason"] for event in api.list("events", "default", fieldSelector=selector)]


def test_an_event_on_the_policy_warns_before_an_exception_ends(lab: Lab, policy: Write) -> None:
    granted = exception(lab, seconds=13 * 86400)
    name = policy(minEpochs=10, exceptions=[granted])
    lab.wait("the warning", lambda: policy_events(lab.api, name) == ["ExceptionExpiring"])
    lab.operator.stop()
    lab.operator.start()
    for generation in (2, 3):  # an Event comes after the status, and before the status of what is written next
        policy(minEpochs=9 + generation, exceptions=[granted])
        wait_use(lab.api, name, observedGeneration=generation)
    assert policy_events(lab.api, name) == ["ExceptionExpiring"]


def test_a_raised_minimum_reaches_a_running_trainer(lab: Lab, policy: Write) -> None:
    """Its pod could stop early, by the minimum that it was told: a new one goes on from the checkpoint."""
    policy(earlyStopping={"minEpochs": 2})
    lab.apply(training(lab.namespace, **ONE, earlyStopping={**STOP, "minEpochs": 8}))
    lab.plan_and_train()
    pod = lab.kubelet.pod("hippo", "fold", "0")
    assert contract_of(pod).min_epochs == 2
    lab.kubelet.run(pod)
    lab.wait_reason("Progressing", "Training")
    policy(earlyStopping={"minEpochs": 8})

    def told() -> int:
        return next((contract_of(pod).min_epochs for pod in lab.kubelet.pods("hippo", "fold", "0")), 0)

    lab.wait("a pod that was told more", lambda: told() == 8)
    assert lab.condition("PolicyCompliant")["reason"] == "PoliciesKept"


def test_a_suppressed_stop_is_recorded(lab: Lab, policy: Write, trainer: Trainer) -> None:
    policy(minEpochs=10)
    lab.apply(training(lab.namespace, **ONE, earlyStopping=STOP))
    lab.plan_and_train()
    trainer.says(5, early_stopping=EarlyStopFacts(state=EarlyStoppingState.WATCHING, suppressed_epoch=3))
    lab.kubelet.run(lab.kubelet.pod("hippo", "fold", "0"), trainer.address)
    lab.wait_event("EarlyStopSuppressed")
    assert lab.status()["folds"][0]["earlyStopping"]["suppressedEpoch"] == 3


def test_evidence_below_the_minimum_fails_whatever_the_trainer_says(lab: Lab, policy: Write) -> None:
    """Its image stopped at 4 epochs, by a rule that it made up, and says that all is well."""
    policy(minEpochs=10)
    lab.apply(training(lab.namespace, **ONE, earlyStopping=STOP))
    lab.plan_and_train()
    stopped = EarlyStopFacts(state=EarlyStoppingState.STOPPED, epoch=4, end_epoch=4, epochs_saved=6)
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"), message="")
    proof = evidence({"0": 4}).model_copy(
        update={"folds": [FoldEvidence(fold="0", epochs=4, checkpoint_hash="c" * 64, early_stopping=stopped)]}
    )
    message = words(TerminationReport(message="verified", evidence=proof))
    lab.kubelet.end(lab.kubelet.pod("hippo", "verify"), message=message)
    failed = lab.wait_reason("Failed", "PolicyEpochsNotProven")
    assert "fold 0 proves 4 of 10 epochs (policy asks for at least 10)" in failed["message"]
    assert lab.condition("Complete")["status"] == "False"


def test_what_is_complete_stays_complete(lab: Lab, policy: Write) -> None:
    name = policy(minEpochs=10)
    lab.apply(training(lab.namespace, **ONE))
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    before = lab.status()
    lab.apply(training(lab.namespace, "other", **ONE))
    lab.wait_reason("PolicyCompliant", "PoliciesKept", "other")
    policy(minEpochs=1000)
    broken = lambda: lab.condition("PolicyCompliant", "other")["status"] == "False"  # noqa: E731
    lab.wait("a look at all trainings", broken, "other")
    lab.api.delete("nnunettrainingpolicies", "", name)
    lab.wait_reason("PolicyCompliant", "NoPolicy", "other")
    lab.look()
    assert lab.status() == before
