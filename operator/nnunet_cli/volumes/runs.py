"""The run folder of a training, on its results claim."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from nnunet_api.folders import inside, run_folder
from nnunet_api.labels import short_name
from nnunet_api.pod_template import PodTemplate, SecurityContext
from nnunet_api.training import Storage
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.trainings import read_training
from nnunet_cli.kube.watched import Watched, watched
from nnunet_cli.volumes.access import Volume, choose_image, mounted


def read_begun(cluster: Cluster, namespace: str | None, name: str, what: str) -> tuple[Object, Watched]:
    """Return a training as the API server has it, and as it can be shown.

    Raises CliError where it has not begun: then there is nothing on its claim to make a pod for.
    """
    training = read_training(cluster, namespace or cluster.namespace, name)
    found = watched(training)
    if found.status.start_time is None:
        words = f"{found.namespace}/{found.name} has not begun yet, so it has no {what}"
        raise CliError(f"{words}. See kubectl nnunet explain {found.name} -n {found.namespace}", ExitCode.FOUND)
    return training, found


@dataclass(frozen=True)
class Run:
    """A run folder that can be read."""

    volume: Volume
    folder: str
    """Path inside the claim."""


@contextmanager
def open_run(
    cluster: Cluster, training: Object, image: str | None, limit_seconds: float, *, read_only: bool = True
) -> Iterator[Run]:
    """Mount the results claim of a training. Raises CliError."""
    place = place_of_run(training)
    chosen = choose_image(cluster, image)
    chosen = replace(chosen, security=place.security) if place.security else chosen
    where = training["metadata"]["namespace"]
    with mounted(cluster, where, place.claim, chosen, read_only=read_only, limit_seconds=limit_seconds) as volume:
        yield Run(volume, place.folder)


@dataclass(frozen=True)
class RunPlace:
    """Where a run lies, and as whom its pods run."""

    claim: str
    folder: str
    """Path inside the claim."""
    security: SecurityContext | None
    """None where the training says nothing of it."""


def place_of_run(training: Object) -> RunPlace:
    """Return where the run of a training lies. Raises CliError."""
    metadata = training["metadata"]
    try:
        spec = training.get("spec") or {}
        results = Storage.model_validate(spec.get("storage") or {}).results
        own = PodTemplate.model_validate(spec.get("podTemplate") or {}).security_context
    except ValueError as error:
        words = f"spec.storage or spec.podTemplate of {metadata['name']} can't be read: {error}"
        raise CliError(words, ExitCode.CLUSTER) from None
    return RunPlace(results.claim_name, run_path(training, results.sub_path), own)


def run_path(training: Object, sub_path: str) -> str:
    """Return the run's folder inside the results claim: as the status has it, where it is one of this name.

    The status of a complete training that was restored from a backup names the run of the object before.
    """
    metadata = training["metadata"]
    own = inside(sub_path, run_folder(metadata["namespace"], metadata["name"], metadata["uid"]))
    stated = (training.get("status") or {}).get("runPath")
    return str(stated) if _without_uid(str(stated)) == _without_uid(own) else own


def file_name(training: str, file: str) -> str:
    """Return a name for a file of a training, NAME-FILE; a long name is cut, as file systems take 255 characters."""
    return f"{short_name(training, 200)}-{file}"


def _without_uid(path: str) -> str:
    return re.sub(r"-[0-9a-f]{8}$", "", path)
