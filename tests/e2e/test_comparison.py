"""Comparisons of real trainings, judged in real pods by the operator's own image: one arm is as good, one is worse, and
some can't be compared."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import nibabel
import numpy
import pytest

from hack.benchmarks.hardness.dataset import write_dataset
from hack.benchmarks.hardness.tasks import HARD
from tests.e2e.conftest import PROGRAM, Lab
from tests.support.builders import comparison
from tests.support.kube import Object, condition
from tests.support.networks import small_network
from tests.support.small_training import training, yielding

NAMESPACE = "e2e-compare"
TASK = replace(HARD, dataset="Dataset521_Compared", training_cases=12, test_cases=10)
NETWORK = small_network("2d", [48, 48], [8, 16, 32], batch_size=4)
EPOCHS = 16
"""Of the full schedule. On a few more cases a quarter of it scored 12 and 15 points less, with two seeds."""
DIFFERENT: dict[str, tuple[Object, str]] = {
    "folds": ({"folds": [0], "trainOnAllCases": False}, 'quarter: ["all"]; folds: ["0"]'),
    "test-labels": (
        {"testSet": {"labels": "labelsOther"}},
        "testSet.labels: quarter: labelsTs; test-labels: labelsOther",
    ),
    "network": ({"configuration": "2d"}, "configuration: quarter: 2d_small; network: 2d"),
    "planner": (
        {"planning": {"configurations": {"2d_small": NETWORK}, "planner": "nnUNetPlannerResEncM"}},
        "planning.planner: quarter: ExperimentPlanner; planner: nnUNetPlannerResEncM",
    ),
    "trainer": (
        {"trainer": {"device": "cpu", "seed": 1, "className": "nnUNetTrainerDA5"}},
        "trainer.className: quarter: nnUNetTrainer; trainer: nnUNetTrainerDA5",
    ),
    "seed": ({"trainer": {"device": "cpu", "seed": 2}}, "trainer.seed: quarter: 1; seed: 2"),
    "stopping": ({"earlyStopping": {"mode": "Anneal"}}, "earlyStopping.mode: quarter: Disabled; stopping: Anneal"),
    "windows": ({"evaluation": {"stepSize": 1}}, "evaluation.stepSize: quarter: 0.5; windows: 1.0"),
    "tolerance": (
        {"evaluation": {"surfaceToleranceMm": 2}},
        "evaluation.surfaceToleranceMm: quarter: 1.0; tolerance: 2.0",
    ),
    "gpus": (
        {"resources": {"gpus": 2, "cpu": "200m", "memory": "2Gi"}},
        "resources.gpus: quarter: 0; gpus: 2",
    ),
}
"""By name of a training that is never begun: what of it is otherwise than in one that is trained, and what is said."""
RELABELLED = "relabelled"
"""A training, and the folder of the claim in which the same dataset has another test label."""


def different(name: str) -> Object:
    """Return a training that is never begun, and is not made as the others are."""
    body = trained(name, EPOCHS // 4)
    body["spec"] |= DIFFERENT[name][0] | {"suspend": True}
    return body


def trained(name: str, epochs: int = EPOCHS, claim_folder: str = "", **env: str) -> Object:
    """Return a training on all cases, which no validation follows: the test set decides."""
    dataset = {"name": TASK.dataset, "subPath": claim_folder}
    variables = [{"name": key, "value": value} for key, value in env.items()]
    spec: dict[str, Any] = {
        "dataset": dataset,
        "planning": {"configurations": {"2d_small": NETWORK}},
        "configuration": "2d_small",
        "folds": [],
        "trainOnAllCases": True,
        "testSet": {},
        "trainer": {"device": "cpu", "seed": 1, "env": variables},
    }
    body = training(name, NAMESPACE, epochs, iterations=25, **spec)
    body["spec"]["resources"]["gpus"] = 0  # others hold theirs for long
    return yielding(body)


def compared(name: str, baseline: str, candidate: str, *varies: str, **spec: Any) -> Object:
    """Return a comparison of two trainings."""
    arms = [{"name": of, "trainings": [of]} for of in (baseline, candidate)]
    resources = {"cpu": "50m", "memory": "1Gi"}
    return comparison(NAMESPACE, name, arms=arms, varies=list(varies), resources=resources, **spec)


def in_the_background(lab: Lab) -> list[Object]:
    """The comparisons, registered before anything is trained, and their trainings."""
    lab.make_namespace(NAMESPACE)
    raw = lab.volume("nnunet-raw", NAMESPACE)
    write_dataset(raw, TASK)
    other = raw / RELABELLED / TASK.dataset
    shutil.copytree(raw / TASK.dataset, other)
    label = sorted((other / "labelsTs").iterdir())[0]
    image = nibabel.load(label)
    nibabel.save(nibabel.Nifti1Image(numpy.zeros_like(numpy.asanyarray(image.dataobj)), image.affine), label)
    return [
        compared("equal", "quarter", "twin", "trainer.env.NOTHING_READS_THIS"),
        compared("worse", "full", "quarter", "schedule.epochs"),
        compared("unnamed", "full", "quarter"),
        *(compared(f"other-{name}", "quarter", name) for name in DIFFERENT),
        *(different(name) for name in DIFFERENT),
        compared("other-test-set", "quarter", RELABELLED, "trainer.env.NOTHING_READS_THIS"),
        trained("full"),
        trained("twin", EPOCHS // 4, NOTHING_READS_THIS="1"),
        trained("quarter", EPOCHS // 4),
        trained(RELABELLED, EPOCHS // 4, RELABELLED, NOTHING_READS_THIS="1"),
    ]


def ended(lab: Lab, name: str) -> Object:
    """Wait until a comparison is over and return its status."""

    def over() -> Object | None:
        status: Object = lab.kube.get("nnunetcomparisons", name, NAMESPACE).get("status", {})
        return (
            status if any(condition(status, kind).get("status") == "True" for kind in ("Complete", "Failed")) else None
        )

    found: Object = lab.kube.wait(f"comparison {name} to end", over, timeout=600, about=(NAMESPACE, "full"))
    return found


def told(lab: Lab, name: str) -> tuple[int, Object]:
    """Return the exit code of `kubectl nnunet compare`, and its data."""
    env = {**os.environ, "KUBECONFIG": str(lab.cluster.kubeconfig)}
    command = [PROGRAM, "compare", name, "-n", NAMESPACE, "-o", "json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_what_is_not_said_to_differ_is_known_before_anything_is_trained(lab: Lab) -> None:
    status = ended(lab, "unnamed")
    assert condition(status, "Failed")["reason"] == status["phase"] == "NotComparable"
    assert f"schedule.epochs: full: {EPOCHS}; quarter: {EPOCHS // 4}" in status["summary"]


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_not_made_alike_is_not_comparable_and_named_with_both_values(lab: Lab, name: str) -> None:
    """In each of ten ways, and nobody trains for it; only what the runs' contents tell has to be waited for."""
    status = ended(lab, f"other-{name}")
    assert condition(status, "Failed")["reason"] == status["verdict"] == "NotComparable"
    assert DIFFERENT[name][1] in status["summary"], status["summary"]


