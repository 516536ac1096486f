"""How the stages follow each other, as data: what each needs, what its Jobs are, and when one of them is done.

A further stage is one more row here, one in `api.stages`, its reason, and the builder of its Job.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from nnunet_api.fold_key import FoldKey
from nnunet_api.fold_status import FoldStatus
from nnunet_api.labels import STAGE_EVALUATE, STAGE_FOLD, STAGE_PLAN, STAGE_VERIFY
from nnunet_api.reasons import ConditionType, FoldPhase, Reason
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core import verifier
from nnunet_operator.core.evidence import (
    UNPROVEN,
    ended_too_early,
    missing_proof,
    no_longer_enough,
    not_believed,
    of_policy,
)
from nnunet_operator.core.initial_weights import planned_with_weights
from nnunet_operator.core.losses import without_answer, without_evidence
from nnunet_operator.core.observation import Child, Observation, State
from nnunet_operator.core.stall import gives_up
from nnunet_operator.core.training import Training

_CHECKPOINTS_IN_DOUBT = (Reason.CHECKPOINT_UNUSABLE, *UNPROVEN)


@dataclass(frozen=True)
class StageRule:
    """When a stage may begin, what it consists of, and when it is done."""

    name: str
    """Name of the stage."""
    needs: tuple[str, ...] = ()
    """Stages that must be done before it is ready."""
    keys: Callable[[NnunetTrainingSpec], Sequence[FoldKey | None]] = lambda _: (None,)
    """Return the fold runs that it has a Job for; None for one Job that is of no fold run."""
    after: Callable[[NnunetTrainingSpec, FoldKey], Sequence[FoldKey]] = lambda *_: ()
    """Return the fold runs of the same stage that must be done before that of a child may begin."""
    parallel: Callable[[NnunetTrainingSpec], int | None] = lambda _: None
    """Return how many of its children may hold a GPU at the same time; None for all."""
    judge: Callable[[Training, Observation, int], Observation] = lambda _, seen, __: seen
    """Return what is to be made of a child as it was observed; given, too, the epochs that policies ask for."""
    remembered: Callable[[Training, Child, int, bool], bool] = lambda *_: False
    """Tell whether a child is done although no Job of it says so; given, too, the epochs that policies ask for, and
    whether a Job of a later stage stands, which proves the earlier one also where the status was lost."""
    reruns_after: Callable[[str], bool] = lambda _: True
    """Tell whether it has to run again where a training that has failed for a reason is tried again.

    Planning finds its result again where it is still there, and a fold that is complete ends at once: running them
    again costs little. Without it, no retry could mend preprocessed data or a checkpoint that was lost.
    """


def _planned(training: Training, _child: Child, _min_epochs: int, later_stands: bool) -> bool:
    ready = training.status.condition(ConditionType.DATASET_READY)
    # What it has left out is not known from a later Job: it is asked once more, which finds its result again.
    return ready.status == "True" if ready else later_stands and not training.spec.skip_unavailable_configurations


def _trained(training: Training, child: Child, _min_epochs: int, later_stands: bool) -> bool:
    known = known_fold(training, child)
    return later_stands or (known is not None and known.phase == FoldPhase.COMPLETED)


def _verified(training: Training, _child: Child, min_epochs: int, _later_stands: bool) -> bool:
    return (
        training.status.holds(ConditionType.EPOCHS_PROVEN)
        and no_longer_enough(training.spec.schedule, training.status.folds, min_epochs) is None
    )


def _with_answer(training: Training, plan: Observation, min_epochs: int) -> Observation:
    """Return the planning as blocked where it waits for weights, and to be repeated where its answer is lost."""
    return without_answer(training, planned_with_weights(training, plan, min_epochs))


def known_fold(training: Training, child: Child) -> FoldStatus | None:
    """Return what the status says of a child's fold run, or None."""
    return next((fold for fold in training.status.folds if fold.key == child.fold), None)


