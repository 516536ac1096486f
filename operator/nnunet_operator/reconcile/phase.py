"""One word for display, computed from the conditions alone."""

from collections.abc import Sequence

from nnunet_operator.api.conditions import Condition
from nnunet_operator.api.reasons import ConditionType, Phase, Reason
from nnunet_operator.api.stages import STAGES

_FROM_REASON = {
    Reason.STARTING: Phase.PENDING,
    **{stage.running: stage.phase for stage in STAGES.values()},
    Reason.STOPPING: Phase.STOPPING,
    Reason.WAITING_FOR_GPU: Phase.WAITING_FOR_GPU,
    Reason.WAITING_FOR_RESOURCES: Phase.WAITING_FOR_RESOURCES,
    Reason.WAITING_FOR_QUEUE: Phase.WAITING_FOR_QUEUE,
    Reason.CLAIM_NOT_BOUND: Phase.CLAIM_NOT_BOUND,
    Reason.VOLUME_UNAVAILABLE: Phase.VOLUME_UNAVAILABLE,
    Reason.IMAGE_UNAVAILABLE: Phase.IMAGE_UNAVAILABLE,
    Reason.POD_REJECTED: Phase.POD_REJECTED,
    Reason.CONTAINER_CONFIG_ERROR: Phase.CONTAINER_CONFIG_ERROR,
    Reason.CHILD_NOT_OWNED: Phase.CHILD_NOT_OWNED,
}
_FROM_SUSPENSION = {
    Reason.POLICY_DENIED: Phase.POLICY_DENIED,
    Reason.POLICY_CHANGED: Phase.POLICY_CHANGED,
    Reason.POLICY_MISSING: Phase.POLICY_MISSING,
}


def phase_of(conditions: Sequence[Condition]) -> Phase:
    """Return the word that says best what the conditions say."""
    by_type = {condition.type: condition for condition in conditions}

    def holds(type_: ConditionType) -> bool:
        return type_ in by_type and by_type[type_].status == "True"

    if holds(ConditionType.FAILED):
        return Phase.FAILED
    if holds(ConditionType.COMPLETE):
        return Phase.COMPLETED
    if holds(ConditionType.SUSPENDED):
        reason = by_type[ConditionType.SUSPENDED].reason
        return next((phase for known, phase in _FROM_SUSPENSION.items() if known == reason), Phase.SUSPENDED)
    progressing = by_type.get(ConditionType.PROGRESSING)
    reason = progressing.reason if progressing else Reason.STARTING
    return next((phase for known, phase in _FROM_REASON.items() if known == reason), Phase.PENDING)
