"""A training that is being deleted and held by a finalizer of somebody else: nothing of it runs on meanwhile.

Without one a training is gone the moment it is deleted, and Kubernetes deletes what it owns: there is nothing to do or
to write. With one it stays as long as that takes, and Kubernetes leaves its Jobs alone so long.
"""

from datetime import datetime

from nnunet_api.conditions import Condition, merge, state_condition
from nnunet_api.reasons import ConditionType, Phase, Reason
from nnunet_api.remedies.remedy import Case, told
from nnunet_api.remedies.table import advice
from nnunet_api.status import NnunetTrainingStatus, Problem
from nnunet_operator.core.decision import Decision, Stop
from nnunet_operator.core.events import events
from nnunet_operator.core.folds import fold_statuses
from nnunet_operator.core.headline import of_stopping
from nnunet_operator.core.progress import total_progress
from nnunet_operator.core.stages import Stages
from nnunet_operator.core.training import Training


def decide_held(training: Training, found: Stages, now: datetime) -> Decision:
    """Return the decision on a training that is being deleted and held: what runs is stopped, and who holds it said.

    Jobs that have ended stay with the training, for their logs.
    """
    status = _status(training, found, now)
    going = (seen for seen in found.all if seen.stands and not seen.ended)
    stops = tuple(Stop(seen.child, seen.job_uid) for seen in going)
    return Decision(status, actions=stops, events=events(training.status, status))


def _status(training: Training, found: Stages, now: datetime) -> NnunetTrainingStatus:
    before = training.status
    matter = _matter(training, found)
    said = told(matter, advice(Reason.STOPPING, Case.FINALIZER, training.name, training.namespace))
    progressing = state_condition(ConditionType.PROGRESSING, True, Reason.STOPPING, said)
    changes = {
        "observed_generation": training.generation,
        "conditions": merge(
            before.conditions, _with(before, progressing), training.generation, now.replace(microsecond=0)
        ),
        "problem": Problem(reason=Reason.STOPPING, matter=matter, case=Case.FINALIZER),
    }
    if not any(map(before.holds, (ConditionType.COMPLETE, ConditionType.FAILED))):
        folds = fold_statuses(training, found, frozenset(), failed=False)
        samples = [seen.sample for seen in found.folds]
        changes |= {"phase": Phase.STOPPING, "folds": folds}
        changes["progress"] = total_progress(folds, samples, before.progress, now)
    return before.model_copy(update=changes)


def _matter(training: Training, found: Stages) -> str:
    many = len(training.held_by) > 1
    holds = f"finalizer{'s' if many else ''} {', '.join(training.held_by)} {'hold' if many else 'holds'} it"
    going = of_stopping((seen for seen in found.unfinished if not seen.ended), "of that")
    return f"the training is being deleted; {holds}; {going.matter if going else 'nothing of it runs'}"


def _with(before: NnunetTrainingStatus, new: Condition) -> list[Condition]:
    """Return the conditions as they were, but for one."""
    kept = {condition.type: condition for condition in before.conditions}
    return list((kept | {new.type: new}).values())
