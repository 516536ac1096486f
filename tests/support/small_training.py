"""Small trainings for the tests: real nnU-Net, a tiny network, few iterations, on the CPU."""

from typing import Any

from tests.support.networks import small_network

TINY_NETWORK = small_network("3d_fullres", [32, 32, 32], [4, 8, 16])

DATASET = "Dataset501_MNI"

MEMORY = "1280Mi"
"""Of a fold and of an evaluation, which take 720 MiB at most: pods that stand still must leave room for others."""

# An improvement by 1 is impossible: the first epoch is the best, and a plateau begins with the second.
PLATEAU = {"patienceEpochs": 2, "minDelta": 1, "minEpochs": 1}


def training(name: str, namespace: str, epochs: int = 2, iterations: int = 2, **spec: Any) -> dict[str, Any]:
    """Return an NnunetTraining of fold 0 on the tiny network; `spec` replaces whole fields of the spec."""
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTraining",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "dataset": {"name": DATASET},
            "planning": {"configurations": {"3d_tiny": TINY_NETWORK}},
            "configuration": "3d_tiny",
            "folds": [0],
            "schedule": {
                "epochs": epochs,
                "iterationsPerEpoch": iterations,
                "validationIterationsPerEpoch": 1,
            },
            "trainer": {"device": "cpu"},
            "resources": {
                "gpus": 1,
                "cpu": "200m",
                "memory": MEMORY,
                "sharedMemory": "512Mi",
                "preprocessing": {"cpu": "400m", "memory": "2Gi"},
            },
            **spec,
        },
    }


def yielding(body: dict[str, Any]) -> dict[str, Any]:
    """Return a training that leaves the CPU to those whose pods a test waits for, by a small share of it."""
    resources = body["spec"]["resources"]
    few = {"cpu": "20m", "preprocessing": {**resources["preprocessing"], "cpu": "20m"}}
    return {**body, "spec": {**body["spec"], "resources": {**resources, **few}}}


WAITED_FOR = "waited-for"
FIRST = {"priorityClassName": WAITED_FOR}
"""`podTemplate` of a training whose pods a test waits for: they come before others when there is room, and drive nobody
out."""
PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": WAITED_FOR},
    "value": 10,
    "preemptionPolicy": "Never",
}


def held(
    name: str, namespace: str, image: str, before: int, epochs: int = 6, trainer: Any = None, **spec: Any
) -> dict[str, Any]:
    """Return a training that stands still before an epoch (1 = first) until `Lab.hold` names another.

    `image` is the one with the class for it (hack/images/dishonest/classes/held.py).
    """
    env = [{"name": "HOLD_BEFORE_EPOCH", "value": str(before)}]
    mine = {"device": "cpu", "image": image, "className": "HeldTrainer", "env": env, **(trainer or {})}
    return training(name, namespace, epochs, trainer=mine, **spec)
