"""What the contract asks of a fold: early stopping, learning rates, seeds, several processes."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunet_api.contract import POLICY_FILE
from nnunet_api.exit_codes import ExitCode
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.run.metrics import Metric
from nnunet_trainer.run.paths import FINAL, LATEST
from nnunet_trainer.training.checkpoints import finished_epochs
from tests.trainer.world import Ended, World, scrape, truncate

SHORT = {"epochs": 6, "iterationsPerEpoch": 4, "validationIterationsPerEpoch": 1}
# An improvement by 1 is impossible: the first epoch is the best, and a plateau begins with the second.
PLATEAU = {"patienceEpochs": 2, "minDelta": 1, "minEpochs": 1, "annealEpochs": 2}


def content(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    return loaded


def train(world: World, code: int = 0) -> Ended:
    ended = world.finish("train", "--fold", world.first_fold)
    assert ended.code == code, ended.log
    return ended


def stop_in(held: World, epoch: int, number: signal.Signals = signal.SIGTERM) -> Ended:
    """Train a world that is held in an epoch (1 = first) up to there, and end it by a signal."""
    command = held.start("train", "--fold", held.first_fold)
    command.wait_until(held.begun(epoch), f"epoch {epoch}")
    return command.kill(number)


@pytest.mark.parametrize(("mode", "end"), [("Stop", 3), ("Anneal", 5)])
def test_a_plateau_ends_the_training(world: World, mode: str, end: int) -> None:
    world = world.but(schedule=SHORT, earlyStopping=PLATEAU | {"mode": mode}, seed=1)
    world = world if mode == "Stop" else world.unvalidated()
    ended = train(world)
    stopping = ended.fold.early_stopping
    assert stopping is not None and stopping.state is EarlyStoppingState.STOPPED
    assert (stopping.epoch, stopping.end_epoch, stopping.epochs_saved) == (3, end, 6 - end)
    assert (ended.fold.epoch, ended.fold.epochs_target) == (end, 6)
    assert "early stopping" in ended.report.message
    assert (ended.fold.mean_validation_dice is not None) is (mode == "Stop")
    assert finished_epochs(world.fold() / FINAL) == end
    rates = content(world.fold() / FINAL)["logging"]["lrs"]
    assert len(rates) == end
    if mode == "Anneal":
        # From where it was in the last epoch before the verdict, over two epochs.
        assert rates[3:] == pytest.approx([rates[2], rates[2] * 0.5**0.9])
    again = train(world)
    assert "is complete already" in again.log and again.fold.epoch == end


def test_observe_trains_the_whole_schedule(world: World) -> None:
    ended = train(world.but(schedule=SHORT, earlyStopping=PLATEAU | {"mode": "Observe"}).unvalidated())
    stopping = ended.fold.early_stopping
    assert stopping is not None and stopping.state is EarlyStoppingState.OBSERVED
    assert (stopping.epoch, stopping.end_epoch, stopping.epochs_saved) == (3, None, 3)
    assert stopping.ema_gain is not None and ended.fold.epoch == 6


@pytest.mark.parametrize("mode", ["Stop", "Anneal"])
def test_a_restart_neither_passes_the_verdict_nor_stops_earlier(world: World, mode: str) -> None:
    world = world.but(schedule=SHORT, earlyStopping=PLATEAU | {"mode": mode}, seed=1).unvalidated()
    end = 3 if mode == "Stop" else 5
    stop_in(world.held_in(end), end, signal.SIGKILL)
    world = world.held_in(None)
    command = world.start("train", "--fold", world.first_fold)
    command.wait_for_log("Early stopping ends the training")
    command.kill(signal.SIGKILL)
    # As if killed between the verdict's checkpoint and the final one.
    (world.fold() / FINAL).unlink(missing_ok=True)
    ended = train(world)
    assert ended.fold.epoch == end == finished_epochs(world.fold() / FINAL)
    assert len(content(world.fold() / FINAL)["logging"]["lrs"]) == end


def policy(least: int | None) -> dict[str, Any]:
    """Return what a policy came to that asks for so many epochs."""
    decision = {"policy": "clinical", "generation": 1, "mode": "Enforce", "outcome": "Allowed"}
    return {"policy": {"decidedAt": "2026-01-02T03:04:05Z", "minEpochs": least, "decisions": [decision]}}


def test_a_stop_is_suppressed_until_the_policies_are_content(world: World) -> None:
    schedule = SHORT | {"epochs": 8}
    world = world.but(schedule=schedule, earlyStopping=PLATEAU | {"mode": "Stop"}, folds=["0"], **policy(6))
    command = world.held_in(5).start("train", "--fold", "0")
    world = world.held_in(None)
    command.wait_until(world.begun(5), "the fifth epoch")
    metrics = scrape(world)
    for name, value in (
        (Metric.EARLY_STOPPING_SUPPRESSED_EPOCH, 3),
        (Metric.POLICY_MIN_EPOCHS, 6),
        (Metric.POLICY_EXCEPTED, 0),
        (Metric.END_EPOCH, 8),
    ):
        assert f'{name}{{fold="0",namespace="tests",training="tiny"}} {value:.1f}' in metrics, metrics
    # The verdict is that of the history, so a restart changes nothing.
    command.kill(signal.SIGKILL)
    ended = train(world)
    assert "would have acted after epoch 3; by the policies it does not before epoch 6" in ended.log
    stopping = ended.fold.early_stopping
    assert stopping is not None and stopping.state is EarlyStoppingState.STOPPED
    assert (stopping.suppressed_epoch, stopping.epoch, stopping.end_epoch, ended.fold.epoch) == (3, 6, 6, 6)

    verified = world.finish("verify")
    assert verified.code == 0 and verified.report.evidence is not None, verified.log
    (proof,) = verified.report.evidence.folds
    assert proof.epochs == 6 and proof.early_stopping == stopping
    assert json.loads((world.run / "evidence.json").read_text())["asked"]["policy"]["minEpochs"] == 6
    lines = [json.loads(line) for line in (world.run / POLICY_FILE).read_text().splitlines()]
    assert [(line["stage"], line["policy"]["minEpochs"]) for line in lines] == [("train", 6), ("verify", 6)]

    refused = world.but(**policy(7)).finish("verify")
    assert refused.code == ExitCode.EPOCHS_NOT_REACHED, refused.log
    assert "6 of 8 epochs are proven: policy clinical asks for at least 7" in refused.report.message
    # Taken back, the policy leaves a training that is longer than its rule alone would have made it.
    assert world.but(**policy(None)).finish("verify").code == 0


def test_policies_that_come_while_it_anneals_put_the_end_off(world: World) -> None:
    schedule = SHORT | {"epochs": 9}
    world = world.but(schedule=schedule, earlyStopping=PLATEAU | {"mode": "Anneal", "annealEpochs": 3}, folds=["0"])
    # The second epoch of the tail is done.
    stop_in(world.held_in(6), 6, signal.SIGKILL)
    world = world.held_in(None).but(**policy(7))
    ended = train(world)
    stopping = ended.fold.early_stopping
    assert stopping is not None and (stopping.suppressed_epoch, stopping.epoch, stopping.end_epoch) == (3, 7, 9)
    rates = content(world.fold() / FINAL)["logging"]["lrs"]
    ordinary = [0.01 * (1 - epoch / 9) ** 0.9 for epoch in range(9)]
    tail = [rates[2], rates[2] * (2 / 3) ** 0.9]
    assert rates[:3] == pytest.approx(ordinary[:3]) and rates[3:5] == pytest.approx(tail)
    assert rates[5:7] == pytest.approx(ordinary[5:7]), "back on the schedule"
    assert rates[7:] == pytest.approx([rates[6], rates[6] * 0.5**0.9]), "and down from there"
    assert world.finish("verify").code == 0


def test_a_fold_that_was_done_goes_on_when_policies_ask_for_more(world: World, tmp_path: Path) -> None:
    world = world.but(schedule=SHORT, earlyStopping=PLATEAU | {"mode": "Stop"}, folds=["0"])
    assert train(world).fold.epoch == 3
    earlier = tmp_path / "earlier.pth"
    shutil.copy(world.fold() / FINAL, earlier)
    world = world.but(**policy(5))
    ended = train(world)
    assert "going on from checkpoint_final.pth: 3 epochs finished" in ended.log
    assert ended.fold.epoch == finished_epochs(world.fold() / FINAL) == 5
    # As if killed before the final checkpoint: that of the earlier end is still there.
    (world.fold() / FINAL).rename(world.fold() / LATEST)
    earlier.rename(world.fold() / FINAL)
    ended = train(world)
    assert ended.fold.epoch == finished_epochs(world.fold() / FINAL) == 5
    assert ended.fold.mean_validation_dice is not None and world.finish("verify").code == 0


def test_a_changed_budget_is_refused(world: World) -> None:
    world = world.held_in(3)
    stop_in(world.but(schedule=SHORT), 3)
    ended = train(world.but(schedule=SHORT | {"epochs": 9}), code=ExitCode.WRONG_CONFIGURATION)
    assert '"epochs": 6' in ended.report.message and '"epochs": 9' in ended.report.message
    assert "create a new one" in ended.report.message
    assert finished_epochs(world.fold() / LATEST) == 2


def test_policies_of_the_learning_rate(world: World) -> None:
    policies = {"Cosine": [0.02, 0.015, 0.005], "PolyWithWarmup": [0.02, 0.02, 0.02 * 0.5**0.9]}
    for number, (policy, expected) in enumerate(policies.items()):
        changes = {"epochs": 3, "initialLearningRate": 0.02, "learningRatePolicy": policy, "warmupEpochs": 1}
        run = world.but(schedule=SHORT | changes, uid=str(number + 1) * 8).unvalidated()
        run.run.mkdir(parents=True)
        (run.run / "plan.json").write_bytes((world.run / "plan.json").read_bytes())
        train(run)
        assert content(run.fold() / FINAL)["logging"]["lrs"] == pytest.approx(expected)


def same_run(one: World, other: World) -> None:
    """Assert that two runs gave the same weights and the same history."""
    first, second = content(one.fold() / FINAL), content(other.fold() / FINAL)
    # The history first: it tells in which epoch they parted.
    for key in ("lrs", "train_losses", "val_losses", "ema_fg_dice"):
        assert first["logging"][key] == pytest.approx(second["logging"][key], rel=0, abs=0, nan_ok=True), key
    for name, weights in first["network_weights"].items():
        assert torch.equal(weights, second["network_weights"][name]), name


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_seed_makes_two_runs_the_same_also_if_one_was_interrupted(world: World, tmp_path: Path, workers: str) -> None:
    world = world.but(schedule=SHORT | {"epochs": 3, "iterationsPerEpoch": 10}, seed=7).with_env(
        nnUNet_n_proc_DA=workers
    )
    world = world.held_in(None).unvalidated()
    other = world.copy(tmp_path / "other")
    train(world)
    # Started as in the pod, where the hashes of strings have another seed each time; all forks have the same.
    stop_in(other.anew().held_in(2), 2, signal.SIGKILL)
    train(other)
    same_run(world, other)


CLOCK = """
import os
from batchgeneratorsv2.transforms.noise import gaussian_blur

