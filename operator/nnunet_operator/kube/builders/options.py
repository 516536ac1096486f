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
    """Names of claims, as glob patterns, that Kubernetes may give to the trainer's group with all files on them."""
