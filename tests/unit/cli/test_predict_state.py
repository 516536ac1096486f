"""What a prediction waits for, how far it is and how it ended, by its Job and pods."""

from typing import Any

import pytest

from nnunet_cli.predict.state import Ended, end_of, progress_in, why_waiting


def pod(state: dict[str, Any], created: str = "2026-01-01T00:00:00Z", **status: Any) -> dict[str, Any]:
    statuses = [{"name": "trainer", "state": state}] if state else []
    return {
        "metadata": {"name": "p", "creationTimestamp": created},
        "status": {"phase": "Pending", "containerStatuses": statuses, **status},
    }


def over(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return pod({"terminated": {"exitCode": code, "message": message, "reason": reason}}, phase="Failed")


def ended_job(kind: str, message: str = "") -> dict[str, Any]:
    return {"metadata": {"name": "j"}, "status": {"conditions": [{"type": kind, "status": "True", "message": message}]}}


@pytest.mark.parametrize(
    ("job", "pods", "ended"),
    [
        ({"metadata": {}, "status": {}}, [over(1)], None),
        (ended_job("FailureTarget"), [], None),
        (ended_job("Complete"), [over(0, '{"message": "2 cases"}')], Ended(False, "2 cases")),
        (ended_job("Complete"), [], Ended(False, "it is done")),
        (ended_job("Failed"), [over(65, '{"message": "no image"}')], Ended(True, "no image (exit code 65)")),
        (ended_job("Failed"), [over(1, "a log\nlast line\n")], Ended(True, "last line (exit code 1)")),
        (ended_job("Failed", "BackoffLimitExceeded"), [], Ended(True, "BackoffLimitExceeded")),
        (
            ended_job("Failed"),
            [pod({}, phase="Failed", reason="Evicted", message="The node was low on memory")],
            Ended(True, "Evicted"),
        ),
    ],
)
def test_how_it_ended(job: dict[str, Any], pods: list[dict[str, Any]], ended: Ended | None) -> None:
    assert end_of(job, pods) == ended


def test_what_to_do_about_memory_and_old_images() -> None:
    for one, said in ((over(137, reason="OOMKilled"), "--memory"), (over(2, "usage"), "--image")):
        found = end_of(ended_job("Failed"), [one])
        assert found and found.failed and said in found.words


SUSPENDED = {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "gpus"}}, "spec": {"suspend": True}}
NO_NODE = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: no GPU"}


@pytest.mark.parametrize(
    ("job", "pods", "warnings", "said"),
    [
        (SUSPENDED, [], [], "queue gpus"),
        ({"metadata": {}, "spec": {"suspend": True}}, [], [], "suspended"),
        ({"metadata": {}}, [], ["FailedCreate: exceeded quota"], "exceeded quota. It goes on once the quota has room"),
        (
            {"metadata": {}},
            [],
            ["FailedCreate: must specify limits.cpu for: trainer"],
            "limits.cpu and ephemeral-storage",
        ),
        ({"metadata": {}}, [], ["FailedCreate: maximum memory usage per Container is 8Gi."], "8Gi. End it by --delete"),
        ({"metadata": {}}, [], [], "being made"),
        ({"metadata": {}}, [pod({})], [], "being started"),
        ({"metadata": {}}, [pod({}, conditions=[NO_NODE])], ["x"], "no node: 0/3 nodes"),
        (
            {"metadata": {}},
            [pod({"waiting": {"reason": "ImagePullBackOff", "message": "no"}})],
            [],
            "ImagePullBackOff: no",
        ),
    ],
)
def test_what_it_waits_for(job: dict[str, Any], pods: list[dict[str, Any]], warnings: list[str], said: str) -> None:
    assert said in why_waiting(job, pods, warnings)


@pytest.mark.parametrize(
    ("active", "condition", "said"),
    [
        (
            True,
            {"type": "QuotaReserved", "message": "ClusterQueue c is stopped"},
            "queue gpus: ClusterQueue c is stopped",
        ),
        (
            False,
            {"type": "Evicted", "status": "True", "message": "check budget was rejected"},
            "queue gpus: its Workload wl is deactivated, for good: check budget was rejected. End it by --delete",
        ),
    ],
)
def test_what_kueue_says_of_it_is_quoted(active: bool, condition: dict[str, str], said: str) -> None:
    spec = {"queueName": "gpus", "active": active}
    found = {"metadata": {"name": "wl"}, "spec": spec, "status": {"conditions": [{"status": "False", **condition}]}}
    assert said in why_waiting(SUSPENDED, [], [], [found])


def test_progress_is_what_the_trainer_said_last() -> None:
    log = [
        "2026-01-01 00:00:00,000 nnunet-trainer INFO hashing 5 checkpoints: 2/5 checkpoints, 10 s",
        "2026-01-01 00:00:00,000 nnunet-trainer INFO predicting with nnUNetTrainer__nnUNetPlans__2d: 3/10 cases, 20 s",
        "perform_everything_on_device is True",
    ]
    assert progress_in(log) == "predicting with nnUNetTrainer__nnUNetPlans__2d: 3 of 10 cases"
    assert progress_in(log[:1]) == "hashing 5 checkpoints: 2 of 5 checkpoints" and progress_in(log[2:]) == ""
