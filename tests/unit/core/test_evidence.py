"""What the checkpoints prove: what is believed, and what becomes of a training that proves too little."""

from dataclasses import replace
from typing import Any

import pytest

from nnunet_api.contract import EvidenceFacts, TerminationReport
from nnunet_api.facts import FoldFacts
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    COMPLETE,
    EVALUATE,
    FOLD,
    after,
    condition,
    created,
    decide,
    deleted,
    ended,
    failed_by,
    fold_done,
    job,
    planned,
    proof,
    reported,
    stated,
    verdict,
    verified,
    world,
)

STOP = {"mode": "Stop", "minEpochs": 4, "patienceEpochs": 3}
ANNEAL = STOP | {"mode": "Anneal", "annealEpochs": 3}
SHORT = "c" * 12
"""What is left of a hash in a report on many folds."""
ONE = training(folds=[0], schedule={"epochs": 10})


@pytest.mark.parametrize(
    ("rule", "evidence", "proven"),
    [
        pytest.param({}, proof(10), True, id="all epochs"),
        pytest.param({}, proof(4), False, id="exit 0 at epoch 4 of 10"),
        pytest.param({}, proof(11), False, id="more than were asked for"),
        pytest.param({}, proof(10, iterations=250), True, id="of as many iterations"),
        pytest.param({}, proof(10, iterations=1), True, id="of fewer iterations, which policies alone count"),
        pytest.param({}, proof(10, hash_=""), False, id="without a checkpoint"),
        pytest.param({}, EvidenceFacts(), False, id="nothing about the fold"),
        pytest.param({}, proof(10, fold="1"), False, id="about another fold"),
        pytest.param({}, proof(5, verdict(5, 5)), False, id="stopped where no rule was set"),
        pytest.param({"mode": "Observe"}, proof(5, verdict(5, 5)), False, id="stopped where the rule only observes"),
        pytest.param(STOP, proof(5, verdict(5, 5)), True, id="stopped by the rule"),
        pytest.param(STOP, proof(3, verdict(3, 3)), False, id="stopped before minEpochs"),
        pytest.param(STOP, proof(5), False, id="stopped without a verdict"),
        pytest.param(STOP, proof(6, verdict(5, 5)), False, id="went on after the verdict"),
        pytest.param(ANNEAL, proof(8, verdict(5, 8)), True, id="annealed"),
        pytest.param(ANNEAL, proof(10, verdict(9, 10)), True, id="annealed to the end of the schedule"),
        pytest.param(ANNEAL, proof(5, verdict(5, 5)), False, id="cut off instead of annealed"),
        pytest.param(ANNEAL, proof(6, verdict(5, 6)), False, id="annealed for less than was asked for"),
        pytest.param({}, proof(10, hash_=SHORT), True, id="all epochs, in few words"),
        pytest.param({}, proof(9, hash_=SHORT), False, id="not all epochs, in few words"),
        pytest.param(STOP, proof(5, hash_=SHORT), True, id="stopped, in few words"),
        pytest.param(STOP, proof(3, hash_=SHORT), False, id="stopped too early, in few words"),
        pytest.param(ANNEAL, proof(6, hash_=SHORT), False, id="annealed too early, in few words"),
    ],
)
def test_evidence(rule: dict[str, Any], evidence: EvidenceFacts, proven: bool) -> None:
    of = training(folds=[0], schedule={"epochs": 10}, earlyStopping=rule)
    bound = evidence.model_copy(update={"evidence_hash": "e" * 64})
    result = decide(world(of, *planned(of), job(of, FOLD, "0", conditions=[COMPLETE]), *verified(of, bound)))
    if proven:
        assert stated(result, "EpochsProven") == ("True", "CheckpointsVerified")
        assert created(result) == ["hippo-evaluate"]
        (fold,) = result.status.folds
        assert (fold.proven_epochs, fold.checkpoint_hash) == (
            evidence.folds[0].epochs,
            evidence.folds[0].checkpoint_hash,
        )
        assert result.status.provenance is not None
        assert result.status.provenance.evidence_path == f"{result.status.run_path}/evidence.json"
        assert result.status.provenance.evidence_hash == "e" * 64
    else:
        assert stated(result, "Failed") == ("True", "EpochsNotReached")
        assert stated(result, "EpochsProven") == ("False", "EpochsNotReached")
        assert stated(result, "Complete") == ("False", "NotComplete")
        assert "of 10 epochs" in condition(result, "Failed").message and created(result) == []


def test_a_verification_that_leaves_no_evidence_proves_nothing() -> None:
    done = job(ONE, "verify", conditions=[COMPLETE])
    result = decide(world(ONE, *planned(ONE), *fold_done(ONE, "0"), done, ended(done, 0)))
    assert stated(result, "Failed") == ("True", "EpochsNotReached")


def test_a_trainer_that_says_itself_that_it_did_less_fails_before_the_verification() -> None:
    result = decide(world(ONE, *planned(ONE), *reported(ONE, epoch=4)))
    assert stated(result, "Failed") == ("True", "EpochsNotReached")
    assert "after 4 of 10 epochs" in condition(result, "Failed").message and created(result) == []


