"""Documents that are looked over by `kubectl nnunet lint`."""

from pathlib import Path
from typing import Any

import yaml

SAMPLES = Path(__file__).parents[3] / "manifests/samples"
CLINICAL = "nnunet.dev/clinical=true"


def training(name: str = "hippo", namespace: str = "clinic", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTraining",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"dataset": {"name": "Dataset004_Hippocampus"}, **spec},
    }


def policy(mode: str = "Enforce", name: str = "house", **spec: Any) -> dict[str, Any]:
    body = {"mode": mode, "rules": {"minEpochs": 1000}, **spec}
    if not {"namespaces", "namespaceSelector"} & set(body):
        body["namespaceSelector"] = {"matchLabels": {"nnunet.dev/clinical": "true"}}
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTrainingPolicy",
        "metadata": {"name": name},
        "spec": body,
    }


def write(name: str, *documents: Any) -> str:
    """Write a file into the present folder and return its name."""
    texts = ["" if body is None else yaml.safe_dump(body, sort_keys=False) for body in documents]
    Path(name).write_text("---\n".join(texts))
    return name


SHORT = training(schedule={"epochs": 200})
