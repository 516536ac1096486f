"""What the cluster's own rules put into pods, on a real API server: what may run other code is told."""

from collections.abc import Iterator

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Object
from tests.support.builders import training
from tests.support.mutations import Mutations

TRIAL: Object = {
    "restartPolicy": "Never",
    "containers": [{"name": "trainer", "image": "trial", "env": [{"name": "A", "value": "a"}]}],
    "volumes": [{"name": "results", "emptyDir": {}}],
}
HONEST = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HTTPS_PROXY": "http://proxy:1", "NVIDIA_VISIBLE_DEVICES": "void"}
OTHER = {"PYTHONPATH": "/nnunet/results/x", "nnUNet_extTrainer": "/nnunet/results/x"}
MESH = 'Object.spec.containers{name: "istio-proxy", image: "registry.example/mesh:1"}'
WRITER = (
    'Object.spec.containers{name: "writer", image: "registry.example/writer:1", '
    'volumeMounts: [Object.spec.containers.volumeMounts{name: "results", mountPath: "/x"}]}'
)


def container(body: str) -> str:
    """Return the part of a JSON patch that adds a container behind the others."""
    return f'JSONPatch{{op: "add", path: "/spec/containers/-", value: {body}}}'


def variables(values: dict[str, str], then: str = "") -> str:
    """Return a JSON patch in CEL that gives the first container variables."""
    each = [
        f'JSONPatch{{op: "add", path: "/spec/containers/0/env/-", value: '
        f'Object.spec.containers.env{{name: "{name}", value: "{value}"}}}}'
        for name, value in values.items()
    ]
    return f"[{', '.join([*each, *([then] if then else [])])}]"


@pytest.fixture
def changed(lab: Lab) -> Iterator[Lab]:
    """A namespace whose rules put a mesh and variables into all pods, and other code into those of folds, or beside."""
    mutations = Mutations(lab.api, lab.namespace)
    mutations.begin(
        "mesh",
        "",
        "pods",
        variables(HONEST, container(MESH)),
        'object.spec.containers[0].name == "trainer"',
    )
    fold = 'object.metadata.?labels["nnunet.dev/stage"].orValue("") == "fold"'
    mutations.begin("code", "", "pods", variables(OTHER, container(WRITER)), fold)
    metadata = {"generateName": "trial-", "namespace": lab.namespace, "labels": {"nnunet.dev/stage": "fold"}}

    def in_force() -> bool:
        tried = lab.api.create("pods", {"metadata": metadata, "spec": TRIAL}, dryRun="All")["spec"]["containers"]
        return len(tried) == 3 and {one["name"] for one in tried[0]["env"]} >= {*HONEST, *OTHER}

    lab.wait("the rules to be in force", in_force)
    try:
        yield lab
    finally:
        mutations.end()


def test_what_is_put_into_a_folds_pod_is_told_and_stays_told_when_the_pod_is_gone(changed: Lab) -> None:
    lab = changed
    lab.apply(training(lab.namespace, folds=[0]))
    lab.plan_and_train()
    assert "slippedIn" not in lab.status()["provenance"], "planning's pod has a mesh, a proxy and no devices"
    fold = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.end(fold)
    lab.wait_event("SlippedIn")
    lab.api.delete("pods", lab.namespace, fold["metadata"]["name"])
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    known = lab.status()["provenance"]["slippedIn"]
    assert sorted((one["what"], *one["where"]) for one in known) == [
        (name, "fold 0") for name in sorted((*OTHER, "results written by container writer"))
    ]
