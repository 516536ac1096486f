"""The policies' decision in a training's status: what is kept of it, and the condition PolicyCompliant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nnunet_api.conditions import rfc3339
from nnunet_api.policy.decision import Decision, Subject, Verdict, decide
from nnunet_api.policy.model import CLINICAL_LABEL, LONGEST_EXCEPTION_DAYS, Outcome, PolicyException
from nnunet_api.policy.rules import OTHER_IMAGE, SLIPPED_IN, VERIFIER
from nnunet_api.policy.status import MAX_DECISIONS, MAX_EXCEPTIONS, AppliedPolicies, GrantedException, PolicyDecision
from nnunet_api.reasons import ConditionType, Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.words import counted
from nnunet_operator.core.initial_weights import claim_to_read
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.policy_evidence import standing_in
from nnunet_operator.core.training import Training


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


def find(
    training: Training, policies: Policies, now: datetime, verifier: str = "", slipped_in: Sequence[str] = ()
) -> Finding:
    """Apply the policies to the training, which this image is to verify, with what others have put into its pods."""
    judged, claim = "" if _keeps_its_verifier(training) else verifier, claim_to_read(training)
    subject = Subject(training.namespace, training.name, training.spec, judged, claim, tuple(slipped_in))
    decision = decide(subject, policies.namespace_labels, policies.readable, now)
    allowed = decision.allowed and not policies.unreadable
    record = _record(training, decision, allowed, now.replace(microsecond=0))
    compliant, reason, matter = _judge(training, policies, decision, record, now)
    if compliant and record and (found := standing_in(training, record, policies, now)):
        record, (compliant, reason, matter) = found.record, found.condition
    case = Case.POLICY_UNREADABLE if policies.unreadable else _case(decision)
    return Finding(allowed, record, compliant, reason, matter, case, decision.next_change)


def _keeps_its_verifier(training: Training) -> bool:
    """Tell whether the image that verifies is not judged (any more): the epochs are proven, or it began by a tag.

    What runs is not held, after an upgrade or by a policy that is made later, for a setting of the operator that nobody
    asked for when it began. One that began with a digest keeps it.
    """
    if training.status.holds(ConditionType.EPOCHS_PROVEN):
        return True
    known = training.status.provenance
    by_digest = known is not None and "@" in (known.verifier_image or "")
    return training.status.start_time is not None and not by_digest


def _case(decision: Decision) -> str:
    """Return the case where it is not for the training to change: the operator's image, or what others did, is all."""
    broken = [one for v in decision.verdicts if v.outcome is Outcome.DENIED for one in v.violations]
    fields = {one.field for one in broken}
    if fields == {VERIFIER}:
        return Case.VERIFIER_BY_TAG
    return Case.SLIPPED_IN if fields and fields <= {SLIPPED_IN, OTHER_IMAGE} else ""


def _record(training: Training, decision: Decision, allowed: bool, now: datetime) -> AppliedPolicies | None:
    """Return what the status keeps. Nothing in it changes as long as the decision does not."""
    before = training.status.policy
    if before is None and not decision.verdicts:
        return None
    old = before or AppliedPolicies(decided_at=now)
    changes = {
        # What was proven is held against the policies under which it was trained.
        "min_epochs": (decision.min_epochs or None) if allowed else old.min_epochs,
        "decisions": [_decision(verdict, training.spec.comparison) for verdict in decision.verdicts[:MAX_DECISIONS]],
        "exceptions": _with_new(old.exceptions, decision.verdicts) if allowed else old.exceptions,
    }
    stated = old.model_copy(update=changes)
    return stated if stated == before else stated.model_copy(update={"decided_at": now})


def _decision(verdict: Verdict, comparison: str | None) -> PolicyDecision:
    broken = (*verdict.violations, *verdict.compared)
    return PolicyDecision(
        policy=verdict.policy.name,
        generation=verdict.policy.generation,
        mode=verdict.policy.spec.mode.value,
        outcome=verdict.outcome.value,
        broken_rules=list(dict.fromkeys(violation.rule.value for violation in broken)),
        ticket=verdict.exception.ticket if verdict.exception else None,
        comparison=comparison if verdict.outcome is Outcome.COMPARED else None,
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
    floor = f"at least {counted(granted.min_epochs, 'epoch')} hold" if granted.min_epochs else ""
    lifted = f"without {', '.join(granted.lifted_rules)}" if granted.lifted_rules else ""
    left = "; ".join(part for part in (floor, lifted) if part) or "no rule is lifted"
    return (
        f"policy {granted.policy} excepts it until {rfc3339(granted.expires_at)} ({left}; ticket "
        f"{granted.ticket}, approved by {granted.approved_by})"
    )
