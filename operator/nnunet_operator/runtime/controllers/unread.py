"""What must not rest on a cache that is behind, and what a status says while the API server refuses to be read."""

from nnunet_api.conditions import Condition
from nnunet_api.reasons import ConditionType
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.decision import Decision, DeleteTraining, Stop
from nnunet_operator.core.headline import to_get_the_right
from nnunet_operator.kube.blocked import quoted

_NOTE = ". But this may be out of date, and nothing is stopped or ended: what became of it can't be read, "
"""Begins what is added to the message; what was there before is told once."""


def is_irreversible(decision: Decision, before: NnunetTrainingStatus) -> bool:
    """Return True if a decision deletes something or declares the training failed or complete for the first time."""
    if any(isinstance(action, Stop | DeleteTraining) for action in decision.actions):
        return True
    return any(
        decision.status.holds(type_) and not before.holds(type_)
        for type_ in (ConditionType.FAILED, ConditionType.COMPLETE)
    )


def while_unread(before: NnunetTrainingStatus, said: str) -> NnunetTrainingStatus:
    """Return the status as it was, with what the API server said to who wanted to read more, and what to do."""
    todo = to_get_the_right(said)
    remedy = f" {todo}" if todo else ""

    def noted(condition: Condition) -> Condition:
        if condition.type != ConditionType.PROGRESSING:
            return condition
        known = condition.message.partition(_NOTE)[0].rstrip(".")
        return condition.model_copy(update={"message": f"{known}{_NOTE}which is tried again: {quoted(said)}.{remedy}"})

    return before.model_copy(update={"conditions": [noted(condition) for condition in before.conditions]})
