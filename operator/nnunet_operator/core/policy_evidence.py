"""The verdict of a comparison in the place of rules that a training breaks: what is kept of it, and PolicyCompliant.

It is known only when all arms are complete, the training itself included: so it is looked for at rest, too. What was
accepted once stays, whatever becomes of comparison, policy and exception.
"""

from dataclasses import dataclass
from datetime import datetime

from nnunet_api.conditions import merge, state_condition
from nnunet_api.policy.decision import Policy, in_force
from nnunet_api.policy.evidence import Judgement, Trained, accepted_words, judge
from nnunet_api.policy.model import Outcome
from nnunet_api.policy.rules import Standing
from nnunet_api.policy.status import MAX_DECISIONS, AppliedPolicies, PolicyDecision
from nnunet_api.reasons import ConditionType, Reason
from nnunet_api.remedies.remedy import told
from nnunet_api.remedies.table import advice
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training

_BROKEN = (Outcome.DENIED, Outcome.WARNED, Outcome.AUDITED)


@dataclass(frozen=True)
class StandingIn:
    """What comparisons come to that have to stand in the place of rules."""

    record: AppliedPolicies
    """What the status keeps, with what was accepted."""
    condition: tuple[bool, Reason, str]
    """Status, reason and matter of PolicyCompliant."""


def standing_in(training: Training, record: AppliedPolicies, policies: Policies, now: datetime) -> StandingIn | None:
    """Return what the comparison comes to that a training names; None where no policy asks for one.

    None as well where rules are broken that no comparison stands for: then it is these that decide.
    """
    if any(one.outcome in _BROKEN for one in record.decisions):
        return None
    asking = [one for one in record.decisions if one.outcome == Outcome.COMPARED]
    if not asking:
        return None
    known = {one.policy: one for one in record.accepted}
    found = {
        one.policy: Judgement(known[one.policy], accepted_words(known[one.policy]))
        if one.policy in known
        else _judge(training, one, policies, now)
        for one in asking
    }
    new = [one.accepted for name, one in found.items() if one.accepted and name not in known]
    if new:
        record = record.model_copy(update={"accepted": [*record.accepted, *new]})
    return StandingIn(record, _condition(record, asking, found))


def at_rest(training: Training, policies: Policies, now: datetime) -> NnunetTrainingStatus:
    """Return the status of a complete training, with the verdict that its comparison has come to since."""
    status = training.status
    found = standing_in(training, status.policy, policies, now) if status.policy else None
    if found is None:
        return status
    compliant, reason, matter = found.condition
    message = matter if compliant else told(matter, advice(reason, "", training.name, training.namespace))
    stated = state_condition(ConditionType.POLICY_COMPLIANT, compliant, reason, message)
    conditions = [stated if one.type == ConditionType.POLICY_COMPLIANT else one for one in status.conditions]
    merged = merge(status.conditions, conditions, training.generation, now.replace(microsecond=0))
    return status.model_copy(update={"policy": found.record, "conditions": merged})


def _judge(training: Training, decision: PolicyDecision, policies: Policies, now: datetime) -> Judgement:
    policy = next((one for one in policies.readable if one.name == decision.policy), None)
    if policy is None:
        return Judgement(None, f"policy {decision.policy}, which asks for a comparison, is not there any more")
    own = Trained(training.name, training.uid, training.spec, training.status)
    return judge(own, policy, _standing(training, policy, now), policies.compared, now)


def _standing(training: Training, policy: Policy, now: datetime) -> Standing:
    key = (training.namespace, training.name)
    named = next((one for one in policy.spec.exceptions if (one.namespace, one.name) == key), None)
    return Standing(policy.spec.rules, named if named and in_force(named, now) else None)


def _condition(
    record: AppliedPolicies, asking: list[PolicyDecision], found: dict[str, Judgement]
) -> tuple[bool, Reason, str]:
    if len(asking) >= MAX_DECISIONS:
        # Those that are kept are the first ones: there may be more, and nobody has asked these.
        matter = f"{MAX_DECISIONS} policies or more ask for a comparison: have fewer than that for its namespace"
        return False, Reason.COMPARISON_REQUIRED, matter
    open_ = [one for one in asking if not found[one.policy].accepted]
    if not open_:
        matter = "; ".join(found[one.policy].matter for one in asking)
        excepted = f"; exceptions: {', '.join(one.ticket for one in record.exceptions)}" if record.exceptions else ""
        return True, Reason.POLICY_EXCEPTED if excepted else Reason.COMPARISON_ACCEPTED, f"{matter}{excepted}"
    failed = [one for one in open_ if found[one.policy].failed]
    shown = failed or open_
    matter = "; ".join(
        f"policy {one.policy}: it breaks {', '.join(one.broken_rules)} as an arm, and {found[one.policy].matter}"
        for one in shown
    )
    return False, Reason.COMPARISON_FAILED if failed else Reason.COMPARISON_REQUIRED, matter
