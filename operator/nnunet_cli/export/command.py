"""`kubectl nnunet export`: the model of a training as a zip that nnU-Net installs."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nnunet_api.contract import EVIDENCE_FILE
from nnunet_api.folders import inside
from nnunet_api.model_export import ModelExport, instructions
from nnunet_api.standard import TRAINER_CLASS
from nnunet_api.words import counted
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.export.archive import files_of, write_archive
from nnunet_cli.export.choice import Wanted, wanted
from nnunet_cli.export.evidence import MOST_MIB, needs_evidence, with_whole_hashes
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.watched import Watched
from nnunet_cli.options import HelperImage, HelperTimeout, Name, Namespace, asks_cluster
from nnunet_cli.text.output import note, say
from nnunet_cli.text.progress import bar, size
from nnunet_cli.text.words import listed
from nnunet_cli.volumes.runs import Run, file_name, open_run, read_begun


@asks_cluster
def export(
    name: Name,
    namespace: Namespace = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The zip. Default: NAME-model.zip.")
    ] = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            "--configuration",
            metavar="NAME",
            help="Configuration of several; may be repeated. Default: what was chosen by cross-validation.",
        ),
    ] = None,
    replicate: Annotated[int, typer.Option("--replicate", min=1, metavar="N", help="Replicate, 1 is the first.")] = 1,
    image: HelperImage = None,
    timeout: HelperTimeout = 300.0,
    *,
    to: Connection,
) -> None:
    """Fetch the model of a complete training as a zip for nnUNetv2_install_pretrained_model_from_zip.

    It holds what nnU-Net's own export holds: final checkpoints of all folds, plans, dataset.json, the postprocessing
    that was chosen, and of a cascade the previous stages. The commands to predict with it are printed, and are in it.
    Each checkpoint is held against the SHA-256 that was verified. The zip gets its name when it is whole. The results
    claim is read through a short-lived pod in the namespace, which is deleted at the end.

    \b
    Examples:
      kubectl nnunet export hippocampus
      kubectl nnunet export liver -n radiology -o liver.zip --configuration 3d_fullres

    \b
    Exit codes:
      0  it was written
      1  the training is not complete, or its files are not those that were verified
      2  wrong usage, or the file can't be written
      3  there is no such training, the claim can't be mounted, or the cluster can't be reached, or refuses
    """
    cluster = Cluster(to)
    training, found = read_begun(cluster, namespace, name, "model")
    place = f"{found.namespace}/{found.name}"
    chosen = wanted(training, found, configuration or (), replicate)
    target = output or Path(file_name(name, "model.zip"))
    if target.is_dir() or not target.parent.is_dir():
        raise CliError(f"{target} can't be written: give a file in a folder that exists", ExitCode.USAGE)
    with open_run(cluster, training, image, timeout) as run:
        if needs_evidence(found):
            found = with_whole_hashes(found, read_evidence(run, place))
            chosen = wanted(training, found, configuration or (), replicate)
        files, digest = _fetch(run, chosen, target, place)
    note(f"{target}: {counted(len(files), 'file')} ({size(sum(files.values()))}) of {place}, SHA-256 {digest}")
    _tell_use(found, chosen.export, target, list(files))


def read_evidence(run: Run, where: str) -> bytes:
    """Return evidence.json of the run. Raises CliError."""
    with run.volume.run("send", f"{run.folder}/{EVIDENCE_FILE}") as remote:
        head = remote.message()
        if "missing" in head:
            words = (
                f"{where} has no {EVIDENCE_FILE}, and the status alone has too few digits of the checkpoints' hashes"
            )
            raise CliError(f"{words}. Restore it, or train anew", ExitCode.FOUND)
        if head["size"] > MOST_MIB << 20:
            raise CliError(f"{EVIDENCE_FILE} of {where} is too large to be one: look at it", ExitCode.FOUND)
        return remote.read(head["size"])


def _fetch(run: Run, chosen: Wanted, target: Path, where: str) -> tuple[dict[str, int], str]:
    """Write the zip; return its files with their sizes, and its SHA-256. Raises CliError."""
    export, folder = chosen.export, inside(run.folder, chosen.folder) if chosen.folder else run.folder
    with run.volume.run("sizes", f"{folder}/{export.dataset}") as remote:
        sizes = {f"{export.dataset}/{one['path']}": int(one["size"]) for one in remote.messages()}
    files = files_of(export, sizes, where)
    with bar(sum(files.values())) as progress:
        return files, write_archive(target, run.volume, folder, export, files, progress)


def _tell_use(found: Watched, export: ModelExport, target: Path, files: list[str]) -> None:
    """Print the commands that use the model, and what they need."""
    provenance = found.status.provenance
    version = (provenance and provenance.nnunet_version) or "of the same version"
    note(f"note: nnUNetv2_install_pretrained_model_from_zip {shlex.quote(str(target))}, with nnU-Net {version}, then:")
    own = sorted({one.trainer_class for one in export.members} - {TRAINER_CLASS})
    if own:
        note(f"note: where it predicts, nnU-Net has to find the class {listed(own)}")
    say(instructions(export, files), end="")
