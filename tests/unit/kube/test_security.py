"""As whom pods run, what they read of Secrets and ConfigMaps, and what stays out of the verification's."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nnunet_api.fold_key import FoldKey
from nnunet_api.folders import maker_of
from nnunet_api.pod_template import SecurityContext
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.builders.stages import evaluate_job, fold_job, plan_job, verify_job
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import OPTIONS, training

Build = Callable[[Training, JobOptions], Manifest]
BUILDERS: dict[str, Build] = {
    "plan": plan_job,
    "fold": lambda of, options: fold_job(of, options, FoldKey("3d_fullres", "0")),
    "verify": verify_job,
    "evaluate": evaluate_job,
}
every_job = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
ALWAYS = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
USUAL = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch"}
ASSIGNED = SecurityContext()
LOCAL = {"type": "Localhost", "localhostProfile": "profiles/trainer.json"}
ENV: list[Any] = [
    {"name": "WANDB_API_KEY", "valueFrom": {"secretKeyRef": {"name": "wandb", "key": "token"}}},
    {"name": "PROXY", "valueFrom": {"configMapKeyRef": {"name": "net", "key": "proxy", "optional": True}}},
    {"name": "PLAIN", "value": "a"},
]
VOLUMES: list[Any] = [
    {"name": "ca", "configMap": {"name": "corporate-ca", "optional": True}},
    {"name": "licence", "secret": {"secretName": "licence"}},
]


def pod(job: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


@every_job
@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        (None, OPTIONS, USUAL),
        (None, replace(OPTIONS, security=ASSIGNED), {}),
        (None, replace(OPTIONS, security=SecurityContext(run_as_group=0)), {"runAsGroup": 0}),
        ({}, OPTIONS, {}),
        ({"runAsUser": 1500}, OPTIONS, {"runAsUser": 1500}),
        (
            {"fsGroup": 1000, "fsGroupChangePolicy": "Always", "supplementalGroups": [0, 6000]},
            OPTIONS,
            {"fsGroup": 1000, "fsGroupChangePolicy": "Always", "supplementalGroups": [0, 6000]},
        ),
        ({"runAsUser": 1500}, replace(OPTIONS, security=ASSIGNED), {"runAsUser": 1500}),
        ({"seLinuxOptions": {"level": "s0:c1,c2"}}, OPTIONS, {"seLinuxOptions": {"level": "s0:c1,c2"}}),
        ({"seLinuxOptions": {}}, OPTIONS, {}),
        ({"supplementalGroupsPolicy": "Strict"}, OPTIONS, {"supplementalGroupsPolicy": "Strict"}),
        ({"seccompProfile": LOCAL}, OPTIONS, {"seccompProfile": LOCAL}),
        ({"appArmorProfile": {"type": "RuntimeDefault"}}, OPTIONS, {"appArmorProfile": {"type": "RuntimeDefault"}}),
        (
            None,
            replace(
                OPTIONS, security=SecurityContext.model_validate({"seccompProfile": LOCAL, "appArmorProfile": LOCAL})
            ),
            {"seccompProfile": LOCAL, "appArmorProfile": LOCAL},
        ),
    ],
)
def test_as_whom_pods_run(build: Build, given: Any, options: JobOptions, expected: dict[str, Any]) -> None:
    """All stages as the same, or one could not read what another has written."""
    of = training(podTemplate={"securityContext": given} if given is not None else {})
    assert pod(build(of, options))["securityContext"] == {**ALWAYS, **expected}


@every_job
def test_pods_may_have_users_of_their_own(build: Build) -> None:
    assert pod(build(training(podTemplate={"hostUsers": False}), OPTIONS))["hostUsers"] is False
    for silent in ({}, {"hostUsers": True}):
        assert "hostUsers" not in pod(build(training(podTemplate=silent), OPTIONS))


GROUPS = ("clinic/nnunet-*:6000", "lab-*:5000", "nnunet-*")


@every_job
@pytest.mark.parametrize("asked", [None, 0, 1000, 5000, 6000, 7000])
@pytest.mark.parametrize(
    ("owned", "claims", "group"),
    [
        (("nnunet-*",), {}, 1000),
        (("*",), {}, 1000),
        (("nnunet-*:5000", "nnunet-*:6000"), {}, 5000),
        (GROUPS, {}, 6000),
        (("other/nnunet-*:6000", "nnunet-*"), {}, 1000),
        (GROUPS, {"preprocessed": {"claimName": "lab-a"}, "results": {"claimName": "lab-b"}}, 5000),
        (GROUPS, {"preprocessed": {"claimName": "database"}, "results": {"claimName": "database"}}, None),
    ],
)
def test_no_training_takes_files_from_the_group_of_its_claim(
    build: Build, owned: tuple[str, ...], claims: Any, group: int | None, asked: int | None
) -> None:
    """Claims are shared: whose files are what group's is for the operator's settings to say."""
    of = training(storage=claims, podTemplate={"securityContext": {"fsGroup": asked}})
    found = pod(build(of, replace(OPTIONS, owned_claims=owned)))["securityContext"]
    assert found.get("fsGroup") == (group if asked == group else None)
    # What was that group's before is still reached.
    assert found.get("supplementalGroups") == (None if asked in (None, group) else [asked])
    silent = pod(build(training(storage=claims), replace(OPTIONS, owned_claims=owned)))["securityContext"]
    assert silent.get("fsGroup") == group


def test_a_group_that_is_no_claims_own_is_one_of_the_pods_groups_once() -> None:
    given = {"runAsUser": 5000, "fsGroup": 5000, "supplementalGroups": [7000, 5000]}
    found = pod(plan_job(training(podTemplate={"securityContext": given}), OPTIONS))["securityContext"]
    assert found == {**ALWAYS, "runAsUser": 5000, "supplementalGroups": [7000, 5000]}


def test_claims_of_two_groups_are_given_to_neither_by_one_pod() -> None:
    of = training(storage={"preprocessed": {"claimName": "lab-a"}})
    assert "fsGroup" not in pod(plan_job(of, replace(OPTIONS, owned_claims=GROUPS)))["securityContext"]


def test_where_the_cluster_assigns_users_no_training_names_a_group() -> None:
    """OpenShift: the same for all pods of a namespace."""
    of = training(podTemplate={"securityContext": {"fsGroup": 5000}})
    assert pod(plan_job(of, replace(OPTIONS, security=ASSIGNED)))["securityContext"] == ALWAYS


@pytest.mark.parametrize("stage", BUILDERS)
def test_secrets_and_config_maps_reach_the_trainer_alone(stage: str) -> None:
    of = training(
        trainer={"env": ENV},
        podTemplate={"volumes": VOLUMES, "jobAnnotations": {"provreq.kueue.x-k8s.io/a": "1"}},
    )
    job = BUILDERS[stage](of, OPTIONS)
    (trainer,) = pod(job)["containers"]
    found = [one for one in trainer["env"] if one["name"] in ("WANDB_API_KEY", "PROXY", "PLAIN")]
    volumes = [one for one in pod(job)["volumes"] if "configMap" in one or "secret" in one]
    mounts = [one for one in trainer["volumeMounts"] if one["mountPath"].startswith("/nnunet/volumes/")]
    annotation = job["metadata"]["annotations"].get("provreq.kueue.x-k8s.io/a")
    if stage == "verify":
        assert (found, volumes, mounts, annotation) == ([], [], [], None)
        return
    assert [one.get("valueFrom") for one in found] == [
        {"secretKeyRef": {"name": "wandb", "key": "token", "optional": False}},
        {"configMapKeyRef": {"name": "net", "key": "proxy", "optional": True}},
        None,
    ]
    assert volumes == [
        {"name": "extra-ca", "configMap": {"name": "corporate-ca", "optional": True}},
        {"name": "extra-licence", "secret": {"secretName": "licence", "optional": False}},
    ]
    assert mounts == [
        {"name": "extra-ca", "mountPath": "/nnunet/volumes/ca", "readOnly": True},
        {"name": "extra-licence", "mountPath": "/nnunet/volumes/licence", "readOnly": True},
    ]
    assert annotation == "1"
    for container in pod(job).get("initContainers", ()):
        assert not any("valueFrom" in one for one in container["env"])
        assert not any(one["name"].startswith("extra-") for one in container["volumeMounts"])


@pytest.mark.parametrize("name", ["raw", "preprocessed", "results", "shm", "scratch"])
def test_no_volume_takes_the_place_of_the_operators(name: str) -> None:
    of = training(podTemplate={"volumes": [{"name": name, "configMap": {"name": "mine"}}]})
    job = plan_job(of, OPTIONS)
    names = [one["name"] for one in pod(job)["volumes"]]
    paths = [one["mountPath"] for one in pod(job)["containers"][0]["volumeMounts"]]
    assert len(set(names)) == len(names) and len(set(paths)) == len(paths)
    assert [path for path in paths if path.startswith("/nnunet/volumes")] == [f"/nnunet/volumes/{name}"]


def test_names_of_others_are_not_given_to_jobs() -> None:
    """The schema refuses them, but not where a training or a definition is older than it."""
    theirs = {"nnunet.dev/asked-for": "0" * 16, "kueue.x-k8s.io/queue-name": "a", "batch.kubernetes.io/x": "b"}
    of = training(podTemplate={"jobAnnotations": {**theirs, "note": "c"}})
    found = fold_job(of, OPTIONS, FoldKey("3d_fullres", "0"))["metadata"]["annotations"]
    assert found.keys() == {"nnunet.dev/asked-for", "nnunet.dev/operators-settings", "note"}
    assert found["nnunet.dev/asked-for"] != "0" * 16


def test_a_variable_that_no_training_may_set_is_not_set_from_a_secret_either() -> None:
    of = training(trainer={"env": [{**ENV[0], "name": "LD_PRELOAD"}]})
    (trainer,) = pod(fold_job(of, OPTIONS, FoldKey("3d_fullres", "0")))["containers"]
    assert not [one for one in trainer["env"] if one["name"] == "LD_PRELOAD"]


def test_data_that_was_made_with_other_files_is_not_shared() -> None:
    """A ConfigMap may hold code that planning runs."""
    plain, own = training().spec, training(podTemplate={"volumes": VOLUMES}).spec
    assert maker_of(plain) != maker_of(own)
