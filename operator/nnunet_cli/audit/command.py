"""`kubectl nnunet audit`: all runs with what was asked, what was proven, and what they were made of."""

from enum import StrEnum
from typing import Annotated

import typer

from nnunet_cli.audit.output import as_csv, print_runs, runs_data
from nnunet_cli.audit.runs import read_run, sort_runs
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.test_sets import read_looks
from nnunet_cli.kube.trainings import say_none, trainings_asked_for
from nnunet_cli.options import AllNamespaces, Namespace, asks_cluster, one_or_all
from nnunet_cli.text.output import note, print_data, say


class AuditOutput(StrEnum):
    """How the runs are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    YAML = "yaml"


@asks_cluster
def audit(
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    output: Annotated[AuditOutput, typer.Option("--output", "-o", help="Form of the output.")] = AuditOutput.TABLE,
    *,
    to: Connection,
) -> None:
    """List all runs: epochs required, asked for and proven, policies, exceptions, comparisons, hashes, evidence.

    What is listed is what the cluster still knows. A training that was deleted is found on the results volume
    (policy.jsonl and evidence.json in its run folder) and in the API server's audit log.

    \b
    Examples:
      kubectl nnunet audit
      kubectl nnunet audit -A -o csv > runs.csv
      kubectl nnunet audit -A -o json | jq '.items[] | select(.compliant != "True").name'

    \b
    Exit codes:
      0  the runs were listed, whatever is said of them
      2  wrong usage
      3  the cluster can't be reached, or refuses
    """
    one_or_all(namespace, all_namespaces)
    cluster = Cluster(to)
    bodies, where = trainings_asked_for(cluster, namespace, all_namespaces)
    looks = read_looks(cluster, (body["metadata"]["namespace"] for body in bodies))
    runs = sort_runs([read_run(body, looks.by_hash) for body in bodies])
    if looks.lacks and any(run.test_set_hash for run in runs):
        note(f"note: {looks.lacks}")
    for run in runs:
        if run.problem:
            note(f"note: {run.namespace}/{run.name}: {run.problem}")
    if print_data(output, lambda: runs_data(runs)):
        return
    if output is AuditOutput.CSV:
        say(as_csv(runs), end="")
    elif runs:
        print_runs(runs)
    else:
        say_none(where)
