"""The Job that scores the folds, and their ensemble on the test set where there is one."""

import json

from nnunet_api.contract import PROVEN_ENV
from nnunet_api.labels import STAGE_EVALUATE, child_labels
from nnunet_operator.builders.job import job
from nnunet_operator.builders.model import JobOptions, Manifest, Training
from nnunet_operator.builders.mounts import raw_mount, results_mount
from nnunet_operator.builders.pod import fold_compute, pod_template, preprocessing_compute


def evaluate_job(training: Training, options: JobOptions) -> Manifest:
    """Return the evaluation Job. It holds a GPU only if it predicts a test set, and sees the dataset only then."""
    compute = fold_compute(training) if training.spec.test_set else preprocessing_compute(training)
    template = pod_template(
        training,
        options,
        labels=child_labels(training.name, STAGE_EVALUATE),
        arguments=["evaluate"],
        compute=compute,
        told=_proven(training),
        mounts=[*([raw_mount(training)] if training.spec.test_set else []), results_mount(training)],
    )
    return job(training, STAGE_EVALUATE, template)


def _proven(training: Training) -> dict[str, str]:
    """Return the hashes of the checkpoints that were verified: the evaluation shall not take them from the volume."""
    hashes = {fold.name: fold.checkpoint_hash for fold in training.status.folds if fold.checkpoint_hash}
    return {PROVEN_ENV: json.dumps(hashes)} if hashes else {}
