"""The main job when it is complete: scores, curves and report come back; when it is deleted nothing of it is seen.

That plain nnU-Net predicts the same with its model is shown in tests/trainer/test_run.py."""

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from nnunet_cli.text.html_page import fenced
from tests.e2e.conftest import PROGRAM, Lab
from tests.e2e.main_training import ABOUT, FLOOR, NAME, NAMESPACE, OF, POLICY, Story, watched
from tests.support.kube import Object, condition

STORIES = [watched]


@pytest.fixture(scope="module")
def story(lab: Lab) -> Iterator[Story]:
    """The training, which no longer stands still, and is deleted at the end whatever has failed."""
    told = lab.told(watched)
    lab.hold(NAME, None, NAMESPACE)
    yield told
    lab.drop(NAME, NAMESPACE)


@pytest.fixture(scope="module")
def finished(story: Story) -> Object:
    """The status of the training when it is complete."""
    return story.lab.kube.wait_complete(*ABOUT, timeout=600)


def test_it_ends_with_scores(story: Story, finished: Object) -> None:
    """All epochs of both folds in one attempt each, and the Dice of the test set."""
    both = 2 * story.epochs
    told = {"epoch": both, "epochsTarget": both, "percent": 100, "summary": f"{both}/{both}"}
    assert finished["phase"] == "Completed" and finished["progress"] == finished["progress"] | told
    assert [fold["phase"] for fold in finished["folds"]] == ["Completed", "Completed"]
    for fold in finished["folds"]:
        assert (fold["epoch"], fold["attempts"], fold["lostEpochs"]) == (story.epochs, 1, 0)
        assert 0 <= fold["meanValidationDice"] <= 1
    dice = finished["results"]["testDice"]
    assert dice["cases"] == 3 and 0 <= dice["mean"] <= 1
    assert set(dice["perClass"]) == {"grey_matter", "white_matter"}
    assert condition(finished, "Evaluated")["reason"] == "TestSetScored"
    columns = story.lab.kube.run("get", "nnt", NAME, "-n", NAMESPACE)
    assert re.search(rf"{NAME}\s+Completed\s+{both}/{both}\s+0\.\d+", columns), columns


def test_events_tell_the_story(story: Story, finished: Object) -> None:
    kube = story.lab.kube
    kube.wait_event(*ABOUT, "TrainingComplete")
    reasons = [reason for reason, _ in kube.events(*ABOUT)]
    for expected in ("Planning", "FoldStarted", "FoldCompleted", "TrainingComplete"):
        assert expected in reasons
    assert reasons.count("FoldCompleted") == 2
    assert reasons.count("TrainingComplete") == 1


def test_the_finals_stay_in_prometheus_and_no_alert_was_raised(story: Story, finished: Object) -> None:
    """The trainers' series end with their pods, the operator's stay until the training is deleted."""
    seen = story.lab.monitoring
    story.lab.kube.wait("the trainers' series to end", lambda: seen.value(f"nnunet_epoch{OF}") is None, 90)
    seen.wait_values(
        {
            f"nnunet_training_proven_epochs{OF}": story.epochs,
            f"nnunet_training_required_epochs{OF}": FLOOR,
            f"nnunet_training_test_dice{OF}": finished["results"]["testDice"]["mean"],
            f"nnunet_training_epochs{OF}": 2 * story.epochs,
        }
    )
    assert seen.wait_value(f"nnunet_training_held_gpu_seconds{OF}") > 0
    assert seen.fired(namespace=NAMESPACE, training=NAME) == []


def test_report_and_curves_come_back(story: Story, finished: Object) -> None:
    person, lab = story.person, story.lab
    run = lab.volume("nnunet-results", NAMESPACE) / finished["runPath"]
    for file, as_fetched in (("report.html", fenced), ("evidence.json", bytes)):
        person.run("report", NAME, "--file", file)
        assert (person.folder / f"{NAME}-{file}").read_bytes() == as_fetched((run / file).read_bytes())
    person.run("curves", NAME, "-o", "html")
    page = (person.folder / f"{NAME}-curves.html").read_text()
    assert f"Fold 0, epoch {story.epochs} of {story.epochs}: loss" in page


def test_the_image_is_found_by_whoever_may_look_at_jobs(story: Story, finished: Object) -> None:
    lab = story.lab
    env = {**os.environ, "KUBECONFIG": str(lab.cluster.kubeconfig)}
    command = [PROGRAM, "report", NAME, "-n", NAMESPACE, "-o", "-"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    report = lab.volume("nnunet-results", NAMESPACE) / finished["runPath"] / "report.html"
    assert done.returncode == 0 and done.stdout == fenced(report.read_bytes()).decode(), done.stderr


def test_the_run_folder_tells_what_was_done(story: Story, finished: Object) -> None:
    """summary.json and plan.json agree with the status."""
    run = story.lab.volume("nnunet-results", NAMESPACE) / finished["runPath"]
    plan = json.loads((run / "plan.json").read_text())
    summary = json.loads((run / "summary.json").read_text())
    assert plan["datasetHash"] == finished["provenance"]["datasetHash"]
    assert abs(summary["testMean"] - finished["results"]["testDice"]["mean"]) < 1e-3


def test_what_two_trainings_need_is_made_once(story: Story, finished: Object) -> None:
    one, other = finished["provenance"], story.sibling["provenance"]
    reused = [one["preprocessingReused"], other["preprocessingReused"]]
    assert sorted(reused) == [False, True] or reused == [True, True]
    assert one["preprocessedPath"] == other["preprocessedPath"]
    assert one["datasetHash"] == other["datasetHash"]


def test_gpus_are_held_only_by_pods_that_train_or_predict(story: Story, finished: Object) -> None:
    """Planning and looking at checkpoints ask for none."""
    for job in story.lab.kube.jobs(*ABOUT):
        container = job["spec"]["template"]["spec"]["containers"][0]
        stage = job["metadata"]["labels"]["nnunet.dev/stage"]
        wants_gpu = "nvidia.com/gpu" in container["resources"].get("limits", {})
        assert wants_gpu == (stage in ("fold", "evaluate")), job["metadata"]["name"]


def test_nothing_is_seen_of_it_when_it_is_deleted(story: Story, finished: Object) -> None:
    """The last of the story: series end with the object."""
    lab, seen = story.lab, story.lab.monitoring
    lab.kube.delete(*ABOUT)
    lab.kube.run("delete", "nntp", POLICY["metadata"]["name"])
    lab.kube.wait("all series to end", lambda: seen.value(OF) is None, 90)