used = gaussian_blur.blur_dimension

def blur(*args, force_use_fft=None, **kwargs):
    gaussian_blur.fourier = force_use_fft
    return used(*args, force_use_fft=force_use_fft, **kwargs)

def time():
    # What SLOWER names takes longer each time.
    gaussian_blur.now += gaussian_blur.fourier is (os.environ["SLOWER"] == "fourier")
    return gaussian_blur.now

gaussian_blur.now, gaussian_blur.fourier = 0, None
gaussian_blur.blur_dimension, gaussian_blur.time = blur, time
"""


def test_a_seed_makes_two_runs_the_same_whatever_the_clock_says(world: World, tmp_path: Path) -> None:
    """nnU-Net's augmentation measures which of two ways to blur is the faster one; their last digits differ."""
    world = world.but(schedule=SHORT | {"epochs": 2, "iterationsPerEpoch": 10}, seed=7).held_in(None).unvalidated()
    with (world.root / "classes/held.py").open("a") as classes:
        classes.write(CLOCK)
    other = world.copy(tmp_path / "other")
    train(world.with_env(SLOWER="fourier", nnUNet_n_proc_DA="0"))
    train(other.with_env(SLOWER="convolution", nnUNet_n_proc_DA="0"))
    same_run(world, other)


def test_another_seed_makes_another_run(world: World, tmp_path: Path) -> None:
    world = world.but(schedule=SHORT | {"epochs": 1}, seed=7).unvalidated()
    other = world.copy(tmp_path / "other").but(seed=8)
    losses = []
    for run in (world, other):
        assert train(run).fold.provenance is not None
        losses.append(content(run.fold() / FINAL)["logging"]["train_losses"])
    assert losses[0] != losses[1]
    stated = json.loads((world.fold() / "provenance.json").read_text())
    assert stated["seed"] == 7 and stated["conditions"]["batchSize"] == 2 and stated["torchVersion"]
    assert stated["torchCompile"] == "off: nnU-Net compiles nothing for the CPU"


