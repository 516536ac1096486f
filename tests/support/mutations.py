"""Rules of a cluster that change Jobs and pods as they are created, by the API server's own admission policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from tests.support.api import Api, Object, wait_for

_PATH = "/apis/admissionregistration.k8s.io/v1"
_INIT = '{name: "setup%d", image: "registry.example/setup:3"}'
_NATIVE = '{name: "mesh", image: "registry.example/mesh:3", restartPolicy: "Always"}'
_ONES = '{"team.example.org/owner": "a", "nnunet.dev/team": "a"}'


def _proxy(place: str, spec: str) -> str:
    """Return a container whose name no other rule gives."""
    return f'{{name: "proxy-{place}{len(spec)}", image: "registry.example/proxy:3"}}'


def _first(spec: str, type_: str) -> str:
    return f'[JSONPatch{{op: "add", path: "{spec}/containers/0", value: {type_}.containers{_proxy("a", spec)}}}]'


def _last(spec: str, type_: str) -> str:
    return f'[JSONPatch{{op: "add", path: "{spec}/containers/-", value: {type_}.containers{_proxy("z", spec)}}}]'


def _init(has: str, spec: str, type_: str, container: str) -> str:
    value = f"{type_}.initContainers{container}"
    return (
        f'has({has}.initContainers) ? [JSONPatch{{op: "add", path: "{spec}/initContainers/0", value: {value}}}] : '
        f'[JSONPatch{{op: "add", path: "{spec}/initContainers", value: [{value}]}}]'
    )


def _marked(metadata: str, where: str) -> str:
    """Labels and annotations, where there are some, and where there are none."""
    label = f'JSONPatch{{op: "add", path: "{where}/labels/team.example.org~1owner", value: "a"}}'
    note = f'JSONPatch{{op: "add", path: "{where}/annotations", value: {_ONES}}}'
    return f"has({metadata}.annotations) ? [{label}] : [{label}, {note}]"


_TEMPLATE, _TYPE = "/spec/template/spec", "Object.spec.template.spec"
KINDS: Mapping[str, str] = {
    "jsf": "jobs", "jsl": "jobs", "jin": "jobs", "jla": "jobs", "jfi": "jobs", "jsu": "jobs", "ttl": "jobs",
    "psf": "pods", "psl": "pods", "pin": "pods", "pla": "pods", "nat": "pods", "mir": "pods",
}  # fmt: skip
"""By rule: what it changes."""
RULES: Mapping[str, str] = {
    "jsf": _first(_TEMPLATE, _TYPE),
    "jsl": _last(_TEMPLATE, _TYPE),
    "jin": _init("object.spec.template.spec", _TEMPLATE, _TYPE, _INIT % 1),
    "jla": _marked("object.spec.template.metadata", "/spec/template/metadata"),
    "jfi": '[JSONPatch{op: "add", path: "/metadata/finalizers", value: ["example.org/hold"]}]',
    "jsu": '[JSONPatch{op: "add", path: "/spec/suspend", value: true}]',
    "ttl": '[JSONPatch{op: "add", path: "/spec/ttlSecondsAfterFinished", value: 0}]',
    "psf": _first("/spec", "Object.spec"),
    "psl": _last("/spec", "Object.spec"),
    "pin": _init("object.spec", "/spec", "Object.spec", _INIT % 2),
    "pla": _marked("object.metadata", "/metadata"),
    "nat": _init("object.spec", "/spec", "Object.spec", _NATIVE),
    # Another registry: no digest tells that it is the same image, so the verification's report is not believed.
    "mir": 'object.spec.containers.exists(c, c.image.startsWith("registry.example/trainer")) ? [JSONPatch{op: '
    '"replace", path: "/spec/containers/" + string(object.spec.containers.map(c, c.name).indexOf("trainer")) + '
    '"/image", value: "mirror.example/trainer:1"}] : []',
}
"""By name: what it does, as JSON patches in CEL."""


@dataclass
class Mutations:
    """Rules in force for one namespace."""

    api: Api
    namespace: str
    _made: list[str] = field(default_factory=list)

    def begin(self, name: str, group: str, kind: str, expression: str, only: str = "") -> None:
        """Have what is created of a kind changed by a JSON patch in CEL, where the CEL `only` holds."""
        full = f"{self.namespace}-{name}"
        rules = [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [kind]}]
        spec: Object = {
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
                "resourceRules": rules,
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        }
        if only:
            spec["matchConditions"] = [{"name": "only", "expression": only}]
        self._made.append(full)
        self.api.request("POST", f"{_PATH}/mutatingadmissionpolicies", {"metadata": {"name": full}, "spec": spec})
        binding = {"metadata": {"name": full}, "spec": {"policyName": full}}
        self.api.request("POST", f"{_PATH}/mutatingadmissionpolicybindings", binding)

    def begin_by_name(self) -> None:
        """Put all `RULES` into force, each for trainings whose names hold its own (c7-psf-ttl-x), and wait for it."""
        label = 'object.metadata.?labels["nnunet.dev/training"].orValue("")'
        for name, expression in RULES.items():
            group = "batch" if KINDS[name] == "jobs" else ""
            self.begin(name, group, KINDS[name], expression, f'{label}.contains("-{name}-")')
        for name, kind in KINDS.items():
            wait_for(f"rule {name} to be in force", partial(self._changes, name, kind))

    def _changes(self, name: str, kind: str) -> bool:
        return _essence(self._tried(kind, f"c-{name}-x")) != _essence(self._tried(kind, "c-x"))

    def _tried(self, kind: str, training: str) -> Object:
        """Return what a dry run makes of a Job or pod of a training."""
        labels = {"nnunet.dev/training": training}
        container = {"name": "trainer", "image": "registry.example/trainer:1"}
        pod: Object = {"restartPolicy": "Never", "containers": [container]}
        metadata = {"generateName": "trial-", "namespace": self.namespace, "labels": labels}
        spec = pod if kind == "pods" else {"template": {"metadata": {"labels": labels}, "spec": pod}}
        return self.api.create(kind, {"metadata": metadata, "spec": spec}, dryRun="All")

    def end(self) -> None:
        """Take all rules away."""
        for name in self._made:
            for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
                self.api.request("DELETE", f"{_PATH}/{kind}/{name}")
        self._made.clear()


def _essence(body: Object) -> Object:
    """Return what rules change of an object."""
    pod = body["spec"].get("template", body)
    names = [one["name"] + one["image"] for one in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])]
    job = {key: body["spec"].get(key) for key in ("suspend", "ttlSecondsAfterFinished")}
    return {
        "names": names,
        "annotations": pod["metadata"].get("annotations"),
        **job,
        "finalizers": body["metadata"].get("finalizers"),
    }
