"""The settings that Jobs depend on."""

from dataclasses import dataclass

from nnunet_operator.core.training import Options


@dataclass(frozen=True)
class JobOptions(Options):
    """Settings of the operator that Jobs depend on."""

    termination_grace_period_seconds: int = 120
    scrape_annotations: bool = False
    """The pods that train say by annotations where their metrics are."""
    finishing_priority_class: str = ""
    """Kueue's WorkloadPriorityClass of the stages that follow the folds; empty: that of the training."""
    owned_claims: tuple[str, ...] = ("nnunet-*",)
    """Claims that Kubernetes may give to a group with all files on them: [NAMESPACE/]PATTERN[:GROUP]. The first that
    matches counts; where it names no group, it is that of `security`."""
