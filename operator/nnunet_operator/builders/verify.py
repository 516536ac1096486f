"""The Job that proves from the checkpoints what was trained."""

from nnunet_api.labels import STAGE_VERIFY, child_labels
from nnunet_operator.builders.job import job
from nnunet_operator.builders.model import JobOptions, Manifest, Training
from nnunet_operator.builders.mounts import results_mount
from nnunet_operator.builders.pod import pod_template, preprocessing_compute


def verify_job(training: Training, options: JobOptions) -> Manifest:
    """Return the verification Job. Its image is the operator's own: the user's would be checking itself."""
    template = pod_template(
        training,
        options,
        labels=child_labels(training.name, STAGE_VERIFY),
        arguments=["verify"],
        compute=preprocessing_compute(training),
        mounts=[results_mount(training)],
        own_image=True,
    )
    return job(training, STAGE_VERIFY, template)
