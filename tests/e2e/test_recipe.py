"""nnU-Net's whole recipe as one document, by somebody who has kubectl and the rights to edit a namespace, and no more:
four configurations with a cascade, the best one or pair of them, its postprocessing, and one look at the test set.

That the choice is nnU-Net's own is shown in tests/trainer/test_selection.py."""

import json
import os
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml

from hack.demo.story import STORIES as DEMOS
from nnunet_api.contract import SELECTION_FILE
from nnunet_api.test_set import object_name
from tests.e2e.conftest import PROGRAM, Lab
from tests.support.kube import Object
from tests.support.small_training import DATASET, yielding

NAMESPACE, NAME = "e2e-recipe", DEMOS["recipe"].training
ABOUT = NAMESPACE, NAME
PERSON = ("--as=somebody", "-n", NAMESPACE)
FOLD_RUNS = 8
CANDIDATES = 10
"""Four configurations, and six pairs of them."""


def in_the_background(lab: Lab) -> list[Object]:
    """The demo's document with a schedule that takes seconds, applied by somebody with the rights to edit."""
    lab.make_namespace(NAMESPACE)
    rbac = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "somebody", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": "somebody"}],
    }
    lab.kube.apply(binding)
    body = yaml.safe_load(DEMOS["recipe"].path.read_text())
    body["metadata"]["namespace"] = NAMESPACE
    body["spec"]["schedule"] = {"epochs": 2, "iterationsPerEpoch": 4, "validationIterationsPerEpoch": 1}
    body["spec"]["resources"]["gpus"] = 0  # others hold theirs for long

    def applied() -> bool:
        # What aggregates the operator's rights to those of editors takes a moment.
        said = lab.kube.run("apply", "-f", "-", *PERSON, stdin=json.dumps(yielding(body)), check=False)
        return f"{NAME} created" in said

    lab.loading.result()
    lab.kube.wait("somebody to be let in", applied, timeout=180)
    return [binding]  # what trains is applied already, by somebody


@pytest.fixture(scope="module")
def status(lab: Lab) -> Object:
    """The status when it is complete."""
    return lab.kube.wait_complete(*ABOUT, timeout=600)


def test_the_choice_and_its_score_are_read_with_kubectl(lab: Lab, status: Object) -> None:
    chosen, test = status["results"]["selection"], status["results"]["testDice"]
    names = chosen["chosen"]
    line = lab.kube.run("get", "nnt", NAME, "-o", "wide", *PERSON)
    assert " + ".join(names) in line and f"{test['mean']:.3f}" in line and "Completed" in line
    said = lab.kube.run(
        "get", "nnt", NAME, "-o", "jsonpath={.status.conditions[?(@.type=='Complete')].message}", *PERSON
    )
    how = "together were chosen" if len(names) == 2 else "was chosen"
    assert f"{' and '.join(names)} {how} by cross-validation ({chosen['meanValidationDice']:.3f})" in said
    assert f"test Dice {test['mean']:.3f} over 3 cases" in said
    lab.kube.wait_event(*ABOUT, "TrainingComplete")
    assert how in lab.kube.run("get", "events", "--field-selector=reason=TrainingComplete", *PERSON)


def test_all_that_there_was_to_choose_from_was_trained_and_proven(lab: Lab, status: Object) -> None:
    folds = status["folds"]
    assert [fold["provenEpochs"] for fold in folds] == [2] * FOLD_RUNS
    each = {one["configuration"]: one["meanValidationDice"] for one in status["results"]["configurations"]}
    chosen = status["results"]["selection"]
    assert len(each) == 4 and set(chosen["chosen"]) <= set(each) and chosen["candidates"] == CANDIDATES
    assert chosen["meanValidationDice"] >= max(each.values()) - 1e-4, "the best of all"
    run = lab.volume("nnunet-results", NAMESPACE) / status["runPath"]
    content = json.loads((run / SELECTION_FILE).read_text())
    assert len(content["candidates"]) == CANDIDATES and len(content["checkpoints"]) == FOLD_RUNS
    assert [one["configuration"] for one in content["chosen"]] == chosen["chosen"]
    assert not list(run.rglob("*.npz")), "the probabilities are gone with the choice"


def test_the_test_set_was_looked_at_once(lab: Lab, status: Object) -> None:
    ledger = object_name(status["results"]["testSetHash"])
    lab.kube.wait("the look to be counted", lambda: lab.kube.get("nnts", ledger, NAMESPACE).get("status"), timeout=60)
    counted = lab.kube.get("nnts", ledger, NAMESPACE)["status"]
    assert (counted["total"], [look["name"] for look in counted["looks"]]) == (1, [NAME])


def nnunet(lab: Lab, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `kubectl nnunet` to its end as somebody with the rights to edit."""
    env = {**os.environ, "KUBECONFIG": str(lab.cluster.kubeconfig)}
    command = [PROGRAM, *words, *PERSON]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_a_prediction_that_is_left_alone_is_listed_and_removed(lab: Lab, status: Object, tmp_path: Path) -> None:
    """Images that were sent lie on the claim until somebody removes them, and who has not sent them may."""
    images = lab.volume("nnunet-raw", NAMESPACE) / DATASET / "imagesTs"
    one = status["results"]["selection"]["chosen"][0]
    words = ("predict", NAME, "-i", str(images), "-o", str(tmp_path / "segmentations"), "--configuration", one)
    assert "goes on by itself" in nnunet(lab, *words, "--no-wait").stdout
    (left,) = json.loads(nnunet(lab, "predictions", NAME, "-o", "json").stdout)["items"]
    assert left["images"] == 3 and left["bytes"] > 0 and left["job"] in ("waits", "runs", "complete"), left
    said = nnunet(lab, "predictions", NAME, "--remove", left["name"]).stdout
    assert "its Job and its folder beside the run are gone" in said
    run = lab.volume("nnunet-results", NAMESPACE) / status["runPath"]
    assert not list(run.parent.glob("predictions_*"))


def test_new_images_are_segmented_as_the_test_set_was(lab: Lab, status: Object, tmp_path: Path) -> None:
    """From a folder to a folder of this machine, by what was chosen, and with no more rights than to edit."""
    images = lab.volume("nnunet-raw", NAMESPACE) / DATASET / "imagesTs"
    words = ("predict", NAME, "-i", str(images), "-o", str(tmp_path / "segmentations"))
    done = nnunet(lab, *words)
    chosen = " and ".join(status["results"]["selection"]["chosen"])
    assert f"3 segmentations by {chosen} of {NAMESPACE}/{NAME}" in done.stdout, done.stdout + done.stderr
    assert "3 cases segmented by" in done.stderr and "for research" in done.stderr
    run = lab.volume("nnunet-results", NAMESPACE) / status["runPath"]
    scored = sorted((run / "predictions_test").glob("*.nii.gz"))
    assert len(scored) == 3
    for path in scored:
        ours, theirs = (np.asarray(nibabel.load(one).dataobj) for one in (tmp_path / "segmentations" / path.name, path))
        # Other cores may be another order of summation.
        assert ours.shape == theirs.shape and float((ours == theirs).mean()) > 0.999, path.name
    assert not list(run.parent.glob("predictions_*")), "images of patients stay nowhere"
    assert not lab.kube.run("get", "jobs", "-l", "app.kubernetes.io/name=nnunetctl", "-o", "name", *PERSON)
