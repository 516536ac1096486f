"""What there is to be said of a training to somebody who has to answer for its model. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_api.conditions import Time, rfc3339
from nnunet_api.policy.status import AcceptedComparison, GrantedException, PolicyDecision
from nnunet_api.reasons import ConditionType
from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.training import DEFAULT_CONFIGURATION
from nnunet_cli.kube.watched import read_status


@dataclass(frozen=True)
class Run:
    """A training as its object tells of it."""

    namespace: str
    name: str
    uid: str
    created: str
    epochs_asked: int | None
    """spec.schedule.epochs."""
    iterations_asked: int | None
    """spec.schedule.iterationsPerEpoch: what an epoch is."""
    trainer_class: str
    """spec.trainer.className."""
    results_claim: str
    """Claim that holds its results, with the folder in it that counts as the root."""
    status: NnunetTrainingStatus
    problem: str = ""
    """Why the status can't be read; it is empty then."""
    test_set_looks: int | None = None
    """How often its test set has been looked at, as far as that may be read; None where nothing is known of it."""
    configurations: tuple[str, ...] = ()
    """What is trained: those of the spec that nnU-Net plans for the dataset."""
    splits: Mapping[str, Any] = field(default_factory=dict)
    """spec.splits; empty where the dataset or nnU-Net splits."""
    inference: Mapping[str, Any] = field(default_factory=dict)
    """Of spec.evaluation how the test set is predicted."""
    pictures: bool = False
    """spec.evaluation.pictures: its report shows images of patients."""

    @property
    def epochs_required(self) -> int | None:
        """Epochs that the policies asked for, where they asked for any."""
        return self.status.policy.min_epochs if self.status.policy else None

    @property
    def epochs_proven(self) -> int | None:
        """Least number that a final checkpoint proves; None as long as one fold proves none."""
        proven = [fold.proven_epochs for fold in self.status.folds]
        known = [epochs for epochs in proven if epochs is not None]
        return min(known) if known and len(known) == len(proven) else None

    @property
    def iterations_proven(self) -> int | None:
        """Least number of training iterations that an epoch had, as the trainers counted; None as long as none did."""
        return min((n for fold in self.status.folds if (n := fold.proven_iterations) is not None), default=None)

    @property
    def learning_rate(self) -> float | None:
        """Highest learning rate of an epoch, of the fold where it is lowest; None as long as none is verified."""
        return min((n for fold in self.status.folds if (n := fold.proven_learning_rate) is not None), default=None)

    @property
    def network_weights(self) -> int | None:
        """Numbers that the smallest network consists of; None as long as none is verified."""
        return min((n for fold in self.status.folds if (n := fold.network_weights) is not None), default=None)

    @property
    def standard(self) -> tuple[str, str]:
        """Reason and message of the condition StandardSchedule; empty before the first look of the operator."""
        condition = self.status.condition(ConditionType.STANDARD_SCHEDULE)
        return (condition.reason, condition.message) if condition else ("", "")

    @property
    def compliant(self) -> tuple[str, str]:
        """Status and reason of the condition PolicyCompliant; empty before the first look of the operator."""
        condition = self.status.condition(ConditionType.POLICY_COMPLIANT)
        return (condition.status, condition.reason) if condition else ("", "")

    @property
    def decisions(self) -> list[PolicyDecision]:
        """What each policy came to, by name."""
        return sorted(self.status.policy.decisions, key=lambda d: d.policy) if self.status.policy else []

    @property
    def exceptions(self) -> list[GrantedException]:
        """Exceptions under which it ran at any time."""
        return self.status.policy.exceptions if self.status.policy else []

    @property
    def accepted(self) -> list[AcceptedComparison]:
        """Verdicts of comparisons that stand in the place of rules."""
        return self.status.policy.accepted if self.status.policy else []

    @property
    def test_set_hash(self) -> str:
        """SHA-256 over the test images that it was scored on; empty where it was not, or where it does not say."""
        return (self.status.results.test_set_hash if self.status.results else None) or ""

    @property
    def checkpoints(self) -> list[tuple[str, str]]:
        """Fold and hash of each final checkpoint that was verified."""
        return [(fold.name, fold.checkpoint_hash) for fold in self.status.folds if fold.checkpoint_hash]


def read_run(body: dict[str, Any], looks: Mapping[str, int] | None = None) -> Run:
    """Return what a stored training tells. Never raises: a list with a gap would be no audit.

    `looks` has how often each test set has been looked at, by its hash.
    """
    metadata, spec = body["metadata"], body.get("spec") or {}
    results = (spec.get("storage") or {}).get("results") or {}
    claim, folder = results.get("claimName", ""), results.get("subPath", "")
    status, problem = read_status(body)
    evaluation, left_out = spec.get("evaluation") or {}, status.left_out_configurations or ()
    return Run(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        created=metadata["creationTimestamp"],
        epochs_asked=(spec.get("schedule") or {}).get("epochs"),
        iterations_asked=(spec.get("schedule") or {}).get("iterationsPerEpoch"),
        trainer_class=(spec.get("trainer") or {}).get("className") or "",
        results_claim=f"{claim}/{folder}" if folder else claim,
        status=status,
        problem=problem,
        configurations=tuple(name for name in _configurations(spec) if name not in left_out),
        splits=spec.get("splits") or {},
        inference={key: evaluation[key] for key in ("stepSize", "mirroring") if key in evaluation},
        pictures=evaluation.get("pictures") is True,
        test_set_looks=(looks or {}).get((status.results.test_set_hash if status.results else None) or ""),
    )


def _configurations(spec: Mapping[str, Any]) -> list[str]:
    """Return what a spec asks for, in either form."""
    return list(spec.get("configurations") or [spec.get("configuration") or DEFAULT_CONFIGURATION])


def sort_runs(runs: list[Run]) -> list[Run]:
    """Return the runs in an order that two calls agree on."""
    return sorted(runs, key=lambda run: (run.namespace, run.name, run.uid))


def utc(time: Time | None) -> str:
    """Return a time in UTC; empty where there is none."""
    return rfc3339(time) if time else ""
