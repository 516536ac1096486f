"""A comparison on a real API server: registered, waiting, comparing, with a verdict; and what it refuses."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from nnunet_api.comparison.contract import (
    COMPARISON_CONTRACT_ENV,
    ArmFacts,
    CandidateFacts,
    ComparisonContract,
    DifferenceFacts,
)
from nnunet_api.comparison.contract import ComparisonFacts as Facts
from nnunet_api.contract import TerminationReport
from tests.integration.conftest import Lab
from tests.support.api import Api, Object
from tests.support.builders import SUMMARY_HASH, comparison, training, words
from tests.support.kubelet import Autopilot

JOB = "shorter-compare"
T = TypeVar("T")


class Comparing:
    """A comparison in a lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._api = lab.api

    def create(self, **spec: Any) -> Object:
        """Create it."""
        return self._api.create("nnunetcomparisons", comparison(self.lab.namespace, **spec))

    def status(self) -> Object:
        """Return its status."""
        body = self._api.get("nnunetcomparisons", self.lab.namespace, "shorter") or {}
        status: Object = body.get("status", {})
        return status

    def condition(self, type_: str) -> Object:
        """Return one of its conditions; {} where there is none."""
        return next((one for one in self.status().get("conditions", []) if one["type"] == type_), {})

    def wait(self, type_: str, reason: str) -> str:
        """Wait until a condition has this reason; return its message."""

        def found() -> Object | None:
            condition = self.condition(type_)
            return condition if condition.get("reason") == reason else None

        return str(self.until(f"{type_} {reason}", found)["message"])

    def until(self, what: str, check: Callable[[], T | None]) -> T:
        """Wait until `check` returns something true and return it."""
        return self.lab.wait(what, check, "shorter")

    def set(self, **spec: Any) -> None:
        """Change fields of its spec."""
        self._api.merge("nnunetcomparisons", self.lab.namespace, "shorter", {"spec": spec})

    def pod(self) -> Object:
        """Wait for its pod and return it."""

        def living() -> Object | None:
            pods = self._api.list("pods", self.lab.namespace, labelSelector="nnunet.dev/comparison=shorter")
            alive = [one for one in pods if one.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
            return next((one for one in alive if "deletionTimestamp" not in one["metadata"]), None)

        return self.until("the pod of the comparison", living)

    def contract(self) -> ComparisonContract:
        """Return what its pod is told."""
        (container,) = self.pod()["spec"]["containers"]
        text = next(one["value"] for one in container["env"] if one["name"] == COMPARISON_CONTRACT_ENV)
        return ComparisonContract.model_validate_json(text)

    def end(self, **facts: Any) -> None:
        """Let its pod end with this outcome."""
        contract = self.contract()
        outcome = Facts(**{"uid": contract.uid, "registration": contract.registration} | facts)
        report = TerminationReport(message="compared", comparison=outcome)
        self.lab.kubelet.end(self.pod(), 0, words(report))

    def events(self) -> list[str]:
        """Return the reasons of its Events."""
        selector = "involvedObject.kind=NnunetComparison,involvedObject.name=shorter"
        return [one["reason"] for one in self._api.list("events", self.lab.namespace, fieldSelector=selector)]


@pytest.fixture
def comparing(lab: Lab) -> Comparing:
    """A comparison that is not made yet."""
    return Comparing(lab)


@pytest.fixture
def train(lab: Lab) -> Callable[..., None]:
    """Return a function that trains two arms to their ends."""

    def run(**of_short: Any) -> None:
        lab.apply(training(lab.namespace, "long", testSet={}, folds=[0]))
        lab.apply(
            training(lab.namespace, "short", **{"testSet": {}, "folds": [0], "schedule": {"epochs": 5}} | of_short)
        )
        with Autopilot(lab.api, lab.namespace, lambda: 0.0):
            for name in ("long", "short"):
                lab.wait_reason("Complete", "TrainingComplete", name)

    return run


def test_from_registration_to_a_verdict(comparing: Comparing, train: Callable[..., None]) -> None:
    """It says what it waits for, compares when all is there, and tells the verdict where people look."""
    comparing.create()
    message = comparing.wait("Progressing", "WaitingForArms")
    assert "training long is not there; training short is not there" in message
    train()
    # For a moment only, until the scheduler has said that there is no node; the Event stays.
    comparing.until("Progressing Starting, as announced", lambda: "Starting" in comparing.events())
    registration = comparing.status()["registration"]
    assert [one["name"] for one in registration["trainings"]] == ["long", "short"] and len(registration["digest"]) == 64
    contract = comparing.contract()
    assert [one.runs[0].summary_hash for one in contract.arms] == [SUMMARY_HASH] * 2
    assert (contract.baseline, contract.test_set, contract.founded) == ("standard", True, ["schedule.epochs"])
    comparing.lab.kubelet.run(comparing.pod())
    comparing.wait("Progressing", "Comparing")
    found = CandidateFacts(
        arm="fast",
        verdict="Inferior",
        difference=-0.018,
        low=-0.027,
        high=-0.009,
        worst_class="tumour",
        worst_class_difference=-0.04,
    )
    comparing.end(
        arms=[ArmFacts(name="standard", mean=0.9, replicates=1)], candidates=[found], cases=40, patients=17, seed="7"
    )
    sentence = (
        "fast loses 1.8 points (0.9 to 2.7) of Dice against standard: Inferior at a margin of 1 point; worst: tumour, "
        "4 points"
    )
    assert comparing.wait("Complete", "VerdictFound") == sentence
    status = comparing.status()
    assert (status["phase"], status["verdict"], status["cases"], status["patients"]) == (
        "Completed",
        "Inferior",
        40,
        17,
    )
    assert status["difference"] == "-0.0180 (-0.0270 to -0.0090)"
    assert comparing.condition("Comparable")["reason"] == "ConditionsEqual"
    assert not any("could be known" in note for note in status.get("notes", []))
    comparing.until("the Event", lambda: "VerdictFound" in comparing.events())
    assert comparing.events().count("Registered") == 1


def test_a_verdict_counts_whose_job_is_gone_when_the_operator_looks(
    comparing: Comparing, train: Callable[..., None]
) -> None:
    """As where a rule deletes Jobs at their end. Nobody has to ask for it again."""
    lab = comparing.lab
    comparing.create()
    train()
    pod = comparing.pod()
    with lab.operator.kept_from_looking():
        found = CandidateFacts(arm="fast", verdict="NonInferior", difference=0.0, low=-0.001, high=0.001)
        arms = [ArmFacts(name="standard", mean=0.9, replicates=1)]
        comparing.end(arms=arms, candidates=[found], cases=40, seed="7")
        lab.delete_ended(pod)
    comparing.wait("Complete", "VerdictFound")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"baseline": "none"}, "baseline must be the name of one of the arms"),
        (
            {"arms": [{"name": "a", "trainings": ["long"]}, {"name": "b", "trainings": ["long"]}]},
            "a training may be in one arm only",
        ),
        ({"arms": [{"name": "a", "trainings": ["long"]}]}, "at least 2 items"),
    ],
)
def test_what_makes_no_sense_is_refused(api: Api, namespace: str, spec: Object, words: str) -> None:
    assert words in api.refusal("nnunetcomparisons", comparison(namespace, **spec))


