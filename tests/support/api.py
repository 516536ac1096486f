"""A small synchronous client of the API server. kubectl would take 100 ms for each call."""

import base64
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import urllib3

Object = dict[str, Any]
T = TypeVar("T")
REQUEST_SECONDS = 60.0

PATHS = {
    "nnunettrainings": "/apis/nnunet.dev/v1alpha1",
    "nnunettrainingpolicies": "/apis/nnunet.dev/v1alpha1",
    "nnunetcomparisons": "/apis/nnunet.dev/v1alpha1",
    "nnunettestsets": "/apis/nnunet.dev/v1alpha1",
    "jobs": "/apis/batch/v1",
    "pods": "/api/v1",
    "events": "/api/v1",
    "namespaces": "/api/v1",
    "nodes": "/api/v1",
    "resourcequotas": "/api/v1",
    "limitranges": "/api/v1",
    "serviceaccounts": "/api/v1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "workloads": "/apis/kueue.x-k8s.io/v1beta2",
    "localqueues": "/apis/kueue.x-k8s.io/v1beta2",
    "clusterqueues": "/apis/kueue.x-k8s.io/v1beta2",
    "resourceflavors": "/apis/kueue.x-k8s.io/v1beta2",
    "workloadpriorityclasses": "/apis/kueue.x-k8s.io/v1beta2",
    "admissionchecks": "/apis/kueue.x-k8s.io/v1beta2",
    "priorityclasses": "/apis/scheduling.k8s.io/v1",
}
CLUSTER_SCOPED = {
    "nnunettrainingpolicies",
    "namespaces",
    "nodes",
    "customresourcedefinitions",
    "clusterqueues",
    "resourceflavors",
    "workloadpriorityclasses",
    "admissionchecks",
    "priorityclasses",
}


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} (HTTP {status})")
        self.status = status
        self.message = message


UNANSWERED = (ApiError, urllib3.exceptions.HTTPError)
"""What a request raises where the API server refuses it, or is away."""


