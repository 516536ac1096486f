"""Rights by which somebody gets around what the operator promises. Pure.

docs/operations/threat-model.md has a row for each: what can be tried with it, and what stops that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_CHANGES = frozenset({"update", "patch"})
_ENTERS = frozenset({"create", "get"})
"""Both start a session: a websocket is asked for by GET."""


@dataclass(frozen=True)
class Danger:
    """A right and what it is good for."""

    name: str
    """How outputs and the threat model call it."""
    can: str
    """What who has it can do, in words."""
    group: str
    resources: frozenset[str]
    """With their subresource, as in a rule of a Role."""
    verbs: frozenset[str]
    in_namespaces: bool = True
    """False: a RoleBinding does not give it, because the resource is in no namespace."""


def _danger(
    name: str, can: str, group: str, resources: str, verbs: frozenset[str], in_namespaces: bool = True
) -> Danger:
    return Danger(name, can, group, frozenset(resources.split()), verbs, in_namespaces)


DANGERS = (
    _danger(
        "training-status",
        "write the status of trainings, or how often test sets were looked at",
        "nnunet.dev",
        "nnunettrainings/status nnunetcomparisons/status nnunettestsets nnunettestsets/status",
        _CHANGES,
    ),
    _danger("act-as-operator", "pass for the operator", "nnunet.dev", "nnunettrainings/jobs", frozenset({"create"})),
    _danger(
        "policies",
        "write policies and exceptions",
        "nnunet.dev",
        "nnunettrainingpolicies nnunettrainingpolicies/status",
        _WRITES,
        in_namespaces=False,
    ),
    _danger(
        "admission",
        "switch admission off, or let it change trainings",
        "admissionregistration.k8s.io",
        "validatingadmissionpolicies validatingadmissionpolicybindings mutatingadmissionpolicies "
        "mutatingadmissionpolicybindings mutatingwebhookconfigurations validatingwebhookconfigurations",
        _WRITES,
        in_namespaces=False,
    ),
    _danger(
        "definitions",
        "change or delete the kinds, and with them all policies",
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        frozenset({"update", "patch", "delete", "deletecollection"}),
        in_namespaces=False,
    ),
    _danger("namespaces", "change labels of namespaces", "", "namespaces namespaces/finalize", _CHANGES),
    _danger("pods", "make pods that mount claims", "", "pods replicationcontrollers", frozenset({"create"})),
    _danger(
        "pods-by-apps",
        "make pods that mount claims",
        "apps",
        "deployments statefulsets daemonsets replicasets",
        frozenset({"create", "update", "patch"}),
    ),
    _danger("pods-by-jobs", "make pods that mount claims", "batch", "jobs cronjobs", frozenset({"create"})),
    _danger("enter-pods", "enter the pods of trainings", "", "pods/exec pods/attach pods/portforward", _ENTERS),
    _danger("pod-status", "write the status of pods", "", "pods/status pods/ephemeralcontainers", _CHANGES),
    _danger("pod-binding", "write labels of pods by a Binding", "", "pods/binding bindings", frozenset({"create"})),
    _danger("job-status", "write the status of Jobs", "batch", "jobs/status", _CHANGES),
    _danger("tokens", "act as a ServiceAccount", "", "serviceaccounts/token", frozenset({"create"})),
    _danger("secrets", "read tokens and pull secrets", "", "secrets", frozenset({"get", "list", "watch"})),
    _danger(
        "impersonate",
        "act as anybody",
        "",
        "users groups serviceaccounts",
        frozenset({"impersonate"}),
    ),
    _danger(
        "give-rights",
        "give themselves any right",
        "rbac.authorization.k8s.io",
        "roles clusterroles",
        frozenset({"bind", "escalate"}),
    ),
    _danger(
        "nodes",
        "act as a kubelet, or reach one",
        "",
        "nodes/proxy nodes/status",
        frozenset({"get", "create", "update", "patch"}),
        in_namespaces=False,
    ),
    _danger(
        "volumes",
        "mount any volume, or a node's disk, by a claim",
        "",
        "persistentvolumes",
        frozenset({"create", "update", "patch"}),
        in_namespaces=False,
    ),
    _danger(
        "certificates",
        "have certificates signed for any user",
        "certificates.k8s.io",
        "certificatesigningrequests/approval",
        _CHANGES,
        in_namespaces=False,
    ),
)
EVERYTHING = Danger("everything", "everything", "*", frozenset({"*"}), frozenset({"*"}))
"""Said alone: whoever has it has all others."""


def found_in(rule: Mapping[str, Any], everywhere: bool) -> Iterable[Danger]:
    """Yield the dangers of a rule of a Role; `everywhere`: it is given in the whole cluster.

    As Kubernetes' RBAC authorizer matches: `*` stands for any group, verb, and resource with any subresource; `*/x`
    for the subresource x of any resource; nothing else is a pattern.
    """
    groups, resources, verbs = (set(rule.get(key) or ()) for key in ("apiGroups", "resources", "verbs"))
    if "*" in groups and "*" in resources and "*" in verbs and not rule.get("resourceNames"):
        yield EVERYTHING
        return
    for danger in DANGERS:
        if not (everywhere or danger.in_namespaces):
            continue
        if not groups & {"*", danger.group} or not verbs & {"*", *danger.verbs}:
            continue
        if any(_matches(resource, resources) for resource in danger.resources):
            yield danger


def _matches(resource: str, given: set[str]) -> bool:
    _, slash, child = resource.partition("/")
    return bool(given & ({"*", resource, f"*/{child}"} if slash else {"*", resource}))
