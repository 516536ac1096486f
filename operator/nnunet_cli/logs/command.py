"""`kubectl nnunet logs`: the log of the pod that matters now."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from nnunet_api.labels import COMPARISON_LABEL, STAGE_FOLD, TRAINING_LABEL, short_name
from nnunet_cli.completion import complete_folds
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.comparisons import comparison_asked_for
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.pods import Pod, Wanted, choose
from nnunet_cli.kube.trainings import find_training, read_training
from nnunet_cli.kube.watched import Watched, message, watched
from nnunet_cli.logs.following import INTERVAL_SECONDS, Following
from nnunet_cli.logs.streams import show_logs
from nnunet_cli.options import Name, Namespace, asks_cluster
from nnunet_cli.text.output import note, say
from nnunet_cli.text.words import listed


class Stage(StrEnum):
    """Stages of a training, as people call them."""

    PLAN = "plan"
    TRAIN = "train"
    VERIFY = "verify"
    EVALUATE = "evaluate"


Folds = Annotated[
    list[str] | None,
    typer.Option(
        "--fold",
        metavar="FOLD",
        help="A fold, such as 0, all, 0-r2 or 2d-0; may be repeated.",
        autocompletion=complete_folds,
    ),
]
Configuration = Annotated[
    str | None,
    typer.Option("--configuration", help="The folds of one of several configurations, such as 2d.", show_default=False),
]


@asks_cluster
def logs(
    name: Name,
    namespace: Namespace = None,
    fold: Folds = None,
    configuration: Configuration = None,
    stage: Annotated[Stage | None, typer.Option("--stage", help="A stage. Default: the one that matters now.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the training has ended.")] = False,
    previous_attempts: Annotated[
        bool, typer.Option("--previous-attempts", help="Earlier attempts of the same work, too, the oldest first.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, help="Only the last lines of each pod.", show_default=False)
    ] = None,
    *,
    to: Connection,
) -> None:
    """Print the log of the pod that matters now: the one that runs, or else the one that ended last.

    A line before it says which pod it is. Where several folds train, all of them are shown, and each line begins with
    its fold. With -f, what begins later is shown, too, from planning to evaluation, until the training has ended; with
    --fold or --stage until those are done. It is waited for what has not begun yet. comparison/NAME, or a NAME that no
    training has, is the log of a comparison's Job.

    \b
    Examples:
      kubectl nnunet logs hippocampus -f
      kubectl nnunet logs hippocampus --fold 0 --fold 1 --tail 20
      kubectl nnunet logs hippocampus --configuration 2d --fold 0
      kubectl nnunet logs hippocampus --stage plan
      kubectl nnunet logs hippocampus --fold 0 --previous-attempts

    \b
    Exit codes:
      0  the log was printed; or it was left by Ctrl-C
      1  there is no such log: nothing has begun yet, or its pod or its node is gone; with -f: the training has failed,
         or was deleted
      2  wrong usage
      3  there is no such training or comparison, or the cluster can't be reached, or refuses
    """
    folds = tuple(fold or ())
    if (folds or configuration) and stage not in (None, Stage.TRAIN):
        raise typer.BadParameter("goes with --stage train only", param_hint="--fold, --configuration")
    cluster = Cluster(to)
    where = namespace or cluster.namespace
    if body := comparison_asked_for(cluster, where, name):
        if folds or stage or configuration:
            raise typer.BadParameter("a comparison has none", param_hint="--fold, --configuration, --stage")
        _show_comparison(cluster, body, follow, previous_attempts, tail)
        return
    found = watched(read_training(cluster, where, name))
    if configuration:
        folds = of_configuration(found, configuration, folds)
    _check_folds(found, folds)
    _print(cluster, found, Wanted(_label(stage, folds), folds, previous_attempts), tail, follow)


def _print(cluster: Cluster, found: Watched, wanted: Wanted, tail: int | None, follow: bool) -> None:
    """Print the logs of a training, and with `follow` what begins later. Raises CliError and Exit as `_show`."""
    try:
        if follow:
            over = Following(TrainingLogs(cluster, found), wanted, tail, say, _tell, INTERVAL_SECONDS).run()
            _say_end(found, over)
        else:
            _show(cluster, found, wanted, tail)
    except Refused as refused:
        raise CliError(f"the log can't be read: {refused}", ExitCode.CLUSTER) from None
    except KeyboardInterrupt:
        return


def _show(cluster: Cluster, found: Watched, wanted: Wanted, tail: int | None) -> None:
    """Print the logs as they are now. Raises Refused, and CliError or Exit where there are none."""
    chosen = choose(cluster.pods(found.namespace, f"{TRAINING_LABEL}={short_name(found.name)}"), wanted)
    if not chosen:
        raise CliError(_nothing(found, wanted.folds), ExitCode.FOUND)
    if not show_logs(cluster, chosen, tail=tail, echo=say):
        raise typer.Exit(ExitCode.FOUND)


def _show_comparison(cluster: Cluster, body: Object, follow: bool, previous: bool, tail: int | None) -> None:
    """Print the log of a comparison's Job. Raises CliError, and Exit where there is none."""
    namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
    try:
        pods = choose(cluster.pods(namespace, f"{COMPARISON_LABEL}={short_name(name)}"), Wanted(previous=previous))
        if not pods:
            words = f"there is no log of comparison {name}: its Job has not begun, or its pod is gone"
            raise CliError(f"{words}. See kubectl nnunet explain comparison/{name} -n {namespace}", ExitCode.FOUND)
        if not show_logs(Followed(cluster) if follow else cluster, pods, tail=tail, echo=say):
            raise typer.Exit(ExitCode.FOUND)
    except Refused as refused:
        raise CliError(f"the log can't be read: {refused}", ExitCode.CLUSTER) from None
    except KeyboardInterrupt:
        return


