"""What the policies came to: in a training's status, and in the status of the policy itself."""

from typing import Annotated

from pydantic import Field

from nnunet_api.base import StatusModel
from nnunet_api.conditions import Condition, Time, find_condition
from nnunet_api.policy.model import MAX_LIFTED, Rule


class GrantedException(StatusModel):
    """An exception of a policy under which the training ran."""

    policy: Annotated[str, Field(max_length=253)]
    """Policy that it is in."""
    min_epochs: int | None = None
    """Least number of epochs that it left standing; none where it did not lower it."""
    lifted_rules: Annotated[list[str], Field(max_length=MAX_LIFTED)] = []
    """Rules that did not hold because of it."""
    reason: Annotated[str, Field(max_length=512)]
    """Why it was granted."""
    ticket: Annotated[str, Field(max_length=128)]
    """Where the request is kept."""
    approved_by: Annotated[str, Field(max_length=253)]
    """Who answers for it."""
    expires_at: Time
    """From when on it counts no more."""


class PolicyDecision(StatusModel):
    """What one policy came to."""

    policy: Annotated[str, Field(max_length=253)]
    """Name of the policy."""
    generation: int
    """Generation of the policy."""
    mode: str
    """Its mode: Enforce, Warn or Audit."""
    outcome: str
    """Allowed, Excepted, Denied, Warned or Audited."""
    broken_rules: Annotated[list[str], Field(max_length=len(Rule))] = []
    """Rules that the training does not keep, by their fields under spec.rules."""
    ticket: Annotated[str | None, Field(max_length=128)] = None
    """Ticket of the exception that was applied, if any."""
    comparison: Annotated[str | None, Field(max_length=253)] = None
    """With the outcome Compared: the comparison whose verdict has to stand in the place of the broken rules."""

    def says_the_same(self, other: "PolicyDecision") -> bool:
        """Say whether only the generation differs: an edit of the policy that changes nothing for this training."""
        return self == other.model_copy(update={"generation": self.generation})


class AcceptedComparison(StatusModel):
    """A verdict that stands in the place of rules that the training breaks, as it was when it was accepted."""

    policy: Annotated[str, Field(max_length=253)]
    """Policy that accepts it."""
    generation: int
    """Generation of the policy."""
    comparison: Annotated[str, Field(max_length=253)]
    """Name of the comparison."""
    uid: Annotated[str, Field(max_length=64)]
    """UID of the comparison."""
    registration: Annotated[str, Field(max_length=64)]
    """Digest of what was registered before the result was known."""
    arm: Annotated[str, Field(max_length=63)]
    """Arm that the training is in."""
    baseline: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=10)] = []
    """Trainings of the arm that it was compared with."""
    verdict: Annotated[str, Field(max_length=64)]
    """What the comparison came to for the arm."""
    difference: float
    """Dice of the arm less that of the baseline (-1 to 1)."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    max_dice_loss: float
    """Margin (0 to 1) of the comparison."""
    accepted_at: Time
    """When the operator accepted it."""


MAX_DECISIONS = 32
"""Policies that the status lists."""
MAX_EXCEPTIONS = 16
"""Exceptions that the status keeps."""


class AppliedPolicies(StatusModel):
    """What the policies came to when they were last applied."""

    decided_at: Time
    """When the decision last changed."""
    min_epochs: int | None = None
    """Epochs that each fold has to be trained for, by the strictest policy: no early stop acts before them, and the
    final checkpoints have to prove them. None where no policy asks for any."""
    decisions: Annotated[list[PolicyDecision], Field(max_length=MAX_DECISIONS)] = []
    """What each policy that is for the training came to, those that stand in its way first; at most 32."""
    exceptions: Annotated[list[GrantedException], Field(max_length=MAX_EXCEPTIONS)] = []
    """Exceptions under which the training ran at any time. What is listed once stays, for ever."""
    accepted: Annotated[list[AcceptedComparison], Field(max_length=MAX_DECISIONS)] = []
    """Verdicts that stand in the place of broken rules, one for each policy. They stay when the comparison is gone."""


class PolicyUse(StatusModel):
    """`NnunetTrainingPolicy.status`: how the policy is used."""

    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    trainings: int = 0
    """Trainings in the cluster that it decided on."""
    denied: int = 0
    """Trainings of them that it stands in the way of now."""
    warned: int = 0
    """Trainings of them that break a rule while the mode is Warn or Audit."""
    excepted: int = 0
    """Trainings of them that it applied an exception to."""
    next_exception_expiry: Time | None = None
    """When the next of its exceptions ends that has not ended yet."""
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = []
    """ExceptionsExpiring: an exception ends within two weeks."""

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type, or None."""
        return find_condition(self.conditions, type_)