class Api:
    """The API server as its administrator sees it."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server: str = cluster["server"]
        self._folder = tempfile.TemporaryDirectory()
        self.ca = self._write("ca.crt", cluster["certificate-authority-data"])
        self.certificate = self._write("client.crt", user["client-certificate-data"])
        self.key = self._write("client.key", user["client-key-data"])
        self._pool = urllib3.PoolManager(
            num_pools=4, maxsize=16, ca_certs=self.ca, cert_file=self.certificate, key_file=self.key, retries=False
        )

    def _write(self, name: str, data: str) -> str:
        path = Path(self._folder.name) / name
        path.write_bytes(base64.b64decode(data))
        return str(path)

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", accept: str = "*/*"
    ) -> Any:
        """Send a request; return the parsed answer, or its text where it is no JSON. Raises ApiError."""
        data = body if isinstance(body, str | None) else json.dumps(body)
        headers = {"Content-Type": content_type, "User-Agent": "nnunet-tests", "Accept": accept}
        answer = self._pool.request(method, self.server + path, body=data, headers=headers, timeout=REQUEST_SECONDS)
        text = answer.data.decode()
        parsed = json.loads(text) if text.startswith(("{", "[")) else text
        if answer.status >= 300:
            raise ApiError(answer.status, parsed.get("message", "") if isinstance(parsed, dict) else text)
        return parsed

    def path(self, kind: str, namespace: str = "", name: str = "", **query: str) -> str:
        """Return the path of an object or list."""
        where = f"/namespaces/{namespace}" if namespace and kind not in CLUSTER_SCOPED else ""
        tail = f"/{name}" if name else ""
        return f"{PATHS[kind]}{where}/{kind}{tail}" + (f"?{urlencode(query)}" if query else "")

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return an object, or None."""
        try:
            found: Object = self.request("GET", self.path(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def list(self, kind: str, namespace: str = "", **query: str) -> list[Object]:
        """Return all objects of a kind."""
        items: list[Object] = self.request("GET", self.path(kind, namespace, **query))["items"]
        return items

    def create(self, kind: str, body: Object, **query: str) -> Object:
        """Create an object."""
        namespace = body["metadata"].get("namespace", "")
        created: Object = self.request("POST", self.path(kind, namespace, **query), body)
        return created

    def refusal(self, kind: str, body: Object, **query: str) -> str:
        """Return why an object would not be created, "" where it would: it is not made."""
        try:
            self.create(kind, body, dryRun="All", **query)
        except ApiError as error:
            return error.message
        return ""

    def may(self, user: str, attributes: Mapping[str, str], *groups: str) -> bool:
        """Say whether a user, in groups, may do something (resourceAttributes of a SubjectAccessReview)."""
        review = {"spec": {"user": user, "groups": groups, "resourceAttributes": dict(attributes)}}
        answer = self.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def delete(self, kind: str, namespace: str, name: str, propagation: str = "Background") -> None:
        """Delete an object."""
        self.request("DELETE", self.path(kind, namespace, name), {"propagationPolicy": propagation})

    def merge(self, kind: str, namespace: str, name: str, patch: Object, sub: str = "") -> Object:
        """Change an object by a merge patch."""
        path = self.path(kind, namespace, name) + (f"/{sub}" if sub else "")
        changed: Object = self.request("PATCH", path, patch, "application/merge-patch+json")
        return changed

    def apply(self, kind: str, body: Object, dry_run: bool = False) -> Object:
        """Apply an object on the server's side, as `kubectl apply --server-side` does."""
        query = {"fieldManager": "tests", "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        path = self.path(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"], **query)
        applied: Object = self.request("PATCH", path, body, "application/apply-patch+yaml")
        return applied

    def writes(self, *resources: str) -> float:
        """Return how many writes to these resources the API server has been asked for so far, by anybody.

        Without names: to all but leases, by which the API server itself shows every 10 s that it is alive.
        """
        total = 0.0
        for line in self.request("GET", "/metrics").splitlines():
            if not line.startswith("apiserver_request_total{"):
                continue
            series, value = line.rsplit(" ", 1)
            verb, resource = (series.split(f'{label}="', 1)[1].split('"', 1)[0] for label in ("verb", "resource"))
            if verb in WRITES and (resource in resources if resources else resource != "leases"):
                total += float(value)
        return total


WRITES = ("POST", "PUT", "PATCH", "DELETE", "APPLY")


LIMIT_SECONDS = 90.0
"""How long a test waits in vain: a busy machine needs less, and what has come costs no wait."""
LONGER_SECONDS = 180.0
"""How much longer at most, as long as something happens."""
LOOK_SECONDS = 5.0
POLL_SECONDS, LONGEST_POLL_SECONDS = 0.03, 0.2
"""Between the first two looks and between later ones: a look costs the API server about as much as it does the test."""


def wait_for(
    what: str,
    check: Callable[[], T | None],
    timeout: float = LIMIT_SECONDS,
    about: Callable[[], str] = str,
    seen: Callable[[], object] | None = None,
    longer: float = LONGER_SECONDS,
    poll: float = POLL_SECONDS,
) -> T:
    """Poll until `check` returns something true, and return it; else fail with what was waited for and `about` it.

    With `seen`, which returns something else each time that something has happened, `timeout` bounds the seconds in
    which nothing happens: a slow machine gets up to `longer` seconds more, and one on which nothing moves gets none.
    The time between two looks grows from `poll` on.
    """
    pause = poll
    began = last = looked = time.monotonic()
    known: object = None
    while not (value := check()):
        now = time.monotonic()
        if seen and (now - looked > LOOK_SECONDS or now - last > timeout):
            looked, current = now, seen()
            if current != known:
                known, last = current, now
        if now - last > timeout or now - began > timeout + longer:
            still = f", {now - last:.0f} s of them without a change" if seen else ""
            raise AssertionError(f"waited {now - began:.0f} s{still} for {what}; last: {value!r}\n{about()}")
        time.sleep(pause)
        pause = min(1.2 * pause, max(poll, LONGEST_POLL_SECONDS))
    return value


DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def wait_served(api: Api, *definitions: str) -> None:
    """Wait until the kinds of CustomResourceDefinitions ("plural.group") are served, and kubectl and helm know them.

    `kubectl wait --for=condition=Established` can't tell: it fails at once where a definition has no conditions yet.
    """
    wanted = [(group, plural) for plural, _, group in (name.partition(".") for name in definitions)]

    def served() -> bool:
        paths = _discovered(api)
        return all(kind in paths and _listed(api, paths[kind]) for kind in wanted)

    wait_for(f"{', '.join(definitions)} to be served", served)


def _discovered(api: Api) -> dict[tuple[str, str], str]:
    """Return the paths of the kinds that are known, by group and plural."""
    groups = [
        (group["metadata"]["name"], group["versions"])
        for group in api.request("GET", "/apis", accept=DISCOVERY)["items"]
    ]
    return {
        (name, resource["resource"]): f"/apis/{name}/{version['version']}/{resource['resource']}"
        for name, versions in groups
        for version in versions
        for resource in version.get("resources", [])
    }


def _listed(api: Api, path: str) -> bool:
    try:
        api.request("GET", f"{path}?limit=1")
    except ApiError as error:
        if error.status in (404, 429):  # right after its creation: "storage is (re)initializing"
            return False
        raise
    return True