def test_what_can_not_be_compared_is_said_before_anything_trains(comparing: Comparing) -> None:
    """No GPU is used for it: neither training has begun when it is known."""
    lab = comparing.lab
    lab.apply(training(lab.namespace, "long", folds=[0], suspend=True, testSet={}))
    of_short = {
        "folds": [1],
        "testSet": {"labels": "labelsOther"},
        "configuration": "2d",
        "evaluation": {"surfaceToleranceMm": 2},
        "planning": {"planner": "nnUNetPlannerResEncL"},
        "trainer": {"className": "nnUNetTrainerDA5", "env": [{"name": "nnUNet_compile", "value": "t"}]},
        "earlyStopping": {"mode": "Observe"},
        "resources": {"gpus": 2},
    }
    lab.apply(training(lab.namespace, "short", suspend=True, **of_short))
    comparing.create()
    message = comparing.wait("Failed", "NotComparable")
    for part in (
        'folds: standard: ["0"]; fast: ["1"]',
        "testSet.labels: standard: labelsTs; fast: labelsOther",
        "configuration: standard: 3d_fullres; fast: 2d",
        "evaluation.surfaceToleranceMm: standard: 1.0; fast: 2.0",
        "planning.planner: standard: ExperimentPlanner; fast: nnUNetPlannerResEncL",
        "trainer.className: standard: nnUNetTrainer; fast: nnUNetTrainerDA5",
        "trainer.env.nnUNet_compile: standard: none; fast: t",
        "earlyStopping.mode: standard: Disabled; fast: Observe",
        "resources.gpus: standard: 1; fast: 2",
    ):
        assert part in message, message
    said = "schedule.epochs: is named in spec.varies, and does not differ: leave it out, or correct the arms"
    assert f"{said} (10 in all arms)" in message
    assert comparing.status()["phase"] == comparing.status()["verdict"] == "NotComparable"
    assert lab.jobs() == []


