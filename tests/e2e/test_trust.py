"""What a training has to prove, and what it says of how it was trained."""

import hashlib
import json
import random
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

from tests.e2e.builders import training
from tests.e2e.conftest import Lab
from tests.e2e.kube import Kube, condition, kill_container

# An improvement by 1 is impossible: the first epoch is the best, and a plateau begins with the second.
PLATEAU = {"patienceEpochs": 2, "minDelta": 1, "minEpochs": 1}


def test_replicates_stop_early_with_proof_spread_and_usage(lab: Lab) -> None:
    """Two replicates of one fold, stopped by the rule: evidence, seeds, scores of each, GPU-seconds."""
    kube, namespace, name = lab.kube, lab.namespace, "replicated"
    trainer = {"device": "cpu", "seed": 5}
    spec: dict[str, Any] = {
        "replicates": 2,
        "trainer": trainer,
        "earlyStopping": {"mode": "Stop", **PLATEAU},
        "testSet": {},
    }
    kube.apply(training(name, namespace, epochs=8, **spec))
    status = kube.wait_complete(namespace, name, timeout=420)

    assert [(fold["fold"], fold["replicate"]) for fold in status["folds"]] == [("0", 1), ("0", 2)]
    for fold in status["folds"]:
        assert (fold["epoch"], fold["epochsTarget"], fold["provenEpochs"]) == (3, 8, 3)
        assert fold["earlyStopping"] == {"state": "Stopped", "epoch": 3, "endEpoch": 3, "epochsSaved": 5}
        assert len(fold["checkpointHash"]) == 64 and fold["gpuSeconds"] >= 1
    assert status["progress"]["percent"] == 100
    stopped = condition(status, "EarlyStopped")
    assert (stopped["status"], stopped["reason"]) == ("True", "PlateauStopped")
    assert condition(status, "EpochsProven")["reason"] == "CheckpointsVerified"
    results = status["results"]
    assert [(one["replicate"], one["seed"]) for one in results["replicates"]] == [(1, 5), (2, 6)]
    assert results["spread"]["testDice"] >= 0 and 0 <= results["testSurface"]["nsd"] <= 1
    # The evaluation predicts the test set with a GPU, too.
    assert status["usage"]["gpuSeconds"] > sum(fold["gpuSeconds"] for fold in status["folds"])
    assert status["provenance"]["seed"] == 5 and status["provenance"]["configurationHash"]

    volume = lab.volume("nnunet-results")
    evidence = json.loads((volume / status["provenance"]["evidencePath"]).read_text())
    assert [(fold["fold"], fold["epochs"]) for fold in evidence["folds"]] == [("0-r1", 3), ("0-r2", 3)]
    assert (
        "<svg" in (volume / results["reportPath"]).read_text() or "<img" in (volume / results["reportPath"]).read_text()
    )


def tensors(run: Path) -> dict[str, str]:
    """Return a digest of each tensor of the final checkpoint of a run: weights and the optimizer's state."""
    (path,) = run.glob("**/checkpoint_final.pth")
    with zipfile.ZipFile(path) as archive:  # which is what torch.save writes
        names = [name for name in archive.namelist() if "/data/" in name]
        return {name.split("/", 1)[1]: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


def evict(kube: Kube, namespace: str, pod: str) -> None:
    """Evict a pod, as a drained node does."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    kube.run("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def test_evictions_cost_at_most_an_epoch_each_and_nothing_in_the_result(lab: Lab) -> None:
    """Pods that are evicted at random moments, and in the evaluation: all weights are those of an undisturbed run."""
    kube, namespace = lab.kube, lab.namespace
    seeded = {"trainer": {"device": "cpu", "seed": 9}}
    kube.apply(training("undisturbed", namespace, epochs=60, iterations=6, **seeded))
    calm = kube.wait_complete(namespace, "undisturbed", timeout=300)
    kube.apply(training("evicted", namespace, epochs=60, iterations=6, **seeded))
    rng = random.Random(4)
    for attempt, epoch in enumerate((2, 5, 9), 1):
        kube.wait_epoch(namespace, "evicted", epoch, timeout=180)
        time.sleep(rng.uniform(0, 2))
        evict(kube, namespace, kube.pods(namespace, "evicted", "fold")[-1]["metadata"]["name"])
        kube.wait(
            f"attempt {attempt + 1}",
            lambda: kube.status(namespace, "evicted")["folds"][0]["attempts"] == attempt + 1,  # noqa: B023
            timeout=90,
            about=(namespace, "evicted"),
        )
    about = namespace, "evicted"
    (evaluating,) = kube.wait("the evaluation's pod", lambda: kube.pods(*about, "evaluate"), timeout=300, about=about)
    evict(kube, namespace, evaluating["metadata"]["name"])
    status = kube.wait_complete(namespace, "evicted", timeout=300)
    fold = status["folds"][0]
    assert fold["attempts"] == 4 and fold["lostEpochs"] <= 3
    job = next(job for job in kube.jobs(namespace, "evicted") if job["metadata"]["name"] == "evicted-fold-0")
    assert not job["status"].get("failed") or job["status"]["failed"] <= 3
    one, other = calm["folds"][0], fold
    for key in ("trainingLoss", "validationLoss", "emaPseudoDice", "meanValidationDice"):
        assert one[key] == other[key], key
    results = lab.volume("nnunet-results")
    assert tensors(results / status["runPath"]) == tensors(results / calm["runPath"])


def test_a_fold_that_stands_still_is_reported_and_restarted(lab: Lab) -> None:
    """A frozen trainer: Stalled says so, and restartOnStall lets a new one go on from the checkpoint."""
    kube, namespace, name = lab.kube, lab.namespace, "frozen"
    kube.apply(training(name, namespace, epochs=40, iterations=6, stallTimeoutSeconds=20))
    kube.wait_epoch(namespace, name, 3, timeout=180)
    pod = kube.pods(namespace, name, "fold")[-1]
    kill_container(pod, "nnunet-trainer", signal.SIGSTOP)
    kube.wait(
        "an Event about the stall",
        lambda: any(reason == "NoEpochFinished" for reason, _ in kube.events(namespace, name)),
        timeout=150,
        about=(namespace, name),
    )
    lab.monitoring.wait_alert("NnunetTrainingStalled", namespace=namespace, training=name)
    assert "has not finished an epoch" in lab.first_command("NnunetTrainingStalled", namespace, name)
    kube.change(namespace, name, restartOnStall=True)
    # A frozen process can't answer SIGTERM either: it is killed when its grace period is over.
    status = kube.wait_complete(namespace, name, timeout=420)
    fold = status["folds"][0]
    assert (fold["epoch"], fold["attempts"], fold["stallRestarts"]) == (40, 2, 1)
    assert fold["lostEpochs"] <= 1 and condition(status, "Stalled")["status"] == "False"
    assert any(reason == "RestartedAfterStall" for reason, _ in kube.events(namespace, name))
