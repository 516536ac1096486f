"""Jobs that somebody else deletes as soon as they have ended, and pods that outlive their trainers."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Api, Object
from tests.support.builders import training
from tests.support.launch import Launch, as_deployed
from tests.support.mutations import Mutations
from tests.support.process import OperatorProcess

Mutate = Callable[[str, str, str], None]
"""Has the API server change what is created: API group, resource, JSON patch in CEL."""
STAGES = (("plan", ""), ("fold", "0"), ("verify", ""), ("evaluate", ""))


@pytest.fixture
def mutate(api: Api, lab: Lab) -> Iterator[Mutate]:
    """Return a function that has the API server change what is created of a kind in the lab's namespace."""
    mutations = Mutations(api, lab.namespace)
    yield lambda group, kind, expression: mutations.begin("rule", group, kind, expression)
    mutations.end()


def wait_mutated(lab: Lab, kind: str, dry_run: Object, is_changed: Callable[[Object], bool]) -> None:
    """Wait until a dry run shows that the rule is in force."""
    path = f"{lab.api.path(kind, lab.namespace)}?dryRun=All"
    lab.wait("the rule", lambda: is_changed(lab.api.request("POST", path, dry_run)))


JOB: Object = {
    "metadata": {"name": "probe"},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
}
TTL = '[JSONPatch{op: "add", path: "/spec/ttlSecondsAfterFinished", value: 0}]'


@pytest.fixture
def expiring(lab: Lab, mutate: Mutate) -> Lab:
    """A lab whose Jobs are deleted as soon as they have ended."""
    mutate("batch", "jobs", TTL)
    wait_mutated(lab, "jobs", JOB, lambda job: job["spec"].get("ttlSecondsAfterFinished") == 0)
    return lab


def test_jobs_that_are_deleted_as_soon_as_they_have_completed_are_not_repeated(expiring: Lab) -> None:
    """Each stage runs once, and the training comes to its end."""
    expiring.apply(training(expiring.namespace, folds=[0]))
    for stage, fold in STAGES:
        expiring.kubelet.end(expiring.kubelet.pod("hippo", stage, fold))
    expiring.wait_reason("Complete", "TrainingComplete")
    expiring.wait_jobs()
    assert "OutcomeLost" not in expiring.events()


@pytest.mark.parametrize("stage", ["verify", "evaluate"])
def test_what_ends_and_is_deleted_while_nobody_looks_counts(lab: Lab, stage: str) -> None:
    """The proof of a verification is in its pod, and both are gone when the operator looks again."""
    lab.apply(training(lab.namespace, folds=[0], testSet={}))
    for earlier, fold in STAGES[: [name for name, _ in STAGES].index(stage)]:
        lab.kubelet.end(lab.kubelet.pod("hippo", earlier, fold))
    pod = lab.kubelet.pod("hippo", stage)
    with lab.operator.kept_from_looking():
        lab.kubelet.end(pod)
        lab.delete_ended(pod)
    if stage == "verify":
        lab.kubelet.end(lab.kubelet.pod("hippo", "evaluate"))
    lab.wait_reason("Complete", "TrainingComplete")
    assert "OutcomeLost" not in lab.events()
    assert lab.operator.log.read_text().count(f"created Job hippo-{stage}") == 1


def test_a_failure_stays_one_when_its_job_is_deleted_at_once(expiring: Lab) -> None:
    """Nothing is tried again that can't succeed."""
    expiring.apply(training(expiring.namespace))
    expiring.kubelet.end(expiring.kubelet.pod("hippo", "plan"), 65, '{"message": "dataset.json is missing"}')
    condition = expiring.wait_reason("Failed", "WrongData")
    expiring.wait_jobs()
    expiring.look()
    assert expiring.jobs() == [] and condition["status"] == "True"


@pytest.mark.parametrize("launch", [pytest.param(None, id="impatient"), pytest.param(as_deployed, id="as deployed")])
def test_jobs_that_somebody_deletes_at_once_are_made_anew_as_often_as_retries_are_forgiven(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess], launch: Launch | None
) -> None:
    """Also where no status has told of them yet."""
    lab = Lab(api, namespace, start_operator(namespace, **({"launch": launch} if launch else {})))
    lab.apply(training(namespace, retryLimit=1))
    seen = set()

    def given_up() -> bool:
        for job in lab.jobs():
            seen.add(job["metadata"]["uid"])
            lab.api.delete("jobs", namespace, job["metadata"]["name"], propagation="Background")
        return bool(lab.condition("Failed").get("reason") == "OutcomeLost")

    lab.wait("OutcomeLost", given_up)
    assert len(seen) == 2 and "its Job was deleted 2 times" in lab.condition("Failed")["message"]


