"""What holds whatever happens: random worlds, and random lives of a training in a simulated cluster."""

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.labels import job_name
from nnunet_api.reasons import EarlyStoppingState
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.renewals import LONGEST_PAUSE_SECONDS
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.progress.model import LiveFacts
from tests.support import made_worlds as make
from tests.support import sizes
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import World, decide
from tests.unit.core.simulator import EPOCHS, check, simulate

CONDITIONS: list[list[dict[str, str]]] = [
    [],
    [],
    [make.COMPLETE],
    [make.failed_by()],
    [make.failed_by("FailureTarget", message="exit code 74")],
    [make.failed_by(reason="BackoffLimitExceeded")],
]
MESSAGES = st.sampled_from(
    ["", "x", "Traceback\nE: y", '{"message": "m"}', '{"message": "m", "fold": {"fold": "0", "epoch": -1, '
     '"epochsTarget": 3}}', '{"message": "m", "evaluation": {"testMean": 1e999}}', '{"message": 3}', "{",
     '{"message": "m", "fold": {"fold": "0", "epoch": 1000, "epochsTarget": 1000, "heldSeconds": -5, "earlyStopping": '
     '{"state": "Stopped", "epoch": -3, "endEpoch": 5000000000000}}}',
     '{"message": "m", "evidence": {"folds": [{"fold": "0", "epochs": 1000, "checkpointHash": "c"}]}}',
     '{"message": "m", "evidence": {"folds": [{"fold": "0", "epochs": -1, "checkpointHash": ""}]}}']
)  # fmt: skip
STATES = st.one_of(
    st.none(),
    st.just({"running": {}}),
    st.builds(
        lambda reason, message: {"waiting": {"reason": reason, "message": message}},
        st.sampled_from(["ContainerCreating", "ErrImagePull", "CreateContainerError", "NewFangled"]),
        MESSAGES,
    ),
    st.builds(
        lambda code, reason, message: {"terminated": {"exitCode": code, "reason": reason, "message": message}},
        st.sampled_from([0, 1, 64, 65, 69, 74, 75, 76, 137, 143, 255]),
        st.sampled_from(["Error", "OOMKilled", "Completed", "StartError"]),
        MESSAGES,
    ),
)
POD_CONDITIONS = st.lists(
    st.sampled_from(
        [
            {"type": "DisruptionTarget", "status": "True"},
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"},
            {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"},
            {"type": "PodScheduled", "status": "False", "reason": "SchedulerError"},
        ]
    ),
    max_size=2,
)
FACTS = st.builds(
    FoldFacts,
    fold=st.sampled_from(["0", "3", "x" * 5000]),
    epoch=st.integers(-2, 10**12),
    epochs_target=st.integers(-2, 20),
    ema_pseudo_dice=st.none() | st.floats(),
    training_loss=st.none() | st.floats(),
    nonfinite_loss_epochs=st.none() | st.integers(-2, 10**12),
    epoch_seconds=st.none() | st.floats(),
    attempts=st.integers(-1, 5),
    last_epoch_time=st.none() | st.just(NOW) | st.just(NOW + timedelta(days=9)),
    early_stopping=st.none()
    | st.builds(
        EarlyStopFacts,
        state=st.sampled_from(EarlyStoppingState),
        epoch=st.none() | st.integers(-2, 20),
        end_epoch=st.none() | st.integers(-2, 20),
        epochs_saved=st.none() | st.integers(-2, 10**12),
        ema_gain=st.none() | st.floats(),
    ),
    median_epoch_seconds=st.none() | st.floats(),
    held_seconds=st.none() | st.floats(),
    lost_seconds=st.none() | st.floats(),
    passed_over=st.sampled_from([None, "checkpoint_latest.pth", "x" * 300]),
)
SAMPLES = st.builds(LiveFacts, st.none() | FACTS, still_seconds=st.none() | st.floats(0, 1e6))


@st.composite
def objects_of(draw: st.DrawFn, of: Any, stage: str, fold: str) -> list[Manifest]:
    """Draw a Job with pods, or nothing, or somebody else's Job."""
    if draw(st.booleans()):
        return []
    body = make.job(
        of,
        stage,
        fold,
        conditions=draw(st.sampled_from(CONDITIONS)),
        failed=draw(st.integers(0, 3)),
        suspended=draw(st.sampled_from([False, False, True])),
        deleting=draw(st.sampled_from([False, False, False, True])),
    )
    if draw(st.integers(0, 9)) == 0:
        body["metadata"]["ownerReferences"] = []
    pods = [
        make.pod(
            body,
            name=f"{body['metadata']['name']}-{index}",
            phase=draw(st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"])),
            state=draw(STATES),
            conditions=draw(POD_CONDITIONS),
            deleting=draw(st.sampled_from([False, False, True])),
        )
        for index in range(draw(st.integers(0, 2)))
    ]
    return [body, *pods]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a world; its training may remember another one."""
    of = training(
        folds=draw(st.sampled_from([[0], [0, 1], [0, 1, 2]])),
        maxParallelFolds=draw(st.integers(1, 3)),
        suspend=draw(st.booleans()),
        ttlSecondsAfterFinished=draw(st.sampled_from([None, 0, 60])),
        restartOnStall=draw(st.booleans()),
        retryLimit=draw(st.integers(0, 2)),
        earlyStopping={"mode": draw(st.sampled_from(["Disabled", "Observe", "Anneal", "Stop"]))},
        replicates=draw(st.sampled_from([1, 1, 2])),
        trainer={"seed": 1},
        configurations=draw(st.sampled_from([None, ["2d"], ["2d", "3d_fullres"]])),
        deleting=draw(st.sampled_from([False, False, False, True])),
    )
    children = [("plan", ""), *(("fold", key.name) for key in of.spec.fold_keys), ("verify", ""), ("evaluate", "")]
    objects = [o for stage, fold in children for o in draw(objects_of(of, stage, fold))]
    if draw(st.booleans()):
        before = [o for stage, fold in children for o in draw(objects_of(of, stage, fold))]
        of = make.after(of, *before)
    pods = [o["metadata"]["name"] for o in objects if o.get("kind") != "Job"]
    samples = {name: draw(SAMPLES) for name in pods if draw(st.booleans())}
    refusals = draw(st.sampled_from([{}, {"hippo-plan": "no"}, {"hippo-fold-0": "exceeded quota"}]))
    return make.world(of, *objects, samples=samples, refusals=refusals, now=NOW + timedelta(minutes=5))


def but_for_restarts(status: NnunetTrainingStatus) -> NnunetTrainingStatus:
    """Return a status without what is remembered when a Job is stopped for what the status before tells of.

    That is a fold that stalled, and a Job that is made anew once its pause is over.
    """
    again = {job_name("hippo", "fold", fold.key) for fold in status.folds if fold.stalled_pod}
    again |= {job.name for job in status.renewed_jobs or ()}
    jobs = [job.model_copy(update={"stopping": None}) if job.name in again else job for job in status.jobs]
    return status.model_copy(update={"jobs": jobs})


@pytest.mark.soak
@settings(max_examples=sizes.RECONCILED_WORLDS)
@given(worlds())
def test_any_world(seen: World) -> None:
    result = decide(seen)
    of = seen.training
    names = make.created(result)
    assert len(names) == len(set(names))
    assert not set(names) & {job["metadata"]["name"] for job in seen.jobs}
    ours = {job["metadata"]["uid"] for job in seen.jobs if job["metadata"]["ownerReferences"]}
    assert {stop.job_uid for stop in result.stop} <= ours
    assert sum("-fold-" in name for name in names) <= of.spec.max_parallel_folds
    over = {c.type for c in result.status.conditions if c.status == "True"} & {"Complete", "Failed"}
    if of.deleting or of.spec.suspend or over:
        assert names == []
    if "Complete" in over and not any(c.type == "Complete" and c.status == "True" for c in of.status.conditions):
        assert "EpochsProven" in {c.type for c in result.status.conditions if c.status == "True"}
    # The status is what the API server stores, and a second look at the same world changes nothing.
    again = decide(replace(seen, training=replace(of, status=make.stored(result.status)), now=NOW + timedelta(hours=1)))
    assert but_for_restarts(again.status) == but_for_restarts(make.stored(result.status))
    assert again.events == ()


@pytest.mark.soak
@settings(max_examples=sizes.RECONCILED_LIVES)
@given(st.randoms(use_true_random=False), st.integers(0, 150))
def test_any_life_ends_complete_or_failed_and_then_rests(random: Random, steps: int) -> None:
    cluster = simulate(random, steps)
    cluster.suspend(False)
    cluster.policies = ()
    for _ in range(60):  # from here on nothing goes wrong any more
        check(cluster)
        writes = cluster.writes
        result = cluster.reconcile()
        cluster.serial += round(result.requeue_after or 0)  # what was lost is held back for a while
        if cluster.training.status.completion_time and not result.actions and cluster.writes == writes:
            break
        for name in sorted(cluster.jobs):
            cluster.step(name, None)
        for name in cluster.orphans():
            del cluster.pods[name]
        cluster.serial += LONGEST_PAUSE_SECONDS
    assert cluster.training.status.phase in ("Completed", "Failed"), cluster.training.status
    cluster.reconcile()
    writes, serial = cluster.writes, cluster.serial
    cluster.serial += 3600
    rest = cluster.reconcile()
    assert (cluster.writes, rest.actions, rest.events) == (writes, (), ()), serial
    if cluster.training.status.phase == "Completed":
        folds = cluster.training.status.folds
        assert {fold.phase for fold in folds} == {"Completed"}
        # Whatever exit codes and reports said.
        assert {fold.name: cluster.trained[fold.name] for fold in folds} == {fold.name: EPOCHS for fold in folds}
