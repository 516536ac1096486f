"""Why a comparison has no verdict yet, or what it came to. Pure: what was read in, words out."""

from datetime import datetime

from nnunet_api.comparison.advice import advice
from nnunet_api.comparison.reasons import ComparisonPhase, ComparisonReason
from nnunet_api.conditions import leading
from nnunet_cli.explain.explanation import SILENCE_SECONDS, Explanation
from nnunet_cli.explain.seen import seen
from nnunet_cli.kube.comparisons import Found
from nnunet_cli.kube.evidence import Evidence

_MEANS = {
    ComparisonPhase.PENDING: "it is about to begin",
    ComparisonPhase.WAITING_FOR_ARMS: "it waits for its trainings",
    ComparisonPhase.ARM_FAILED: "a training that it waits for needs somebody",
    ComparisonPhase.BLOCKED: "the Job that computes its verdict can't start",
    ComparisonPhase.COMPARING: "its verdict is being computed: minutes",
    ComparisonPhase.STOPPING: "its Job is being stopped",
    ComparisonPhase.SUSPENDED: "it is suspended",
    ComparisonPhase.COMPLETED: "it has a verdict",
    ComparisonPhase.NOT_COMPARABLE: "its arms can't be compared, so there is no verdict",
    ComparisonPhase.FAILED: "it has failed",
}
_LOOK = (
    "kubectl nnunet compare {name} -n {namespace}",
    "kubectl -n {namespace} describe nnc {name}",
    "kubectl nnunet logs comparison/{name} -n {namespace}",
    "kubectl nnunet list -n {namespace}",
)
_NOTHING = {
    ComparisonPhase.COMPLETED: "Nothing: read the verdict.",
    ComparisonPhase.SUSPENDED: "Set spec.suspend to false when it is to go on.",
}


def explain_comparison(found: Found, evidence: Evidence, now: datetime) -> Explanation:
    """Return why a comparison has no verdict yet, or what it came to."""
    phase, condition = found.status.phase, leading(found.status.conditions)
    reason = condition.reason if condition else _unseen(found, now)
    matter = _MEANS.get(phase, "no operator has looked at it yet") if phase else "no operator has looked at it yet"
    said = f" The operator says: {found.message}" if found.message else ""
    # The operator's sentence ends with what to do, for reasons of its Job and its own.
    own = advice(reason, "", found.name, found.namespace) if reason in list(ComparisonReason) else ""
    todo = "What the operator says." if found.message else own or "Wait a minute, and ask again."
    unread = evidence.unread
    names = {"name": found.name, "namespace": found.namespace}
    return Explanation(
        namespace=found.namespace,
        name=found.name,
        phase=phase.value if phase else "",
        reason=reason,
        matter=f"{matter[0].upper()}{matter[1:]}.{said}",
        todo=_NOTHING.get(phase, todo) if phase else todo,
        look=[command.format(**names) for command in _LOOK],
        seen=seen(evidence, reason, now),
        notes=[f"you may not read {', '.join(unread)} of the namespace, so nothing is said of them"] if unread else [],
    )


def _unseen(found: Found, now: datetime) -> str:
    silent = found.created is not None and (now - found.created).total_seconds() > SILENCE_SECONDS
    return "OperatorSilent" if silent else "NotSeen"
