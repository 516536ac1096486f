"""`kubectl nnunet logs`: the log of the pod that matters now."""

from enum import StrEnum
from typing import Annotated

import typer

from nnunet_api.labels import STAGE_FOLD, TRAINING_LABEL, short_name
from nnunet_cli.completion import complete_folds
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster, Refused
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.pods import Wanted, choose
from nnunet_cli.kube.trainings import read_training
from nnunet_cli.logs.streams import show_logs
from nnunet_cli.options import Name, Namespace, asks_cluster
from nnunet_cli.text.output import say


class Stage(StrEnum):
    """Stages of a training, as people call them."""

    PLAN = "plan"
    TRAIN = "train"
    VERIFY = "verify"
    EVALUATE = "evaluate"


@asks_cluster
def logs(
    name: Name,
    namespace: Namespace = None,
    fold: Annotated[
        list[str] | None,
        typer.Option(
            "--fold",
            metavar="FOLD",
            help="A fold, such as 0, all or 0-r2; may be repeated.",
            autocompletion=complete_folds,
        ),
    ] = None,
    stage: Annotated[Stage | None, typer.Option("--stage", help="A stage. Default: the one that matters now.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the pods have ended.")] = False,
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
    its fold.

    \b
    Examples:
      kubectl nnunet logs hippocampus -f
      kubectl nnunet logs hippocampus --fold 0 --fold 1 --tail 20
      kubectl nnunet logs hippocampus --stage plan
      kubectl nnunet logs hippocampus --fold 0 --previous-attempts

    \b
    Exit codes:
      0  the log was printed; or it was left by Ctrl-C
      1  there is no such log: nothing has begun yet, or its pod or its node is gone
      2  wrong usage
      3  there is no such training, or the cluster can't be reached, or refuses
    """
    folds = tuple(fold or ())
    if folds and stage not in (None, Stage.TRAIN):
        raise typer.BadParameter("goes with --stage train only", param_hint="--fold")
    cluster = Cluster(to)
    where = namespace or cluster.namespace
    read_training(cluster, where, name)
    try:
        found = cluster.pods(where, f"{TRAINING_LABEL}={short_name(name)}")
        chosen = choose(found, Wanted(_label(stage, folds), folds, previous_attempts))
        if not chosen:
            raise CliError(_nothing(name, where), ExitCode.FOUND)
        found_any = show_logs(cluster, chosen, follow=follow, tail=tail, echo=say)
    except Refused as refused:
        raise CliError(f"the log can't be read: {refused}", ExitCode.CLUSTER) from None
    except KeyboardInterrupt:
        return
    if not found_any:
        raise typer.Exit(ExitCode.FOUND)


def _label(stage: Stage | None, folds: tuple[str, ...]) -> str:
    if folds or stage is Stage.TRAIN:
        return STAGE_FOLD
    return stage.value if stage else ""


def _nothing(name: str, namespace: str) -> str:
    return (
        "there is no such log: no pod for it has begun, or it is gone (pods go when a training is suspended, and with "
        f"their nodes). See kubectl nnunet explain {name} -n {namespace}"
    )
