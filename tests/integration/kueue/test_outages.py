"""Kueue that is away, gives up, or hands Jobs to another cluster."""

from collections.abc import Iterator
from typing import Any

import pytest

from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.predict.following import follow
from tests.integration.conftest import Lab
from tests.support.builders import training
from tests.support.command import run_main
from tests.support.kueue import PLENTY, Kueue


@pytest.fixture
def restarted(kueue: Kueue) -> Iterator[Kueue]:
    """Kueue, which runs as usual again after the test."""
    yield kueue
    kueue.restore()


@pytest.fixture
def queued(restarted: Kueue, lab: Lab) -> Lab:
    """A lab with a training that waits in its queue."""
    restarted.queue(lab.namespace, "q", **{**PLENTY, "memory": "1Gi"})
    lab.apply(training(lab.namespace, queueName="q"))
    lab.wait_said("insufficient quota")
    return lab


def test_what_it_waits_for_is_explained_and_what_holds_it_while_kueue_is_down(
    restarted: Kueue, queued: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its Workload keeps the Job there; when Kueue is back all goes on. Status and explain say both."""

    def explained() -> Any:
        config = str(restarted.kubeconfig)
        who = ("-n", queued.namespace, "--kubeconfig", config)
        return run_main(monkeypatch, capsys, "explain", "hippo", *who, "-o", "json").data

    found = explained()
    (job,) = queued.jobs()
    assert "insufficient quota" in found["matter"] and "Ask for less" in found["toDo"], found
    assert "Workload job-hippo-plan-" in str(found["seen"]) and job["metadata"]["uid"] in str(found["lookFurther"])
    restarted.stop()
    queued.set(suspend=True)
    condition = queued.wait_said("kueue.x-k8s.io/resource-in-use")
    assert condition["reason"] == "Stopping"
    assert "Workload job-hippo-plan-" in condition["message"] and "whether Kueue runs" in condition["message"]
    found = explained()
    assert "kueue.x-k8s.io/resource-in-use" in found["matter"], found
    assert "is being deleted, held by kueue.x-k8s.io/resource-in-use" in str(found["seen"])
    restarted.start()
    queued.wait_reason("Suspended", "SuspendedByUser")


def test_jobs_that_kueue_deletes_are_not_made_anew_for_ever(restarted: Kueue, lab: Lab) -> None:
    """A Kueue that deletes what it gives up: as often as retries are forgiven, and then it is said."""
    restarted.stop()
    retention = {"workloads": {"afterDeactivatedByKueue": "1s"}}
    restarted.start(
        objectRetentionPolicies=retention,
        waitForPodsReady={"timeout": "1s", "requeuingStrategy": {"backoffLimitCount": 0}},
    )
    restarted.queue(lab.namespace, "q")
    lab.apply(training(lab.namespace, queueName="q", retryLimit=0))
    failed = lab.wait_reason("Failed", "OutcomeLost")
    assert "its Job was deleted" in failed["message"] and "Kueue" in failed["message"], failed


def test_pods_that_do_not_start_in_the_time_that_kueue_gives(restarted: Kueue, lab: Lab) -> None:
    """Kueue takes its admission back for a while, which is not the queue's length."""
    restarted.stop()
    strategy = {"timestamp": "Eviction", "backoffBaseSeconds": 600}
    restarted.start(waitForPodsReady={"timeout": "1s", "requeuingStrategy": strategy})
    restarted.queue(lab.namespace, "q")
    lab.apply(training(lab.namespace, queueName="q"))
    condition = lab.wait_said("Exceeded the PodsReady timeout")
    assert condition["reason"] == "WaitingForQueue" and "waitForPodsReady" in condition["message"], condition


def test_what_a_prediction_waits_for_is_told(kueue: Kueue, lab: Lab) -> None:
    """By the command line: no operator looks at its Job."""
    kueue.queue(lab.namespace, "q", **{**PLENTY, "memory": "1Gi"})
    head = {"name": "predict", "namespace": lab.namespace, "labels": {"kueue.x-k8s.io/queue-name": "q"}}
    container = {"name": "trainer", "image": "i", "resources": {"requests": {"memory": "2Gi", "cpu": "1"}}}
    pod = {"restartPolicy": "Never", "containers": [container]}
    lab.api.create("jobs", {"metadata": head, "spec": {"template": {"spec": pod}}})
    cluster = Cluster(Connection(str(kueue.kubeconfig)))

    def tell(words: str) -> None:
        assert words.startswith("it waits in the queue q"), words
        if "insufficient quota for memory" in words:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        follow(cluster, lab.namespace, "predict", tell)


def test_multikueue_is_refused_with_a_name(kueue: Kueue, lab: Lab) -> None:
    """Kueue itself makes the Job another cluster's: nothing of it could be seen here."""
    kueue.multi(lab.namespace)
    kueue.cluster_queue(lab.namespace, PLENTY, admissionChecksStrategy={"admissionChecks": [{"name": lab.namespace}]})
    kueue.queue(lab.namespace, "q", lab.namespace)
    lab.wait("the check to be known", lambda: kueue.hands_over(lab.namespace, "q"))
    lab.apply(training(lab.namespace, queueName="q"))
    condition = lab.wait_reason("Progressing", "ChildNotOwned")
    assert "managed by kueue.x-k8s.io/multikueue" in condition["message"]
