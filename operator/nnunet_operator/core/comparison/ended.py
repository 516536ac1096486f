"""What becomes of a comparison that is over: it suspends and resumes what it has made, and its time to live ends."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from nnunet_api.comparison.reasons import ComparisonConditionType as Type
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_api.comparison.template import FaultyTemplate, made_specs
from nnunet_api.policy.model import Outcome
from nnunet_api.reasons import ConditionType, Reason
from nnunet_operator.core.comparison import making
from nnunet_operator.core.comparison.decision import Action, ComparisonDecision, DeleteComparison, Seen, StopJob
from nnunet_operator.core.comparison.events import events
from nnunet_operator.core.comparison.status import is_final, with_message, with_suspended
from nnunet_operator.core.training import Training

JUDGED_SECONDS = 5.0
"""Time after which is looked again whether the trainings have been judged with its verdict."""
_DELETED_SECONDS = 1.0
_HELD = "spec.suspend is true: what it has made is suspended"


def ended(seen: Seen) -> ComparisonDecision:
    """Return the decision on a comparison that is over. What it has made is seen to before it may be deleted."""
    decision = _ended(seen)
    going = seen.job.stands and not seen.job.ended and seen.comparison.status.holds(Type.FAILED)
    # Its Job may go on trying. It goes once the status tells of the failure: before, it would be made anew.
    return replace(decision, actions=(StopJob(seen.job.uid), *decision.actions)) if going else decision


def _ended(seen: Seen) -> ComparisonDecision:
    before = seen.comparison.status
    if is_final(before) and not before.holds(Type.COMPLETE) and seen.comparison.made_names:
        status, actions = _suspension(seen)
        if actions or status != before:
            again = None if seen.refused else 0.0  # what is refused is tried again with patience
            return ComparisonDecision(status, actions, events(before, status), again)
    return _time_to_live(seen)


def _suspension(seen: Seen) -> tuple[NnunetComparisonStatus, tuple[Action, ...]]:
    """Return the status of a comparison that has failed for good, and what to suspend or to resume of its trainings.

    By condition Suspended it is known what to resume: it is written before anything is suspended.
    """
    comparison, status = seen.comparison, seen.comparison.status
    suspend, held = comparison.spec.suspend, status.holds(Type.SUSPENDED)
    if not suspend and not held:
        return status, ()
    try:
        trainings = making.without_strangers(seen, made_specs(comparison.spec, comparison.name)).trainings
    except FaultyTemplate:
        trainings = {}  # it has made none
    actions = making.to_suspend(comparison, trainings, suspend) if held else ()
    said = _HELD
    if actions and seen.refused:
        said = making.not_set_words(seen.refused, "suspended" if suspend else "resumed")
    elif not suspend:
        return with_suspended(comparison, False, "spec.suspend is false", seen.now), actions
    return with_suspended(comparison, True, said, seen.now), actions


def _time_to_live(seen: Seen) -> ComparisonDecision:
    comparison, status = seen.comparison, seen.comparison.status
    ttl, since = comparison.spec.ttl_seconds_after_finished, status.completion_time
    if ttl is None or since is None:
        return ComparisonDecision(status)
    left = (since + timedelta(seconds=ttl) - seen.now).total_seconds()
    if left > 0:
        return ComparisonDecision(status, requeue_after=left)
    if waits := "; ".join(_unjudged(seen)):
        said = (
            "spec.ttlSecondsAfterFinished deletes it only once the trainings that name it have been judged with its "
            f"verdict, which is waited for: {waits}"
        )
        return ComparisonDecision(with_message(comparison, Type.PROGRESSING, said, seen.now), (), (), JUDGED_SECONDS)
    return ComparisonDecision(status, (DeleteComparison(),), requeue_after=_DELETED_SECONDS)


def _unjudged(seen: Seen) -> Iterator[str]:
    """Yield the trainings, in words, that need the verdict in the place of a policy's rules and do not have it yet."""
    comparison, status = seen.comparison, seen.comparison.status
    if not (status.holds(Type.COMPLETE) and status.registration):
        return
    for known in status.registration.trainings:
        one = seen.trainings.get(known.name)
        if not isinstance(one, Training) or one.uid != known.uid or one.spec.comparison != comparison.name:
            continue
        if one.deleting or one.status.holds(ConditionType.FAILED) or _is_judged_badly(one):
            continue
        record = one.status.policy
        accepted = {verdict.policy for verdict in record.accepted} if record else set()
        decisions = record.decisions if record else []
        policies = [each.policy for each in decisions if each.outcome == Outcome.COMPARED]
        if missing := [policy for policy in policies if policy not in accepted]:
            yield f"training {one.name} by policy {', '.join(missing)}"


def _is_judged_badly(training: Training) -> bool:
    compliant = training.status.condition(ConditionType.POLICY_COMPLIANT)
    return compliant is not None and compliant.reason == Reason.COMPARISON_FAILED
