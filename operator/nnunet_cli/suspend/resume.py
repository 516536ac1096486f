"""`kubectl nnunet resume`: let a training go on from its last checkpoints."""

from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import Name, Namespace, NoWait, Timeout, asks_cluster
from nnunet_cli.suspend.changing import carry_out
from nnunet_cli.suspend.suspension import judge_resumption


@asks_cluster
def resume(
    name: Name,
    namespace: Namespace = None,
    no_wait: NoWait = False,
    timeout: Timeout = 300.0,
    *,
    to: Connection,
) -> None:
    """Resume a training: unfinished folds go on from their last checkpoints.

    It waits until the operator has taken it up, and says what it does then or what it waits for. A training that a
    policy holds does not go on by this; it says so.

    \b
    Examples:
      kubectl nnunet resume hippocampus
      kubectl nnunet resume hippocampus --no-wait

    \b
    Exit codes:
      0  it goes on, or is complete; with --no-wait: it was asked to
      1  a policy holds it, it has failed, it was not resumed in time, or the API server refuses the change
      2  wrong usage
      3  there is no such training, you may not change it, or the cluster can't be reached
    """
    carry_out(name, namespace, False, judge_resumption, None if no_wait else timeout, to)
