"""The Job that trains one fold."""

from nnunet_operator.api.labels import STAGE_FOLD, child_labels
from nnunet_operator.builders.job import job
from nnunet_operator.builders.model import Manifest, Options, Training
from nnunet_operator.builders.pod import fold_compute, pod_template, preprocessed_mount, results_mount


def fold_job(training: Training, options: Options, fold: str) -> Manifest:
    """Return the Job of a fold, named as nnU-Net does: "0" to "4", or "all"."""
    template = pod_template(
        training,
        options,
        labels=child_labels(training.name, STAGE_FOLD, fold),
        arguments=["train", "--fold", fold],
        compute=fold_compute(training),
        # Other trainings read the same preprocessed data, so a trainer must not be able to change it.
        mounts=[preprocessed_mount(training, read_only=True), results_mount(training)],
    )
    return job(training, STAGE_FOLD, template, fold)
