"""`kubectl nnunet compare`: the verdict of a comparison, the sentence first, then the numbers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from nnunet_cli.compare import page
from nnunet_cli.compare.cost import cost_of, read_trainings
from nnunet_cli.compare.output import as_data, as_text, is_acceptable, rows
from nnunet_cli.compare.page import Material
from nnunet_cli.compare.scores import as_csv, read_scores
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.comparisons import Found, read, read_comparison
from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import Namespace, Output, TextOutput, asks_cluster
from nnunet_cli.text.output import note, print_data, print_lines, print_table, write_file


@asks_cluster
def compare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the comparison.")],
    namespace: Namespace = None,
    output: Output = TextOutput.TEXT,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a page on it, HTML, to this file.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the scores of the cases, CSV, to this file.")
    ] = None,
    *,
    to: Connection,
) -> None:
    """Tell the verdict of a comparison: whether a way of training is as good as the baseline.

    First the sentence, then the numbers: difference of Dice with its interval, effect, tests, and what it would take to
    tell where it can't be told. Before there is a verdict, what it waits for.

    --report writes all of that into one file that needs no network, with the single cases, seeds, curves and costs, and
    --csv a line for each case, case_id,alg_ARM,..., with the number of its patient last where that is known. Both are
    made of the log of the comparison's Job, which counts only with the hash that the operator has seen. Where the log
    is gone, the page is made of the status and says what it lacks.

    \b
    Examples:
      kubectl nnunet compare shorter
      kubectl nnunet compare shorter --report shorter.html --csv shorter.csv
      kubectl nnunet compare shorter -n radiology -o json | jq -r '.verdicts[].verdict'

    \b
    Exit codes:
      0  every arm is Superior, Equivalent or NonInferior
      1  an arm has another verdict, or one that only indicates; or there is no verdict, or none yet; or the scores of
         single cases are gone
      2  wrong usage, or a file can't be written
      3  there is no such comparison, or the cluster can't be reached, or refuses
    """
    cluster = Cluster(to)
    found = read(read_comparison(cluster, namespace or cluster.namespace, name))
    if report or csv:
        _write(cluster, found, report, csv)
    if not print_data(output, lambda: as_data(found)):
        print_lines(lambda width: as_text(found, width))
        if found.status.verdicts:
            print_table(*rows(found))
    raise typer.Exit(ExitCode.OK if is_acceptable(found) else ExitCode.FOUND)


def _write(cluster: Cluster, found: Found, report: Path | None, csv: Path | None) -> None:
    """Write the files. Raises CliError where there is no verdict, or nothing to write a file of."""
    place = f"{found.namespace}/{found.name}"
    if not found.status.verdicts:
        words = f"{place} has no verdict, so there is nothing to write"
        raise CliError(f"{words}. See kubectl nnunet explain {found.name} -n {found.namespace}", ExitCode.FOUND)
    log = read_scores(cluster, found)
    arms = [arm.name for arm in found.status.arms]
    if report:
        registered = found.status.registration.trainings if found.status.registration else []
        trainings = read_trainings(cluster, found.namespace, registered)
        costs = {arm: cost_of(arm, registered, trainings) for arm in arms}
        write_file(report, page.report(Material(found, log, costs, datetime.now(UTC))).encode())
        note(f"{report}: report of {place}")
    if isinstance(log, str):
        note(f"note: the log of its Job can't be used: {log}")
    if csv:
        if isinstance(log, str) or not log.case_names:
            words = (
                f"the scores of the single cases of {place} are not there: take them from summary.json of each training"
            )
            raise CliError(f"{words} (kubectl nnunet report TRAINING --file summary.json)", ExitCode.FOUND)
        write_file(csv, as_csv(log, arms).encode())
        note(f"{csv}: scores of {len(log.case_names)} cases of {place}")
