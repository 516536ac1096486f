"""`kubectl nnunet dataset`: check, push and list datasets in nnU-Net's raw format."""

from pathlib import Path
from typing import Annotated

import typer

from nnunet_api.words import counted
from nnunet_cli.datasets.headers import read_headers
from nnunet_cli.datasets.layout import Layout, read_layout
from nnunet_cli.datasets.output import check_data, check_text, dataset_data, dataset_table, said_of
from nnunet_cli.datasets.transfer import local_files
from nnunet_cli.datasets.transfer import push as push_files
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import HelperImage, HelperTimeout, Namespace, Output, TextOutput, asks_cluster
from nnunet_cli.text.output import note, print_data, print_lines, say
from nnunet_cli.text.progress import bar
from nnunet_cli.volumes.access import choose_image, mounted

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Check, push and list datasets.")

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of a dataset, DatasetNNN_Name, with dataset.json in it.")
]


def _inside(sub_path: str) -> str:
    parts = [part for part in sub_path.split("/") if part not in ("", ".")]
    if ".." in parts or sub_path.startswith("/"):
        raise typer.BadParameter(f"{sub_path!r} must be a path inside the claim", param_hint="--sub-path")
    return "/".join(parts)


Claim = Annotated[str, typer.Option("--claim", metavar="NAME", help="PersistentVolumeClaim of the raw data.")]
SubPath = Annotated[
    str,
    typer.Option(
        "--sub-path", metavar="PATH", callback=_inside, help="Folder in the claim, as in spec.dataset.subPath."
    ),
]


FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Take also what links lead to outside of the folder.")
]


@app.command()
def check(folder: Folder, follow_links: FollowLinks = False, output: Output = TextOutput.TEXT) -> None:
    """Check whether a folder is a dataset that nnU-Net can train on. Asks no cluster.

    File names, links, dataset.json, splits_final.json, cases.csv and NIfTI headers are checked, and whether files are
    whole; with nibabel installed also shape, spacing and position of all files of a case. Whether the labels inside the
    files are those of dataset.json, planning checks.

    \b
    Examples:
      kubectl nnunet dataset check Dataset004_Hippocampus
      kubectl nnunet dataset check Dataset004_Hippocampus -o json | jq -r '.problems[]'

    \b
    Exit codes:
      0  it is in order
      1  something has to be put right
      2  wrong usage, or the folder can't be read
    """
    layout, notes = _checked(folder, follow_links)
    layout.problems += layout.hidden
    if not print_data(output, lambda: check_data(layout, notes)):
        say(check_text(layout, notes))
    if layout.problems:
        raise typer.Exit(ExitCode.FOUND)


@app.command()
@asks_cluster
def push(
    folder: Folder,
    namespace: Namespace = None,
    claim: Claim = "nnunet-raw",
    sub_path: SubPath = "",
    no_check: Annotated[bool, typer.Option("--no-check", help="Send it even if the check finds something.")] = False,
    follow_links: FollowLinks = False,
    image: HelperImage = None,
    timeout: HelperTimeout = 300.0,
    *,
    to: Connection,
) -> None:
    """Send a dataset to a claim. What is there with the right SHA-256 is skipped, so it can be called again.

    It is checked as by dataset check before, and what was sent is read back at the end. The claim is written through a
    short-lived pod in the namespace, which is deleted at the end. Hidden files are not sent, and nothing is deleted. A
    link that leads out of the folder is refused: somebody else's dataset could so fetch any file of this machine.

    \b
    Examples:
      kubectl nnunet dataset push Dataset004_Hippocampus
      kubectl nnunet dataset push Dataset004_Hippocampus -n radiology --claim imaging --sub-path nnUNet_raw

    \b
    Exit codes:
      0  all of it is on the claim, and whole
      1  the check found something, a file was damaged, or the volume is full
      2  wrong usage, or the folder can't be read
      3  the claim can't be mounted, the connection broke, or the cluster can't be reached, or refuses
    """
    layout, notes = _checked(folder, follow_links)
    if layout.problems and not no_check:
        note(check_text(layout, notes))
        raise CliError("nothing was sent. Put it right, or send it as it is with --no-check", ExitCode.FOUND)
    files = local_files(layout.folder, follow_links=follow_links)
    cluster = Cluster(to)
    where = namespace or cluster.namespace
    target = "/".join(part for part in (sub_path, layout.folder.name) if part)
    chosen = choose_image(cluster, image)
    with (
        mounted(cluster, where, claim, chosen, read_only=False, limit_seconds=timeout) as volume,
        bar(sum(file.size for file in files)) as progress,
    ):
        sent = push_files(volume, target, files, progress)
    say(f"{where}/{claim}: {target}: {said_of(sent)}")
    if sent.strangers:
        first = ", ".join(sent.strangers[:5]) + (", ..." if len(sent.strangers) > 5 else "")
        words = counted(len(sent.strangers), "file on the claim is", "files on the claim are")
        note(f"note: {words} not in {folder}, and left there: {first}")


@app.command("ls", short_help="List the datasets on a claim.")
@asks_cluster
def list_(
    namespace: Namespace = None,
    claim: Claim = "nnunet-raw",
    sub_path: SubPath = "",
    output: Output = TextOutput.TEXT,
    image: HelperImage = None,
    timeout: HelperTimeout = 300.0,
    *,
    to: Connection,
) -> None:
    """List the datasets on a claim: training cases, channels, classes, files, size.

    The claim is read through a short-lived pod in the namespace, which is deleted at the end.

    \b
    Examples:
      kubectl nnunet dataset ls
      kubectl nnunet dataset ls -n radiology --claim imaging --sub-path nnUNet_raw -o json

    \b
    Exit codes:
      0  they were listed, or there is none
      1  there is no such folder on the claim
      2  wrong usage
      3  the claim can't be mounted, or the cluster can't be reached, or refuses
    """
    cluster = Cluster(to)
    where = namespace or cluster.namespace
    chosen = choose_image(cluster, image)
    with (
        mounted(cluster, where, claim, chosen, read_only=True, limit_seconds=timeout) as volume,
        volume.run("datasets", sub_path) as remote,
    ):
        found = remote.messages()
    if print_data(output, lambda: {"items": [dataset_data(message) for message in found]}):
        return
    if found:
        print_lines(lambda width: dataset_table(found))
    else:
        note(f"there is no folder on {where}/{claim}{f', in {sub_path}' if sub_path else ''}")


def _checked(folder: Path, follow_links: bool) -> tuple[Layout, list[str]]:
    if not folder.is_dir():
        raise CliError(f"{folder} is no folder: give the folder of a dataset, DatasetNNN_Name", ExitCode.USAGE)
    try:
        layout = read_layout(folder, follow_links)
        headers = read_headers(layout)
    except OSError as error:
        raise CliError(f"{error.filename or folder} can't be read: {error.strerror}", ExitCode.USAGE) from None
    layout.problems += headers.problems
    return layout, [*layout.notes, *([headers.unread] if headers.unread else [])]
