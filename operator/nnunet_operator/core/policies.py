"""What a training is held against: the policies of the cluster, and the comparison that it names. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nnunet_api.policy.decision import Policy
from nnunet_api.policy.evidence import Compared


@dataclass(frozen=True)
class Policies:
    """The policies, and what they select trainings by."""

    readable: tuple[Policy, ...] = ()
    """All policies of the cluster that parse."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """By name: what is wrong with stored policies that do not parse. Nothing runs until they are put right."""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the training's namespace by which policies may select."""
    compared: Compared | None = None
    """The comparison that the training names; None where it names none, or that is not there."""