def test_an_arm_that_is_as_good_is_equivalent(lab: Lab) -> None:
    """The same network from the same seed: nothing of it differs but a variable that nobody reads."""
    status = ended(lab, "equal")
    assert (status["verdict"], status["cases"]) == ("Equivalent", TASK.test_cases), status
    (found,) = status["verdicts"]
    assert found["difference"] == found["low"] == found["high"] == 0
    assert not any("could be known" in note for note in status["notes"]), "it was registered first"
    code, data = told(lab, "equal")
    assert (code, data["acceptable"]) == (0, True) and data["verdicts"] == status["verdicts"]


def test_an_arm_of_a_quarter_of_the_budget_is_inferior(lab: Lab) -> None:
    """By the very scores that the trainings report; and one model of each says nothing of the methods."""
    status = ended(lab, "worse")
    assert status["verdict"] == "Inferior", status
    (found,) = status["verdicts"]
    dice = {name: lab.kube.status(NAMESPACE, name)["results"]["testDice"]["mean"] for name in ("full", "quarter")}
    assert found["difference"] == pytest.approx(dice["quarter"] - dice["full"], abs=2e-4)
    assert found["low"] < found["difference"] < found["high"] < -0.01
    assert any("ModelsNotMethods" in note for note in status["notes"])
    code, data = told(lab, "worse")
    assert (code, data["acceptable"]) == (1, False)
    assert data["summary"].startswith("quarter loses ") and "Inferior at a margin of 1 point" in data["summary"]
    assert "Inferior" in lab.kube.run("get", "nnc", "worse", "-n", NAMESPACE)


def test_another_test_set_under_the_same_name_is_seen_by_its_content(lab: Lab) -> None:
    """Name, folders and cases are the same, and so are the training data: one label is not."""
    status = ended(lab, "other-test-set")
    assert status["verdict"] == "NotComparable", status
    hashes = [
        json.loads((lab.volume("nnunet-results", NAMESPACE) / run / "summary.json").read_text())["conditions"][
            "testSet"
        ]
        for run in (lab.kube.status(NAMESPACE, name)["runPath"] for name in ("quarter", RELABELLED))
    ]
    assert hashes[0]["imagesHash"] == hashes[1]["imagesHash"]
    values = f"quarter: {hashes[0]['labelsHash']}; {RELABELLED}: {hashes[1]['labelsHash']}"
    assert f"testSet.labelsHash: {values}" in status["summary"] and "imagesHash" not in status["summary"]
    assert told(lab, "other-test-set")[0] == 1


def test_scores_that_somebody_edits_on_the_volume_count_for_nothing(lab: Lab) -> None:
    """The last of the story: it spoils the scores of the losing arm for good."""
    before = ended(lab, "worse")["verdicts"]
    run = lab.volume("nnunet-results", NAMESPACE) / lab.kube.status(NAMESPACE, "quarter")["runPath"]
    content = json.loads((run / "summary.json").read_text())
    for classes in content["replicates"][0]["testByCase"].values():
        for numbers in classes.values():
            numbers["dice"] = 1.0
    (run / "summary.json").write_text(json.dumps(content))
    lab.kube.apply(compared("forged", "full", "quarter", "schedule.epochs"))
    failed = condition(ended(lab, "forged"), "Failed")
    assert failed["reason"] == "WrongData", failed
    assert "training quarter: summary.json was changed after its evaluation" in failed["message"]
    assert told(lab, "worse")[1]["verdicts"] == before, "what was found stays"
