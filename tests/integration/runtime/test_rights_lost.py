"""Rights of the operator's account are taken away while it runs: that is told, and once they are back it goes on."""

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path

from hack.localcluster import Cluster
from hack.prepare.helm import render
from tests.integration.conftest import Lab
from tests.support.api import Api, Object, wait_for
from tests.support.builders import training
from tests.support.process import OperatorProcess

RBAC = "/apis/rbac.authorization.k8s.io/v1"


@functools.cache
def chart_rules() -> tuple[Object, ...]:
    """Return the rules of the operator's role in the chart."""
    wanted = ("ClusterRole", "nnunet-operator")
    (role,) = [body for body in render() if (body["kind"], body["metadata"]["name"]) == wanted]
    return tuple(role["rules"])


class Account:
    """A ServiceAccount with the operator's rights, from which some can be taken."""

    def __init__(self, api: Api, cluster: Cluster, namespace: str, folder: Path) -> None:
        self._api, self._name = api, f"operator-{namespace}"
        self._user = f"system:serviceaccount:{namespace}:default"
        account = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": self._name}
        api.request("POST", f"{RBAC}/clusterroles", self._role())
        binding = {"metadata": {"name": self._name}, "roleRef": role, "subjects": [account]}
        api.request("POST", f"{RBAC}/clusterrolebindings", binding)
        token = api.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", {"spec": {}})
        config = json.loads(cluster.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token["status"]["token"]}
        self.kubeconfig = folder / "account.kubeconfig"
        self.kubeconfig.write_text(json.dumps(config))
        self.give()

    def give(self) -> None:
        """Give all rights back, as an upgrade of the chart does."""
        self.take("", "")

    def take(self, resource: str, *verbs: str) -> None:
        """Take rights to a resource, and no others; they are gone when this returns."""
        self._api.request("PUT", f"{RBAC}/clusterroles/{self._name}", self._role(resource, *verbs))
        verb, asked = (verbs[0], resource) if resource else ("delete", "jobs")
        attributes = {"group": "batch" if asked == "jobs" else "", "resource": asked, "verb": verb}
        review = {"spec": {"user": self._user, "resourceAttributes": attributes}}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

        def as_told() -> bool:
            allowed: bool = self._api.request("POST", path, review)["status"]["allowed"]
            return allowed is not bool(resource)

        wait_for("the authorizer to know", as_told)

    def _role(self, resource: str = "", *verbs: str) -> Object:
        rules = [
            {**rule, "resources": [each], "verbs": left}
            for rule in chart_rules()
            for each in rule["resources"]
            if (left := [verb for verb in rule["verbs"] if each != resource or verb not in verbs])
        ]
        return {"metadata": {"name": self._name}, "rules": rules}

    def close(self) -> None:
        """Delete role and binding."""
        for kind in ("clusterrolebindings", "clusterroles"):
            self._api.request("DELETE", f"{RBAC}/{kind}/{self._name}")


def look_again(lab: Lab, *names: str) -> None:
    """Have the operator look at once: by itself it waits for longer after each failure."""
    for name in names:
        change = {"metadata": {"annotations": {"looked": str(time.monotonic())}}}
        lab.api.merge("nnunettrainings", lab.namespace, name, change)


def test_rights_that_are_taken_away_are_told_and_missed_no_longer_than_they_are_gone(
    api: Api, cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    account = Account(api, cluster, namespace, tmp_path)
    try:
        lab = Lab(api, namespace, start_operator(namespace, kubeconfig=account.kubeconfig))
        for name in ("ends", "stops"):
            lab.apply(training(namespace, name))
            lab.wait_reason("Progressing", "WaitingForResources", name)
        # What can't be read anew is neither declared failed nor stopped.
        account.take("pods", "list", "watch")
        lab.set("stops", suspend=True)
        lab.kubelet.end(lab.kubelet.pod("ends", "plan"), 64)
        for name in ("ends", "stops"):
            said = lab.wait_said('cannot list resource "pods"', name)["message"]
            assert "can't be read" in said and "have its chart installed anew" in said
        assert lab.condition("Failed", "ends")["status"] == "False"
        account.take("jobs", "delete")
        look_again(lab, "ends", "stops")
        lab.wait_reason("Failed", "WrongConfiguration", "ends")
        said = lab.wait_said('cannot delete resource "jobs"', "stops")["message"]
        assert "being stopped because spec.suspend is true" in said and "have its chart installed anew" in said
        account.take("jobs", "create")
        look_again(lab, "stops")
        lab.wait_reason("Suspended", "SuspendedByUser", "stops")
        lab.set("stops", suspend=False)
        said = lab.wait_reason("Progressing", "PodRejected", "stops")["message"]
        assert 'cannot create resource "jobs"' in said and "have its chart installed anew" in said
        account.give()
        look_again(lab, "stops")
        lab.wait_reason("Progressing", "WaitingForResources", "stops")
        assert "can't be read" not in json.dumps([lab.status(name) for name in ("ends", "stops")])
    finally:
        account.close()
