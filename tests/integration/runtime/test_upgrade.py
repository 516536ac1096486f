"""What an operator of before left behind is taken over without a lost epoch; what is new is made the new way."""

from collections.abc import Callable, Iterator

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Api, Object
from tests.support.builders import training
from tests.support.kubelet import Autopilot
from tests.support.plan_facts import PLAN_FACTS
from tests.support.process import OperatorProcess
from tests.support.recorded import NAMES, leave
from tests.support.trainer import Trainer

RUNNING = ("policies", "replicates", "running")
ENDED = ("failed", "finished")


@pytest.fixture
def upgrade(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess], trainer: Trainer
) -> Iterator[Callable[[str], tuple[Lab, list[Object]]]]:
    """Return a function that leaves a recorded training in the namespace, and starts an operator on it.

    Its trainers are as old as what was recorded: they tell no epochs.
    """

    def start(name: str) -> tuple[Lab, list[Object]]:
        objects = leave(api, namespace, name, trainer.address)
        trainer.is_older()
        return Lab(api, namespace, start_operator(namespace)), objects

    yield start
    if api.get("nnunettrainingpolicies", "", "house"):
        api.delete("nnunettrainingpolicies", "", "house")


def claims(job: Object) -> dict[str, str]:
    """Return the folder of the claim behind each path at which the trainer sees one."""
    mounts = job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    return {
        mount["mountPath"]: mount.get("subPath", "") for mount in mounts if mount["mountPath"].startswith("/nnunet")
    }


def epochs(status: Object) -> list[tuple[int, int, int, int | None]]:
    """Return what a status says of the epochs of each fold."""
    return [
        (fold["epoch"], fold["attempts"], fold["lostEpochs"], fold.get("checkpointEpoch")) for fold in status["folds"]
    ]


def uids(lab: Lab) -> dict[str, str]:
    """Return the UIDs of all Jobs by their names."""
    return {job["metadata"]["name"]: job["metadata"]["uid"] for job in lab.jobs()}


def finish(lab: Lab, name: str) -> Object:
    """Let all that is left succeed; return the status."""
    with Autopilot(lab.api, lab.namespace, lambda: 0.2):
        lab.wait_reason("Complete", "TrainingComplete", name)
    status = lab.status(name)
    assert {(fold["phase"], fold["epoch"], fold["provenEpochs"]) for fold in status["folds"]} == {("Completed", 10, 10)}
    return status


def test_each_recorded_training_has_its_test() -> None:
    assert sorted((*RUNNING, *ENDED, "suspended")) == NAMES


@pytest.mark.parametrize("name", RUNNING)
def test_what_runs_goes_on_in_the_jobs_that_it_has(
    upgrade: Callable[[str], tuple[Lab, list[Object]]], name: str
) -> None:
    """Their pods see more than they need until they end: to replace them costs epochs. What follows is confined."""
    lab, (before, *_) = upgrade(name)
    made = uids(lab)
    lab.wait_said("its image is older", name)
    assert epochs(lab.status(name)) == epochs(before["status"])
    status = finish(lab, name)
    assert made.items() <= uids(lab).items(), "no Job was made anew"
    starting = [fold for fold in before["status"]["folds"] if not fold["attempts"]]
    assert lab.events(name).count("FoldStarted") == len(starting), "no fold was begun anew"
    assert all(fold["lostEpochs"] == 0 for fold in status["folds"])
    for field in ("runPath", "startTime"):
        assert status[field] == before["status"][field]
    assert before["status"]["provenance"].items() <= status["provenance"].items()
    run, jobs = status["runPath"], {job["metadata"]["name"]: job for job in lab.jobs()}
    assert {folder for child in made for folder in claims(jobs[child]).values()} == {""}, "they saw whole claims"
    for stage in ("verify", "evaluate"):
        confined = claims(jobs[f"{name}-{stage}"])
        assert confined[f"/nnunet/results/{run}"] == run and "" not in confined.values(), stage
    if name == "policies":
        decided, kept = status["policy"], before["status"]["policy"]
        assert [one["policy"] for one in decided["exceptions"]] == [one["policy"] for one in kept["exceptions"]]
        assert lab.condition("PolicyCompliant", name)["reason"] == "PolicyExcepted"


def test_what_was_suspended_stays_so_and_goes_on_from_its_checkpoint(
    upgrade: Callable[[str], tuple[Lab, list[Object]]],
) -> None:
    """Its preprocessed data lies at the root of the claim, where it stays."""
    lab, (before, *_) = upgrade("suspended")
    made = uids(lab)
    lab.wait_reason("Suspended", "SuspendedByUser", "suspended")
    assert epochs(lab.status("suspended")) == epochs(before["status"]) and uids(lab) == made
    lab.set("suspended", suspend=False)
    fold, _ = lab.wait_jobs("suspended-fold-0", "suspended-plan")
    run, key = before["status"]["runPath"], PLAN_FACTS.preprocessed_key
    assert claims(fold) == {f"/nnunet/preprocessed/{key}": key, f"/nnunet/results/{run}": run}
    assert epochs(lab.status("suspended")) == epochs(before["status"])
    status = finish(lab, "suspended")
    assert status["provenance"]["preprocessedPath"] == key and made.items() <= uids(lab).items()


@pytest.mark.parametrize("name", ENDED)
def test_what_has_ended_is_left_as_it_is(upgrade: Callable[[str], tuple[Lab, list[Object]]], name: str) -> None:
    lab, (before, *_) = upgrade(name)
    made = uids(lab)
    lab.apply(training(lab.namespace, "new"))
    lab.wait_jobs(*made, "new-plan")
    now, conditions = lab.status(name), {one["type"]: one for one in lab.status(name)["conditions"]}
    for old, new in zip(before["status"]["folds"], now["folds"], strict=True):
        assert old.items() <= new.items()
    for field in ("results", "runPath", "startTime", "completionTime", "phase"):
        assert now.get(field) == before["status"].get(field), field
    for one in before["status"]["conditions"]:
        if one["type"] in ("Complete", "Failed", "EpochsProven", "Evaluated"):
            told = conditions[one["type"]]
            assert (told["status"], told["reason"]) == (one["status"], one["reason"])
    if name == "failed":
        lab.set(name, suspend=True)
        lab.wait_reason("Suspended", "SuspendedByUser", name)
        lab.set(name, suspend=False)
        assert finish(lab, name)["runPath"] == before["status"]["runPath"]


def test_a_fold_in_an_image_older_than_the_operator_goes_on(lab: Lab, trainer: Trainer) -> None:
    """It tells no epochs while it runs. That is said, is no stall, and its report at the end counts."""
    trainer.says(3)
    lab.apply(training(lab.namespace, folds=[0], stallTimeoutSeconds=10, restartOnStall=True))
    lab.plan_and_train()
    pod = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(pod, trainer.address)
    lab.wait("epoch 3", lambda: lab.status()["folds"][0]["epoch"] == 3)
    lab.operator.kill()
    trainer.is_older()
    lab.operator.start()
    lab.wait("the note", lambda: "its image is older" in lab.condition("Progressing")["message"])
    assert lab.condition("Stalled")["status"] == "False" and lab.status()["folds"][0]["epoch"] == 3
    lab.kubelet.end(pod)
    lab.wait("its end", lambda: lab.status()["folds"][0]["phase"] == "Completed")
    assert (lab.status()["folds"][0]["epoch"], lab.status()["folds"][0].get("stallRestarts")) == (10, 0)
