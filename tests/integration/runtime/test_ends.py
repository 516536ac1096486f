"""Jobs that somebody else deletes as soon as they have ended, and pods that outlive their trainers."""

import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Api, Object, wait_for
from tests.support.builders import training

LABEL = "ends-test"
Mutate = Callable[[str, str, str], None]
"""Has the API server change what is created: API group, resource, JSON patch in CEL."""
STAGES = (("plan", ""), ("fold", "0"), ("verify", ""), ("evaluate", ""))


@pytest.fixture
def mutate(api: Api, lab: Lab) -> Iterator[Mutate]:
    """Return a function that has the API server change what is created of a kind in the lab's namespace."""
    made: list[str] = []
    api.merge("namespaces", "", lab.namespace, {"metadata": {"labels": {LABEL: lab.namespace}}})

    def begin(group: str, kind: str, expression: str) -> None:
        name = f"ends-{uuid.uuid4().hex[:8]}"
        made.append(name)
        rules = [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [kind]}]
        spec = {
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {LABEL: lab.namespace}},
                "resourceRules": rules,
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        }
        path = "/apis/admissionregistration.k8s.io/v1"
        api.request("POST", f"{path}/mutatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
        binding = {"metadata": {"name": name}, "spec": {"policyName": name}}
        api.request("POST", f"{path}/mutatingadmissionpolicybindings", binding)

    yield begin
    for name in made:
        for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
            api.request("DELETE", f"/apis/admissionregistration.k8s.io/v1/{kind}/{name}")


def wait_mutated(lab: Lab, kind: str, dry_run: Object, is_changed: Callable[[Object], bool]) -> None:
    """Wait until a dry run shows that the rule is in force."""
    path = f"{lab.api.path(kind, lab.namespace)}?dryRun=All"
    wait_for("the rule", lambda: is_changed(lab.api.request("POST", path, dry_run)))


JOB = {
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


def test_a_failure_stays_one_when_its_job_is_deleted_at_once(expiring: Lab) -> None:
    """Nothing is tried again that can't succeed."""
    expiring.apply(training(expiring.namespace))
    expiring.kubelet.end(expiring.kubelet.pod("hippo", "plan"), 65, '{"message": "dataset.json is missing"}')
    condition = expiring.wait_reason("Failed", "WrongData")
    expiring.wait_jobs()
    time.sleep(2)
    assert expiring.jobs() == [] and condition["status"] == "True"
