"""The demo's samples fit the demo's dataset and its namespace."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.demo import __main__ as demo
from hack.demo import dataset, storage
from hack.demo.story import SAMPLES, STORIES, Story
from nnunet_api.cascade import CASCADE, LOWRES
from nnunet_api.training import NnunetTrainingSpec


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_the_training_is_for_the_demo(story: Story) -> None:
    training = _load(story.path)
    spec = NnunetTrainingSpec.model_validate(training["spec"])
    assert training["metadata"] == {"name": story.training, "namespace": demo.NAMESPACE}
    assert spec.dataset.name == dataset.NAME
    assert spec.dataset.claim_name == storage.RAW
    assert spec.storage.preprocessed.claim_name == storage.PREPROCESSED
    assert spec.storage.results.claim_name == storage.RESULTS
    assert set(spec.configuration_names) == set(spec.planning.configurations)
    assert spec.test_set is not None
    assert len(spec.folds) == 2


def test_the_recipe_is_whole() -> None:
    """Four configurations, on all folds of the split, as a cascade needs them; and a choice among them."""
    spec = NnunetTrainingSpec.model_validate(_load(STORIES["recipe"].path)["spec"])
    assert set(spec.configuration_names) == {"2d", "3d_fullres", LOWRES, CASCADE}
    assert spec.splits.folds == len(spec.folds)
    assert spec.selection and spec.selection.ensembles and spec.selection.postprocessing


def test_the_namespace_enforces_the_strictest_pod_security_standard() -> None:
    namespace = _load(SAMPLES / "namespace.yaml")
    assert namespace["metadata"]["name"] == demo.NAMESPACE
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
