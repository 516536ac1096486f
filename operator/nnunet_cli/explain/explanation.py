"""Why a training does not run, or what it is doing. Pure: what was read in, words out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from nnunet_api.conditions import leading
from nnunet_api.labels import short_name
from nnunet_api.local_copy import CopyState
from nnunet_api.reasons import ConditionType, EventReason, FoldPhase, Reason
from nnunet_api.remedies.commands import OPERATOR
from nnunet_api.remedies.remedy import Case, Remedy
from nnunet_api.remedies.table import REMEDIES
from nnunet_cli.explain import remedies
from nnunet_cli.explain.seen import seen
from nnunet_cli.kube.evidence import Evidence
from nnunet_cli.kube.watched import Watched, matter
from nnunet_cli.text.concerns import concerns
from nnunet_cli.text.words import duration, printable

SILENCE_SECONDS = 60
"""An operator looks at a new training within this time, unless it does not run."""
_DELETING = "Deleting"
_AT_WORK = (Reason.PLANNING, Reason.TRAINING, Reason.VERIFYING, Reason.EVALUATING)


@dataclass(frozen=True)
class Explanation:
    """What there is to say of a training."""

    namespace: str
    name: str
    phase: str
    """As kubectl get shows it; empty before the operator's first look."""
    reason: str
    """Reason of the condition that says most, or a word of this program's own: NotSeen, OperatorSilent, Deleting,
    Unreadable, EarlyStopBelowPolicy."""
    matter: str
    """What is the matter."""
    todo: str
    """What to do."""
    look: list[str] = field(default_factory=list)
    """Commands to look further."""
    seen: list[str] = field(default_factory=list)
    """What was found on Jobs, pods, quotas and claims."""
    notes: list[str] = field(default_factory=list)
    """What could not be read."""


def explain(evidence: Evidence, now: datetime) -> Explanation:
    """Return why a training does not run, or what it is doing."""
    training = evidence.training
    reason, remedy, said = _cause(evidence, now)
    problem = training.status.problem
    told_as = Reason.STOPPING if reason == _DELETING else reason
    case = problem.case if problem and problem.reason == told_as else ""
    names = {
        "name": training.name,
        "namespace": training.namespace,
        "label": short_name(training.name),
        "gpu": _gpu(evidence).replace(".", "\\."),
        "uids": ",".join(job["metadata"]["uid"] for job in evidence.jobs or []) or "UID",
        "age": duration(_age(training, now)),
    }
    parts = [
        remedy.sentence.format(**names),
        *_of_folds(training, reason),
        *([_sentence(said)] if said else []),
        *_doubts(evidence, reason),
    ]
    unread = evidence.unread
    return Explanation(
        namespace=training.namespace,
        name=training.name,
        phase=training.status.phase.value if training.status.phase else "",
        reason=reason,
        matter=" ".join(parts),
        todo=remedy.advice(case, training.name, training.namespace),
        look=[command.format(**names) for command in remedy.look],
        seen=seen(evidence, reason, now),
        notes=[f"you may not read {', '.join(unread)} of the namespace, so nothing is said of them"] if unread else [],
    )


def _cause(evidence: Evidence, now: datetime) -> tuple[str, Remedy, str]:
    """Return the reason, its remedy, and what the operator says."""
    training, refused = evidence.training, evidence.status_refused
    condition = leading(training.status.conditions)
    if training.deleting:
        held = training.status.problem
        said = printable(held.matter) if held and held.case == Case.FINALIZER else ""
        return _DELETING, remedies.DELETING, said
    if training.problem:
        return "Unreadable", remedies.UNREADABLE, training.problem
    if condition is None and refused:
        return EventReason.STATUS_REFUSED, remedies.STATUS_REFUSED, refused.message
    if condition is None:
        silent = _age(training, now) > SILENCE_SECONDS
        return ("OperatorSilent", remedies.NO_OPERATOR, "") if silent else ("NotSeen", remedies.NEW, "")
    if condition.status == "True" and condition.type == ConditionType.PROGRESSING:
        status, wrong = training.status, concerns(training.status)
        if status.holds(ConditionType.STALLED):
            condition = status.condition(ConditionType.STALLED) or condition
        elif wrong and condition.reason == Reason.TRAINING:
            return wrong[0].reason, remedies.OF_FOLDS[wrong[0].reason], matter(status, condition)
        elif status.holds(ConditionType.DATA_STARVED):
            condition = status.condition(ConditionType.DATA_STARVED) or condition
    remedy = REMEDIES.get(condition.reason, remedies.UNKNOWN)
    return condition.reason, remedy, matter(training.status, condition)


def _of_folds(training: Watched, reason: str) -> Iterator[str]:
    """Say what is wrong with folds that train: the cause itself, and what there is beside it."""
    for concern in concerns(training.status):
        words = f"{concern.words[0].upper()}{concern.words[1:]}"
        yield f"{words}." if concern.reason == reason else f"Besides, {concern.words} ({concern.reason})."
    for fold in training.status.folds if reason != Reason.TRAINING else ():  # which says it itself
        copy = fold.local_copy
        if copy and copy.state is CopyState.SKIPPED and copy.words and fold.phase == FoldPhase.RUNNING:
            yield f"Besides, fold {fold.name} {copy.words}."


def _doubts(evidence: Evidence, reason: str) -> Iterator[str]:
    """Say where the status may be older than the world."""
    training, refused = evidence.training, evidence.status_refused
    if reason in (_DELETING, EventReason.STATUS_REFUSED):
        return  # of the one the operator looks only at what something holds; the other says it itself
    if refused and all(refused.time > one.last_transition_time for one in training.status.conditions):
        yield f"That may be out of date: {refused.message}."
        return
    looked = [c.observed_generation for c in training.status.conditions if c.observed_generation is not None]
    if looked and max(looked) < training.generation:
        yield (
            "The last change of the spec has not been looked at yet; if that lasts for more than a minute, the "
            f"operator does not run: {OPERATOR[0]}"
        )
    elif reason in _AT_WORK and evidence.pods is not None and not evidence.pods:
        yield (
            f"But it has no pod at all. If that lasts for more than a minute, the operator does not run: {OPERATOR[0]}"
        )


def _age(training: Watched, now: datetime) -> float:
    return (now - training.created).total_seconds() if training.created else 0.0


def _gpu(evidence: Evidence) -> str:
    return str((evidence.spec.get("resources") or {}).get("gpuResourceName") or "nvidia.com/gpu")


def _sentence(text: str) -> str:
    words = " ".join(text.split())
    return f"The operator says: {words}" if words.endswith((".", "!", "?")) else f"The operator says: {words}."
