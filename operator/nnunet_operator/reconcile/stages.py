"""Which Jobs should exist: planning, then the folds, then the verification, then the evaluation."""

from dataclasses import dataclass, replace

from nnunet_operator.api.contract import EvaluationFacts, EvidenceFacts
from nnunet_operator.api.fold_key import FoldKey
from nnunet_operator.api.labels import STAGE_EVALUATE, STAGE_FOLD, STAGE_PLAN, STAGE_VERIFY
from nnunet_operator.api.reasons import ConditionType, FoldPhase, Reason
from nnunet_operator.api.status import FoldStatus
from nnunet_operator.api.training import NnunetTrainingSpec
from nnunet_operator.reconcile.evidence import (
    UNPROVEN,
    ended_too_early,
    missing_proof,
    no_longer_enough,
    not_believed,
    of_policy,
)
from nnunet_operator.reconcile.model import Training, World
from nnunet_operator.reconcile.observe import Child, Observation, State, observe
from nnunet_operator.reconcile.stall import gives_up


@dataclass(frozen=True)
class Survey:
    """All children of a training, and how far it has come."""

    plan: Observation
    folds: tuple[Observation, ...]
    verify: Observation
    evaluate: Observation
    planned: bool
    """The dataset is planned and preprocessed."""
    done_folds: frozenset[FoldKey | None]
    """Folds that are trained and validated."""
    verified: bool
    """The checkpoints have proven the epochs."""
    forgotten: frozenset[Child] = frozenset()
    """Children that shall run again although they have completed: what they made may be lost."""

    @property
    def all(self) -> tuple[Observation, ...]:
        """All children, in the order in which they come to run."""
        return (self.plan, *self.folds, self.verify, self.evaluate)

    @property
    def unfinished(self) -> tuple[Observation, ...]:
        """Those that have a Job which has not completed, or a pod that outlives its Job."""
        return tuple(o for o in self.all if o.state is State.STOPPING or (o.exists and o.state is not State.COMPLETED))

    @property
    def trained(self) -> bool:
        """All folds are done."""
        return all(fold.child.fold in self.done_folds for fold in self.folds)

    @property
    def evaluated(self) -> bool:
        """The evaluation is done."""
        return self.evaluate.state is State.COMPLETED

    @property
    def complete(self) -> bool:
        """All is done, and the epochs are proven."""
        return self.evaluated and self.verified

    @property
    def evaluation(self) -> EvaluationFacts | None:
        """What the evaluation reported, or None."""
        return self.evaluate.report.evaluation if self.evaluate.report else None

    @property
    def evidence(self) -> EvidenceFacts | None:
        """What the verification reported, or None."""
        return self.verify.report.evidence if self.verify.report else None

    @property
    def repeating(self) -> tuple[Observation, ...]:
        """Children whose Job has completed, and has to be made anew because what they found out is lost."""
        lost = self.verify.stands and self.verify.ended and self.verify.state is State.STARTING
        return (self.verify,) if lost else ()

    @property
    def current(self) -> tuple[Observation, ...]:
        """The children of the present stage that are not done."""
        if not self.planned:
            return (self.plan,)
        if not self.trained:
            return tuple(fold for fold in self.folds if fold.child.fold not in self.done_folds)
        if not self.verified:
            return (self.verify,)
        return () if self.evaluated else (self.evaluate,)


