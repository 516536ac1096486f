"""The main job, told as one training: a dataset is sent, a training applied, seen while it trains, and scored; its
curves and its report come back, and nothing of it is seen when it is deleted.

That plain nnU-Net predicts the same with its model is shown in tests/trainer/test_run.py."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hack.demo import picture
from hack.pictures.draw import View, draw
from hack.pictures.model import PATHS, Span, queries
from nnunet_cli.text.html_page import fenced
from tests.e2e.conftest import PROGRAM, Lab
from tests.e2e.monitoring import EVALUATION_SECONDS, SCRAPE_SECONDS, Monitoring
from tests.e2e.person import Person, make_person
from tests.support.kube import Object, condition
from tests.support.small_training import PLATEAU, training

NAMESPACE, NAME, SIBLING = "e2e-main", "scored", "sibling"
ABOUT = NAMESPACE, NAME
DATASET = "Dataset511_Main"
FLOOR = 10
LOOK_SECONDS = 1
"""Time between two looks: a kubectl each, while the operator hears of progress every 2 s."""
POLICY: Object = {
    "apiVersion": "nnunet.dev/v1alpha1",
    "kind": "NnunetTrainingPolicy",
    "metadata": {"name": "e2e-main"},
    "spec": {"mode": "Enforce", "namespaces": [NAMESPACE], "rules": {"minEpochs": FLOOR}},
}
OF = f'{{namespace="{NAMESPACE}",training="{NAME}"}}'


@dataclass
class Story:
    """The training, who looks at it, and what was seen of it until it stood still."""

    lab: Lab
    person: Person
    epochs: int
    began: float
    looked_at: int = 0
    """How many epochs both folds have finished while it stands still."""
    looks: list[str] = field(default_factory=list)

    def watch(self, epochs: int) -> None:
        """Record what a person would watch until both folds have finished so many epochs."""

        def there() -> bool:
            self.looks.append(self.lab.kube.run("get", "nnt,events", "-n", NAMESPACE, "-o", "json"))
            folds = self.lab.kube.status(*ABOUT).get("folds", [])
            reached = len(folds) == 2 and all(fold.get("epoch", 0) >= epochs for fold in folds)
            if not reached:
                time.sleep(LOOK_SECONDS)
            return reached

        self.lab.kube.wait(f"{epochs} epochs of both folds", there, timeout=500, about=ABOUT)
        self.looked_at = epochs


@pytest.fixture(scope="module")
def story(lab: Lab, pictures: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The training while both of its folds stand still, and have been watched on their way there."""
    lab.make_namespace(NAMESPACE)
    lab.kube.apply(POLICY)
    person = make_person(lab, NAMESPACE, tmp_path_factory.mktemp("person"), DATASET)
    person.run("dataset", "push", DATASET)
    # For the docs it trains as long as a curve needs to look like one.
    epochs, stops = (150, [100]) if pictures else (15, [2, 4, 6])
    observed = {"mode": "Observe", **PLATEAU}
    both = {"dataset": {"name": DATASET}, "testSet": {}}
    # nnU-Net's own class, by the same image and in the same environment: what both need is made once.
    trainer = {
        "device": "cpu",
        "image": lab.references["dishonest"],
        "env": [{"name": "HOLD_BEFORE_EPOCH", "value": str(stops[0] + 1)}],
    }
    sibling = training(SIBLING, NAMESPACE, epochs=FLOOR, trainer=trainer)
    sibling["spec"] |= both
    told = Story(lab, person, epochs, time.time())
    spec: dict[str, Any] = {"epochs": epochs, "folds": [0, 1], "earlyStopping": observed, **both}
    with lab.held(NAME, NAMESPACE, before=stops[0] + 1, **spec):
        lab.kube.wait("the first Job", lambda: lab.kube.jobs(*ABOUT), timeout=60)
        lab.kube.apply(sibling)
        told.watch(stops[0])
        for stop in stops[1:]:
            lab.hold(NAME, stop + 1, NAMESPACE)
            told.watch(stop)
        yield told


@pytest.fixture(scope="module")
def finished(story: Story) -> Object:
    """The status of the training when it is complete."""
    story.lab.hold(NAME, None, NAMESPACE)
    return story.lab.kube.wait_complete(*ABOUT, timeout=600)


@pytest.fixture(scope="module")
def sibling(story: Story, finished: Object) -> Object:
    """The status of the other training when it is complete."""
    return story.lab.kube.wait_complete(NAMESPACE, SIBLING, timeout=600)


# --- while it trains


