"""The Job that plans the network and preprocesses the dataset. It never asks for a GPU."""

from nnunet_operator.api.labels import STAGE_PLAN, child_labels
from nnunet_operator.builders.job import job
from nnunet_operator.builders.model import Manifest, Options, Training
from nnunet_operator.builders.pod import (
    pod_template,
    preprocessed_mount,
    preprocessing_compute,
    raw_mount,
    results_mount,
)


def plan_job(training: Training, options: Options) -> Manifest:
    """Return the planning Job of a training."""
    template = pod_template(
        training,
        options,
        labels=child_labels(training.name, STAGE_PLAN),
        arguments=["plan"],
        compute=preprocessing_compute(training),
        mounts=[raw_mount(training), preprocessed_mount(training, read_only=False), results_mount(training)],
    )
    return job(training, STAGE_PLAN, template)
