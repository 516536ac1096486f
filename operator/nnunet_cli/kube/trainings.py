"""Reading trainings for the commands: one by its name, or all. What can't be read is said in words."""

from nnunet_api.training import KIND
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.watched import Event, read_events
from nnunet_cli.text.output import note


def read_training(cluster: Cluster, namespace: str, name: str) -> Object:
    """Return the training of this name. Raises CliError where there is none."""
    found = find_training(cluster, namespace, name)
    if found is None:
        words = f"there is no training {name} in namespace {namespace}"
        raise CliError(f"{words}: see kubectl nnunet list -n {namespace}, or list -A", ExitCode.CLUSTER)
    return found


def find_training(cluster: Cluster, namespace: str, name: str) -> Object | None:
    """Return the training of this name, or None. Raises CliError where it may not be read."""
    try:
        return cluster.training(namespace, name)
    except Refused as refused:
        if refused.answer.status == 404:
            raise _not_installed() from None
        raise CliError(f"training {name} can't be read: {refused}", ExitCode.CLUSTER) from None


def events_on(cluster: Cluster, training: Object) -> list[Event]:
    """Return the Events on a training, oldest first; none where they may not be read."""
    metadata = training["metadata"]
    fields = f"involvedObject.kind={KIND},involvedObject.uid={metadata['uid']}"
    try:
        return read_events(cluster.events(metadata["namespace"], fields))
    except Refused:
        return []


def trainings_asked_for(
    cluster: Cluster, namespace: str | None, all_namespaces: bool
) -> tuple[list[Object], str | None]:
    """Return the trainings that -n and -A ask for, and their namespace, None for all. Raises CliError."""
    chosen = None if all_namespaces else namespace or cluster.namespace
    return read_all_trainings(cluster, chosen), chosen


def say_none(namespace: str | None) -> None:
    """Say that there is no training in a namespace, or with None in any."""
    note(f"there is no training in {f'namespace {namespace}' if namespace else 'any namespace'}")


def read_all_trainings(cluster: Cluster, namespace: str | None) -> list[Object]:
    """Return the trainings of a namespace, or with None of all that may be read; say which namespaces were left out."""
    try:
        return cluster.trainings(namespace)
    except Refused as refused:
        if refused.answer.forbidden and namespace is None:
            return _those_that_may_be_read(cluster)
        if refused.answer.status == 404:
            raise _not_installed() from None
        raise CliError(f"the trainings can't be listed: {refused}", ExitCode.CLUSTER) from None


def _those_that_may_be_read(cluster: Cluster) -> list[Object]:
    """Go through the namespaces one by one, and say which were left out."""
    try:
        namespaces = cluster.namespaces()
    except Refused as refused:
        words = f"you may list neither the trainings of all namespaces nor the namespaces ({refused})"
        raise CliError(f"{words}: give one with --namespace", ExitCode.CLUSTER) from None
    found: list[Object] = []
    left_out = []
    for namespace in namespaces:
        try:
            found += cluster.trainings(namespace)
        except Refused as refused:
            if not refused.answer.forbidden:
                raise CliError(f"the trainings of {namespace} can't be listed: {refused}", ExitCode.CLUSTER) from None
            left_out.append(namespace)
    if left_out:
        note(f"note: left out, because you may not read trainings there: {', '.join(left_out)}")
    return found


def _not_installed() -> CliError:
    return CliError("the cluster knows no NnunetTrainings: is the operator installed?", ExitCode.CLUSTER)
