"""The claims of a training and volumes for them, which nobody mounts."""

from tests.support.api import Api

NAMES = ("nnunet-raw", "nnunet-preprocessed", "nnunet-results")


def make_claims(api: Api, namespace: str, *names: str) -> None:
    """Make the claims of a training, or others, without volumes."""
    for name in names or NAMES:
        spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
        body = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
        api.request("POST", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", body)


def make_volumes(api: Api, namespace: str, *names: str) -> None:
    """Make the volumes that these claims ask for."""
    for name in names or NAMES:
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "hostPath": {"path": "/nonexistent"},
            "claimRef": {"name": name, "namespace": namespace},
            "storageClassName": "",
        }
        api.request("POST", "/api/v1/persistentvolumes", {"metadata": {"name": f"{namespace}-{name}"}, "spec": spec})


def make_bound_claims(api: Api, namespace: str, *names: str) -> None:
    """Make volumes and claims of a training, or others, which are bound in a moment.

    A claim that is there before its volume is bound at the controller's next round, up to 15 s later.
    """
    make_volumes(api, namespace, *names)
    make_claims(api, namespace, *names)


def are_bound(api: Api, namespace: str, *names: str) -> bool:
    """Tell whether all claims of a namespace, or these, are bound."""
    claims = api.request("GET", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims")["items"]
    asked = [claim for claim in claims if not names or claim["metadata"]["name"] in names]
    return all(claim["status"].get("phase") == "Bound" for claim in asked)
