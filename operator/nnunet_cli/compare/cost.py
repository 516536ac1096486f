"""What the arms of a comparison cost, from the status of their trainings. Pure, but for the reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnunet_api.comparison.status import RegisteredTraining
from nnunet_cli.errors import CliError
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.trainings import find_training
from nnunet_cli.kube.watched import watched

Trainings = Mapping[str, Object]
"""By name: those that are still the registered ones."""


@dataclass(frozen=True)
class Cost:
    """What the trainings of an arm cost."""

    trainings: Sequence[str]
    gpu_hours: float | None
    """That all of them held; None where one of them is gone, or says nothing of it."""
    epochs: str
    """Proven epochs of a fold, from the fewest to the most; empty where none are known."""

    def each(self, replicates: int) -> float | None:
        """Return the GPU-hours of one replicate."""
        return self.gpu_hours / replicates if self.gpu_hours is not None and replicates else None


def read_trainings(cluster: Cluster, namespace: str, registered: Sequence[RegisteredTraining]) -> Trainings:
    """Return the trainings that are still there and may be read."""
    found = {}
    for one in registered:
        try:
            body = find_training(cluster, namespace, one.name)
        except CliError:
            continue
        if body is not None and body["metadata"].get("uid") == one.uid:
            found[one.name] = body
    return found


def cost_of(arm: str, registered: Sequence[RegisteredTraining], trainings: Trainings) -> Cost:
    """Return what an arm cost."""
    names = [one.name for one in registered if one.arm == arm]
    statuses = [watched(trainings[name]).status for name in names if name in trainings]
    usages = [status.usage.gpu_seconds for status in statuses if status.usage]
    proven = [fold.proven_epochs for status in statuses for fold in status.folds if fold.proven_epochs is not None]
    known = bool(names) and len(usages) == len(names)
    return Cost(names, sum(usages) / 3600 if known else None, _span(proven))


def saving(cost: float | None, baseline: float | None) -> str:
    """Return what a replicate of an arm costs less than one of the baseline, in words."""
    if cost is None or baseline is None:
        return ""
    less = baseline - cost
    share = f" ({abs(less) / baseline:.0%})" if baseline else ""
    return f"{abs(less):.1f} GPU-hours {'less' if less >= 0 else 'more'}{share}"


def _span(values: Sequence[int]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
