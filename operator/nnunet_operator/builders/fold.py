"""The Job that trains one fold."""

from nnunet_api.contract import METRICS_PORT
from nnunet_api.fold_key import FoldKey
from nnunet_api.labels import STAGE_FOLD, child_labels
from nnunet_operator.builders.job import job
from nnunet_operator.builders.model import JobOptions, Manifest, Training
from nnunet_operator.builders.mounts import preprocessed_mount, results_mount
from nnunet_operator.builders.pod import fold_compute, pod_template

SCRAPE_ANNOTATIONS = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(METRICS_PORT),
    "prometheus.io/path": "/metrics",
}
"""A convention of scrape configurations for Prometheus without its operator; Kubernetes knows nothing of it."""


def fold_job(training: Training, options: JobOptions, key: FoldKey) -> Manifest:
    """Return the Job of a fold run."""
    arguments = ["train", "--fold", key.fold]
    if key.replicate is not None:
        arguments += ["--replicate", str(key.replicate)]
    template = pod_template(
        training,
        options,
        labels=child_labels(training.name, STAGE_FOLD, key.label),
        annotations=SCRAPE_ANNOTATIONS if options.scrape_annotations else {},
        arguments=arguments,
        compute=fold_compute(training),
        # Other trainings read the same preprocessed data, so a trainer must not be able to change it.
        mounts=[preprocessed_mount(training, read_only=True), results_mount(training)],
    )
    return job(training, STAGE_FOLD, template, key.label)
