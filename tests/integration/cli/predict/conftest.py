"""A training that is complete, a folder that stands for the claims, and the commands on them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import yaml

from nnunet_cli.predict import following, predictions, task
from tests.integration.cli.conftest import CLINICAL, Site
from tests.integration.cli.predict.playing import HOME, IMAGE
from tests.support.builders import training
from tests.support.command import Command, Run
from tests.support.made_statuses import DONE
from tests.support.pipes import LocalVolume

DESCRIPTION = {"channel_names": {"0": "MRI"}, "file_ending": ".nii.gz", "labels": {"background": 0, "a": 1}}


@pytest.fixture(scope="package")
def home(site: Site) -> str:
    """A clinical namespace under the restricted Pod Security Standard, with a training that is complete."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    home = site.namespace(HOME, **labels)
    spec: dict[str, Any] = {"podTemplate": {"nodeSelector": {"gpu": "a"}}}
    for name in ("hippo", "unproven"):
        site.api.create("nnunettrainings", training(home, name, **spec))
    proven = [{**fold, "checkpointHash": "0" * 64} for fold in DONE["folds"]]
    done = {**DONE, "provenance": {"plansName": "nnUNetPlans"}}
    site.api.merge("nnunettrainings", home, "hippo", {"status": {**done, "folds": proven}}, "status")
    site.api.merge("nnunettrainings", home, "unproven", {"status": done}, "status")
    site.api.create("nnunettrainings", training(home, "waits"))
    site.api.merge("namespaces", "", home, {"metadata": {"labels": {CLINICAL: "true"}}})
    return home


@pytest.fixture(scope="package")
def person(site: Site, home: str) -> str:
    """Kubeconfig of somebody with the rights that the documentation names."""
    role = yaml.safe_load((Path(__file__).parents[4] / "manifests/samples/predictor.yaml").read_text())
    return site.person("predictor", home, *role["rules"])


@pytest.fixture
def claim(site: Site, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the results claim, with the model; the real agent works on it."""
    root = tmp_path / "claim"
    body = site.api.get("nnunettrainings", home, "hippo")
    assert body is not None
    model = root / f"{home}/hippo-{body['metadata']['uid'][:8]}/{body['spec']['dataset']['name']}"
    model /= "nnUNetTrainer__nnUNetPlans__3d_fullres"
    for fold in body["status"]["folds"]:
        (model / f"fold_{fold['fold']}").mkdir(parents=True)
        (model / f"fold_{fold['fold']}/checkpoint_final.pth").touch()
    (model / "plans.json").write_text("{}")
    (model / "dataset.json").write_text(json.dumps(DESCRIPTION))

    @contextmanager
    def mount(*_: Any, **__: Any) -> Iterator[LocalVolume]:
        yield LocalVolume(root)

    monkeypatch.setattr(task, "mount", mount)
    monkeypatch.setattr(predictions, "mounted", mount)
    monkeypatch.setattr(following, "INTERVAL_SECONDS", 0.1)
    images = tmp_path / "images"
    images.mkdir()
    for case in ("a", "b"):
        nibabel.save(nibabel.Nifti1Image(np.ones((3, 4, 5), np.float32), np.eye(4)), images / f"{case}_0000.nii.gz")
    return root


@pytest.fixture
def predict(nnunet: Command, person: str) -> Iterator[Callable[..., Run]]:
    """Run the command; what it leaves is deleted at the end."""

    def run(*words: str, name: str = "hippo", source: str = "images", target: str = "out") -> Run:
        return nnunet("predict", name, "-i", source, "-o", target, *IMAGE, "--kubeconfig", person, *words)

    yield run
    run("--delete")


@pytest.fixture
def left(nnunet: Command, person: str) -> Callable[..., Run]:
    """Ask what predictions have left."""

    def run(*words: str, config: str = person) -> Run:
        return nnunet("predictions", "hippo", *IMAGE, "--kubeconfig", config, *words)

    return run
