"""What to do about the reasons of a comparison."""

from collections.abc import Mapping

from nnunet_api.comparison.reasons import ComparisonReason
from nnunet_api.labels import COMPARISON_LABEL
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case, Group, Then
from nnunet_api.remedies.table import REMEDIES

RETRY = "To try again: set spec.suspend of the comparison to true, wait for phase Suspended, and set it to false."
_OWN = {
    ComparisonReason.WAITING_FOR_ARMS: "It goes on by itself once all of them are complete and proven.",
    ComparisonReason.ARM_FAILED: (
        "See kubectl nnunet explain NAME of that training; the comparison goes on by itself once it is complete."
    ),
    ComparisonReason.NOT_COMPARABLE: (
        "Name in spec.varies what is to differ, where it may, and train the others under the same conditions; then "
        "create a new comparison."
    ),
    ComparisonReason.ARM_CHANGED: (
        "What was registered can't be compared any more: create a new comparison with the trainings that are there."
    ),
    ComparisonReason.TRAINING_REFUSED: (
        "Put right what stands in the way; it is tried again every minute, and nothing of the template trains before "
        "all of it can. Template and patches can't change: where they are wrong, create the comparison anew."
    ),
}
_SHARED = {
    Reason.WAITING_FOR_QUEUE: (
        "The queue is spec.queueName of the comparison, or of the baseline's first training. Wait for its turn. If "
        "that never comes, see the Workloads of the namespace (kubectl describe workloads.kueue.x-k8s.io), and put the "
        f"queue right. {RETRY}"
    ),
    Reason.OUT_OF_MEMORY: f"Raise spec.resources.memory of the comparison. {RETRY}",
    Reason.OUTCOME_LOST: RETRY,
    Reason.RETRIES_EXHAUSTED: f"See the log of the last attempt. {RETRY}",
    Reason.PODS_LOST: (
        "See what ended its pods (kubectl get events, kubectl describe node NODE). Where a rule of the cluster changes "
        f"Jobs or ends them, have what has the label {COMPARISON_LABEL} left out of it. {RETRY}"
    ),
    Reason.INVALID_SPEC: (
        "Save it (kubectl get nnc with -o yaml), and put right the field that is named; where that may not change, "
        "create the comparison anew. It is tried again when it changes."
    ),
    Reason.WRONG_DATA: "The scores of a run are no longer those that its evaluation reported.",
}
"""Reasons that trainings have, too."""
_FIELDS = (
    "limits.cpu is spec.resources.cpuLimit of the comparison, at least spec.resources.cpu; ephemeral-storage is "
    "spec.resources.ephemeralStorage; memory is spec.resources.memory"
)
_BY_CASE: Mapping[tuple[str, str], str] = {
    (Reason.POD_REJECTED, Case.UNSPECIFIED): (
        f"A quota or LimitRange asks for what the comparison leaves open. Give it: {_FIELDS}. {RETRY}"
    ),
    (Reason.POD_REJECTED, Case.LIMITS): (
        "A LimitRange of the namespace (kubectl -n {namespace} describe limitranges) bounds what a container asks for, "
        "or gives it a limit. Have it changed, after which the comparison goes on by itself, or change spec.resources: "
        f"{_FIELDS}. {RETRY}"
    ),
    (Reason.POD_REJECTED, Case.QUOTA): (
        "Have the namespace's quota raised, or free some of it: it goes on by itself after that. Or ask for less in "
        f"spec.resources of the comparison. {RETRY}"
    ),
}


def advice(reason: str, case: str, name: str, namespace: str) -> str:
    """Return what to do about a reason; empty where the matter says all, or for a reason of another version."""
    if reason in _OWN:
        return _OWN[ComparisonReason(reason)]
    if case in (Case.TOLD, Case.SAID):
        return "" if case == Case.SAID else RETRY
    if reason in _SHARED:
        return _SHARED[Reason(reason)]
    if own := _BY_CASE.get((reason, case)):
        return own.format(namespace=namespace)
    row = REMEDIES.get(reason)
    if row is None:
        return ""
    todo = row.cases.get(case, row.todo).format(name=name, namespace=namespace)
    then = {Group.WAITS: Then.BY_ITSELF.value, Group.FAILED: RETRY}.get(row.group, "")
    return " ".join(part for part in (todo, then) if part)
