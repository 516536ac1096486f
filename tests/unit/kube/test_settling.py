"""When the status of Jobs that were just made waits for their Pods."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nnunet_operator.kube.reading import job_view, pod_view
from nnunet_operator.kube.settling import is_settling

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WAITS = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
FAILED = {"conditions": [{"type": "Failed", "status": "True"}]}


def job(age: float = 1.0, **parts: Any) -> dict[str, Any]:
    created = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"name": "a", "uid": "u", "creationTimestamp": created}, "spec": {}, **parts}


def pod(uid: str = "u", node: str = "", **status: Any) -> dict[str, Any]:
    owner = {"kind": "Job", "uid": uid, "controller": True}
    spec = {"nodeName": node} if node else {}
    return {"metadata": {"name": "p", "ownerReferences": [owner]}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("jobs", "pods", "expected"),
    [
        ([], [], False),
        ([job()], [], True),
        ([job()], [pod()], True),
        ([job()], [pod(conditions=WAITS)], False),
        ([job()], [pod(node="n1")], False),
        ([job()], [pod(phase="Failed")], False),
        ([job()], [pod("another", conditions=WAITS)], True),
        ([job(age=5)], [], False),
        ([job(age=-1)], [], False),
        ([job(spec={"suspend": True})], [], False),
        ([job(status=FAILED)], [], False),
        ([job(age=60), job()], [], True),
    ],
    ids=[
        "no Job",
        "no Pod yet",
        "a Pod that no scheduler has seen",
        "no node fits",
        "it has a node",
        "it is over",
        "a Pod of another Job",
        "the Job is old",
        "the clock is behind",
        "the Job waits in a queue",
        "the Job is over",
        "one of two",
    ],
)
def test_settling(jobs: list[dict[str, Any]], pods: list[dict[str, Any]], expected: bool) -> None:
    assert is_settling(map(job_view, jobs), map(pod_view, pods), NOW, 5.0) is expected
