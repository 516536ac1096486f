"""Which Jobs should exist: planning, then the folds, then the evaluation."""

from dataclasses import dataclass

from nnunet_operator.api.labels import STAGE_EVALUATE, STAGE_FOLD, STAGE_PLAN
from nnunet_operator.api.reasons import ConditionType, FoldPhase, Reason
from nnunet_operator.reconcile.model import Training, World
from nnunet_operator.reconcile.observe import Child, Observation, State, observe


@dataclass(frozen=True)
class Survey:
    """All children of a training, and how far it has come."""

    plan: Observation
    folds: tuple[Observation, ...]
    evaluate: Observation
    planned: bool
    """The dataset is planned and preprocessed."""
    done_folds: frozenset[str]
    """Folds that are trained and validated."""
    forgotten: frozenset[Child] = frozenset()
    """Children that shall run again although they have completed: what they made may be lost."""

    @property
    def all(self) -> tuple[Observation, ...]:
        """All children, in the order in which they come to run."""
        return (self.plan, *self.folds, self.evaluate)

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
        """The evaluation is done, and so the training is complete."""
        return self.evaluate.state is State.COMPLETED

    @property
    def current(self) -> tuple[Observation, ...]:
        """The children of the present stage that are not done."""
        if not self.planned:
            return (self.plan,)
        if not self.trained:
            return tuple(fold for fold in self.folds if fold.child.fold not in self.done_folds)
        return () if self.evaluated else (self.evaluate,)


def survey(world: World) -> Survey:
    """Look at all children. What the status remembers counts where a Job is gone, and the other way round."""
    training = world.training
    name = training.name
    plan = observe(world, Child(name, STAGE_PLAN))
    folds = tuple(observe(world, Child(name, STAGE_FOLD, fold)) for fold in training.spec.fold_names)
    evaluate = observe(world, Child(name, STAGE_EVALUATE))

    remembered = {fold.fold for fold in training.status.folds if fold.phase == FoldPhase.COMPLETED}
    done = {
        fold.child.fold
        for fold in folds
        # A Job of a later stage proves the earlier one, also where the status was lost.
        if fold.state is State.COMPLETED or fold.child.fold in remembered or evaluate.stands
    }
    ready = training.status.condition(ConditionType.DATASET_READY)
    known = ready.status == "True" if ready else any(later.stands for later in (*folds, evaluate))
    planned = plan.state is State.COMPLETED or known
    forgotten = _forgotten(training, plan, folds)
    return Survey(
        plan,
        folds,
        evaluate,
        planned and plan.child not in forgotten,
        frozenset(done - {child.fold for child in forgotten}),
        forgotten,
    )


def _forgotten(training: Training, plan: Observation, folds: tuple[Observation, ...]) -> frozenset[Child]:
    """Return what a failed training that is suspended, which is how one tries again, takes for granted no more.

    Planning finds its result again where it is still there, and a fold that is complete ends at once: running them
    again costs little. Without it, no retry could mend preprocessed data or a checkpoint that was lost.
    """
    failed = training.status.condition(ConditionType.FAILED)
    if not training.spec.suspend or failed is None or failed.status != "True":
        return frozenset()
    if failed.reason == Reason.CHECKPOINT_UNUSABLE:
        return frozenset((plan.child, *(fold.child for fold in folds)))
    return frozenset((plan.child,))


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
