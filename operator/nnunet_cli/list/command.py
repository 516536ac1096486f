"""`kubectl nnunet list`: all trainings with what is going on."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.comparisons import comparisons_that_may_be_read
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.trainings import say_none, trainings_asked_for
from nnunet_cli.kube.watched import watched
from nnunet_cli.list import comparisons
from nnunet_cli.list.comparisons import data as of_one
from nnunet_cli.list.rows import data, table
from nnunet_cli.options import AllNamespaces, Namespace, asks_cluster, one_or_all
from nnunet_cli.text.output import print_data, print_lines, print_table, say


class ListOutput(StrEnum):
    """How the list is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@asks_cluster
def list_(
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    output: Annotated[ListOutput, typer.Option("--output", "-o", help="Form of the output.")] = ListOutput.TABLE,
    *,
    to: Connection,
) -> None:
    """List trainings: phase, epochs, time left, Dice, and what is going on in words; below them the comparisons.

    LEFT is the time until the last epoch at the present speed. Columns on early stopping and policies are there where
    there is something to say. On a terminal lines are cut to its width.

    \b
    Examples:
      kubectl nnunet list
      kubectl nnunet list -A
      kubectl nnunet list -A -o json | jq -r '.items[] | select(.phase == "Failed").name'

    \b
    Exit codes:
      0  they were listed, whatever their state
      2  wrong usage
      3  the cluster can't be reached, or refuses
    """
    one_or_all(namespace, all_namespaces)
    cluster = Cluster(to)
    bodies, where = trainings_asked_for(cluster, namespace, all_namespaces)
    compared = comparisons_that_may_be_read(cluster, where)
    found = [watched(body) for body in bodies]
    found.sort(key=lambda training: (training.namespace, training.name))
    if print_data(output, lambda: {"items": [data(each) for each in found], "comparisons": [*map(of_one, compared)]}):
        return
    if found:
        print_lines(lambda width: table(found, datetime.now(UTC), width, with_namespace=all_namespaces))
    else:
        say_none(where)
    if compared:
        say("")
        print_table(*comparisons.rows(compared, datetime.now(UTC), with_namespace=all_namespaces))