def test_replicates_train_apart_with_seeds_of_their_own(world: World) -> None:
    world = world.but(schedule=SHORT | {"epochs": 1}, seed=7, replicates=2).unvalidated()
    ended = [world.finish("train", "--fold", "all", "--replicate", replicate) for replicate in ("1", "2")]
    assert [run.code for run in ended] == [0, 0], ended[-1].log
    assert [run.fold.fold for run in ended] == ["all-r1", "all-r2"]
    assert [run.fold.provenance.seed for run in ended if run.fold.provenance] == [7, 8]
    assert all(list(world.run.glob(f"replicate-{k}/*/*/fold_all/{FINAL}")) for k in (1, 2))
    assert world.finish("train", "--fold", "all", "--replicate", "3").code == ExitCode.WRONG_CONFIGURATION


def test_two_processes_train_one_fold(world: World) -> None:
    world = world.but(schedule=SHORT | {"epochs": 4}, gpus=2, seed=3, processes=2, **policy(4)).copying()
    assert stop_in(world.held_in(3), 3).code == ExitCode.PREEMPTED
    world = world.held_in(None)
    ended = train(world)
    assert "going on from checkpoint_latest.pth: 2 epochs finished" in ended.log
    assert "I am local rank 1" in ended.log and "The world size is 2" in ended.log
    assert (ended.fold.epoch, ended.fold.lost_epochs) == (4, 1) and ended.fold.mean_validation_dice is not None
    assert len(list((world.fold() / "validation").glob("*.nii.gz"))) == 2
    assert len((world.run / POLICY_FILE).read_text().splitlines()) == 1, "one process writes it"
    assert ended.log.count("nnU-Net reads its data from the copy") == 1, "they share one"
    assert ended.fold.provenance and ended.fold.provenance.data_read_from == "local copy"
    # Plain nnU-Net reads it: the names of the weights are those of one process.
    assert not any(name.startswith("module.") for name in content(world.fold() / FINAL)["network_weights"])


