"""The policies' decision in a training's status: what is kept of it, and the condition PolicyCompliant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nnunet_api.conditions import rfc3339
from nnunet_api.policy.decision import Decision, Policy, Subject, Verdict, decide
from nnunet_api.policy.model import CLINICAL_LABEL, LONGEST_EXCEPTION_DAYS, Outcome, PolicyException
from nnunet_api.policy.status import MAX_DECISIONS, MAX_EXCEPTIONS, AppliedPolicies, GrantedException, PolicyDecision
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.training import Training


@dataclass(frozen=True)
class Policies:
    """The policies, and what they select trainings by."""

    readable: tuple[Policy, ...] = ()
    """All policies of the cluster that parse."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """By name: what is wrong with stored policies that do not parse. Nothing runs until they are put right."""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the training's namespace by which policies may select."""


@dataclass(frozen=True)
class Finding:
    """What the policies come to for a training at one look."""

    allowed: bool
    """Whether the training may run."""
    record: AppliedPolicies | None
    """What the status keeps of it; None where no policy was ever for the training."""
    compliant: bool
    reason: Reason
    matter: str
    """Status and reason of the condition PolicyCompliant, and what its message says is the matter."""
    case: str
    """A Case, where the operator knows more than the reason says."""
    next_change: datetime | None
    """When it changes by the clock alone: an exception ends, or begins to count."""

    @property
    def min_epochs(self) -> int:
        """Epochs that each fold has to prove: those of the last decision under which it was allowed to run."""
        return (self.record.min_epochs if self.record else None) or 0


def find(training: Training, policies: Policies, now: datetime) -> Finding:
    """Apply the policies to the training."""
    subject = Subject(training.namespace, training.name, training.spec)
    decision = decide(subject, policies.namespace_labels, policies.readable, now)
    allowed = decision.allowed and not policies.unreadable
    record = _record(training.status.policy, decision, allowed, now.replace(microsecond=0))
    compliant, reason, matter = _judge(training, policies, decision, record, now)
    case = Case.POLICY_UNREADABLE if policies.unreadable else ""
    return Finding(allowed, record, compliant, reason, matter, case, decision.next_change)


def _record(before: AppliedPolicies | None, decision: Decision, allowed: bool, now: datetime) -> AppliedPolicies | None:
    """Return what the status keeps. Nothing in it changes as long as the decision does not."""
    if before is None and not decision.verdicts:
        return None
    old = before or AppliedPolicies(decided_at=now)
    changes = {
        # What was proven is held against the policies under which it was trained.
        "min_epochs": (decision.min_epochs or None) if allowed else old.min_epochs,
        "decisions": [_decision(verdict) for verdict in decision.verdicts[:MAX_DECISIONS]],
        "exceptions": _with_new(old.exceptions, decision.verdicts) if allowed else old.exceptions,
    }
    stated = old.model_copy(update=changes)
    return stated if stated == before else stated.model_copy(update={"decided_at": now})


def _decision(verdict: Verdict) -> PolicyDecision:
    return PolicyDecision(
        policy=verdict.policy.name,
        generation=verdict.policy.generation,
        mode=verdict.policy.spec.mode.value,
        outcome=verdict.outcome.value,
        broken_rules=list(dict.fromkeys(violation.rule.value for violation in verdict.violations)),
        ticket=verdict.exception.ticket if verdict.exception else None,
    )


def _with_new(known: Sequence[GrantedException], verdicts: Sequence[Verdict]) -> list[GrantedException]:
    """Return the exceptions under which the training ran, those of now included. The first ones are never dropped."""
    found = list(known)
    for verdict in verdicts:
        if verdict.exception and (granted := _granted(verdict.policy.name, verdict.exception)) not in found:
            found.append(granted)
    return found[:MAX_EXCEPTIONS]


def _granted(policy: str, exception: PolicyException) -> GrantedException:
    return GrantedException(
        policy=policy,
        min_epochs=exception.min_epochs,
        lifted_rules=list(exception.lifted_rules),
        reason=exception.reason,
        ticket=exception.ticket,
        approved_by=exception.approved_by,
        expires_at=exception.expires_at,
    )


def _judge(
    training: Training, policies: Policies, decision: Decision, record: AppliedPolicies | None, now: datetime
) -> tuple[bool, Reason, str]:
    """Return status, reason and matter of PolicyCompliant."""
    namespace = training.namespace
    if policies.unreadable:
        problems = "; ".join(f"policy {name}: {problem}" for name, problem in sorted(policies.unreadable.items()))
        return False, _holding(training.status), f"nothing runs as long as a policy can't be read: {problems}"
    if decision.missing:
        matter = f"namespace {namespace} is labelled {CLINICAL_LABEL} and no NnunetTrainingPolicy is for it"
        return False, Reason.POLICY_MISSING, matter
    if not decision.allowed:
        denied = [verdict for verdict in decision.verdicts if verdict.outcome is Outcome.DENIED]
        return False, _holding(training.status), "; ".join(_words(verdict, now) for verdict in denied)
    broken = [verdict for verdict in decision.verdicts if verdict.outcome in (Outcome.WARNED, Outcome.AUDITED)]
    if broken:
        matter = "; ".join(verdict.matter for verdict in broken)
        return False, Reason.POLICY_NOT_ENFORCED, f"it runs all the same: {matter}"
    if record and record.exceptions:
        return True, Reason.POLICY_EXCEPTED, "; ".join(_exception(granted) for granted in record.exceptions)
    if decision.verdicts:
        names = ", ".join(verdict.policy.name for verdict in decision.verdicts)
        return True, Reason.POLICIES_KEPT, f"it keeps the rules of {names}"
    return True, Reason.NO_POLICY, f"no NnunetTrainingPolicy is for namespace {namespace}"


def _holding(status: NnunetTrainingStatus) -> Reason:
    return Reason.POLICY_CHANGED if status.start_time else Reason.POLICY_DENIED


def _words(verdict: Verdict, now: datetime) -> str:
    lapsed = verdict.lapsed
    if lapsed is None:
        return verdict.matter
    end = rfc3339(lapsed.expires_at)
    if lapsed.expires_at > now:
        why = f"does not count: it lasts until {end}, and {LONGEST_EXCEPTION_DAYS} days are the most"
    else:
        why = f"ended at {end}"
    return f"{verdict.matter} (exception {lapsed.ticket} {why})"


def _exception(granted: GrantedException) -> str:
    floor = f"at least {granted.min_epochs} epochs hold" if granted.min_epochs else ""
    lifted = f"without {', '.join(granted.lifted_rules)}" if granted.lifted_rules else ""
    left = "; ".join(part for part in (floor, lifted) if part) or "no rule is lifted"
    return (
        f"policy {granted.policy} excepts it until {rfc3339(granted.expires_at)} ({left}; ticket "
        f"{granted.ticket}, approved by {granted.approved_by})"
    )
