"""`kubectl nnunet curves`: losses, pseudo-Dice and learning rate of each fold."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnunet_cli.curves.drawing import draw
from nnunet_cli.curves.history import as_data, history_of
from nnunet_cli.curves.page import page
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import HelperImage, HelperTimeout, Name, Namespace, asks_cluster
from nnunet_cli.text.output import note, print_data, write_file
from nnunet_cli.volumes.runs import file_name, open_run, read_begun


class CurvesOutput(StrEnum):
    """How the curves are written."""

    PNG = "png"
    HTML = "html"
    JSON = "json"
    YAML = "yaml"


@asks_cluster
def curves(
    name: Name,
    namespace: Namespace = None,
    output: Annotated[
        CurvesOutput,
        typer.Option(
            "--output", "-o", help="png and html write NAME-curves.FORM, json and yaml to the standard output."
        ),
    ] = CurvesOutput.PNG,
    image: HelperImage = None,
    timeout: HelperTimeout = 300.0,
    *,
    to: Connection,
) -> None:
    """Draw losses, pseudo-Dice and learning rate of each fold, with the policies' minimum and early stopping.

    The values come from the newest checkpoint of each fold, while it trains and afterwards. They are read from the
    results claim through a short-lived pod in the namespace, which is deleted at the end.

    \b
    Examples:
      kubectl nnunet curves hippocampus
      kubectl nnunet curves hippocampus -n radiology -o html
      kubectl nnunet curves hippocampus -o json | jq '.folds[0].emaPseudoDice | last'

    \b
    Exit codes:
      0  they were written
      1  it has not begun, or no fold has a checkpoint yet
      2  wrong usage, or the file can't be written
      3  there is no such training, the claim can't be mounted, or the cluster can't be reached, or refuses
    """
    cluster = Cluster(to)
    training, found = read_begun(cluster, namespace, name, "curves")
    place = f"{found.namespace}/{found.name}"
    with open_run(cluster, training, image, timeout) as run, run.volume.run("histories", run.folder) as remote:
        messages = remote.messages()
    history = history_of(found, messages)
    for problem in history.problems:
        note(f"note: {problem}")
    if not history.folds:
        words = f"{place} has no checkpoint yet: the first is written when an epoch has ended"
        raise CliError(f"{words}. See kubectl nnunet explain {name} -n {found.namespace}", ExitCode.FOUND)
    if print_data(output, lambda: as_data(history)):
        return
    target = Path(file_name(name, f"curves.{output}"))
    if output is CurvesOutput.PNG:
        data = draw(history, "png")
    else:
        data = page(history, draw(history, "svg").decode(), datetime.now(UTC)).encode()
    write_file(target, data)
    note(f"{target}: curves of {place}")