def test_more_gpus_than_samples_in_a_batch(world: World) -> None:
    ended = train(world.but(gpus=3), code=ExitCode.WRONG_CONFIGURATION)
    assert "resources.gpus is 3" in ended.report.message and "has 2 samples" in ended.report.message


def test_an_attempt_that_was_replaced_writes_nothing_more(world: World) -> None:
    world = world.but(schedule=SHORT | {"epochs": 50, "iterationsPerEpoch": 20})
    old = world.start("train", "--fold", "0")
    old.wait_until(world.begun(2), "the second epoch")
    os.kill(old.pid, signal.SIGSTOP)
    # The lock is lost, as on a file server that forgot a node.
    (world.fold() / ".attempt.lock").unlink()
    new = world.start("train", "--fold", "0")
    new.wait_for_log("going on from")
    new.wait_until(lambda: world.journal().attempts == 2, "the second attempt")
    new.kill(signal.SIGKILL)
    before = {path.name: path.stat().st_mtime_ns for path in world.fold().glob("*.pth")} | {
        "journal": world.journal().begun
    }
    os.kill(old.pid, signal.SIGCONT)
    ended = old.end(seconds=300)
    assert ended.code == ExitCode.PREEMPTED and "another attempt has taken over" in ended.report.message, ended.log
    after = {path.name: path.stat().st_mtime_ns for path in world.fold().glob("*.pth")} | {
        "journal": world.journal().begun
    }
    assert after == before


def test_time_and_damaged_checkpoints_are_accounted_for(world: World) -> None:
    world = world.but(schedule=SHORT | {"epochs": 4}).unvalidated()
    stop_in(world.held_in(3), 3, signal.SIGKILL)
    world = world.held_in(None)
    truncate(world.fold() / LATEST)
    (world.fold() / "checkpoint_best.pth").unlink(missing_ok=True)
    ended = train(world)
    assert ended.fold.passed_over is not None and LATEST in ended.fold.passed_over
    held, lost = ended.fold.held_seconds, ended.fold.lost_seconds
    assert held is not None and lost is not None and held > lost >= 0
    assert ended.fold.median_epoch_seconds
