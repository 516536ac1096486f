"""What who trains tries once a comparison does not say what they want, and what stops each.

Tom has the role nnunet-trainer in one namespace. What the operator has to notice, as a training that is gone, is in
tests/integration/runtime/test_comparisons.py.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.policy.bypass import stopped_by_rbac, stopped_by_schema
from tests.integration.policy.support import JSON_PATCH, MERGE, Gate
from tests.integration.policy.test_bypass_by_jobs import job, pod
from tests.support.api import Object
from tests.support.builders import comparison, training

FIXED = "can't change after creation: a comparison is registered before its result is known"
VERDICT = {"status": {"verdict": "Superior", "phase": "Completed"}}


@dataclass(frozen=True)
class Site:
    """A comparison and its trainings, in the namespace in which tom trains, and one in which he does not."""

    gate: Gate
    namespace: str
    other: str

    def ask(self, method: str, kind: str, name: str = "", body: Any = None, type_: str = MERGE, where: str = "") -> Any:
        """Ask for something as tom."""
        path = self.gate.client.path(kind, where or self.namespace, name)
        return self.gate.ask(method, path, body, "tom", "application/json" if method == "POST" else type_)

    def stored(self) -> Object:
        """Return the comparison as it is."""
        return self.gate.done("GET", self.gate.client.path("nnunetcomparisons", self.namespace, "shorter"))


@pytest.fixture(scope="module")
def site(installed: Gate) -> Site:
    """All tests ask for what leaves it as it was."""
    found = Site(installed, installed.namespace(), installed.namespace())
    installed.bind("tom", "nnunet-trainer", found.namespace)
    for verb in ("create", "patch"):
        asked = {"verb": verb, "group": "nnunet.dev", "resource": "nnunetcomparisons", "namespace": found.namespace}
        installed.wait_allowed("tom", asked)
    for name, epochs in (("long", 10), ("short", 5)):
        assert found.ask(
            "POST", "nnunettrainings", body=training(found.namespace, name, schedule={"epochs": epochs})
        ).ok
    answer = found.ask("POST", "nnunetcomparisons", body={**comparison(found.namespace), **VERDICT})
    assert answer.ok and "status" not in answer.body, "who creates a comparison brings no verdict along"
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"maxDiceLoss": 0.05},
        {"alpha": 0.2},
        {"arms": [{"name": "standard", "trainings": ["long"]}, {"name": "fast", "trainings": ["luckier"]}]},
        {"arms": comparison("any")["spec"]["arms"][::-1]},
        {"baseline": "fast"},
        {"classes": ["liver"]},
        {"varies": ["schedule"]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_was_registered_stays(site: Site, changes: Object) -> None:
    """By a patch, and by an update of the whole."""
    stopped_by_schema(site.ask("PATCH", "nnunetcomparisons", "shorter", {"spec": changes}), FIXED)
    body = site.stored()
    body["spec"] |= changes
    stopped_by_schema(site.ask("PUT", "nnunetcomparisons", "shorter", body, "application/json"), FIXED)


def test_when_it_runs_and_when_it_goes_may_change(site: Site) -> None:
    for changes in ({"suspend": True}, {"ttlSecondsAfterFinished": 60}, {"retryLimit": 0}):
        assert site.ask("PATCH", "nnunetcomparisons", "shorter", {"spec": changes}).ok


def test_another_loser_can_not_be_put_into_an_arm(site: Site) -> None:
    path = "/spec/arms/1/trainings/0"
    for operation in ({"op": "replace", "path": path, "value": "luckier"}, {"op": "remove", "path": "/spec/arms/1"}):
        answer = site.ask("PATCH", "nnunetcomparisons", "shorter", [operation], JSON_PATCH)
        assert not answer.ok and answer.status == 422, answer


@pytest.mark.parametrize(
    "changes",
    [{"replicates": 2}, {"testSet": {"labels": "labelsOther"}}, {"trainer": {"seed": 7}}, {"splits": {"seed": 1}}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_arms_training_keeps_its_replicates_and_its_test_set(site: Site, changes: Object) -> None:
    """A replicate that loses can't be left out later, nor another test set be scored under the same name."""
    stopped_by_schema(site.ask("PATCH", "nnunettrainings", "short", {"spec": changes}), "can't change after creation")


@pytest.mark.parametrize("name", ["long", "short", "shorter"])
def test_what_was_found_is_the_operators_to_write(site: Site, name: str) -> None:
    kind = "nnunetcomparisons" if name == "shorter" else "nnunettrainings"
    stopped_by_rbac(site.ask("PATCH", kind, f"{name}/status", VERDICT), "patch", f"{kind}/status")
    assert site.ask("PATCH", kind, name, VERDICT).ok, "it is left out of what is written"
    assert "status" not in site.gate.done("GET", site.gate.client.path(kind, site.namespace, name))


def test_no_job_or_pod_speaks_for_the_operator(site: Site) -> None:
    labels = {"nnunet.dev/comparison": "shorter", "nnunet.dev/stage": "compare"}
    body = job(site.namespace, "shorter-compare", labels=labels, template=labels)
    stopped_by_rbac(site.ask("POST", "jobs", body=body), "create", "jobs")
    stopped_by_rbac(site.ask("POST", "pods", body=pod(site.namespace, labels=labels)), "create", "pods")


def test_trainings_of_another_namespace_are_out_of_reach(site: Site) -> None:
    """There is no name for them, and where they are tom makes no comparison."""
    arms = [{"name": "standard", "trainings": [f"{site.other}/long"]}, {"name": "fast", "trainings": ["short"]}]
    answer = site.ask("POST", "nnunetcomparisons", body=comparison(site.namespace, "across", arms=arms))
    stopped_by_schema(answer, "spec.arms[0].trainings[0]")
    stopped_by_rbac(
        site.ask("POST", "nnunetcomparisons", body=comparison(site.other), where=site.other),
        "create",
        "nnunetcomparisons",
    )


@pytest.mark.parametrize(
    "name", ["testSet", "testSet.labels", "datasetHash", "folds", "patients", "metric.version", "inference"]
)
def test_how_was_scored_can_not_be_named_as_what_differs(site: Site, name: str) -> None:
    answer = site.ask("POST", "nnunetcomparisons", body=comparison(site.namespace, "loose", varies=[name]))
    stopped_by_schema(answer, "must be the same in all arms")
