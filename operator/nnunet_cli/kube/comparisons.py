"""Reading comparisons for the commands. What can't be read is said in words."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from nnunet_api.comparison.reasons import ComparisonConditionType
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_api.conditions import leading
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.trainings import find_training
from nnunet_cli.text.words import printable

PREFIXES = ("comparison", "comparisons", "nnc", "nnunetcomparison", "nnunetcomparisons")
"""Before the name of a comparison and a slash, as kubectl writes them: a training may have the same name."""


@dataclass(frozen=True)
class Found:
    """A comparison as it was read."""

    namespace: str
    name: str
    margin: float
    status: NnunetComparisonStatus
    varies: tuple[str, ...] = ()
    created: datetime | None = None

    @property
    def failed(self) -> bool:
        """There is no verdict, and there will be none unless somebody does something."""
        return self.status.holds(ComparisonConditionType.FAILED)

    @property
    def finished(self) -> bool:
        """There is a verdict, or it has failed."""
        return self.failed or self.status.holds(ComparisonConditionType.COMPLETE)

    @property
    def message(self) -> str:
        """What is going on, in words; empty before the operator's first look."""
        condition = leading(self.status.conditions)
        return printable(condition.message) if condition else ""


def read(body: Object) -> Found:
    """Return a comparison. Raises CliError for a status that this version can't read."""
    metadata, spec = body["metadata"], body["spec"]
    try:
        status = NnunetComparisonStatus.model_validate(body.get("status") or {}, by_alias=True, by_name=False)
    except ValidationError as error:
        words = f"the status of {metadata['name']} can't be read by this version: {error.errors()[0]['msg']}. Update it"
        raise CliError(words, ExitCode.CLUSTER) from None
    created = metadata.get("creationTimestamp")
    return Found(
        metadata["namespace"],
        metadata["name"],
        float(spec.get("maxDiceLoss", 0.01)),
        status,
        tuple(map(str, spec.get("varies") or ())),
        datetime.fromisoformat(created) if created else None,
    )


def find_comparison(cluster: Cluster, namespace: str, name: str) -> Object | None:
    """Return the comparison of this name, or None. Raises CliError where it may not be read."""
    try:
        return cluster.comparison(namespace, name)
    except Refused as refused:
        if refused.answer.status == 404:
            words = "the cluster knows no NnunetComparisons: is this version of the operator installed?"
            raise CliError(words, ExitCode.CLUSTER) from None
        raise CliError(f"comparison {name} can't be read: {refused}", ExitCode.CLUSTER) from None


def read_comparison(cluster: Cluster, namespace: str, name: str) -> Object:
    """Return the comparison of this name. Raises CliError where there is none, or it may not be read."""
    found = find_comparison(cluster, namespace, name)
    if found is None:
        words = f"there is no comparison {name} in namespace {namespace}: see kubectl get nnc -n {namespace}"
        raise CliError(words, ExitCode.CLUSTER)
    return found


def comparison_asked_for(cluster: Cluster, namespace: str, name: str) -> Object | None:
    """Return the comparison that a name asks for, None where that is a training, or nothing of this name is there.

    It is asked for by comparison/NAME, or by NAME where no training has it. Raises CliError.
    """
    prefix, slash, own = name.partition("/")
    if slash and prefix.lower() in PREFIXES:
        return read_comparison(cluster, namespace, own)
    if find_training(cluster, namespace, name) is not None:
        return None
    try:
        return cluster.comparison(namespace, name)
    except Refused:
        return None


def comparisons_that_may_be_read(cluster: Cluster, namespace: str | None) -> list[Found]:
    """Return the comparisons of a namespace, or with None of all; none where they are unknown or may not be read."""
    try:
        bodies = cluster.comparisons(namespace)
    except Refused:
        return []
    return sorted(map(read, bodies), key=lambda one: (one.namespace, one.name))
