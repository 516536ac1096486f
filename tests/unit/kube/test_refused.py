"""A pod or Job that the API server refuses: what it says becomes one reason, with what to do."""

import pytest

from tests.support.made_trainings import training
from tests.support.made_worlds import (
    FOLD,
    PLAN,
    condition,
    created,
    decide,
    ended,
    job,
    planned,
    running,
    stated,
    world,
)

ONE = training(folds=[0])
THREE = training(folds=[0, 1, 2])


REFUSALS = pytest.mark.parametrize(
    ("message", "says"),
    [
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "Pod Security level"),
        ("pods is forbidden: exceeded quota: gpus, requested: 1", "quota"),
        ("admission webhook denied the request: no weekends", "no weekends"),
        ('Internal error: failed calling webhook "a": read tcp 10.0.0.1:4711->10.0.0.2:443', "does not answer"),
        (
            'failed calling webhook "a": read tcp [::1]:4711->[::2]:443: i/o timeout',
            "read tcp [::2]:443: i/o timeout. A",
        ),
        ('failed calling webhook "a": Post "https://a.b.svc:443/c?timeout=3s": EOF', '"https://a.b.svc:443/c": EOF. A'),
        ('pods "x" is forbidden: failed quota: team: must specify limits.cpu for: trainer', "spec.resources.cpuLimit"),
        ("[maximum cpu usage per Container is 4.  No limit is specified, ...]", "Give it: limits.cpu is"),
        ('Pod "x" is invalid: requests: Invalid value: "8": must be less than or equal to cpu limit of 1', "cpuLimit"),
        ("pods is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 8", "LimitRange"),
        ("pods is forbidden: minimum memory usage per Pod is 64Gi, but request is 34359738368", "LimitRange"),
        ("pods is forbidden: insufficient quota to match these scopes: [{PriorityClass In [high]}]", "quota raised"),
        ("pods is forbidden: exceeded quota: q, requested: requests.ephemeral-storage=1Gi", "quota raised"),
        (
            "pods is forbidden: failed quota: q: must specify requests.ephemeral-storage for: trainer",
            "ephemeralStorage",
        ),
        ("pods is forbidden: maximum memory usage per Container is 8Gi, but limit is 32Gi", "describe limitranges"),
        ('pods is forbidden: error looking up service account a/b: serviceaccount "b" not found', "Create the Service"),
        ("pods is forbidden: no PriorityClass with name high was found", "put its name in spec.podTemplate right"),
        (
            'pods "x" is forbidden: unable to validate against any security context constraint: [provider "a": '
            ".spec.securityContext.fsGroup: Invalid value: []int64{1000}: 1000 is not an allowed group]",
            "leave them to it by an empty spec.podTemplate.securityContext",
        ),
        (
            'jobs.batch is forbidden: User "system:serviceaccount:ops:operator" cannot create resource "jobs" in API '
            'group "batch" in the namespace "clinic"',
            "Where it is the operator's, have its chart installed anew",
        ),
        ('pod rejected: RuntimeClass "nvidia" not found', "put its name in spec.podTemplate right"),
        (
            'Job.batch "x" is invalid: spec.template.spec.tolerations[0].operator: Invalid value: "Exist"',
            "spec.template.spec.tolerations is spec.podTemplate.tolerations",
        ),
    ],
)


@REFUSALS
@pytest.mark.parametrize("exists", [True, False])
def test_a_pod_or_job_that_the_api_server_refuses(message: str, says: str, exists: bool) -> None:
    jobs = [job(ONE, PLAN)] if exists else []
    result = decide(world(ONE, *jobs, refusals={"hippo-plan": message}))
    assert stated(result, "Progressing") == ("False", "PodRejected")
    assert says in condition(result, "Progressing").message
    assert created(result) == ([] if exists else ["hippo-plan"])  # tried again: it may be allowed by now
    assert result.requeue_after == 60


def test_a_refusal_is_over_once_a_pod_exists() -> None:
    plan_job = job(ONE, PLAN)
    result = decide(world(ONE, plan_job, running(plan_job), refusals={"hippo-plan": "exceeded quota"}))
    assert stated(result, "Progressing") == ("True", "Planning")


def test_a_refused_pod_in_the_place_of_one_that_has_ended() -> None:
    fold = job(ONE, FOLD, "0", failed=1)
    result = decide(world(ONE, *planned(ONE), fold, ended(fold, 75), refusals={"hippo-fold-0": "exceeded quota: gpus"}))
    assert stated(result, "Progressing") == ("False", "PodRejected")
    assert "exceeded quota: gpus" in condition(result, "Progressing").message


def test_a_refusal_is_over_once_the_job_counts_a_pod() -> None:
    plan_job = job(ONE, PLAN)
    plan_job["status"]["active"] = 1
    result = decide(world(ONE, plan_job, refusals={"hippo-plan": "exceeded quota"}))
    assert stated(result, "Progressing") == ("True", "Starting")


def test_a_fold_whose_job_is_refused_does_not_start() -> None:
    """Though it is tried again: others train, so the phase of the training does not tell."""
    quota = 'jobs.batch "x" is forbidden: exceeded quota: jobs'
    first = job(THREE, FOLD, "0")
    objects = (*planned(THREE), first, running(first))
    refused = decide(world(THREE, *objects, refusals={"hippo-fold-1": quota}))
    assert stated(refused, "Progressing") == ("True", "Training")
    assert [fold.phase for fold in refused.status.folds] == ["Running", "Pending", "Starting"]
    assert created(refused) == ["hippo-fold-1", "hippo-fold-2"]
