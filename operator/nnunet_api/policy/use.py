"""How a policy is used: its status, from the decisions on all trainings. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from nnunet_api.conditions import Condition, merge, rfc3339, state_condition
from nnunet_api.policy.decision import Policy
from nnunet_api.policy.model import Outcome, PolicyException
from nnunet_api.policy.status import PolicyUse
from nnunet_api.reasons import PolicyConditionType, Reason

WARNING_DAYS = 14
"""So long before its end an exception is warned about."""
_SHOWN = 5


def policy_use(policy: Policy, outcomes: Iterable[str], before: PolicyUse, now: datetime) -> PolicyUse:
    """Return the status of a policy that came to these outcomes, one for each training that it decided on."""
    counted = list(outcomes)
    living = sorted((e for e in policy.spec.exceptions if e.expires_at > now), key=lambda e: e.expires_at)
    return PolicyUse(
        observed_generation=policy.generation,
        trainings=len(counted),
        denied=counted.count(Outcome.DENIED),
        warned=counted.count(Outcome.WARNED) + counted.count(Outcome.AUDITED),
        excepted=counted.count(Outcome.EXCEPTED),
        next_exception_expiry=living[0].expires_at if living else None,
        conditions=merge(before.conditions, [_expiring(living, now)], policy.generation, now.replace(microsecond=0)),
    )


def next_change(policy: Policy, now: datetime) -> datetime | None:
    """Return when the status next changes by the clock alone: an exception ends, or is to be warned about."""
    # A time that is over may be so near to the first year that nothing can be taken from it.
    ends = [exception.expires_at for exception in policy.spec.exceptions if exception.expires_at > now]
    warnings = (end - timedelta(days=WARNING_DAYS) for end in ends)
    return min((*ends, *(time for time in warnings if time > now)), default=None)


def _expiring(living: Sequence[PolicyException], now: datetime) -> Condition:
    type_ = PolicyConditionType.EXCEPTIONS_EXPIRING
    soon = [e for e in living if e.expires_at - now <= timedelta(days=WARNING_DAYS)]
    if not soon:
        return state_condition(type_, False, Reason.NO_EXCEPTION_ENDS_SOON, "")
    each = [f"{e.namespace}/{e.name} (ticket {e.ticket}) at {rfc3339(e.expires_at)}" for e in soon[:_SHOWN]]
    more = f" and {len(soon) - _SHOWN} more" if len(soon) > _SHOWN else ""
    message = (
        f"exceptions end: {', '.join(each)}{more}. A training that is not complete by then is suspended; extend the "
        "exception where it has to go on"
    )
    return state_condition(type_, True, Reason.EXCEPTION_ENDS_SOON, message)
