"""`kubectl nnunet report`: the report of a run, or another file of its folder, on this machine."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnunet_api.contract import EVIDENCE_FILE, PLAN_RESULT_FILE, POLICY_FILE, REPORT_FILE, SUMMARY_FILE
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.trainings import read_training
from nnunet_cli.options import Context, HelperImage, HelperTimeout, Kubeconfig, Name, Namespace
from nnunet_cli.text.output import note, print_file, write_file
from nnunet_cli.volumes.runs import file_name, open_run


class RunFile(StrEnum):
    """Files of a run folder, and the part of the training that writes each."""

    REPORT = REPORT_FILE
    SUMMARY = SUMMARY_FILE
    EVIDENCE = EVIDENCE_FILE
    POLICY = POLICY_FILE
    PLAN = PLAN_RESULT_FILE


_WRITTEN = {
    RunFile.REPORT: "written when the evaluation has ended",
    RunFile.SUMMARY: "written when the evaluation has ended",
    RunFile.EVIDENCE: "written when all folds are trained and verified",
    RunFile.POLICY: "written when a pod begins to work under a policy, and only then",
    RunFile.PLAN: "written when planning has ended",
}


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
    image: HelperImage = None,
    timeout: HelperTimeout = 300.0,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Fetch the report of a training: scores, curves and provenance in one page that needs no network.

    It reads the results claim through a short-lived pod in the namespace, which is deleted at the end.

    \b
    Examples:
      kubectl nnunet report hippocampus
      kubectl nnunet report hippocampus --file evidence.json -o - | jq

    \b
    Exit codes:
      0  it was written
      1  there is no such file yet
      2  wrong usage, or the file can't be written
      3  there is no such training, the claim can't be mounted, or the cluster can't be reached, or refuses
    """
    cluster = Cluster(kubeconfig, context)
    where = namespace or cluster.namespace
    training = read_training(cluster, where, name)
    with open_run(cluster, training, image, timeout) as run, run.volume.run("send", f"{run.folder}/{file}") as remote:
        head = remote.message()
        if "missing" in head:
            words = f"{where}/{name} has no {file} yet: it is {_WRITTEN[file]}"
            raise CliError(f"{words}. See kubectl nnunet explain {name} -n {where}", ExitCode.FOUND)
        data = remote.read(head["size"])
    if output == "-":
        print_file(data)
        return
    target = Path(output or file_name(name, file))
    write_file(target, data)
    note(f"{target}: {file} of {where}/{name}")