def test_what_only_the_runs_tell_is_said_at_the_end(comparing: Comparing, train: Callable[..., None]) -> None:
    comparing.create()
    train()
    comparing.end(differences=[DifferenceFacts(path="testSet.labelsHash", matter="standard: a; fast: b")])
    assert "testSet.labelsHash: standard: a; fast: b" in comparing.wait("Failed", "NotComparable")


def test_an_arm_that_failed_is_awaited_and_named(comparing: Comparing) -> None:
    lab = comparing.lab
    lab.apply(training(lab.namespace, "long", folds=[0], testSet={}))
    lab.apply(training(lab.namespace, "short", folds=[0], schedule={"epochs": 5}, testSet={}, suspend=True))
    comparing.create()
    lab.kubelet.end(lab.kubelet.pod("long", "plan"), 65, '{"message": "no case is complete"}')
    message = comparing.wait("Progressing", "ArmFailed")
    assert message.startswith(
        "waits for its arms: training long has failed (WrongData); training short is not complete"
    )


def test_another_training_under_a_registered_name_ends_it(comparing: Comparing) -> None:
    """Nobody can put another result into an arm, nor take a losing one away. The same training anew is another."""
    lab = comparing.lab
    body = training(lab.namespace, "long", folds=[0], suspend=True, testSet={})
    uid = lab.apply(body)["metadata"]["uid"]
    comparing.create()
    comparing.until("the registration", lambda: "long" in str(comparing.status().get("registration")))
    lab.api.delete("nnunettrainings", lab.namespace, "long")
    lab.apply(body)
    assert f"long of arm standard (UID {uid})" in comparing.wait("Failed", "ArmChanged")
    comparing.set(suspend=True)
    comparing.set(suspend=False)
    lab.apply(training(lab.namespace, "short", folds=[0], suspend=True, testSet={}, schedule={"epochs": 5}))
    lab.wait_reason("Suspended", "SuspendedByUser", "short")
    assert comparing.condition("Failed")["reason"] == "ArmChanged", "it is final"


def test_a_losing_replicate_that_is_deleted_ends_it(comparing: Comparing) -> None:
    """Who trains may delete it; the rest of its arm is no arm then."""
    lab = comparing.lab
    trainings = {"standard": ["long"], "fast": ["short", "unlucky"]}
    for place, name in enumerate(("long", "short", "unlucky")):
        spec = {"folds": [0], "suspend": True, "testSet": {}, "trainer": {"seed": place}}
        lab.apply(training(lab.namespace, name, schedule={"epochs": 5 if place else 10}, **spec))
    arms = [{"name": name, "trainings": of} for name, of in trainings.items()]
    comparing.create(arms=arms, varies=["schedule.epochs", "trainer.seed"])
    comparing.until("the registration", lambda: (comparing.status().get("registration") or {}).get("digest"))
    lab.api.delete("nnunettrainings", lab.namespace, "unlucky")
    assert "unlucky of arm fast" in comparing.wait("Failed", "ArmChanged")


