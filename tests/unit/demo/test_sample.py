"""The demo's sample fits the demo's dataset and its namespace."""

from pathlib import Path
from typing import Any

import yaml

from hack.demo import __main__ as demo
from hack.demo import dataset, storage
from nnunet_api.training import NnunetTrainingSpec


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(Path(demo.SAMPLES, name).read_text(encoding="utf-8"))
    return loaded


def test_the_training_is_for_the_demo() -> None:
    training = _load("training.yaml")
    spec = NnunetTrainingSpec.model_validate(training["spec"])
    assert training["metadata"] == {"name": demo.TRAINING, "namespace": demo.NAMESPACE}
    assert spec.dataset.name == dataset.NAME
    assert spec.dataset.claim_name == storage.RAW
    assert spec.storage.preprocessed.claim_name == storage.PREPROCESSED
    assert spec.storage.results.claim_name == storage.RESULTS
    assert spec.configuration in spec.planning.configurations
    assert spec.test_set is not None
    assert len(spec.folds) == 2


def test_the_namespace_enforces_the_strictest_pod_security_standard() -> None:
    namespace = _load("namespace.yaml")
    assert namespace["metadata"]["name"] == demo.NAMESPACE
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
