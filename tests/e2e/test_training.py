"""The main job: apply a training, get a trained and scored model."""

import json
import re
from pathlib import Path

from tests.e2e.builders import training
from tests.e2e.conftest import Lab
from tests.e2e.kube import condition


def test_two_trainings_at_once_end_with_scores_and_preprocess_once(lab: Lab) -> None:
    """Both fold Jobs, the evaluation on the test set, the shared plan result, the story told by the Events."""
    kube, namespace = lab.kube, lab.namespace
    kube.apply(
        training("scored", namespace, folds=[0, 1], maxParallelFolds=1, testSet={}),
        training("sibling", namespace),
    )
    status = kube.wait_complete(namespace, "scored", timeout=420)
    sibling = kube.wait_complete(namespace, "sibling", timeout=240)

    assert status["phase"] == "Completed"
    assert status["progress"] == status["progress"] | {"epoch": 4, "epochsTarget": 4, "percent": 100, "summary": "4/4"}
    assert [fold["phase"] for fold in status["folds"]] == ["Completed", "Completed"]
    for fold in status["folds"]:
        assert (fold["epoch"], fold["attempts"], fold["lostEpochs"]) == (2, 1, 0)
        assert 0 <= fold["meanValidationDice"] <= 1
    test_dice = status["results"]["testDice"]
    assert test_dice["cases"] == 3
    assert set(test_dice["perClass"]) == {"grey_matter", "white_matter"}
    assert 0 <= test_dice["mean"] <= 1
    assert condition(status, "Evaluated")["reason"] == "TestSetScored"

    reused = [status["provenance"]["preprocessingReused"], sibling["provenance"]["preprocessingReused"]]
    assert sorted(reused) == [False, True] or reused == [True, True]
    assert status["provenance"]["preprocessedPath"] == sibling["provenance"]["preprocessedPath"]
    assert status["provenance"]["datasetHash"] == sibling["provenance"]["datasetHash"]
    assert "testDice" not in sibling["results"]
    assert condition(sibling, "Evaluated")["reason"] == "CrossValidationScored"

    # Events come after the status that they announce.
    ended = lambda: any(reason == "TrainingComplete" for reason, _ in kube.events(namespace, "scored"))  # noqa: E731
    kube.wait("the Event of the end", ended, timeout=30, about=(namespace, "scored"))
    reasons = [reason for reason, _ in kube.events(namespace, "scored")]
    for expected in ("Planning", "FoldStarted", "FoldCompleted", "TrainingComplete"):
        assert expected in reasons
    assert reasons.count("FoldCompleted") == 2
    assert reasons.count("TrainingComplete") == 1

    columns = kube.run("get", "nnt", "scored", "-n", namespace)
    assert re.search(r"scored\s+Completed\s+4/4\s+0\.\d+", columns), columns


def test_gpus_are_held_only_by_pods_that_train_or_predict(lab: Lab) -> None:
    """Planning, and an evaluation without a test set, ask for none."""
    for job in lab.kube.jobs(lab.namespace, "scored") + lab.kube.jobs(lab.namespace, "sibling"):
        container = job["spec"]["template"]["spec"]["containers"][0]
        stage = job["metadata"]["labels"]["nnunet.dev/stage"]
        has_test_set = job["metadata"]["labels"]["nnunet.dev/training"] == "scored"
        wants_gpu = "nvidia.com/gpu" in container["resources"].get("limits", {})
        assert wants_gpu == (stage == "fold" or (stage == "evaluate" and has_test_set)), job["metadata"]["name"]


def test_the_model_predicts_with_plain_nnunet(lab: Lab) -> None:
    """nnUNetv2_predict in an environment that has no nnunet_trainer gives the segmentation that was scored."""
    status = lab.kube.status(lab.namespace, "scored")
    model = status["results"]["modelPath"]
    command = (
        "import importlib.util as u, sys; assert u.find_spec('nnunet_trainer') is None;"
        "from nnunetv2.inference.predict_from_raw_data import predict_entry_point_modelfolder as main;"
        f"sys.argv = ['nnUNetv2_predict_from_modelfolder', '-i', '/nnunet/raw/Dataset501_MNI/imagesTs',"
        f" '-o', '/nnunet/results/plain', '-m', '/nnunet/results/{model}', '-f', '0', '1',"
        " '-device', 'cpu', '-npp', '1', '-nps', '1']; main()"
    )
    lab.run_plain_nnunet("plain-predict", command, timeout=240)
    results = lab.volume("nnunet-results")
    run = results / status["runPath"]
    expected = sorted((run / "predictions_test").glob("*.nii.gz"))
    assert len(expected) == 3
    import nibabel
    import numpy

    for path in expected:
        ours = numpy.asanyarray(nibabel.load(path).dataobj)
        plain = numpy.asanyarray(nibabel.load(results / "plain" / path.name).dataobj)
        assert numpy.array_equal(ours, plain), path.name


def test_the_run_folder_tells_what_was_done(lab: Lab) -> None:
    """summary.json and plan.json agree with the status."""
    status = lab.kube.status(lab.namespace, "scored")
    run: Path = lab.volume("nnunet-results") / status["runPath"]
    plan = json.loads((run / "plan.json").read_text())
    summary = json.loads((run / "summary.json").read_text())
    assert plan["datasetHash"] == status["provenance"]["datasetHash"]
    assert abs(summary["testMean"] - status["results"]["testDice"]["mean"]) < 1e-3
