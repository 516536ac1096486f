"""Quotas that are in force when a test goes on."""

from tests.support.api import Api, Object, wait_for

_POD: Object = {"restartPolicy": "Never", "containers": [{"name": "trial", "image": "trial"}]}
_TRIALS: dict[str, tuple[str, Object]] = {
    "pods": ("pods", _POD),
    "count/jobs.batch": ("jobs", {"template": {"spec": _POD}}),
}


def forbid(api: Api, namespace: str, resource: str = "pods") -> None:
    """Make a quota `none` that allows no more of a resource, and wait until the API server holds to it.

    The quota's status is no proof: it is written by the controller manager, and admission sees it later, by a watch.
    """
    quota: Object = {"metadata": {"name": "none", "namespace": namespace}, "spec": {"hard": {resource: "0"}}}
    api.create("resourcequotas", quota)
    kind, spec = _TRIALS[resource]
    trial: Object = {"metadata": {"generateName": "trial-", "namespace": namespace}, "spec": spec}

    wait_for(f"a quota of no {resource} to be in force", lambda: "exceeded quota" in api.refusal(kind, trial))


def allow(api: Api, namespace: str) -> None:
    """Take the quota away."""
    api.delete("resourcequotas", namespace, "none")