def _with_reported_failure(training: Training, fold: Observation, min_epochs: int) -> Observation:
    """Return a fold as failed where it says itself that it trained too little, or stands still again and again."""
    trouble = gives_up(training, fold, known_fold(training, fold.child))
    if fold.state is State.COMPLETED and fold.success_report and fold.child.fold:
        trouble = ended_too_early(training.spec, fold.child.fold, fold.success_report.fold, min_epochs)
    return replace(fold, state=State.FAILED, trouble=trouble) if trouble else fold


def _held_against_proof(training: Training, verify: Observation, min_epochs: int) -> Observation:
    """Return the verification as failed where what it proved is not what the spec and the policies ask for."""
    if verify.report and verifier.doubt_of(training, verify):
        verify = replace(verify, report=None)  # also before its Job is complete: nothing of it is ever told
    if not training.status.holds(ConditionType.EPOCHS_PROVEN):
        verify = _proving(training, verify, min_epochs) if verify.state is State.COMPLETED else verify
    elif trouble := no_longer_enough(training.spec.schedule, training.status.folds, min_epochs):
        verify = replace(verify, state=State.FAILED, trouble=trouble)
    if verify.state is State.FAILED and verify.trouble:
        evidence = verify.report.evidence if verify.report else None
        verify = replace(
            verify, trouble=of_policy(training.spec, verify.trouble, evidence, min_epochs, _left_out(training))
        )
    return verify


def _left_out(training: Training) -> Sequence[str]:
    """Return the configurations that planning has left out, which it ended long before."""
    return training.status.left_out_configurations or ()


def _proving(training: Training, verify: Observation, min_epochs: int) -> Observation:
    """Return the completed verification as failed where its evidence is not what the spec asks for."""
    if not verify.success_seen:  # the node of its pod was removed before anybody read the evidence
        return without_evidence(training, verify)
    if doubt := verify.doubt or verifier.doubt_of(training, verify):
        return replace(verify, state=State.FAILED, trouble=not_believed(doubt, min_epochs))
    evidence = verify.success_report.evidence if verify.success_report else None
    trouble = missing_proof(training.spec, evidence, min_epochs, _left_out(training))
    return replace(verify, state=State.FAILED, trouble=trouble) if trouble else verify


PIPELINE = {
    rule.name: rule
    for rule in (
        StageRule(STAGE_PLAN, judge=_with_answer, remembered=_planned),
        StageRule(
            STAGE_FOLD,
            needs=(STAGE_PLAN,),
            keys=lambda spec: spec.fold_keys,
            after=lambda spec, key: spec.fold_keys_before(key),
            parallel=lambda spec: spec.max_parallel_folds,
            judge=_with_reported_failure,
            remembered=_trained,
            reruns_after=lambda reason: reason in _CHECKPOINTS_IN_DOUBT,
        ),
        StageRule(
            STAGE_VERIFY,
            needs=(STAGE_FOLD,),
            judge=_held_against_proof,
            remembered=_verified,
        ),
        StageRule(
            STAGE_EVALUATE,
            needs=(STAGE_VERIFY,),
            # What was scored may not be what is trained now.
            reruns_after=lambda reason: reason in _CHECKPOINTS_IN_DOUBT,
        ),
    )
}
"""By name, in an order in which no stage comes before one that it needs."""
LAST = STAGE_EVALUATE
"""The training is complete when this stage is done, and each that proves anything."""


def all_needs(name: str) -> Iterator[str]:
    """Yield every stage that has to be done before a stage, through others, too."""
    for need in PIPELINE[name].needs:
        yield need
        yield from all_needs(need)


def children(training: Training) -> Iterator[Child]:
    """Yield all children of a training, in the order in which they come to run."""
    for rule in PIPELINE.values():
        yield from (Child(training.name, rule.name, key) for key in rule.keys(training.spec))