def test_prometheus_sees_it_while_it_trains(story: Story) -> None:
    """What trainers and operator tell, with the policy's floor, the rule that observes and the room on volumes."""
    story.lab.monitoring.wait_values(
        {
            f"count(nnunet_epoch{OF} >= {story.looked_at})": 2,
            f"max(nnunet_epochs_target{OF})": story.epochs,
            f"max(nnunet_policy_min_epochs{OF})": FLOOR,
            f"count(nnunet_early_stopping_epoch{OF})": 2,
            f"count(nnunet_volume_available_bytes{OF} > 0)": 2,
            f'nnunet_training_phase{{namespace="{NAMESPACE}",training="{NAME}",phase="Training"}}': 1,
            f"nnunet_training_stalled{OF}": 0,
            f"nnunet_training_epochs_target{OF}": 2 * story.epochs,
        },
    )
    up = lambda: health(story.lab.monitoring, NAMESPACE) == {"up"}  # noqa: E731
    story.lab.kube.wait("each trainer to answer", up, 60)


def test_how_long_it_waits_for_data_is_measured_and_told(story: Story) -> None:
    """With a fifth of a core the trainers augment themselves, beside a network that takes next to nothing."""
    status = story.lab.kube.status(*ABOUT)
    shares = {fold["fold"]: fold["dataWaitShare"] for fold in status["folds"]}
    assert all(0 < share < 1 for share in shares.values()) and len(shares) == 2, status["folds"]
    assert all(fold["dataWorkers"] == 0 and fold["fedEpochSeconds"] > 0 for fold in status["folds"])
    told = condition(status, "DataStarved")
    starved = [fold["fold"] for fold in status["folds"] if fold["dataStarved"]]
    used = {fold["fold"]: fold["dataWorkerUse"] for fold in status["folds"]}
    assert (told["status"] == "True") == bool(starved), told
    for fold in starved:
        assert f"fold {fold} waits {100 * shares[fold]:.0f} % of its time for data" in told["message"]
        assert ("raise spec.resources.cpu from 200m to" in told["message"]) == (used[fold] >= 0.1)
    story.lab.monitoring.wait_values({f"max(nnunet_training_data_starved{OF})": float(bool(starved))})
    for fold, share in shares.items():
        of_fold = f'{{namespace="{NAMESPACE}",training="{NAME}",fold="{fold}"}}'
        story.lab.monitoring.wait_values({f"max(nnunet_data_wait_ratio{of_fold})": share})


def test_no_query_of_a_dashboard_is_without_an_answer(story: Story) -> None:
    deadline = time.monotonic() + 60
    while silent := silent_queries(story.lab.monitoring, story.began):
        assert time.monotonic() < deadline, "waited 60 s for answers to\n" + "\n".join(silent)
        time.sleep(EVALUATION_SECONDS)


def silent_queries(seen: Monitoring, began: float) -> list[str]:
    """The dashboards' queries that have no answer now, looking back to `began` (seconds since 1970)."""
    shown, span = {"namespace": NAMESPACE, "training": NAME}, Span(began, time.time(), SCRAPE_SECONDS)
    return [
        f"{path.stem}, {query.panel}: {query.expr}"
        for path in PATHS
        for query in queries(path, shown, span)
        if not query.allowed_empty and not seen.prometheus.query(query.expr)
    ]


def health(seen: Monitoring, namespace: str) -> set[str]:
    """How the last scrapes in a namespace went."""
    return {target["health"] for target in seen.prometheus.targets() if target["labels"]["namespace"] == namespace}


def test_live_view_and_dashboards_are_drawn(story: Story, pictures: Path | None, tmp_path: Path) -> None:
    """Each panel from what Prometheus knows, the live view from what a person watched."""
    folder, seen = pictures or tmp_path, story.lab.monitoring
    watched = picture.draw(picture.recorded_looks("".join(story.looks), NAME))
    assert "PlateauFound" in watched and "█" in watched, "no Event of the rule, or no curve"
    (folder / "live-view.svg").write_text(watched, encoding="utf-8")
    operator = story.lab.OPERATOR_NAMESPACE
    story.lab.kube.wait("the operator to answer", lambda: health(seen, operator) == {"up"}, 60)
    span = Span(story.began, time.time(), SCRAPE_SECONDS)
    drawn = draw(PATHS, View(seen.prometheus.url, span, {"namespace": NAMESPACE, "training": NAME}), folder)
    assert [picture.stem for picture in drawn] == [f"dashboard-{path.stem}" for path in PATHS]


def test_curves_while_it_trains(story: Story) -> None:
    """By whoever has no more than the documented rights; the report is not there yet, and that is said."""
    person = story.person
    history = person.data("curves", NAME)
    assert [fold["epoch"] for fold in history["folds"]] == [story.looked_at] * 2
    assert history["epochs"] == story.epochs
    for fold in history["folds"]:
        keys = ("trainingLoss", "validationLoss", "emaPseudoDice", "learningRate")
        assert {len(fold[key]) for key in keys} == {fold["epoch"]}
    person.run("curves", NAME)
    assert (person.folder / f"{NAME}-curves.png").read_bytes().startswith(b"\x89PNG")
    said = person.run("report", NAME, code=1)
    assert f"{NAME} has no report.html yet: it is written when the evaluation has ended" in said


# --- when it is complete


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


def test_what_two_trainings_need_is_made_once(finished: Object, sibling: Object) -> None:
    one, other = finished["provenance"], sibling["provenance"]
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