def survey(world: World, min_epochs: int = 0) -> Survey:
    """Look at all children. What the status remembers counts where a Job is gone, and the other way round.

    `min_epochs` are those that policies ask to be proven for each fold.
    """
    training = world.training
    name = training.name
    plan = observe(world, Child(name, STAGE_PLAN))
    folds = tuple(observe(world, Child(name, STAGE_FOLD, fold)) for fold in training.spec.fold_keys)
    known_folds: dict[FoldKey | None, FoldStatus] = {fold.key: fold for fold in training.status.folds}
    folds = tuple(_believed(training, fold, known_folds.get(fold.child.fold), min_epochs) for fold in folds)
    verify = observe(world, Child(name, STAGE_VERIFY))
    evaluate = observe(world, Child(name, STAGE_EVALUATE))

    remembered = {fold.key for fold in known_folds.values() if fold.phase == FoldPhase.COMPLETED}
    done = {
        fold.child.fold
        for fold in folds
        # A Job of a later stage proves the earlier one, also where the status was lost.
        if fold.state is State.COMPLETED or fold.child.fold in remembered or verify.stands or evaluate.stands
    }
    ready = training.status.condition(ConditionType.DATASET_READY)
    known = ready.status == "True" if ready else any(later.stands for later in (*folds, verify, evaluate))
    planned = plan.state is State.COMPLETED or known
    known_proven = training.status.holds(ConditionType.EPOCHS_PROVEN)
    if known_proven and (trouble := no_longer_enough(training.status.folds, min_epochs)):
        known_proven, verify = False, replace(verify, state=State.FAILED, trouble=trouble)
    if verify.state is State.COMPLETED and not known_proven:
        verify = _proving(training.spec, verify, min_epochs)
    if verify.state is State.FAILED and verify.trouble:
        evidence = verify.report.evidence if verify.report else None
        verify = replace(verify, trouble=of_policy(training.spec, verify.trouble, evidence, min_epochs))
    forgotten = _forgotten(training, plan, folds, verify, evaluate)
    return Survey(
        plan,
        folds,
        verify,
        evaluate,
        planned and plan.child not in forgotten,
        frozenset(done - {child.fold for child in forgotten}),
        (known_proven or verify.state is State.COMPLETED) and verify.child not in forgotten,
        forgotten,
    )


def _believed(training: Training, fold: Observation, before: FoldStatus | None, min_epochs: int) -> Observation:
    """Return a fold as failed where it says itself that it trained too little, or stands still again and again."""
    trouble = gives_up(training, fold, before)
    if fold.state is State.COMPLETED and fold.testimony and fold.child.fold:
        trouble = ended_too_early(training.spec, fold.child.fold, fold.testimony.fold, min_epochs)
    return replace(fold, state=State.FAILED, trouble=trouble) if trouble else fold


def _proving(spec: NnunetTrainingSpec, verify: Observation, min_epochs: int) -> Observation:
    """Return the completed verification as failed where its evidence is not what the spec asks for."""
    if not verify.witnessed:  # the node of its pod was removed before anybody read the evidence
        return replace(verify, state=State.STARTING, note="again, because its pod vanished with the evidence")
    trouble = (
        not_believed(verify.doubt, min_epochs)
        if verify.doubt
        else missing_proof(spec, verify.testimony.evidence if verify.testimony else None, min_epochs)
    )
    return replace(verify, state=State.FAILED, trouble=trouble) if trouble else verify


def _forgotten(
    training: Training,
    plan: Observation,
    folds: tuple[Observation, ...],
    verify: Observation,
    evaluate: Observation,
) -> frozenset[Child]:
    """Return what a failed training that is suspended, which is how one tries again, takes for granted no more.

    Planning finds its result again where it is still there, and a fold that is complete ends at once: running them
    again costs little. Without it, no retry could mend preprocessed data or a checkpoint that was lost.
    """
    failed = training.status.condition(ConditionType.FAILED)
    if not training.spec.suspend or failed is None or failed.status != "True":
        return frozenset()
    if failed.reason in (Reason.CHECKPOINT_UNUSABLE, *UNPROVEN):
        # What was scored may not be what is trained now.
        return frozenset((plan.child, *(fold.child for fold in folds), verify.child, evaluate.child))
    return frozenset((plan.child, verify.child))


def to_create(found: Survey, max_parallel_folds: int) -> tuple[Child, ...]:
    """Return the Jobs to create now, in order, so that at most `max_parallel_folds` folds hold a GPU."""
    current = found.current
    free = len(current)
    if current and current[0].child.stage == STAGE_FOLD:
        # Blocked Jobs count, and so do those that are being stopped: their pods may still hold a GPU.
        busy = (fold for fold in current if fold.state is State.STOPPING or (fold.exists and not fold.ended))
        free = max_parallel_folds - sum(1 for _ in busy)
    wanted = [observation.child for observation in current if observation.name_free]
    return tuple(wanted[: max(0, free)])
