"""What a person needs to see when the demo fails: conditions, Events, and the last words of the pod to blame."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console

from hack.localcluster import ClusterError

LOG_LINES = 12
EVENTS = 8
Object = Mapping[str, Any]


class Kubectl(Protocol):
    """The part of kubectl that looking takes."""

    def run(self, *args: str) -> str:
        """Return what kubectl prints; raise ClusterError when it fails."""


def explain(kubectl: Kubectl, console: Console, namespace: str, operator_namespace: str) -> None:
    """Print what is known about why nothing works; what can't be read is left out."""
    pods = _pods(kubectl, namespace)
    operators = _pods(kubectl, operator_namespace)
    for training in _items(kubectl, "nnt", namespace):
        _conditions(console, training)
    _show(console, "pods", _table(kubectl, "pods", namespace) + _table(kubectl, "pods", operator_namespace))
    events = ("get", "events", "--sort-by=.lastTimestamp", f"--namespace={namespace}")
    _show(console, "last events", "\n".join(_try(kubectl, *events).splitlines()[-EVENTS:]))
    blamed = to_blame(pods) or to_blame(operators)
    # Where none has failed, something stands still: what runs, each fold of it, says where.
    for pod in [blamed] if blamed else [*(running(pods) or pods[-1:]), *operators[-1:]]:
        name, where = pod["metadata"]["name"], pod["metadata"]["namespace"]
        log = _try(kubectl, "logs", name, f"--namespace={where}", f"--tail={LOG_LINES}")
        _show(console, f"last log lines of pod {name}", log or "(it has no log)")


def to_blame(pods: Sequence[Object]) -> Object | None:
    """Return the newest pod that failed, or else the newest that can't start; None where all is well."""
    newest_first = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    for is_bad in (_failed, _stuck):
        found = next((pod for pod in newest_first if is_bad(pod)), None)
        if found:
            return found
    return None


def running(pods: Sequence[Object]) -> list[Object]:
    """Return the pods that work now."""
    return [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]


def _failed(pod: Object) -> bool:
    states = [container.get("state") or {} for container in (pod.get("status") or {}).get("containerStatuses") or []]
    ended = [(state.get("terminated") or {}).get("exitCode", 0) for state in states]
    return (pod.get("status") or {}).get("phase") == "Failed" or any(ended)


def _stuck(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Pending"


def _conditions(console: Console, training: Object) -> None:
    conditions = (training.get("status") or {}).get("conditions") or []
    lines = [f"{c['type']}={c['status']} {c['reason']}: {c.get('message', '')}" for c in conditions]
    name = training["metadata"]["name"]
    _show(console, f"conditions of {name}", "\n".join(lines) or "(none: has the operator seen it?)")


def _pods(kubectl: Kubectl, namespace: str) -> list[Object]:
    return _items(kubectl, "pods", namespace)


def _items(kubectl: Kubectl, kind: str, namespace: str) -> list[Object]:
    text = _try(kubectl, "get", kind, f"--namespace={namespace}", "--output=json")
    items: list[Object] = json.loads(text)["items"] if text else []
    return items


def _table(kubectl: Kubectl, kind: str, namespace: str) -> str:
    return _try(kubectl, "get", kind, f"--namespace={namespace}", "--output=wide")


def _try(kubectl: Kubectl, *args: str) -> str:
    try:
        return kubectl.run(*args)
    except ClusterError:
        return ""


def _show(console: Console, title: str, text: str) -> None:
    if text.strip():
        console.print(f"\n--- {title}", markup=False, highlight=False)
        console.print(text.rstrip(), markup=False, highlight=False, soft_wrap=True)
