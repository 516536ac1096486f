"""What the audit policy of manifests/ has the API server keep."""

import json
from pathlib import Path

import pytest

from tests.integration.policy.support import MERGE, Gate, exception
from tests.support.api import Object, wait_for
from tests.support.builders import training

PREFIX = "validation.policy.admission.k8s.io/validation_failure"


class AuditLog:
    """What an API server has kept."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def entries(self, namespace: str, **wanted: str) -> list[Object]:
        """Return the entries on requests to a namespace or in it: resource, name, verb, subresource.

        All other tests are in the log as well.
        """
        with self._log.open() as log:  # the last line may be half written
            found = [json.loads(line) for line in log if f'"{namespace}"' in line and line.endswith("\n")]
        wanted["namespace"] = namespace
        return [entry for entry in found if wanted.items() <= {**entry["objectRef"], "verb": entry["verb"]}.items()]

    def entry(self, namespace: str, **wanted: str) -> Object:
        """Wait for the one entry and return it."""
        (only,) = wait_for(f"an entry on {wanted}", lambda: self.entries(namespace, **wanted))
        return only


@pytest.fixture
def audited(audit_log: Path) -> AuditLog:
    return AuditLog(audit_log)


def create(gate: Gate, namespace: str, name: str, as_: str = "") -> int:
    return gate.create(training(namespace, name), as_, dry_run=False).status


def test_a_denied_training_is_kept_with_who_asked_and_what_it_broke(gate: Gate, audited: AuditLog) -> None:
    namespace = gate.namespace()
    gate.bind("erin", "edit", namespace)
    asked = {"verb": "create", "group": "nnunet.dev", "resource": "nnunettrainings", "namespace": namespace}
    gate.wait_allowed("erin", asked)
    gate.write("house", namespaces=[namespace], rules={"minEpochs": 1000})
    assert create(gate, namespace, "denied", "erin") == 403
    entry = audited.entry(namespace, resource="nnunettrainings", verb="create")
    assert (entry["responseStatus"]["code"], entry["impersonatedUser"]["username"]) == (403, "erin")
    assert entry["requestObject"]["spec"]["schedule"]["epochs"] == 10
    (failure,) = json.loads(entry["annotations"][PREFIX])
    assert (failure["policy"], failure["validationActions"]) == ("nnunet-policy-warn", ["Warn", "Audit"])
    assert failure["message"].startswith("policy house: spec.schedule.epochs is 10, must be at least 1000: ")


@pytest.mark.parametrize("mode", ["Audit", "Warn"])
def test_what_is_not_denied_is_recorded_once_and_so_is_an_exception(gate: Gate, audited: AuditLog, mode: str) -> None:
    namespace = gate.namespace()
    gate.put(
        "eased", namespaces=[namespace], rules={"minEpochs": 1000}, exceptions=[exception(namespace, minEpochs=10)]
    )
    gate.write("recorded", mode=mode, namespaces=[namespace], rules={"requireSeed": True})
    assert create(gate, namespace, "hippo") == 201
    annotations = audited.entry(namespace, resource="nnunettrainings", verb="create")["annotations"]
    (failure,) = json.loads(annotations[PREFIX])
    judged = {"Audit": ("nnunet-policy-audit", ["Audit"]), "Warn": ("nnunet-policy-warn", ["Warn", "Audit"])}
    assert (failure["policy"], failure["validationActions"]) == judged[mode]
    granted = annotations["nnunet-policy-warn/exception"]
    assert granted.startswith(f"policy eased: exception for {namespace}/hippo until ")
    assert granted.endswith(", ticket QM-17, approved by dr.x@example.org")


def test_what_counts_is_kept_and_the_rest_is_not(gate: Gate, audited: AuditLog) -> None:
    namespace = gate.namespace()
    ask, path = gate.ask, gate.client.path
    gate.settle()
    assert create(gate, namespace, "kept") == 201
    status = {"status": {"phase": "Completed"}}
    assert ask("PATCH", path("nnunettrainings", namespace, "kept") + "/status", status, "", MERGE).ok
    label = {"metadata": {"labels": {"nnunet.dev/site": "a"}}}
    assert ask("PATCH", f"/api/v1/namespaces/{namespace}", label, "", MERGE).ok
    spec = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b", "env": [{"name": "X", "value": "y"}]}]}
    meta = {"name": "kept", "namespace": namespace}
    assert ask(
        "POST", path("jobs", namespace), {"metadata": meta, "spec": {"suspend": True, "template": {"spec": spec}}}
    ).ok
    wait_for("an account for pods", lambda: ask("POST", path("pods", namespace), {"metadata": meta, "spec": spec}).ok)
    ask("POST", path("pods", namespace, "kept") + "/exec?command=id&stdout=true")
    assert ask("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": meta}).ok
    assert ask("GET", path("nnunettrainings", namespace, "kept")).ok
    assert ask("DELETE", path("nnunettrainings", namespace, "kept")).ok

    assert audited.entry(namespace, resource="nnunettrainings", verb="create")["responseObject"]["spec"]
    assert audited.entry(namespace, resource="nnunettrainings", verb="delete")
    assert audited.entry(namespace, resource="nnunettrainings", subresource="status")["requestObject"] == status
    labelled = audited.entry(namespace, resource="namespaces", verb="patch")["responseObject"]
    assert labelled["metadata"]["labels"]["nnunet.dev/site"] == "a"
    assert audited.entry(namespace, resource="jobs", verb="create")["requestObject"]["spec"]["suspend"] is True
    # One entry for each stage of the connection.
    assert wait_for("entries on exec", lambda: audited.entries(namespace, subresource="exec"))
    pods = [entry for entry in audited.entries(namespace, resource="pods") if "subresource" not in entry["objectRef"]]
    assert pods
    assert not any("requestObject" in entry for entry in pods), "environments of other people's pods"
    assert audited.entries(namespace, resource="configmaps") == []
    assert audited.entries(namespace, resource="nnunettrainings", verb="get") == []
