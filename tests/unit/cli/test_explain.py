"""Explanations, as a table: for everything that stops a training there is a remedy."""

from datetime import UTC, datetime
from typing import Any

import pytest

from nnunet_api.exit_codes import TERMINAL_EXIT_CODES
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Group, told
from nnunet_api.remedies.table import REMEDIES
from nnunet_cli.explain.explanation import Explanation, explain
from nnunet_cli.explain.output import as_data, as_text
from nnunet_cli.kube.evidence import Evidence
from nnunet_cli.kube.watched import Event, watched
from nnunet_operator.kube.failures import REASONS
from tests.support.made_statuses import condition, fold

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

STOPPING = [reason for reason in Reason if REMEDIES[reason].group is not Group.ASIDE]


def body(*conditions: Any, age: int = 600, **status: Any) -> dict[str, Any]:
    created = datetime.fromtimestamp(NOW.timestamp() - age, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"namespace": "clinic", "name": "hippo", "uid": "u", "creationTimestamp": created, "generation": 1}
    return {"metadata": metadata, "spec": {}, "status": {"conditions": list(conditions), **status}}


def evidence(found: dict[str, Any], **parts: Any) -> Evidence:
    return Evidence(watched(found), found["spec"], **parts)


def said(*conditions: Any, age: int = 600, **parts: Any) -> Explanation:
    return explain(evidence(body(*conditions, age=age), **parts), NOW)


def by(reason: str, message: str = "fold 0 waits") -> dict[str, Any]:
    return condition("Progressing", reason, message, "False")


@pytest.mark.parametrize("reason", STOPPING)
def test_none_that_stops_a_training_is_without_a_remedy(reason: Reason) -> None:
    found = said(by(reason))
    assert found.reason == reason and len(found.matter) > 20 and found.todo and found.look
    assert "The operator says: fold 0 waits." in found.matter
    assert not any(brace in text for text in (found.matter, found.todo) for brace in "{}")
    assert all(command.startswith(("kubectl ",)) for command in found.look)


def test_a_status_that_can_not_be_written_is_told_from_an_operator_that_is_away() -> None:
    told = Event(NOW, True, "StatusRefused", 'the status can\'t be written: admission webhook "freeze" denied it')
    found = said(status_refused=told)
    assert found.reason == "StatusRefused" and 'webhook "freeze" denied it' in found.matter
    assert "webhook" in found.todo and "does not run" not in found.matter
    found = said(by("WaitingForGPU"), status_refused=told)
    assert found.reason == "WaitingForGPU" and "That may be out of date: the status can't be written" in found.matter


@pytest.mark.parametrize("code", sorted(TERMINAL_EXIT_CODES))
def test_every_exit_code_that_ends_a_training_is_named_by_its_remedy(code: int) -> None:
    reason = REASONS[code]
    assert f"(exit code {int(code)})" in said(condition("Failed", reason, "planning: no such file")).matter