def test_exit_code_of_the_verification() -> None:
    check = job(ONE, "verify", conditions=[failed_by()])
    said = TerminationReport(message="fold 0 proves 40 of 1000 epochs", evidence=proof(40))
    result = decide(world(ONE, *planned(ONE), *fold_done(ONE, "0"), check, ended(check, 70, said)))
    assert stated(result, "Failed") == ("True", "EpochsNotReached")
    assert "40 of 1000" in condition(result, "Failed").message


def test_a_retry_after_missing_proof_trains_and_verifies_again() -> None:
    objects = [*planned(ONE), *fold_done(ONE, "0"), *verified(ONE, proof(4))]
    failed = after(ONE, *objects)
    suspended = replace(failed, spec=failed.spec.model_copy(update={"suspend": True}))
    assert deleted(decide(world(suspended, *objects))) == ["hippo-plan", "hippo-fold-0", "hippo-verify"]


def test_what_counts_is_what_the_attempt_said_that_completed_the_job() -> None:
    done, new = reported(ONE)
    new["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = ""
    new["metadata"] |= {"name": "new", "creationTimestamp": "2026-03-01T13:00:00Z"}
    interrupted = reported(ONE, code=75, epoch=4)[1]
    result = decide(world(ONE, *planned(ONE), done, interrupted, new))
    assert stated(result, "Failed") == ("False", "NotFailed")
    assert created(result) == ["hippo-verify"]


def test_another_folds_report_is_no_reason_to_fail() -> None:
    body = job(ONE, FOLD, "0", conditions=[COMPLETE])
    other = TerminationReport(message="ended", fold=FoldFacts(fold="3", epoch=4, epochs_target=10))
    assert created(decide(world(ONE, *planned(ONE), body, ended(body, 0, other)))) == ["hippo-verify"]


def test_evidence_that_vanished_with_its_pod_is_looked_for_again() -> None:
    trained = [*planned(ONE), *fold_done(ONE, "0")]
    verify = verified(ONE)[0]
    result = decide(world(ONE, *trained, verify))
    assert stated(result, "Failed") == ("False", "NotFailed")
    assert stated(result, "Progressing") == ("True", "Starting")
    assert "vanished with the evidence" in condition(result, "Progressing").message
    assert deleted(result) == ["hippo-verify"]
    known = after(ONE, *trained, verify)
    assert created(decide(world(known, *trained))) == ["hippo-verify"]
    # Once it is known, nothing of it has to be there any more.
    proven = after(ONE, *trained, *verified(ONE))
    assert created(decide(world(proven, *trained, verify))) == ["hippo-evaluate"]
    assert proven.status.folds[0].proven_epochs == 10


def test_a_retry_after_missing_proof_believes_no_evaluation() -> None:
    scored = job(ONE, EVALUATE, conditions=[COMPLETE])
    objects = [*planned(ONE), *fold_done(ONE, "0"), *verified(ONE, proof(4)), scored]
    failed = after(ONE, *objects)
    assert failed.status.phase == "Failed"
    suspended = replace(failed, spec=failed.spec.model_copy(update={"suspend": True}))
    gone = ["hippo-plan", "hippo-fold-0", "hippo-verify", "hippo-evaluate"]
    assert deleted(decide(world(suspended, *objects))) == gone
    (fold,) = after(suspended, *objects).status.folds
    assert (fold.phase, fold.proven_epochs, fold.checkpoint_hash) == ("Pending", None, None)


def test_the_checkpoint_counts_for_more_than_what_the_trainer_said() -> None:
    result = decide(world(ONE, *planned(ONE), *fold_done(ONE, "0"), *verified(ONE, proof(4))))
    (fold,) = result.status.folds
    assert (fold.epoch, fold.proven_epochs) == (4, 4)


def test_a_training_that_was_complete_before_there_was_evidence_stays_complete() -> None:
    known = after(ONE, *verified(ONE), job(ONE, EVALUATE, conditions=[COMPLETE]))
    conditions = [c for c in known.status.conditions if c.type != "EpochsProven"]
    old = replace(known, status=known.status.model_copy(update={"conditions": conditions}))
    result = decide(world(old))
    assert (result.status, result.actions, result.events) == (old.status, (), ())


def test_the_verifications_image_is_not_the_runs() -> None:
    of = training(folds=[0], schedule={"epochs": 10}, trainer={"image": "registry.example/ours:1"})
    provenance = decide(world(of, *verified(of))).status.provenance
    assert provenance is not None
    assert (provenance.image, provenance.image_digest) == ("registry.example/ours:1", None)


def test_any_retry_looks_at_the_checkpoints_again() -> None:
    bad = job(ONE, EVALUATE, conditions=[failed_by()])
    objects = [*planned(ONE), *fold_done(ONE, "0"), *verified(ONE), bad, ended(bad, 74)]
    failed = after(ONE, *objects)
    suspended = replace(failed, spec=failed.spec.model_copy(update={"suspend": True}))
    result = decide(world(suspended, *objects))
    assert deleted(result) == ["hippo-plan", "hippo-verify", "hippo-evaluate"]
    assert stated(result, "EpochsProven") == ("False", "NotYetVerified")
