"""How far a training has come along its pipeline, and which Jobs should exist."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nnunet_api.contract import EvidenceFacts
from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_api.labels import STAGE_EVALUATE, STAGE_FOLD, STAGE_PLAN, STAGE_VERIFY
from nnunet_api.reasons import ConditionType
from nnunet_api.stages import STAGES
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core import renewals
from nnunet_operator.core.losses import as_far_as_it_counts
from nnunet_operator.core.observation import Child, Observation, State
from nnunet_operator.core.pipeline import LAST, PIPELINE, StageRule, all_needs, children
from nnunet_operator.core.training import Training


@dataclass(frozen=True)
class Stages:
    """All children of a training, and how far it has come."""

    by_name: Mapping[str, tuple[Observation, ...]]
    """The children of each stage, in the order in which they come to run."""
    done: frozenset[Child]
    """Children that are done."""
    to_rerun: frozenset[Child] = frozenset()
    """Children that shall run again although they have completed: what they made may be lost."""
    left_out: tuple[str, ...] = ()
    """Configurations that nnU-Net does not plan for the dataset: they have no children."""
    after: Mapping[Child, tuple[Child, ...]] = field(default_factory=dict)
    """Children of the same stage that must be done before one may begin, where there are any."""

    def is_done(self, stage: str) -> bool:
        """Tell whether all children of a stage are done."""
        return all(seen.child in self.done for seen in self.by_name[stage])

    def is_ready(self, stage: str) -> bool:
        """Tell whether a stage may run: all that it needs is done."""
        return all(map(self.is_done, all_needs(stage)))

    @property
    def plan(self) -> Observation:
        """The planning."""
        return self.by_name[STAGE_PLAN][0]

    @property
    def folds(self) -> tuple[Observation, ...]:
        """The fold runs."""
        return self.by_name[STAGE_FOLD]

    @property
    def verify(self) -> Observation:
        """The verification."""
        return self.by_name[STAGE_VERIFY][0]

    @property
    def evaluate(self) -> Observation:
        """The evaluation."""
        return self.by_name[STAGE_EVALUATE][0]

    @property
    def planned(self) -> bool:
        """The dataset is planned and preprocessed."""
        return self.is_done(STAGE_PLAN)

    @property
    def verified(self) -> bool:
        """The checkpoints have proven the epochs."""
        return self.is_done(STAGE_VERIFY)

    @property
    def evaluated(self) -> bool:
        """The evaluation is done."""
        return self.is_done(STAGE_EVALUATE)

    @property
    def complete(self) -> bool:
        """All is done, and the epochs are proven."""
        return self.is_done(LAST) and all(self.is_done(name) for name in PIPELINE if STAGES[name].proves)

    @property
    def undone(self) -> tuple[Observation, ...]:
        """Children that are not done, or whose Job is still on its way out."""
        return tuple(o for o in self.all if o.child not in self.done or (o.exists and o.state is State.STOPPING))

    @property
    def all(self) -> tuple[Observation, ...]:
        """All children, in the order in which they come to run."""
        return tuple(seen for children in self.by_name.values() for seen in children)

    @property
    def unfinished(self) -> tuple[Observation, ...]:
        """Those that have a Job which has not completed, or a pod that outlives its Job."""
        return tuple(o for o in self.all if o.state is State.STOPPING or (o.exists and o.state is not State.COMPLETED))

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
        return tuple(o for o in self.undone if o.stands and o.ended and o.state is State.STARTING)

    def current_of(self, stage: str) -> tuple[Observation, ...]:
        """Return the children of a stage that may run and are not done, and those that run."""
        undone = tuple(o for o in self.by_name[stage] if o.child not in self.done) if self.is_ready(stage) else ()
        return tuple(o for o in undone if _begun(o) or not self.waits_for(o.child))

    def waits_for(self, child: Child) -> tuple[Child, ...]:
        """Return the children of the same stage that one waits for: those before it that are not done."""
        return tuple(one for one in self.after.get(child, ()) if one not in self.done)

    @property
    def waiting(self) -> tuple[Observation, ...]:
        """Children of the present stages that wait for others of the same stage."""
        ready = (seen for stage in self.by_name if self.is_ready(stage) for seen in self.by_name[stage])
        return tuple(o for o in ready if o.child not in self.done and not _begun(o) and self.waits_for(o.child))

    @property
    def current(self) -> tuple[Observation, ...]:
        """The children of the present stages that are not done."""
        return tuple(seen for stage in self.by_name for seen in self.current_of(stage))


def _begun(seen: Observation) -> bool:
    return seen.exists or seen.state is State.STOPPING


def look_at_stages(training: Training, observations: Mapping[Child, Observation], min_epochs: int = 0) -> Stages:
    """Judge all children. What the status remembers counts where a Job is gone, and the other way round.

    `min_epochs` are those that policies ask to be proven for each fold.
    """
    every = list(children(training))
    plan = observations[next(child for child in every if child.stage == STAGE_PLAN)]
    left_out = _left_out(training, plan)
    there = [child for child in every if not (child.fold and child.fold.configuration in left_out)]
    observed = {
        rule.name: tuple(observations[child] for child in there if child.stage == rule.name)
        for rule in PIPELINE.values()
    }
    judged = {
        rule.name: tuple(
            as_far_as_it_counts(training, rule.judge(training, renewals.judged(training, seen), min_epochs))
            for seen in observed[rule.name]
        )
        for rule in PIPELINE.values()
    }
    to_rerun = _to_rerun(training, judged)
    done = {
        seen.child
        for rule in PIPELINE.values()
        for seen in judged[rule.name]
        if seen.state is State.COMPLETED
        or rule.remembered(training, seen.child, min_epochs, _later_stands(rule, observed))
    }
    return Stages(judged, frozenset(done - to_rerun), to_rerun, left_out, _after(training, there))


def _after(training: Training, there: Sequence[Child]) -> Mapping[Child, tuple[Child, ...]]:
    """Return what each child has to wait for, of those that are there."""
    by_key = {(child.stage, child.fold): child for child in there}
    found = {}
    for child in there:
        keys = PIPELINE[child.stage].after(training.spec, child.fold) if child.fold else ()
        if before := tuple(by_key[child.stage, key] for key in keys if (child.stage, key) in by_key):
            found[child] = before
    return found


def _left_out(training: Training, plan: Observation) -> tuple[str, ...]:
    """Return the configurations that planning has left out: never all, and none where the spec does not allow it."""
    names, stated = training.spec.configuration_names, plan.report.plan if plan.report else None
    if not training.spec.skip_unavailable_configurations:
        return ()
    told = stated.left_out_configurations if stated else training.status.left_out_configurations
    found = tuple(name for name in names if name in (told or ()))
    return found if len(found) < len(names) else ()


def _later_stands(rule: StageRule, seen: Mapping[str, tuple[Observation, ...]]) -> bool:
    later = (name for name in PIPELINE if rule.name in all_needs(name))
    return any(child.stands for name in later for child in seen[name])


def _to_rerun(training: Training, seen: Mapping[str, tuple[Observation, ...]]) -> frozenset[Child]:
    """Return what a failed training that is suspended, which is how one tries again, takes for granted no more."""
    failed = training.status.condition(ConditionType.FAILED)
    if not training.spec.suspend or failed is None or failed.status != "True":
        return frozenset()
    return frozenset(
        one.child for rule in PIPELINE.values() if rule.reruns_after(failed.reason) for one in seen[rule.name]
    )


def to_create(found: Stages, spec: NnunetTrainingSpec, held_back: Collection[Child] = ()) -> tuple[Child, ...]:
    """Return the Jobs to create now, in order, so that at most `spec.maxParallelFolds` folds hold a GPU."""
    return tuple(child for rule in PIPELINE.values() for child in _to_create(found, rule, spec, held_back))


def _to_create(
    found: Stages, rule: StageRule, spec: NnunetTrainingSpec, held_back: Collection[Child]
) -> tuple[Child, ...]:
    current = found.current_of(rule.name)
    wanted = tuple(seen.child for seen in current if seen.name_free and seen.child not in held_back)
    limit = rule.parallel(spec)
    if limit is None:
        return wanted
    # Blocked Jobs count, and so do those that are being stopped: their pods may still hold a GPU.
    busy = sum(1 for seen in current if seen.state is State.STOPPING or (seen.exists and not seen.ended))
    return wanted[: max(0, limit - busy)]
