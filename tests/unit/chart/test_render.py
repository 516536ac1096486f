"""What the chart installs for given values."""

import json
from typing import Any

import pytest

from hack.prepare.helm import Object
from nnunet_api.crd import all_crds
from nnunet_api.pod_template import SecurityContext
from tests.support.chart import render

SELECTOR = {"app.kubernetes.io/name": "nnunet-operator", "app.kubernetes.io/instance": "nnunet-operator"}
DIGEST = f"sha256:{'ab' * 32}"


def find(objects: list[Object], kind: str, name: str = "nnunet-operator", namespace: str | None = None) -> Object:
    """Return the one object of this kind, name and (where given) namespace."""
    found = [
        thing
        for thing in objects
        if thing["kind"] == kind
        and thing["metadata"]["name"] == name
        and namespace in (None, thing["metadata"].get("namespace"))
    ]
    assert len(found) == 1, [(thing["kind"], thing["metadata"]["name"]) for thing in objects]
    return found[0]


def container(objects: list[Object]) -> Object:
    (only,) = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def environment(objects: list[Object]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container(objects)["env"]}


def identities(objects: list[Object]) -> set[tuple[str, str, str]]:
    return {(thing["kind"], thing["metadata"].get("namespace", ""), thing["metadata"]["name"]) for thing in objects}


ADMISSION = {
    ("ValidatingAdmissionPolicy", "", f"nnunet-{name}")
    for name in (
        "policy-enforce",
        "policy-warn",
        "policy-audit",
        "clinical-needs-a-policy",
        "advice",
        "sizes",
        "fixed",
        "reading",
        "templates",
    )
}
ADMISSION |= {
    ("ValidatingAdmissionPolicyBinding", "", f"nnunet-{name}")
    for name in (
        "policy-enforce",
        "policy-warn",
        "policy-audit",
        "there-is-none-ask-those-who-write-policies",
        "advice",
        "sizes",
        "fixed",
        "reading",
        "templates",
    )
}
BOTH = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
JOBS = {(kind, "", name) for kind in BOTH for name in ("nnunet-jobs", "nnunet-pods-of-jobs", "nnunet-verification")}
GUARDS = JOBS | {
    (kind, "", name) for kind in BOTH for name in ("nnunet-namespace-labels", "nnunet-exceptions", "nnunet-test-sets")
}
ACCOUNT = {(kind, "", "nnunet-operator-account") for kind in BOTH}
CLINICAL = {("NnunetTrainingPolicy", "", "clinical")}
CRDS = {
    ("CustomResourceDefinition", "", f"{plural}.nnunet.dev")
    for plural in ("nnunettrainings", "nnunettrainingpolicies", "nnunetcomparisons", "nnunettestsets")
}
ROLES = {
    ("ClusterRole", "", f"nnunet-{name}{part}")
    for name in ("trainer", "policy-admin", "auditor")
    for part in ("", "-base")
}
ROLES |= {("ClusterRole", "", "nnunet-policy-reader")}
ROLES |= {(kind, "", "nnunet-operator-definition-view") for kind in ("ClusterRole", "ClusterRoleBinding")}
DEFAULT = {
    *CRDS,
    *ADMISSION,
    *GUARDS,
    *ACCOUNT,
    *CLINICAL,
    *ROLES,
    ("ServiceAccount", "nnunet-system", "nnunet-operator"),
    ("ClusterRole", "", "nnunet-operator"),
    ("ClusterRoleBinding", "", "nnunet-operator"),
    ("ClusterRole", "", "nnunet-operator-trainings-view"),
    ("ClusterRole", "", "nnunet-operator-trainings-edit"),
    ("Service", "nnunet-system", "nnunet-operator-metrics"),
    ("Deployment", "nnunet-system", "nnunet-operator"),
}