def test_a_failed_comparison_is_tried_again_and_a_late_one_says_so(
    comparing: Comparing, train: Callable[..., None]
) -> None:
    """Suspended and resumed; its trainings were complete when it was made, for another margin, which its notes tell."""
    train()
    comparing.create(maxDiceLoss=0.05)
    comparing.lab.kubelet.end(comparing.pod(), 65, '{"message": "summary.json was changed after its evaluation"}')
    assert "summary.json was changed" in comparing.wait("Failed", "WrongData")
    comparing.set(suspend=True)
    comparing.wait("Suspended", "SuspendedByUser")
    comparing.set(suspend=False)
    found = CandidateFacts(arm="fast", verdict="Equivalent", difference=0.001, low=-0.002, high=0.004)
    comparing.end(candidates=[found], cases=40)
    comparing.wait("Complete", "VerdictFound")
    status = comparing.status()
    assert [one["complete"] for one in status["registration"]["trainings"]] == [True, True]
    assert any("scored already (long, short): their scores could be known" in note for note in status["notes"])
    comparing.set(ttlSecondsAfterFinished=1)
    comparing.until(
        "its time to live",
        lambda: comparing.lab.api.get("nnunetcomparisons", comparing.lab.namespace, "shorter") is None,
    )
    comparing.until("its Job to go", lambda: JOB not in [job["metadata"]["name"] for job in comparing.lab.jobs()])


def test_a_verdict_about_something_else_is_not_believed(comparing: Comparing, train: Callable[..., None]) -> None:
    comparing.create()
    train()
    comparing.end(registration="0" * 64)
    assert "no verdict that can be believed" in comparing.wait("Failed", "OutcomeLost")


def test_one_that_was_killed_for_memory_leaves_no_job_that_goes_on(
    comparing: Comparing, train: Callable[..., None]
) -> None:
    comparing.create()
    train()
    comparing.lab.kubelet.end(comparing.pod(), 137, "", "OOMKilled")
    assert "needed more than spec.resources.memory" in comparing.wait("Failed", "OutOfMemory")
    comparing.until("its Job to go", lambda: JOB not in [job["metadata"]["name"] for job in comparing.lab.jobs()])
    assert comparing.condition("Failed")["reason"] == "OutOfMemory"
    comparing.set(suspend=True)
    comparing.wait("Suspended", "SuspendedByUser")
    comparing.set(suspend=False, resources={"memory": "8Gi"})
    comparing.end(candidates=[CandidateFacts(arm="fast", verdict="Equivalent", difference=0.0, low=0, high=0)], cases=9)
    comparing.wait("Complete", "VerdictFound")


def test_a_quota_is_answered_by_fields_of_the_comparison(comparing: Comparing, train: Callable[..., None]) -> None:
    """Not by a training's, which it does not have; and its Job is made anew after it was suspended."""
    train()
    lab = comparing.lab
    spec = {"hard": {"limits.cpu": "100", "requests.ephemeral-storage": "100Gi"}}
    lab.api.create("resourcequotas", {"metadata": {"name": "team", "namespace": lab.namespace}, "spec": spec})
    pod = {"restartPolicy": "Never", "containers": [{"name": "trial", "image": "trial"}]}
    trial = {"metadata": {"name": "trial", "namespace": lab.namespace}, "spec": pod}
    lab.wait("the quota to be in force", lambda: "must specify" in lab.api.refusal("pods", trial))
    comparing.create()
    message = comparing.wait("Progressing", "PodRejected")
    assert "must specify limits.cpu" in message and "spec.resources.preprocessing" not in message, message
    assert "Give it: limits.cpu is spec.resources.cpuLimit of the comparison" in message
    assert "set spec.suspend of the comparison to true" in message
    comparing.set(suspend=True, resources={"cpuLimit": "2", "ephemeralStorage": "1Gi"})
    comparing.wait("Suspended", "SuspendedByUser")
    comparing.set(suspend=False)
    comparing.pod()
