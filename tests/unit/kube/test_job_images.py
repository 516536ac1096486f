"""Which image a pod runs, and that the verification runs none of the user's."""

from typing import Any

import pytest

from nnunet_api.contract import IMAGE_DIGEST_ENV, IMAGE_ENV
from nnunet_api.labels import child_labels
from nnunet_api.status import NnunetTrainingStatus, Provenance
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.builders.stages import fold_job, plan_job, verify_job
from tests.support.made_trainings import OPTIONS, training
from tests.unit.kube.built import ZERO, container, env, pod


@pytest.mark.parametrize(
    ("own", "pinned", "image"),
    [("", None, "registry.example/trainer:1"), ("", "old:0", "old:0"), ("mine:2", "old:0", "mine:2")],
)
def test_a_run_that_has_begun_keeps_its_image(own: str, pinned: str | None, image: str) -> None:
    provenance = Provenance(image=pinned, image_digest="sha256:0") if pinned else None
    status = NnunetTrainingStatus(provenance=provenance)
    job = fold_job(training(status=status, trainer={"image": own}), OPTIONS, ZERO)
    assert container(job)["image"] == image


@pytest.mark.parametrize(
    ("own", "provenance", "told"),
    [
        pytest.param("", None, {IMAGE_ENV: "registry.example/trainer:1"}, id="none has pulled it yet"),
        pytest.param(
            "",
            Provenance(image="old:0", image_digest="old@sha256:0"),
            {IMAGE_ENV: "old:0", IMAGE_DIGEST_ENV: "old@sha256:0"},
            id="of a run that has begun",
        ),
        pytest.param("", Provenance(image="misspelt:0"), {IMAGE_ENV: "registry.example/trainer:1"}, id="not pulled"),
        pytest.param("a$(b):2", None, {IMAGE_ENV: "a$$(b):2"}, id="nothing is expanded in it"),
    ],
)
def test_the_trainer_is_told_its_image(own: str, provenance: Provenance | None, told: dict[str, str]) -> None:
    status = NnunetTrainingStatus(provenance=provenance)
    found = env(fold_job(training(status=status, trainer={"image": own}), OPTIONS, ZERO))
    assert {name: value for name, value in found.items() if name.startswith("NNUNET_RUN_IMAGE")} == told


def test_the_verification_is_not_the_users_to_influence() -> None:
    own = {"image": "mine:2", "imagePullPolicy": "Never", "env": [{"name": "PYTHONPATH", "value": "/evil"}]}
    theirs: dict[str, Any] = {
        "labels": {"inject": "sidecar"},
        "annotations": {"inject.example/container": "mine:2"},
        "serviceAccountName": "trainer",
    }
    placement: dict[str, Any] = {
        "nodeSelector": {"pool": "cpu"},
        "tolerations": [{"key": "cpu", "operator": "Exists"}],
        "runtimeClassName": "gvisor",
        "imagePullSecrets": [{"name": "pull"}],
    }
    status = NnunetTrainingStatus(provenance=Provenance(image="old:0", image_digest="sha256:0"))
    of = training(status=status, trainer=own, podTemplate=theirs | placement, queueName="gpus")
    job = verify_job(of, OPTIONS)
    assert (container(job)["image"], container(job)["imagePullPolicy"]) == (OPTIONS.trainer_image, "IfNotPresent")
    assert "PYTHONPATH" not in env(job)
    assert job["spec"]["template"]["metadata"] == {"labels": child_labels("hippo", "verify")}
    assert "serviceAccountName" not in pod(job)
    assert {field: pod(job)[field] for field in placement} == placement
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert pod(fold_job(of, OPTIONS, ZERO))["serviceAccountName"] == "trainer"


def test_an_image_that_no_node_could_pull_is_not_kept() -> None:
    status = NnunetTrainingStatus(provenance=Provenance(image="misspelt:0"))
    assert container(fold_job(training(status=status), OPTIONS, ZERO))["image"] == OPTIONS.trainer_image


def test_pull_secrets_of_the_operator_and_the_training() -> None:
    options = JobOptions(trainer_image="x", image_pull_secrets=("site", "mine"))
    job = plan_job(training(podTemplate={"imagePullSecrets": [{"name": "mine"}]}), options)
    assert pod(job)["imagePullSecrets"] == [{"name": "mine"}, {"name": "site"}]
