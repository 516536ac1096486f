"""What there is to see in a namespace: how tests know that something goes on, and what they print when it does not."""

import json
from collections.abc import Callable, Iterator
from typing import TypeVar

from tests.support.api import LIMIT_SECONDS, LONGER_SECONDS, POLL_SECONDS, UNANSWERED, Api, ApiError, Object, wait_for

T = TypeVar("T")
KINDS = ("nnunettrainings", "nnunetcomparisons", "jobs", "pods", "events")
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
EVENTS, CHARACTERS = 30, 300


class Scene:
    """A namespace with its trainings, comparisons, Jobs, pods and Events, and the end of its operator's log."""

    def __init__(self, api: Api, namespace: str, log: Callable[[], str] = str) -> None:
        self._api = api
        self._namespace = namespace
        self._log = log
        self._versions: frozenset[str] = frozenset()

    def versions(self) -> frozenset[str]:
        """Return something that is another when something has changed; the same while the API server is away."""
        try:
            lists = [
                self._api.request("GET", self._api.path(kind, self._namespace), accept=METADATA)["items"] or ()
                for kind in KINDS
            ]
        except UNANSWERED:
            return self._versions
        heads = (body["metadata"] for bodies in lists for body in bodies)
        self._versions = frozenset(f"{head['uid']} {head['resourceVersion']}" for head in heads)
        return self._versions

    def wait(
        self,
        what: str,
        check: Callable[[], T | None],
        name: str = "",
        timeout: float = LIMIT_SECONDS,
        longer: float = LONGER_SECONDS,
        poll: float = POLL_SECONDS,
    ) -> T:
        """Wait as `wait_for` does, as long as something changes here; what is printed is mostly about `name`."""
        return wait_for(what, check, timeout, lambda: self.describe(name), self.versions, longer, poll)

    def describe(self, name: str = "") -> str:
        """Return what a person would look at; of trainings and comparisons of another name only the phase."""
        try:
            lines = [line for kind in KINDS for line in self._lines(kind, name)]
        except UNANSWERED as error:
            lines = [f"the API server does not tell: {error}"]
        return "\n".join([*lines, self._log()])

    def _lines(self, kind: str, name: str) -> Iterator[str]:
        try:
            bodies = self._api.list(kind, self._namespace)
        except ApiError as error:
            yield f"{kind}: {error}"  # its definition may be missing here
            return
        if kind == "events":
            yield from _events(bodies)
            return
        for body in bodies:
            head, status = body["metadata"], body.get("status", {})
            marks = {key: head[key] for key in ("deletionTimestamp", "finalizers") if key in head}
            told = _of_pod(body) if kind == "pods" else status
            if kind.startswith("nnunet") and name not in ("", head["name"]):
                told = {"phase": status.get("phase")}
            indent = 1 if kind.startswith("nnunet") and name in ("", head["name"]) else None
            yield f"{kind}/{head['name']} {marks or ''} {json.dumps(told, indent=indent)}"


def _of_pod(body: Object) -> Object:
    """Return of a pod's status what tells why it does not go on."""
    status: Object = body.get("status", {})
    states = [one.get("state") for one in status.get("containerStatuses", ())]
    conditions = [one for one in status.get("conditions", ()) if one["status"] != "True"]
    kept: Object = {key: status[key] for key in ("phase", "reason", "message") if key in status}
    return {**kept, "node": body["spec"].get("nodeName"), "states": states, "conditions": conditions}


def _events(bodies: list[Object]) -> Iterator[str]:
    """Yield the latest Events, a line each."""
    for event in sorted(bodies, key=lambda one: int(one["metadata"]["resourceVersion"]))[-EVENTS:]:
        about = event["involvedObject"]
        times = event.get("lastTimestamp") or event.get("eventTime")
        said = (event.get("message") or "")[:CHARACTERS]
        yield f"{times} {about['kind']}/{about.get('name')} {event.get('reason')} x{event.get('count', 1)}: {said}"
