"""The status of a comparison: conditions, phase and verdict, from what was decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nnunet_api.comparison.advice import advice
from nnunet_api.comparison.conditions import Difference
from nnunet_api.comparison.contract import ComparisonFacts
from nnunet_api.comparison.reasons import FINAL, ComparisonConditionType, ComparisonPhase, ComparisonReason
from nnunet_api.comparison.status import CandidateVerdict, NnunetComparisonStatus, Registration
from nnunet_api.comparison.words import NOT_COMPARABLE, sentence, short
from nnunet_api.conditions import Condition, merge, state_condition
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import told
from nnunet_operator.core.comparison.model import Comparison

_SHOWN = 10
"""Differences that a message lists."""
_LATE = "registered when trainings were scored already ({names}): their scores could be known"
Type = ComparisonConditionType


@dataclass(frozen=True)
class Standing:
    """Where a comparison stands, in what its conditions say."""

    reason: str
    """Of Progressing while it goes on, of Complete or Failed at the end."""
    matter: str
    case: str = ""
    working: bool = False
    """Something of it runs."""
    suspended: bool = False
    failed: bool = False
    differences: Sequence[Difference] = ()
    facts: ComparisonFacts | None = None


def with_standing(
    comparison: Comparison, registration: Registration, standing: Standing, now: datetime
) -> NnunetComparisonStatus:
    """Return the status."""
    before, now = comparison.status, now.replace(microsecond=0)
    over = standing.failed or standing.facts is not None
    said = _said(comparison, standing)
    conditions = merge(before.conditions, _conditions(standing, said), comparison.generation, now)
    changes = {
        "observed_generation": comparison.generation,
        "registration": registration,
        "conditions": conditions,
        "phase": _phase(standing),
        "completion_time": (before.completion_time or now) if over else None,
    }
    verdict = standing.reason == ComparisonReason.NOT_COMPARABLE
    changes |= {"verdict": NOT_COMPARABLE if verdict else None, "summary": said[:4096] if verdict else None}
    if standing.facts:
        changes |= _verdict(comparison, registration, standing.facts)
    return before.model_copy(update=changes)


def with_invalid_spec(
    before: NnunetComparisonStatus, faults: str, name: str, namespace: str, generation: int, now: datetime
) -> NnunetComparisonStatus:
    """Return the status of a comparison whose spec does not parse. What was reported before, and an end, stay.

    Nothing is to be done about it, and another operator may be able to read it.
    """
    failed = before.condition(Type.FAILED)
    if before.holds(Type.COMPLETE) or (failed and failed.status == "True" and failed.reason != Reason.INVALID_SPEC):
        return before
    reason = Reason.INVALID_SPEC
    matter = f"the stored spec is not valid for this version of the operator: {faults}"
    said = told(matter, advice(reason, "", name, namespace))
    known = {condition.type: condition for condition in before.conditions}
    for type_, holds in ((Type.PROGRESSING, False), (Type.FAILED, True)):
        known[type_.value] = state_condition(type_, holds, reason, said)
    conditions = merge(before.conditions, list(known.values()), generation, now.replace(microsecond=0))
    stated = {"conditions": conditions, "phase": ComparisonPhase.FAILED, "observed_generation": generation}
    return before.model_copy(update=stated)


def with_suspended(comparison: Comparison, suspended: bool, said: str, now: datetime) -> NnunetComparisonStatus:
    """Return its status with another condition Suspended: the rest of what is over stays as it is."""
    reason = Reason.SUSPENDED_BY_USER if suspended else Reason.NOT_SUSPENDED
    return _with(comparison, state_condition(Type.SUSPENDED, suspended, reason, said), now)


def with_message(comparison: Comparison, type_: Type, said: str, now: datetime) -> NnunetComparisonStatus:
    """Return its status with another message in the condition of this type."""
    known = comparison.status.condition(type_)
    return _with(comparison, known.model_copy(update={"message": said}), now) if known else comparison.status


def _with(comparison: Comparison, condition: Condition, now: datetime) -> NnunetComparisonStatus:
    before = comparison.status
    stated = [condition if one.type == condition.type else one for one in before.conditions]
    conditions = merge(before.conditions, stated, comparison.generation, now.replace(microsecond=0))
    return before.model_copy(update={"conditions": conditions, "observed_generation": comparison.generation})


def difference_words(found: Sequence[Difference]) -> str:
    """Return what can't be compared, in words."""
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{'; '.join(map(str, found[:_SHOWN]))}{more}"


