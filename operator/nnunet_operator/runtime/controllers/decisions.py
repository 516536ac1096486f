"""Counts what policies decided."""

from nnunet_api.policy.status import AppliedPolicies
from nnunet_operator.metrics import Metrics


def count_decisions(metrics: Metrics, before: AppliedPolicies | None, after: AppliedPolicies | None) -> None:
    """Count what was decided on a training, once it is stored. What says the same as before is no new decision."""
    if after is None or before == after:
        return
    known = before.decisions if before else []
    for decision in after.decisions:
        if not any(decision.says_the_same(other) for other in known):
            for rule in decision.broken_rules or ("",):
                metrics.policy_decisions.labels(decision.policy, rule, decision.outcome).inc()
