"""A client that asks as anybody and hears warnings, and a cluster with the chart's admission policies."""

import itertools
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.integration.chart.conftest import Site
from tests.support.api import REQUEST_SECONDS, Api, Object, wait_for
from tests.support.builders import comparison

POLICIES = "/apis/nnunet.dev/v1alpha1/nnunettrainingpolicies"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MERGE, JSON_PATCH, STRATEGIC, APPLY = (
    f"application/{kind}"
    for kind in ("merge-patch+json", "json-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")
)
OPERATOR = "system:serviceaccount:nnunet-system:nnunet-operator"
DIGEST = f"registry.example/trainer@sha256:{'0' * 64}"
_PREFIX = re.compile(
    r"Validation failed for ValidatingAdmissionPolicy '([^']+)' with binding '([^']+)': (.*)", re.DOTALL
)
_DENIED = re.compile(r"ValidatingAdmissionPolicy '([^']+)' with binding '([^']+)' denied request: (.*)", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """What the API server said to a request."""

    status: int
    body: Object
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it did what it was asked for."""
        return self.status < 300

    @property
    def message(self) -> str:
        """Why it did not."""
        return "" if self.ok else str(self.body.get("message", self.body))

    @property
    def denial(self) -> tuple[str, str]:
        """The admission policy that denied the request, and its message; empty where none did."""
        found = _DENIED.search(self.message)
        return (found[1], found[3]) if found else ("", "")

    def warned(self, policy: str) -> list[str]:
        """Return the messages that an admission policy (not its binding) gave as warnings, in alphabetical order."""
        found = [_PREFIX.fullmatch(warning) for warning in self.warnings]
        return sorted(match[3] for match in found if match and match[1] == policy)


class Client(Api):
    """An administrator who may ask in the name of others."""

    def ask(self, method: str, path: str, body: Any = None, as_: str = "", type_: str = "application/json") -> Answer:
        """Send a request, as a user where one is named; strings are sent as they are."""
        headers = {"Content-Type": type_, "User-Agent": "nnunet-tests"}
        if as_:
            # A kubelet is one by its name and its group; the groups of service accounts go without saying.
            headers["Impersonate-User"] = as_
            if as_.startswith("system:node:"):
                headers["Impersonate-Group"] = "system:nodes"
        data = body if isinstance(body, str | None) else json.dumps(body)
        answer = self._pool.request(method, self.server + path, body=data, headers=headers, timeout=REQUEST_SECONDS)
        text = answer.data.decode()
        parsed = json.loads(text) if text.startswith("{") else {"message": text}
        said = [header.encode("latin-1").decode() for header in answer.headers.getlist("Warning")]  # it sends UTF-8
        warnings = [re.sub(r"\\(.)", r"\1", header[7:-1]) for header in said]
        return Answer(answer.status, parsed, tuple(warnings))


def policy_body(name: str, **spec: Any) -> Object:
    """Return a policy; it is enforced unless told otherwise."""
    spec = {"mode": "Enforce", "rules": {}, **spec}
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTrainingPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def in_time(**after: float) -> str:
    """Return the time after now, as `timedelta` counts it, as an exception gives it."""
    return (datetime.now(UTC) + timedelta(**after)).strftime("%Y-%m-%dT%H:%M:%SZ")


def end_soon(write: Callable[[str], object]) -> str:
    """Write something that ends at a time as soon as it can be, wait until it has ended, and return the time.

    Admission refuses it where a busy machine has been so late with it that it is over.
    """
    for seconds in (2, 4, 8, 16, 32):
        end = in_time(seconds=seconds)
        try:
            write(end)
        except AssertionError:
            if seconds == 32:
                raise
        else:
            break
    sleep_until(end)
    return end


def sleep_until(time_: str) -> None:
    """Wait until an exception that ends then has ended: times are compared in whole seconds."""
    time.sleep(max(0.0, datetime.fromisoformat(time_).timestamp() + 1.1 - time.time()))


def exception(namespace: str, name: str = "hippo", **fields: Any) -> Object:
    """Return an exception that ends in a day."""
    return {
        "namespace": namespace,
        "name": name,
        "reason": "the scanner is gone and no case can be added",
        "ticket": "QM-17",
        "approvedBy": "dr.x@example.org",
        "expiresAt": in_time(days=1),
        **fields,
    }


class Gate:
    """A cluster with the chart's admission policies."""

    def __init__(self, site: Site, kubeconfig: Path) -> None:
        self.site = site
        self.client = Client(kubeconfig)
        self._numbers = itertools.count(1)
        self._probe = self._clinical = ""
        self._allowed: set[tuple[str, str, str]] = set()

    def ask(self, method: str, path: str, body: Any = None, as_: str = "", type_: str = "application/json") -> Answer:
        """Send a request, see `Client.ask`."""
        return self.client.ask(method, path, body, as_, type_)

    def done(self, method: str, path: str, body: Any = None, as_: str = "", type_: str = "application/json") -> Object:
        """Send a request that must succeed and return the body of the answer."""
        answer = self.ask(method, path, body, as_, type_)
        assert answer.ok, f"{method} {path}: {answer.message}"
        return answer.body

    def namespace(self, **labels: str) -> str:
        """Make a namespace with labels under nnunet.dev/ and return its name."""
        name = f"n{next(self._numbers)}-{datetime.now(UTC):%H%M%S%f}"
        metadata = {"name": name, "labels": {f"nnunet.dev/{key}": value for key, value in labels.items()}}
        self.done("POST", "/api/v1/namespaces", {"metadata": metadata})
        return name

    def write(self, name: str, **spec: Any) -> str:
        """Write a policy, wait until admission knows it, and return its name."""
        self.put(name, **spec)
        self.settle()
        return name

    def put(self, name: str, **spec: Any) -> None:
        """Write a policy, whatever it was before."""
        body = policy_body(name, **spec)
        present = self.ask("GET", f"{POLICIES}/{name}")
        if present.ok:
            body["metadata"]["resourceVersion"] = present.body["metadata"]["resourceVersion"]
            self.done("PUT", f"{POLICIES}/{name}", body)
        else:
            self.done("POST", POLICIES, body)

    def create(self, body: Object, as_: str = "", dry_run: bool = True) -> Answer:
        """Create a training, or ask what would become of it."""
        path = self.client.path("nnunettrainings", body["metadata"]["namespace"])
        return self.ask("POST", f"{path}?dryRun=All" if dry_run else path, body, as_)

    def path(self, namespace: str, name: str = "hippo") -> str:
        """Return the path of a training."""
        return self.client.path("nnunettrainings", namespace, name)

    def settle(self) -> None:
        """Wait until admission has seen what was written before: it hears of each kind in the order of the writes."""
        self._probe = self._probe or self.namespace()
        mark = uuid.uuid4().hex
        selector = {"matchLabels": {"nnunet.dev/mark": mark}}
        self.put("zz-settled", mode="Warn", namespaceSelector=selector, rules={"minEpochs": 100_000})
        labels = {"metadata": {"labels": {"nnunet.dev/mark": mark}}}
        self.done("PATCH", f"/api/v1/namespaces/{self._probe}", labels, type_=MERGE)
        # Right after the definition of policies was installed it may take 30 s until admission finds them.
        wait_for("admission to know the policies", lambda: self._probed().warned("nnunet-policy-warn"))

    def _probed(self) -> Answer:
        return self.create(_probe(self._probe))

    def clear(self) -> None:
        """Delete all policies and wait until admission has none left."""
        self.done("DELETE", POLICIES)
        self._clinical = self._clinical or self.namespace(clinical="true")
        probe = _probe(self._clinical)
        wait_for("admission to have no policies", lambda: "no params found" in self.create(probe).message)

    def active(self) -> None:
        """Wait until each admission policy acts after their installation: the API server hears of them one by one."""
        self.settle()
        labels = {"metadata": {"name": "never", "labels": {"nnunet.dev/x": "1"}}}
        self.allow("probe", [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["*"]}])
        job = {"metadata": {"name": "never", "namespace": "default", "labels": {"nnunet.dev/x": "1"}}}
        unowned = {"metadata": {"name": "never", "namespace": "default"}}
        wrong = policy_body("never", namespaces=["x"], exceptions=[exception("x", expiresAt="2001-01-01T00:00:00Z")])
        self.allow("probe", [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]}], "default")
        spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}}
        self.allow(
            "probe", [{"apiGroups": ["nnunet.dev"], "resources": ["nnunetcomparisons"], "verbs": ["*"]}], "default"
        )
        templated = comparison("default", "never", template={"spec": {"dataset": {"name": "Dataset001_A"}}})
        templated["spec"]["arms"] = [{"name": name, "patch": {}} for name in ("a", "b")]
        # Only a change of what is there is held against what it was.
        kept = comparison("default", "kept", template=templated["spec"]["template"])
        kept["spec"]["arms"] = [{"name": "a", "patch": {"schedule": {"epochs": 5}}}, {"name": "b", "patch": {}}]
        comparisons = self.client.path("nnunetcomparisons", "default")
        self.done("POST", comparisons, kept)
        exchanged = [{"op": "replace", "path": "/spec/arms/0/patch", "value": {"folds": [1]}}]
        tries = {
            "nnunet-fixed": lambda: self.ask("PATCH", f"{comparisons}/kept?dryRun=All", exchanged, type_=JSON_PATCH),
            "nnunet-templates": lambda: self.ask("POST", f"{comparisons}?dryRun=All", templated, "probe"),
            "nnunet-namespace-labels": lambda: self.ask("POST", "/api/v1/namespaces?dryRun=All", labels, "probe"),
            "nnunet-jobs": lambda: self.ask(
                "POST", "/apis/batch/v1/namespaces/default/jobs?dryRun=All", {**job, "spec": spec}, "probe"
            ),
            "nnunet-operator-account": lambda: self.ask(
                "POST", "/apis/batch/v1/namespaces/default/jobs?dryRun=All", {**unowned, "spec": spec}, OPERATOR
            ),
            "nnunet-exceptions": lambda: self.ask("POST", f"{POLICIES}?dryRun=All", wrong),
            "nnunet-policy-enforce": self._probed,
        }
        assert self._probe
        self.put("zz-enforced", mode="Enforce", namespaces=[self._probe], rules={"minEpochs": 100_000})
        for name, attempt in tries.items():
            wait_for(f"{name} to act", lambda name=name, attempt=attempt: attempt().denial[0] == name)  # type: ignore[misc]
        self.done("DELETE", f"{comparisons}/kept")
        self.done("DELETE", f"{POLICIES}/zz-enforced")
        self.settle()

    def allow(self, user: str, rules: list[Object], namespace: str = "") -> None:
        """Give a user rights of their own, in a namespace or everywhere; once, for they stay."""
        if (given := (user, json.dumps(rules), namespace)) in self._allowed:
            return
        self._allowed.add(given)
        name = f"test-{user}-{next(self._numbers)}"
        self._apply("clusterroles", name, {"rules": rules})
        self.bind(user, name, namespace)
        first = rules[0]
        resource, _, subresource = first["resources"][0].partition("/")
        asked = {"group": first["apiGroups"][0], "resource": resource, "subresource": subresource}
        asked |= {"verb": first["verbs"][0], "namespace": namespace}
        self.wait_allowed(user, asked)

    def bind(self, user: str, role: str, namespace: str = "") -> None:
        """Give a user a ClusterRole, in a namespace or everywhere."""
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        kind = "rolebindings" if namespace else "clusterrolebindings"
        self._apply(kind, f"{user}-{role}", {"subjects": [subject], "roleRef": reference}, namespace)

    def wait_allowed(self, user: str, attributes: Mapping[str, str]) -> None:
        """Wait until a user may do something."""
        wait_for(f"{user} to be allowed {attributes}", lambda: self.client.may(user, attributes))

    def _apply(self, kind: str, name: str, body: Object, namespace: str = "") -> None:
        where = f"/namespaces/{namespace}" if namespace else ""
        kinds = {"clusterroles": "ClusterRole", "rolebindings": "RoleBinding"}
        full = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kinds.get(kind, "ClusterRoleBinding"),
            "metadata": {"name": name},
            **body,
        }
        self.done("PATCH", f"{RBAC}{where}/{kind}/{name}?fieldManager=tests&force=true", full, type_=APPLY)


def _probe(namespace: str) -> Object:
    """Return a training of which nothing is known but its namespace."""
    body = {"metadata": {"name": "probe", "namespace": namespace}, "spec": {"dataset": {"name": "Dataset001_A"}}}
    return {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTraining", **body}


@contextmanager
def without(gate: Gate, binding: str) -> Iterator[None]:
    """Take a binding of an admission policy away for a while."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    body = gate.done("GET", f"{path}/{binding}")
    gate.done("DELETE", f"{path}/{binding}")
    try:
        yield
    finally:
        metadata = {key: body["metadata"].get(key, {}) for key in ("name", "labels", "annotations")}
        gate.done("POST", path, {**body, "metadata": metadata})
