"""`kubectl nnunet predict`: new images, segmented in the cluster by the model of a training."""

from typing import Annotated

import typer

from nnunet_api.prediction import RESEARCH_USE
from nnunet_api.words import counted
from nnunet_cli.datasets.command import FollowLinks
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.export.choice import wanted
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import HelperTimeout, Name, Namespace, asks_cluster
from nnunet_cli.predict.following import create, delete, follow
from nnunet_cli.predict.job import prediction_job
from nnunet_cli.predict.places import place_of, require_apart
from nnunet_cli.predict.request import Compute, processes_of, require_class, spec_of
from nnunet_cli.predict.task import Asked, Task, prepare
from nnunet_cli.text.output import note, say
from nnunet_cli.volumes.access import IMAGE_VARIABLE
from nnunet_cli.volumes.runs import read_begun

_PLACE = "FOLDER|CLAIM:PATH"


Input = Annotated[
    str, typer.Option("--input", "-i", metavar=_PLACE, help="Images, CASE_0000.nii.gz and so on, here or on a claim.")
]
OutputPlace = Annotated[
    str, typer.Option("--output", "-o", metavar=_PLACE, help="Where segmentations go, here or on a claim.")
]
Configuration = Annotated[
    str | None,
    typer.Option(
        "--configuration",
        metavar="NAME",
        help="Configuration of several. Default: what was chosen by cross-validation.",
        show_default=False,
    ),
]
Replicate = Annotated[int, typer.Option("--replicate", min=1, metavar="N", help="Replicate, 1 is the first.")]
CpuOnly = Annotated[bool, typer.Option("--cpu-only", help="Predict without a GPU, which takes long.")]
Cpu = Annotated[
    str | None, typer.Option("--cpu", metavar="QUANTITY", help="CPU cores. Default: the training's resources.")
]
Memory = Annotated[
    str | None, typer.Option("--memory", metavar="QUANTITY", help="Memory. Default: the training's resources.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Start it, and leave. The same command follows it.")]
Delete = Annotated[
    bool, typer.Option("--delete", help="End what the same command has begun, and remove what lies on the claim.")
]
TrainerImage = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="IMAGE",
        envvar=IMAGE_VARIABLE,
        help="Trainer image of the pods. Default: the one that the operator was installed with.",
        show_default=False,
    ),
]


@asks_cluster
def predict(
    name: Name,
    input_: Input,
    output: OutputPlace,
    namespace: Namespace = None,
    configuration: Configuration = None,
    replicate: Replicate = 1,
    cpu_only: CpuOnly = False,
    cpu: Cpu = None,
    memory: Memory = None,
    no_wait: NoWait = False,
    remove: Delete = False,
    follow_links: FollowLinks = False,
    image: TrainerImage = None,
    timeout: HelperTimeout = 300.0,
    *,
    to: Connection,
) -> None:
    """Segment new images in the cluster, by what a complete training has chosen or by its only model.

    A Job predicts as the training's evaluation does: all folds, the chosen pair, the postprocessing, a cascade's first
    stage before. It gets one GPU, CPU and memory as the training asks for, reads the run and the images, and checks all
    checkpoints against the SHA-256 that was verified. Local images are sent to a folder on the results claim, which is
    removed when the segmentations are here; a folder on a claim is CLAIM:PATH. Images are checked first, as by dataset
    check. After Ctrl-C the Job goes on: the same command takes it up, and no case is predicted twice.

    The segmentations are verified by nobody, and for research.

    \b
    Examples:
      kubectl nnunet predict hippocampus -i ./images -o ./segmentations
      kubectl nnunet predict liver -n radiology -i imaging:2026/incoming -o imaging:2026/segmented --no-wait
      kubectl nnunet predict liver -i ./images -o ./segmentations --cpu-only --memory 16Gi

    \b
    Exit codes:
      0  the segmentations are there; with --no-wait: the Job is; with --delete: nothing is left of it
      1  images or model can't be used, the Job has failed, or was not waited for
      2  wrong usage, or a file can't be read or written
      3  there is no such training, a claim can't be mounted, or the cluster can't be reached, or refuses
    """
    source, target = place_of(input_, "--input"), place_of(output, "--output")
    require_apart(source, target)
    compute = _compute(cpu_only, cpu, memory)
    cluster = Cluster(to)
    where = namespace or cluster.namespace
    training, found = read_begun(cluster, where, name, "model")
    chosen = wanted(training, found, [configuration] if configuration else (), replicate)
    require_class(spec_of(training), image)
    asked = Asked(cluster, training, found, chosen, replicate, source, target, compute, image, timeout, follow_links)
    task = prepare(asked, begins=not remove)
    if remove:
        task.remove()
        say(f"{where}/{name}: nothing is left of this prediction")
        return
    if not task.is_done:
        _run(task, no_wait)
        if no_wait:
            return
    _fetch(task)


def _compute(cpu_only: bool, cpu: str | None, memory: str | None) -> Compute:
    """Return what the pod is to have. Raises CliError where that is no quantity of cores."""
    if cpu is not None:
        processes_of(cpu)
    return Compute(cpu_only, cpu, memory)


def _fetch(task: Task) -> None:
    """Bring the segmentations to where they are to go, and say so."""
    task.finish()
    files, of = counted(len(task.cases), "segmentation"), task.request.prediction.configurations
    say(f"{task.asked.target}: {files} by {' and '.join(of)} of {task.namespace}/{task.asked.found.name}")
    note(f"note: {RESEARCH_USE}")


def _run(task: Task, no_wait: bool) -> None:
    """Have the Job done, a new one or the one that there is. Raises CliError where it fails, or is not waited for."""
    cluster, where = task.asked.cluster, task.namespace
    again = "The same command goes on with it; with --delete it ends it and removes what lies on the claim"
    if task.job is not None and task.is_over:
        note(f"note: Job {where}/{task.name} had ended, and is made anew; what it had done is kept")
        delete(cluster, task.job)
        task.job = None
    if task.job is None and create(
        cluster, where, prediction_job(task.request, task.image, task.folders, task.compute)
    ):
        note(f"note: Job {where}/{task.name} predicts {counted(len(task.cases), 'case')}")
    else:
        note(f"note: Job {where}/{task.name} is there already, and taken up")
    if no_wait:
        say(f"Job {where}/{task.name} goes on by itself. {again}")
        return
    try:
        ended = follow(cluster, where, task.name, lambda words: note(f"{task.name}: {words}"))
    except KeyboardInterrupt:
        raise CliError(f"not waited for: Job {where}/{task.name} goes on. {again}", ExitCode.FOUND) from None
    if ended.failed:
        log = f"kubectl logs job/{task.name} -n {where}"
        raise CliError(f"Job {where}/{task.name} has failed: {ended.words}. Log: {log}. {again}", ExitCode.FOUND)
    note(f"{task.name}: {ended.words}")