@pytest.mark.parametrize(
    ("conditions", "reason", "matter", "todo", "look"),
    [
        (
            [by("WaitingForGPU")],
            "WaitingForGPU",
            "No node has a free GPU",
            "kubectl nnunet suspend OTHER",
            "describe pods -l",
        ),
        ([by("WaitingForQueue")], "WaitingForQueue", "the queue", "LocalQueue", "localqueues"),
        ([by("ClaimNotBound")], "ClaimNotBound", "PersistentVolumeClaim", "Give the claim", "describe pvc"),
        ([by("ImageUnavailable")], "ImageUnavailable", "image", "spec.trainer.image", "{.spec.trainer.image}"),
        ([by("PodRejected")], "PodRejected", "refuses", "who runs the cluster", "describe resourcequota"),
        (
            [condition("Suspended", "PolicyDenied", "policy house: at least 1000"), by("PolicyDenied", "nothing runs")],
            "PolicyDenied",
            "The operator says: policy house: at least 1000.",
            "ask those who may write policies for an exception",
            "nnunettrainingpolicies",
        ),
        (
            [condition("Suspended", "PolicyChanged", "x"), by("PolicyChanged")],
            "PolicyChanged",
            "nothing is lost",
            "goes on from its checkpoint",
            "get namespace clinic --show-labels",
        ),
        (
            [condition("Suspended", "PolicyMissing", "x"), by("PolicyMissing")],
            "PolicyMissing",
            "clinical",
            "namespace clinic",
            "nnunettrainingpolicies",
        ),
        (
            [condition("Suspended", "SuspendedByUser", "x"), by("SuspendedByUser")],
            "SuspendedByUser",
            "spec.suspend is true",
            "kubectl nnunet resume hippo -n clinic",
            "describe nnt hippo",
        ),
        (
            [condition("Complete", "TrainingComplete", "test Dice 0.861"), by("TrainingComplete")],
            "TrainingComplete",
            "test Dice 0.861",
            "Nothing.",
            "audit",
        ),
        (
            [
                condition("Progressing", "Training", "x"),
                condition("Stalled", "NoEpochFinished", "fold 0 since epoch 3"),
            ],
            "NoEpochFinished",
            "fold 0 since epoch 3",
            "/dev/shm",
            "logs hippo",
        ),
        (
            [
                condition("Progressing", "Training", "x"),
                condition("DataStarved", "DataTooSlow", "fold 0 waits 38 % of its time for data"),
            ],
            "DataTooSlow",
            "fold 0 waits 38 % of its time for data",
            "kubectl nnunet suspend hippo -n clinic",
            "watch hippo",
        ),
        ([condition("Progressing", "NewWord", "do this")], "NewWord", "do this", "message", "describe nnt hippo"),
    ],
)
def test_explanations(conditions: list[Any], reason: str, matter: str, todo: str, look: str) -> None:
    found = said(*conditions)
    assert found.reason == reason
    assert matter in found.matter and todo in found.todo and any(look in command for command in found.look), found


OUT_OF_MEMORY = "fold 0: killed because it needed more than spec.resources.memory (8Gi)"
REMEDY = REMEDIES["OutOfMemory"].advice("", "hippo", "clinic")


def test_what_stands_in_the_way_is_told_without_what_to_do_which_is_said_once() -> None:
    failed = condition("Failed", "OutOfMemory", told(OUT_OF_MEMORY, REMEDY))
    problem = {"reason": "OutOfMemory", "matter": OUT_OF_MEMORY}
    found = explain(evidence(body(failed, problem=problem)), NOW)
    assert found.matter.endswith(f"The operator says: {OUT_OF_MEMORY}.")
    assert found.todo == REMEDY and "kubectl nnunet suspend hippo -n clinic" in found.todo
    assert "kubectl nnunet logs hippo -n clinic" in found.look


def test_the_case_says_which_remedy_holds() -> None:
    quota = {"reason": "PodRejected", "matter": "exceeded quota", "case": "Quota"}
    assert "quota raised" in explain(evidence(body(by("PodRejected"), problem=quota)), NOW).todo
    newer = {**quota, "case": "OfAnotherVersion"}
    assert "about what is named" in explain(evidence(body(by("PodRejected"), problem=newer)), NOW).todo


def test_a_problem_of_another_reason_is_not_what_leads() -> None:
    quota = {"reason": "PodRejected", "matter": "exceeded quota", "case": "Quota"}
    assert "exceeded" not in explain(evidence(body(by("WaitingForGPU"), problem=quota)), NOW).matter


TRAINS = condition("Progressing", "Training", "fold 0 trains")
ASKED = {"decidedAt": "2026-03-01T10:00:00Z", "minEpochs": 300}


def of_folds(*folds: dict[str, Any], conditions: Any = (TRAINS,)) -> Explanation:
    return explain(evidence(body(*conditions, folds=list(folds), policy=ASKED)), NOW)


def test_a_loss_that_is_no_number_is_the_matter_while_it_trains() -> None:
    found = of_folds(fold("0", epochsTarget=1000), fold("1", epochsTarget=1000, nonfiniteLossEpochs=12))
    assert found.reason == "LossNotFinite" and "at work" not in found.matter
    assert "The training loss is NaN or infinite in fold 1 for the last 12 epochs." in found.matter
    for remedy in ("kubectl nnunet suspend hippo -n clinic", "spec.schedule.initialLearningRate", "voxels", "GPU"):
        assert remedy in found.todo


@pytest.mark.parametrize("changes", [{"nonfiniteLossEpochs": 1}, {"nonfiniteLossEpochs": 9, "phase": "Completed"}, {}])
def test_one_epoch_without_a_loss_and_folds_that_are_done_are_no_matter(changes: dict[str, Any]) -> None:
    assert of_folds(fold("0", epochsTarget=1000, **changes)).reason == "Training"