def _said(comparison: Comparison, standing: Standing) -> str:
    if standing.facts or standing.suspended:
        return standing.matter
    return told(standing.matter, advice(standing.reason, standing.case, comparison.name, comparison.namespace))


def _conditions(standing: Standing, said: str) -> list[Condition]:
    over = standing.facts is not None
    going = not (over or standing.failed or standing.suspended)
    return [
        _comparable(standing),
        state_condition(
            Type.SUSPENDED,
            standing.suspended,
            Reason.SUSPENDED_BY_USER if standing.suspended else Reason.NOT_SUSPENDED,
            standing.matter if standing.suspended else "spec.suspend is false",
        ),
        state_condition(Type.PROGRESSING, going and standing.working, standing.reason, said),
        state_condition(
            Type.COMPLETE,
            over,
            ComparisonReason.VERDICT_FOUND if over else Reason.NOT_COMPLETE,
            said if over else "see Progressing for what is going on",
        ),
        state_condition(
            Type.FAILED,
            standing.failed,
            standing.reason if standing.failed else Reason.NOT_FAILED,
            said if standing.failed else "",
        ),
    ]


def _comparable(standing: Standing) -> Condition:
    if standing.differences:
        words = difference_words(standing.differences)
        return state_condition(Type.COMPARABLE, False, ComparisonReason.CONDITIONS_DIFFER, words)
    if standing.facts:
        words = "the arms were made and scored under the same conditions but for what spec.varies names"
        return state_condition(Type.COMPARABLE, True, ComparisonReason.CONDITIONS_EQUAL, words)
    words = "what is known so far can be compared; the rest is known once all trainings are complete"
    return state_condition(Type.COMPARABLE, False, ComparisonReason.NOT_YET_COMPARED, words)


def _phase(standing: Standing) -> ComparisonPhase:
    if standing.facts:
        return ComparisonPhase.COMPLETED
    if standing.failed:
        return (
            ComparisonPhase.NOT_COMPARABLE
            if standing.reason == ComparisonReason.NOT_COMPARABLE
            else ComparisonPhase.FAILED
        )
    if standing.suspended:
        return ComparisonPhase.SUSPENDED
    if standing.reason in list(ComparisonPhase):
        return ComparisonPhase(standing.reason)
    if standing.reason == Reason.STARTING:
        return ComparisonPhase.PENDING
    return ComparisonPhase.BLOCKED


def _verdict(comparison: Comparison, registration: Registration, facts: ComparisonFacts) -> dict[str, object]:
    spec = comparison.spec
    verdicts = [
        CandidateVerdict(**one.model_dump(), reason=sentence(one, spec.baseline_arm.name, spec.max_dice_loss)[:1024])
        for one in facts.candidates
    ]
    several = len(verdicts) > 1
    late = [one.name for one in registration.trainings if one.complete]
    notes = [*facts.notes, *([_LATE.format(names=", ".join(late[:3]) + (", ..." if late[3:] else ""))] if late else [])]
    return {
        "verdict": ", ".join(f"{one.arm}: {one.verdict}" if several else one.verdict for one in verdicts)[:512],
        "difference": ", ".join(f"{one.arm}: {short(one)}" if several else short(one) for one in verdicts)[:512],
        "summary": summary_of(verdicts),
        "verdicts": verdicts,
        "arms": facts.arms,
        "cases": facts.cases,
        "patients": facts.patients,
        "indicative": facts.indicative,
        "seed": facts.seed,
        "log_hash": facts.log_hash,
        "notes": [note[:512] for note in notes],
    }


def summary_of(verdicts: Sequence[CandidateVerdict]) -> str:
    """Return the verdicts in sentences."""
    return ". ".join(one.reason for one in verdicts)[:4096]


def is_final(status: NnunetComparisonStatus) -> bool:
    """Tell whether nothing can change any more: there is a verdict, or a failure that trying again can't mend."""
    failed = status.condition(Type.FAILED)
    return status.holds(Type.COMPLETE) or (failed is not None and failed.status == "True" and failed.reason in FINAL)
