"""`kubectl nnunet explain`: why a training does not run, or what it does, with the remedy."""

from datetime import UTC, datetime

from nnunet_api.labels import COMPARISON_LABEL
from nnunet_cli.explain.comparison import explain_comparison
from nnunet_cli.explain.explanation import explain as explained
from nnunet_cli.explain.output import as_data, as_text
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.comparisons import comparison_asked_for, read
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.evidence import gather
from nnunet_cli.kube.trainings import read_training
from nnunet_cli.options import Name, Namespace, Output, TextOutput, asks_cluster
from nnunet_cli.text.output import print_data, print_lines


@asks_cluster
def explain(
    name: Name,
    namespace: Namespace = None,
    output: Output = TextOutput.TEXT,
    *,
    to: Connection,
) -> None:
    """Explain why a training does not run, or what it is doing, and what to do about it.

    It reads the conditions, the Jobs and pods with their newest warnings, quotas and claims. What you may not read is
    left out, and that is said. Where no training has this name, a comparison is explained; comparison/NAME is one in
    any case.

    \b
    Examples:
      kubectl nnunet explain hippocampus
      kubectl nnunet explain hippocampus -n radiology -o json | jq -r .reason
      kubectl nnunet explain comparison/shorter

    \b
    Exit codes:
      0  it was explained, whatever its state
      2  wrong usage
      3  there is no such training or comparison, or the cluster can't be reached, or refuses
    """
    cluster = Cluster(to)
    where, now = namespace or cluster.namespace, datetime.now(UTC)
    if body := comparison_asked_for(cluster, where, name):
        # Its status is no training's: what explains a training has none of it.
        evidence = gather(cluster, {**body, "status": {}}, COMPARISON_LABEL)
        found = explain_comparison(read(body), evidence, now)
    else:
        found = explained(gather(cluster, read_training(cluster, where, name)), now)
    if not print_data(output, lambda: as_data(found)):
        print_lines(lambda width: as_text(found, width))