@pytest.mark.parametrize(
    ("values", "absent", "added"),
    [
        ({}, set(), set()),
        ({"crds": {"install": False}}, CRDS, set()),
        ({"metricsService": {"create": False}}, {("Service", "nnunet-system", "nnunet-operator-metrics")}, set()),
        ({"policies": {"admission": False}}, ADMISSION | GUARDS, set()),
        ({"policies": {"guardJobs": False}}, JOBS, set()),
        ({"policies": {"guardOperator": False}}, ACCOUNT, set()),
        ({"policies": {"clinical": {"create": False}}}, CLINICAL, set()),
        (
            {"rbac": {"create": False}},
            {("ClusterRole", "", "nnunet-operator"), ("ClusterRoleBinding", "", "nnunet-operator")},
            set(),
        ),
        (
            {"rbac": {"aggregate": False}},
            {
                ("ClusterRole", "", "nnunet-operator-trainings-view"),
                ("ClusterRole", "", "nnunet-operator-trainings-edit"),
                *ROLES,
            },
            set(),
        ),
        (
            {"serviceAccount": {"create": False, "name": "mine"}},
            {("ServiceAccount", "nnunet-system", "nnunet-operator")},
            set(),
        ),
        (
            {"watch": {"namespaces": ["a", "b"]}},
            set(),
            {
                (kind, *where)
                for kind in ("Role", "RoleBinding")
                for where in (
                    ("a", "nnunet-operator"),
                    ("b", "nnunet-operator"),
                    ("default", "nnunet-operator-policy-events"),
                )
            },
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_objects(values: Object, absent: set[Any], added: set[Any]) -> None:
    assert identities(render(values)) == (DEFAULT - absent) | added


def test_the_crds_are_those_of_the_models() -> None:
    objects = render()
    for crd in all_crds():
        assert find(objects, "CustomResourceDefinition", crd["metadata"]["name"])["spec"] == crd["spec"]


@pytest.mark.parametrize("keep", [True, False])
def test_the_crds_outlive_the_release_if_asked_to(keep: bool) -> None:
    objects = render({"crds": {"keep": keep}})
    for _, _, name in CRDS:
        crd = find(objects, "CustomResourceDefinition", name)
        assert crd["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == ("keep" if keep else None)


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({"repository": "registry.example.org/op"}, "registry.example.org/op:0.1.0"),
        ({"repository": "registry.example.org:5000/x/op", "tag": "v2"}, "registry.example.org:5000/x/op:v2"),
        ({"repository": "op", "tag": "v2", "digest": DIGEST}, f"op@{DIGEST}"),
    ],
)
def test_images_by_tag_or_digest(image: Object, reference: str) -> None:
    assert container(render({"image": image}))["image"] == reference
    assert environment(render({"trainer": {"image": image}}))["NNUNET_OPERATOR_TRAINER_IMAGE"] == reference


def test_the_pod_meets_the_restricted_standard_and_writes_nowhere_but_tmp() -> None:
    pod = find(render(), "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    (operator,) = pod["containers"]
    assert operator["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_the_operator_runs_as_whom_the_cluster_asks_for() -> None:
    """What is not given stays restricted, and large user IDs stay whole numbers."""
    usual = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert find(render(), "Deployment")["spec"]["template"]["spec"]["securityContext"] == usual
    own = {"runAsUser": 1000680000, "fsGroup": 1000680000, "supplementalGroups": [5000]}
    found = find(render({"securityContext": own}), "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert found == {**usual, **own} and isinstance(found["runAsUser"], int)


ASSIGNED: Object = {"runAsUser": None, "runAsGroup": None, "fsGroup": None}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}),
        (ASSIGNED, {}),
        (
            {**ASSIGNED, "runAsUser": 1000680000, "supplementalGroups": [5000]},
            {"runAsUser": 1000680000, "supplementalGroups": [5000]},
        ),
        (
            {**ASSIGNED, "supplementalGroupsPolicy": "Strict", "seccompProfile": {"type": "RuntimeDefault"}},
            {"supplementalGroupsPolicy": "Strict", "seccompProfile": {"type": "RuntimeDefault"}},
        ),
    ],
)
def test_trainers_run_as_whom_the_cluster_asks_for(values: Object, expected: Object) -> None:
    """The operator and the command line's helper pods are told the same."""
    objects = render({"trainer": {"securityContext": values}})
    told = environment(objects)["NNUNET_OPERATOR_SECURITY_CONTEXT"]
    assert json.loads(told) == expected
    SecurityContext.model_validate_json(told)
    definition = find(objects, "CustomResourceDefinition", "nnunettrainings.nnunet.dev")
    assert definition["metadata"]["annotations"]["nnunet.dev/trainer-security-context"] == told


def test_one_replica_and_never_two_at_once() -> None:
    spec = find(render(), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_probes_and_service_follow_the_ports() -> None:
    objects = render({"settings": {"metricsPort": 9999, "healthPort": 8888}})
    operator = container(objects)
    assert {port["name"]: port["containerPort"] for port in operator["ports"]} == {"metrics": 9999, "health": 8888}
    assert operator["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "health"}
    # On a node short of CPU loading alone takes longer than the liveness probe is patient.
    startup = operator["startupProbe"]
    assert startup["httpGet"] == operator["livenessProbe"]["httpGet"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300
    assert operator["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    (port,) = find(objects, "Service", "nnunet-operator-metrics")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (9999, "metrics")
    assert environment(objects)["NNUNET_OPERATOR_METRICS_PORT"] == "9999"
    assert environment(objects)["NNUNET_OPERATOR_HEALTH_PORT"] == "8888"


def test_placement_and_metadata_reach_the_pod() -> None:
    placement: Object = {
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "system-cluster-critical",
        "imagePullSecrets": [{"name": "registry"}],
    }
    metadata = {"podLabels": {"team": "imaging"}, "podAnnotations": {"note": "x"}}
    template = find(render({**placement, **metadata}), "Deployment")["spec"]["template"]
    assert {key: template["spec"][key] for key in placement} == placement
    assert template["metadata"]["labels"]["team"] == "imaging"
    assert template["metadata"]["annotations"] == {"note": "x"}


def test_labels_of_the_user_do_not_break_the_selector() -> None:
    objects = render({"podLabels": {"app.kubernetes.io/name": "mine"}})
    deployment = find(objects, "Deployment")
    assert deployment["spec"]["selector"]["matchLabels"] == SELECTOR
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= SELECTOR.items()
    assert find(objects, "Service", "nnunet-operator-metrics")["spec"]["selector"] == SELECTOR


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("nnunet-operator", {}, "nnunet-operator"),
        ("team-a", {}, "team-a-nnunet-operator"),
        ("team-a", {"nameOverride": "op"}, "team-a-op"),
        ("team-a", {"fullnameOverride": "nnunet"}, "nnunet"),
    ],
)
def test_names(release: str, values: Object, name: str) -> None:
    objects = render(values, release)
    deployment = find(objects, "Deployment", name)
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == name
    (subject,) = find(objects, "ClusterRoleBinding", name)["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": name, "namespace": "nnunet-system"}


def test_lists_become_comma_lists_in_the_environment() -> None:
    env = environment(
        render({"watch": {"namespaces": ["a", "b"]}, "trainer": {"imagePullSecrets": [{"name": "x"}, {"name": "y"}]}})
    )
    assert env["NNUNET_OPERATOR_WATCH_NAMESPACES"] == "a,b"
    assert env["NNUNET_OPERATOR_TRAINER_IMAGE_PULL_SECRETS"] == "x,y"