def test_an_early_stop_below_the_policy_is_the_matter_before_it_fails() -> None:
    rule = {"state": "Annealing", "epoch": 200, "endEpoch": 250}
    found = of_folds(fold("0", epochsTarget=1000, earlyStopping=rule), fold("1", epochsTarget=1000))
    assert found.reason == "EarlyStopBelowPolicy"
    assert "Fold 0 ends at epoch 250, and the policies ask for at least 300." in found.matter
    assert "exception" in found.todo and "kubectl nnunet suspend hippo -n clinic" in found.todo


def test_what_is_wrong_beside_the_cause_is_said_too() -> None:
    rule = {"state": "Stopped", "epoch": 200, "endEpoch": 200}
    both = fold("0", epochsTarget=1000, nonfiniteLossEpochs=3, earlyStopping=rule)
    found = of_folds(both)
    assert found.reason == "LossNotFinite" and "Besides, fold 0 ends at epoch 200" in found.matter
    stalled = of_folds(both, conditions=(TRAINS, condition("Stalled", "NoEpochFinished", "fold 1 since epoch 3")))
    assert stalled.reason == "NoEpochFinished" and "Besides, the training loss is NaN" in stalled.matter
    stops = of_folds(both, conditions=(condition("Progressing", "Stopping", "fold 0: being stopped"),))
    assert stops.reason == "Stopping", "it is being suspended already"


def test_a_training_that_no_operator_looks_at() -> None:
    assert said(age=20).reason == "NotSeen"
    found = said(age=200)
    assert found.reason == "OperatorSilent" and "3 min 20 s ago" in found.matter and "does not run" in found.matter
    assert any("-l app.kubernetes.io/name=nnunet-operator" in command for command in found.look)


def test_a_status_that_may_be_old() -> None:
    runs = condition("Progressing", "Training", "trains")
    assert "no pod at all" in said(runs).matter
    pod = {"metadata": {"name": "p", "creationTimestamp": "x"}, "status": {"phase": "Running"}}
    assert "no pod at all" not in said(runs, pods=[pod]).matter
    assert "no pod at all" not in said(runs, pods=None).matter
    found = body({**by("WaitingForGPU"), "observedGeneration": 1})
    found["metadata"]["generation"] = 2
    assert "has not been looked at yet" in explain(evidence(found), NOW).matter


def test_one_that_is_being_deleted_and_one_that_can_not_be_read() -> None:
    found = body(by("Training"))
    found["metadata"]["deletionTimestamp"] = "2026-03-01T11:59:00Z"
    found["metadata"]["generation"] = 2
    told = explain(evidence(found), NOW)
    # Nothing is written of one that nothing holds, so an older generation tells nothing of the operator.
    assert told.reason == "Deleting" and "not been looked at" not in told.matter
    matter = "the training is being deleted; finalizer backup.example.org/wait holds it; nothing of it runs"
    found["status"]["problem"] = {"reason": "Stopping", "matter": matter, "case": "Finalizer"}
    told = explain(evidence(found), NOW)
    assert f"The operator says: {matter}." in told.matter
    assert "take it out of metadata.finalizers: kubectl -n clinic edit nnt hippo" in told.todo
    assert explain(evidence({**body(), "status": {"folds": 3}}), NOW).reason == "Unreadable"


def pod(name: str, phase: str = "Pending", conditions: Any = (), **state: Any) -> dict[str, Any]:
    statuses = [{"name": "trainer", "state": state}] if state else []
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-03-01T11:59:00Z"},
        "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": statuses},
    }


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (pod("a", conditions=[UNSCHEDULED]), "pod a: Pending, has no node (Unschedulable: 0/3 nodes)"),
        (
            pod("a", waiting={"reason": "ImagePullBackOff", "message": "no such tag"}),
            "pod a: Pending, waits (ImagePullBackOff: no such tag)",
        ),
        (pod("a", waiting={"reason": "ContainerCreating"}), "pod a: Pending"),
        (pod("a", "Running", running={}), "pod a: Running"),
        (
            pod("a", "Failed", terminated={"exitCode": 65, "reason": "Error"}),
            "pod a: ended with exit code 65 (Error)",
        ),
        (pod("a", "Succeeded", terminated={"exitCode": 0}), None),
        ({"metadata": {"name": "a"}, "status": {"phase": "Failed", "reason": "Evicted"}}, "pod a: failed (Evicted)"),
        (
            # Why the trainer was stopped says more than how it left.
            {
                "metadata": {"name": "a"},
                "status": pod("a", "Failed", terminated={"exitCode": 75})["status"]
                | {"reason": "Evicted", "message": "usage exceeds 4Gi"},
            },
            "pod a: failed (Evicted: usage exceeds 4Gi)",
        ),
    ],
)
def test_pods_that_were_seen(found: Any, line: str | None) -> None:
    assert said(by("Starting"), pods=[found]).seen == ([line] if line else [])