PROXY = '[JSONPatch{op: "add", path: "/spec/containers/0", value: Object.spec.containers{name: "proxy", image: "p"}}]'
POD = {"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def outlive(lab: Lab, pod: Object, code: int, message: str) -> None:
    """Report that the trainer ended a minute ago, and that the proxy runs on."""
    began, ended = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago)) for ago in (90, 60))
    over = {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}
    states = {
        "proxy": {"running": {"startedAt": began}},
        "trainer": {"terminated": {**over, "startedAt": began, "finishedAt": ended, "containerID": "containerd://1"}},
    }
    containers = [
        {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        for name, state in states.items()
    ]
    status = {"status": {"phase": "Running", "containerStatuses": containers}}
    lab.api.merge("pods", lab.namespace, pod["metadata"]["name"], status, sub="status")


def test_a_container_that_outlives_the_trainer_is_named(lab: Lab, mutate: Mutate) -> None:
    """And a failure counts that no further attempt could mend: its Job goes, and the pod with it."""
    mutate("", "pods", PROXY)
    wait_mutated(lab, "pods", POD, lambda pod: len(pod["spec"]["containers"]) == 2)
    for name, code, message in (("good", 0, ""), ("bad", 65, '{"message": "dataset.json is missing"}')):
        lab.apply(training(lab.namespace, name, retryLimit=0))
        outlive(lab, lab.kubelet.pod(name, "plan"), code, message)
    lab.wait_reason("Failed", "WrongData", "bad")
    condition = lab.wait_reason("Progressing", "SidecarRunning", "good")
    assert "container proxy keeps pod good-plan-" in condition["message"] and condition["status"] == "False"
    assert lab.status("good")["phase"] == "SidecarRunning"
    lab.wait_jobs("good-plan")


NO_RULES = '[JSONPatch{op: "remove", path: "/spec/podFailurePolicy"}]'


def test_what_no_attempt_can_mend_is_not_tried_again_where_the_rules_of_its_job_are_gone(
    lab: Lab, mutate: Mutate
) -> None:
    """As a webhook does that is built with old libraries, and drops the fields that it does not know."""
    mutate("batch", "jobs", NO_RULES)
    rules = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [65]}}]}
    probe = {**JOB, "spec": {**JOB["spec"], "podFailurePolicy": rules}}
    wait_mutated(lab, "jobs", probe, lambda job: "podFailurePolicy" not in job["spec"])
    lab.apply(training(lab.namespace, folds=[0]))
    lab.kubelet.end(lab.kubelet.pod("hippo", "plan"), 65, '{"message": "dataset.json is missing"}')
    assert "dataset.json is missing" in lab.wait_reason("Failed", "WrongData")["message"]
    lab.wait_jobs()


MANAGED = '[JSONPatch{op: "add", path: "/spec/managedBy", value: "kueue.x-k8s.io/multikueue"}]'


def complete_elsewhere(lab: Lab, name: str, before: str = "") -> str:
    """Report what MultiKueue copies back of a Job, another than `before`, whose pod is elsewhere; return its UID."""

    def found() -> Object | None:
        job = lab.api.get("jobs", lab.namespace, name)
        other = job and job["metadata"]["uid"] != before and "deletionTimestamp" not in job["metadata"]
        return job if other else None

    uid: str = lab.wait(name, found)["metadata"]["uid"]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    conditions = [
        {"type": type_, "status": "True", "reason": "Done", "message": "", "lastTransitionTime": now}
        for type_ in ("SuccessCriteriaMet", "Complete")
    ]
    begun = {"status": {"startTime": now, "active": 1, "ready": 1}}
    lab.api.merge("jobs", lab.namespace, name, begun, sub="status")
    ended = {"active": 0, "ready": 0, "succeeded": 1, "completionTime": now, "conditions": conditions}
    lab.api.merge("jobs", lab.namespace, name, {"status": ended}, sub="status")
    return uid


def test_a_verification_whose_pod_nobody_sees_is_repeated_as_often_as_retries_are_forgiven(
    lab: Lab, mutate: Mutate
) -> None:
    """As under MultiKueue: what makes the pods is named, and in the end the training has failed."""
    mutate("batch", "jobs", MANAGED)
    wait_mutated(lab, "jobs", JOB, lambda job: "managedBy" in job["spec"])
    lab.apply(training(lab.namespace, folds=[0], retryLimit=1))
    condition = lab.wait_reason("Progressing", "ChildNotOwned")
    assert "hippo-plan is managed by kueue.x-k8s.io/multikueue" in condition["message"]
    complete_elsewhere(lab, "hippo-plan")
    complete_elsewhere(lab, "hippo-fold-0")
    first = complete_elsewhere(lab, "hippo-verify")
    last = complete_elsewhere(lab, "hippo-verify", first)
    failed = lab.wait_reason("Failed", "OutcomeLost")
    assert "its pod is gone each time before its evidence is read" in failed["message"]
    (verify,) = (job for job in lab.jobs() if job["metadata"]["name"] == "hippo-verify")
    assert verify["metadata"]["uid"] == last