class Followed:
    """The logs of a cluster, each until its pod ends."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def log(self, namespace: str, pod: str, *, tail: int | None = None) -> Iterator[str]:
        """Yield the lines of a pod's log until it ends."""
        return self._cluster.log(namespace, pod, follow=True, tail=tail)


class TrainingLogs:
    """One training in a cluster, and the logs of its pods."""

    def __init__(self, cluster: Cluster, training: Watched) -> None:
        self._cluster, self._first = cluster, training

    def training(self) -> Watched | None:
        """Return it as it is now; another one of that name is not the one that is followed."""
        body = find_training(self._cluster, self._first.namespace, self._first.name)
        return watched(body) if body and body["metadata"]["uid"] == self._first.uid else None

    def pods(self) -> list[Pod]:
        """Return its pods."""
        return self._cluster.pods(self._first.namespace, f"{TRAINING_LABEL}={short_name(self._first.name)}")

    def log(self, pod: Pod, tail: int | None, since: int | None) -> Iterator[str]:
        """Yield the lines of a pod's log until its trainer ends."""
        return self._cluster.log(self._first.namespace, pod["metadata"]["name"], follow=True, tail=tail, since=since)


def _tell(words: str) -> None:
    note(f"note: {words}")


def _say_end(first: Watched, over: Watched | None) -> None:
    place = f"{first.namespace}/{first.name}"
    if over is None:
        raise CliError(f"{place} was deleted meanwhile", ExitCode.FOUND)
    if over.failed:
        raise CliError(f"{place} has failed: {message(over.status)}", ExitCode.FOUND)
    if over.finished:
        note(f"{place}: {message(over.status)}")


def of_configuration(found: Watched, configuration: str, folds: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the fold runs of a configuration; of those folds alone, where some are given.

    Raises CliError where there are none.
    """
    mine = [fold for fold in found.status.folds if fold.configuration == configuration]
    place = f"{found.namespace}/{found.name}"
    if not mine:
        known = sorted({fold.configuration for fold in found.status.folds if fold.configuration})
        told = f": it has {listed(known)}" if known else ", or the operator has not seen it yet"
        raise CliError(f"{place} trains no configuration {configuration}{told}", ExitCode.FOUND)
    there = {word for fold in mine for word in (fold.fold, fold.name)}
    if missing := [fold for fold in folds if fold not in there]:
        words = f"{place} has no fold {missing[0]} of configuration {configuration}: it has {listed(sorted(there))}"
        raise CliError(words, ExitCode.FOUND)
    return tuple(fold.name for fold in mine if not folds or {fold.fold, fold.name} & set(folds))


def _check_folds(found: Watched, folds: tuple[str, ...]) -> None:
    """Refuse a fold that the training does not have."""
    known = [fold.name for fold in found.status.folds]
    missing = [fold for fold in folds if fold not in known]
    if known and missing:
        words = f"{found.namespace}/{found.name} has no fold {missing[0]}: it has {listed(known)}"
        raise CliError(words, ExitCode.FOUND)


def _label(stage: Stage | None, folds: tuple[str, ...]) -> str:
    if folds or stage is Stage.TRAIN:
        return STAGE_FOLD
    return stage.value if stage else ""


def _nothing(found: Watched, folds: tuple[str, ...]) -> str:
    states = [f"fold {fold.name} is {fold.phase}" for fold in found.status.folds if fold.name in folds]
    state = f" ({listed(states)})" if states else ""
    return (
        f"there is no such log{state}: no pod for it has begun, or it is gone (pods go when a training is suspended, "
        f"and with their nodes). Wait for it with -f, or see kubectl nnunet explain {found.name} -n {found.namespace}"
    )
