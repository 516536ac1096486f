"""`kubectl nnunet report`: the report of a run, or another file of its folder, on this machine."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnunet_api.contract import EVIDENCE_FILE, PLAN_RESULT_FILE, POLICY_FILE, REPORT_FILE, SUBGROUPS_FILE, SUMMARY_FILE
from nnunet_api.csv_text import cleaned
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.watched import Watched
from nnunet_cli.options import HelperImage, HelperTimeout, Name, Namespace, asks_cluster
from nnunet_cli.report.of_status import LACKS, status_report
from nnunet_cli.text.html_page import fenced
from nnunet_cli.text.output import note, print_file, write_file
from nnunet_cli.volumes.access import NoPod
from nnunet_cli.volumes.runs import file_name, open_run, read_begun


class RunFile(StrEnum):
    """Files of a run folder, and the part of the training that writes each."""

    REPORT = REPORT_FILE
    SUMMARY = SUMMARY_FILE
    SUBGROUPS = SUBGROUPS_FILE
    EVIDENCE = EVIDENCE_FILE
    POLICY = POLICY_FILE
    PLAN = PLAN_RESULT_FILE


MOST_MIB = 256
"""Larger ones are not fetched: who writes the run folder could fill this machine's memory. A report has some MB."""
_WRITTEN = {
    RunFile.REPORT: "written when the evaluation has ended",
    RunFile.SUMMARY: "written when the evaluation has ended",
    RunFile.SUBGROUPS: "written when the evaluation has ended, where evaluation.subgroups asks for it",
    RunFile.EVIDENCE: "written when all folds are trained and verified",
    RunFile.POLICY: "written when a pod begins to work under a policy, and only then",
    RunFile.PLAN: "written when planning has ended",
}


@asks_cluster
def report(
    name: Name,
    namespace: Namespace = None,
    file: Annotated[RunFile, typer.Option("--file", help="File of the run folder.")] = RunFile.REPORT,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write it, - for the standard output. Default: NAME-FILE."
        ),
    ] = None,
    from_status: Annotated[
        bool, typer.Option("--from-status", help="Make it of the training's status alone: takes no pod, says less.")
    ] = False,
    image: HelperImage = None,
    timeout: HelperTimeout = 300.0,
    *,
    to: Connection,
) -> None:
    """Fetch the report of a training: scores, curves and provenance in one page that needs no network.

    It reads the results claim through a short-lived pod in the namespace, which is deleted at the end. Who may read the
    training and may not make pods gets a report of the training's status alone, which says what it lacks.

    \b
    Examples:
      kubectl nnunet report hippocampus
      kubectl nnunet report hippocampus --from-status
      kubectl nnunet report hippocampus --file evidence.json -o - | jq

    \b
    Exit codes:
      0  it was written
      1  the training has not begun, or there is no such file yet
      2  wrong usage, or the file can't be written
      3  there is no such training, the claim can't be mounted, or the cluster can't be reached, or refuses
    """
    cluster = Cluster(to)
    training, found = read_begun(cluster, namespace, name, file.value)
    if from_status:
        data = _of_status(found, file)
    else:
        try:
            data = _of_claim(cluster, training, file, image, timeout)
        except NoPod as error:
            if file is not RunFile.REPORT:
                raise
            note(f"note: {error}")
            data = _of_status(found, file)
    if output == "-":
        print_file(data)
        return
    target = Path(output or file_name(name, file))
    write_file(target, data)
    note(f"{target}: {file} of {found.namespace}/{found.name}")


def _of_claim(cluster: Cluster, training: Object, file: RunFile, image: str | None, timeout: float) -> bytes:
    """Return a file of the run folder. Raises CliError, NoPod where the user may not make the pod that reads it."""
    where, name = training["metadata"]["namespace"], training["metadata"]["name"]
    with open_run(cluster, training, image, timeout) as run, run.volume.run("send", f"{run.folder}/{file}") as remote:
        head = remote.message()
        if "missing" in head:
            words = f"{where}/{name} has no {file} yet: it is {_WRITTEN[file]}"
            raise CliError(f"{words}. See kubectl nnunet explain {name} -n {where}", ExitCode.FOUND)
        if head["size"] > MOST_MIB << 20:
            words = f"{file} of {where}/{name} has {head['size'] >> 20} MiB, and at most {MOST_MIB} are fetched"
            raise CliError(
                f"{words}: no trainer of this project writes so much. Look at it on the claim", ExitCode.FOUND
            )
        data = remote.read(head["size"])
    return safe_to_open(file, data, f"{file} of {where}/{name}")


def safe_to_open(file: RunFile, data: bytes, what: str) -> bytes:
    """Return a file, which the training's own image has written, for browser and spreadsheet. Raises CliError."""
    if file is RunFile.REPORT:
        return fenced(data)
    if file is not RunFile.SUBGROUPS:
        return data
    try:
        return cleaned(data.decode(errors="replace")).encode()
    except ValueError as error:
        words = f"{what} is no CSV ({error}): no trainer of this project writes that. Look at it on the claim"
        raise CliError(words, ExitCode.FOUND) from None


def _of_status(found: Watched, file: RunFile) -> bytes:
    """Return the report that the status alone gives."""
    if file is not RunFile.REPORT:
        raise typer.BadParameter(f"the status makes no {file}, only {RunFile.REPORT}", param_hint="--from-status")
    note(f"note: this report is made of the training's status alone. It lacks {LACKS}")
    return status_report(found, datetime.now(UTC)).encode()
