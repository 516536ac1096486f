"""`kubectl nnunet suspend`: stop a training at its last finished epoch."""

from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import Name, Namespace, NoWait, Timeout, asks_cluster
from nnunet_cli.suspend.changing import carry_out
from nnunet_cli.suspend.suspension import judge_suspension


@asks_cluster
def suspend(
    name: Name,
    namespace: Namespace = None,
    no_wait: NoWait = False,
    timeout: Timeout = 300.0,
    *,
    to: Connection,
) -> None:
    """Suspend a training: its pods stop after their last finished epoch, its GPUs become free, its checkpoints stay.

    It waits until no pod runs any more. The pods go, and their logs with them. A training that has failed is suspended
    and resumed to try again.

    \b
    Examples:
      kubectl nnunet suspend hippocampus
      kubectl nnunet suspend hippocampus -n radiology --no-wait

    \b
    Exit codes:
      0  it is suspended, or complete; with --no-wait: it was asked to
      1  it was not suspended in time, was deleted meanwhile, or the API server refuses the change
      2  wrong usage
      3  there is no such training, you may not change it, or the cluster can't be reached
    """
    carry_out(name, namespace, True, judge_suspension, None if no_wait else timeout, to)
