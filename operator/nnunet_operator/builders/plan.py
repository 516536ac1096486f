"""The Job that plans the network and preprocesses the dataset. It never asks for a GPU."""

from nnunet_api.folders import maker_of
from nnunet_api.labels import PREPROCESSED_LABEL, STAGE_PLAN, child_labels
from nnunet_operator.builders.job import job
from nnunet_operator.builders.model import JobOptions, Manifest, Training
from nnunet_operator.builders.mounts import Mount, preprocessed_mount, raw_mount, results_mount
from nnunet_operator.builders.pod import literal, pod_template, preprocessing_compute


def plan_job(training: Training, options: JobOptions) -> Manifest:
    """Return the planning Job of a training. Its pod first makes the folders in which the training may write."""
    mounts = [raw_mount(training), preprocessed_mount(training, read_only=False), results_mount(training)]
    template = pod_template(
        training,
        options,
        labels=child_labels(training.name, STAGE_PLAN),
        arguments=["plan"],
        compute=preprocessing_compute(training),
        mounts=mounts,
        prepares=_preparation(mounts),
    )
    manifest = job(training, STAGE_PLAN, template)
    # Where it works: a Job that an operator made before there were such folders says nothing.
    manifest["metadata"]["labels"][PREPROCESSED_LABEL] = maker_of(training.spec)
    return manifest


def _preparation(mounts: list[Mount]) -> list[str]:
    return ["prepare", *(literal(f"--{mount.role}={mount.sub_path}") for mount in mounts)]
