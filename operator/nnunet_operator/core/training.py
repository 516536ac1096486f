"""A stored training, and the settings that decisions on it depend on."""

from dataclasses import dataclass
from datetime import datetime

from nnunet_api.folders import inside, run_folder
from nnunet_api.model_path import Models
from nnunet_api.pod_template import DEFAULT_SECURITY, SecurityContext
from nnunet_api.reasons import ConditionType
from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.training import NnunetTrainingSpec


@dataclass(frozen=True)
class Training:
    """A stored NnunetTraining, parsed."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    creation_timestamp: datetime
    spec: NnunetTrainingSpec
    status: NnunetTrainingStatus
    deleting: bool = False
    """A deletion timestamp is set: nothing is created any more."""
    held_by: tuple[str, ...] = ()
    """What keeps it from being gone while it is being deleted: names that others have put on it."""
    weights_from: "Training | None" = None
    """The training that spec.initialWeights names; None where it names none, or that is not there."""
    weights_from_unreadable: bool = False
    """It is there, and can't be read."""


@dataclass(frozen=True)
class Options:
    """Settings of the operator that decisions depend on."""

    trainer_image: str
    progress_poll_seconds: float = 15.0
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets with which nodes pull the trainer image, besides those that the training names."""
    security: SecurityContext = DEFAULT_SECURITY
    """As whom pods run where their training does not say."""


def image_of(training: Training, options: Options) -> str:
    """Return the image that trains.

    The default image is pinned in the status once a node has pulled it, so that an upgrade of the operator never
    changes the image of a run that has begun.
    """
    provenance = training.status.provenance
    pinned = provenance.pinned_image if provenance else None
    return training.spec.trainer.image or pinned or options.trainer_image


def run_of(training: Training) -> str:
    """Return the run's folder, from the root of what the claim shows: NAMESPACE/NAME-UID8.

    Of a complete training that was restored from a backup it is that of the former object, which its status names.
    """
    own = run_folder(training.namespace, training.name, training.uid)
    name = (training.status.run_path or "").rpartition("/")[2]
    folder = f"{training.namespace}/{name}"
    is_stated = inside(training.spec.storage.results.sub_path, folder) == training.status.run_path
    is_former = is_stated and folder.rpartition("-")[0] == own.rpartition("-")[0]
    return folder if is_former and training.status.holds(ConditionType.COMPLETE) else own


def models_of(training: Training, run: str) -> Models:
    """Return where the models lie; `run` is the run's folder from the root of the claim."""
    spec = training.spec
    return Models(run, spec.dataset.name, spec.trainer.class_name, tuple(spec.configuration_names), spec.replicates)
