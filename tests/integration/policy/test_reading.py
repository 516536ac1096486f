"""Who may only train reads no Secret or ConfigMap by a pod that RBAC keeps from them."""

from typing import Any

import pytest

from tests.integration.policy.bypass import stopped_by_admission
from tests.integration.policy.support import MERGE, Gate
from tests.support.builders import training

KINDS = {"secrets": "Secrets", "configmaps": "ConfigMaps"}


def reading(resource: str, name: str, way: str) -> dict[str, Any]:
    """Return what makes a training's pods read an object: as a variable, or as files."""
    if way == "variable":
        key = {"secrets": "secretKeyRef", "configmaps": "configMapKeyRef"}[resource]
        return {"trainer": {"env": [{"name": "TOKEN", "valueFrom": {key: {"name": name, "key": "k"}}}]}}
    source = {"secrets": {"secret": {"secretName": name}}, "configmaps": {"configMap": {"name": name}}}[resource]
    return {"podTemplate": {"volumes": [{"name": "files", **source}]}}


@pytest.fixture
def home(gate: Gate) -> str:
    """A namespace in which tom may train, and nothing else."""
    namespace = gate.namespace()
    gate.bind("tom", "nnunet-trainer", namespace)
    gate.wait_allowed(
        "tom", {"verb": "create", "group": "nnunet.dev", "resource": "nnunettrainings", "namespace": namespace}
    )
    return namespace


@pytest.mark.parametrize("way", ["variable", "files"])
@pytest.mark.parametrize("resource", list(KINDS))
def test_who_may_not_read_an_object_has_no_pod_read_it(gate: Gate, home: str, resource: str, way: str) -> None:
    body = training(home, **reading(resource, "others", way))
    answer = gate.create(body, "tom")
    stopped_by_admission(answer, "nnunet-reading")
    assert f"reads {KINDS[resource]} that you may not read: others. Ask who runs" in answer.message
    assert gate.create(training(home), "tom", dry_run=False).ok
    stopped_by_admission(
        gate.ask("PATCH", gate.path(home), {"spec": {"podTemplate": reading(resource, "x", "files")["podTemplate"]}},
                 "tom", MERGE),
        "nnunet-reading",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("right", "verb", "group"),
    [("secrets", "get", ""), ("nnunettrainings/secrets", "create", "nnunet.dev")],
    ids=["may read them", "may have trainings read them"],
)
def test_who_may_read_an_object_may_name_it_and_others_may_go_on_with_the_training(
    gate: Gate, home: str, right: str, verb: str, group: str
) -> None:
    for of, resource, may in (("nnunet.dev", "nnunettrainings", "create"), (group, right, verb)):
        gate.allow("rita", [{"apiGroups": [of], "resources": [resource], "verbs": [may]}], home)
    answer = gate.create(training(home, **reading("secrets", "wandb", "variable")), "rita", dry_run=False)
    assert answer.ok, answer.message
    suspended = gate.ask("PATCH", gate.path(home), {"spec": {"suspend": True}}, "tom", MERGE)
    assert suspended.ok, suspended.message
    more = reading("secrets", "others", "files")["podTemplate"]
    stopped_by_admission(
        gate.ask("PATCH", gate.path(home), {"spec": {"podTemplate": more}}, "tom", MERGE), "nnunet-reading"
    )