def test_what_is_missing_quotas_and_the_newest_warnings() -> None:
    found = body(by("ClaimNotBound"))
    found["spec"] = {
        "dataset": {"claimName": "raw"},
        "storage": {"preprocessed": {"claimName": "raw"}, "results": {"claimName": "out"}},
    }
    assert explain(evidence(found, claims={"out": "Bound"}), NOW).seen == ["claim raw: does not exist"]
    pending = {"out": "Pending", "raw": "Bound"}
    assert explain(evidence(found, claims=pending), NOW).seen == ["claim out: Pending, has no volume yet"]
    quota = {"metadata": {"name": "small"}, "status": {"hard": {"pods": "1"}, "used": {"pods": "1"}}}
    job = {
        "metadata": {"name": "j", "uid": "u"},
        "spec": {"suspend": True},
        "status": {
            "conditions": [{"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "code 65"}]
        },
    }
    warnings = [
        ("Pod a", Event(datetime(2026, 3, 1, 11, minute, tzinfo=UTC), True, "FailedMount", f"at {minute}"))
        for minute in (50, 57)
    ]
    assert said(by("PodRejected"), quotas=[quota], jobs=[job], warnings=warnings).seen == [
        "quota small: pods 1 of 1 used",
        "Job j: suspended",
        "Job j: failed (PodFailurePolicy: code 65)",
        "FailedMount on Pod a, 3m ago: at 57",
    ]
    assert len(said(by("Starting"), pods=[pod(str(n), "Running", running={}) for n in range(12)]).seen) == 9


def test_what_may_not_be_read_is_said() -> None:
    found = said(by("WaitingForGPU"), quotas=None, claims=None)
    assert found.notes == ["you may not read quotas, claims of the namespace, so nothing is said of them"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_text_fits_the_terminal_and_commands_are_whole(width: int) -> None:
    found = said(by("WaitingForGPU", "fold 0 waits " + "for a GPU " * 30), pods=[pod("a", conditions=[UNSCHEDULED])])
    lines = [line.plain for line in as_text(found, width)]
    assert lines[0] == "clinic/hippo: WaitingForGPU"
    titles = [line for line in lines if line and not line.startswith(" ")]
    assert titles[1:] == ["What is the matter", "What to do", "What was seen", "To look further"]
    for command in found.look:
        assert f"  {command}" in lines
    assert max(len(line) for line in lines if "kubectl" not in line) <= width
    assert "  " + found.matter in [line.plain for line in as_text(found, None)]


def test_data_for_scripts() -> None:
    found = as_data(said(by("WaitingForGPU")))
    assert list(found) == ["namespace", "name", "phase", "reason", "matter", "toDo", "lookFurther", "seen", "notes"]
    assert (found["reason"], found["phase"]) == ("WaitingForGPU", None)


def test_a_fold_without_its_local_copy_is_told_beside_what_leads() -> None:
    """Where nothing else leads, the operator's own words tell it."""
    why = "the data takes 12.0 GiB, and ... is 10.0 GiB: raise it to 13Gi"
    copy = {"localCopy": {"state": "Skipped", "why": why}}
    trains = condition("Progressing", "Training", f"fold 0 trains and reads its data from the claim: {why}")
    starved = condition("DataStarved", "DataTooSlow", "fold 0 waits 50 % of its time for data")
    alone = explain(evidence(body(trains, folds=[fold("0", **copy)])), NOW)
    assert alone.reason == "Training" and alone.matter.count("raise it to 13Gi") == 1
    found = explain(evidence(body(trains, starved, folds=[fold("0", **copy)])), NOW)
    assert found.reason == "DataTooSlow"
    assert f"Besides, fold 0 reads its data from the claim, without a local copy: {why}." in found.matter
    ended = explain(evidence(body(trains, starved, folds=[fold("0", phase="Completed", **copy)])), NOW)
    assert "Besides" not in ended.matter
