"""The Job of each stage. A further stage is one more builder, and its row in `JOBS`."""

import json
from collections.abc import Callable

from nnunet_api.contract import METRICS_PORT, PROVEN_ENV
from nnunet_api.fold_key import FoldKey
from nnunet_api.folders import maker_of
from nnunet_api.initial_weights import WEIGHTS_ENV, WeightsSource
from nnunet_api.labels import PREPROCESSED_LABEL, STAGE_EVALUATE, STAGE_FOLD, STAGE_PLAN, STAGE_VERIFY, child_labels
from nnunet_operator.core.initial_weights import cases_path, weights_source
from nnunet_operator.core.observation import Child
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.job import job
from nnunet_operator.kube.builders.mounts import (
    Mount,
    preprocessed_mount,
    raw_mount,
    results_mount,
    weights_mount,
)
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.builders.pod import (
    fold_compute,
    literal,
    pod_template,
    prediction_compute,
    preprocessing_compute,
)
from nnunet_operator.kube.objects import Manifest


def plan_job(training: Training, options: JobOptions) -> Manifest:
    """Return the planning Job of a training. Its pod first makes the folders in which the training may write."""
    mounts = [raw_mount(training), preprocessed_mount(training, read_only=False), results_mount(training)]
    prepares, told = _preparation(mounts), {}
    # Without any where the copy is there already: planning is then made again from that.
    if isinstance(source := weights_source(training), WeightsSource):
        mounts.append(weights_mount(source))
        prepares = [*_preparation(mounts), *_known_of_weights(training, source)]
        told = {WEIGHTS_ENV: literal(json.dumps(source.to_json_dict(), sort_keys=True))}
    template = pod_template(
        training,
        options,
        labels=child_labels(training.name, STAGE_PLAN),
        arguments=["plan"],
        compute=preprocessing_compute(training),
        mounts=mounts,
        prepares=prepares,
        told=told,
    )
    manifest = job(training, options, STAGE_PLAN, template)
    # Where it works: a Job that an operator made before there were such folders says nothing.
    manifest["metadata"]["labels"][PREPROCESSED_LABEL] = maker_of(training.spec)
    return manifest


def _preparation(mounts: list[Mount]) -> list[str]:
    return ["prepare", *(literal(f"--{mount.role}={mount.sub_path}") for mount in mounts)]


def _known_of_weights(training: Training, source: WeightsSource) -> list[str]:
    known = {"hash": source.sha256, "cases": cases_path(training)}
    return [literal(f"--weights-{name}={value}") for name, value in known.items() if value]


SCRAPE_ANNOTATIONS = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(METRICS_PORT),
    "prometheus.io/path": "/metrics",
}
"""A convention of scrape configurations for Prometheus without its operator; Kubernetes knows nothing of it."""


def fold_job(training: Training, options: JobOptions, key: FoldKey) -> Manifest:
    """Return the Job of a fold run."""
    arguments = ["train", "--fold", key.fold]
    if key.of_several:
        arguments += ["--configuration", key.configuration]
    if key.replicate is not None:
        arguments += ["--replicate", str(key.replicate)]
    template = pod_template(
        training,
        options,
        labels=child_labels(training.name, STAGE_FOLD, key),
        annotations=SCRAPE_ANNOTATIONS if options.scrape_annotations else {},
        arguments=arguments,
        compute=fold_compute(training, key.configuration),
        # Other trainings read the same preprocessed data, so a trainer must not be able to change it.
        mounts=[preprocessed_mount(training, read_only=True), results_mount(training)],
        local_copy=training.spec.storage.preprocessed.local_copy,
    )
    return job(training, options, STAGE_FOLD, template, key)


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
    return job(training, options, STAGE_VERIFY, template, priority=options.finishing_priority_class)


def evaluate_job(training: Training, options: JobOptions) -> Manifest:
    """Return the evaluation Job.

    It holds a GPU only if it predicts a test set, and sees the dataset only then, or where it shall show cases of it.
    The preprocessed data, by whose segmentations pairs of configurations are scored, it sees only for a selection.
    """
    spec = training.spec
    template = pod_template(
        training,
        options,
        labels=child_labels(training.name, STAGE_EVALUATE),
        arguments=["evaluate"],
        compute=prediction_compute(training) if spec.test_set else preprocessing_compute(training),
        told=_proven(training),
        mounts=[
            *([raw_mount(training)] if spec.test_set or spec.evaluation.pictures else []),
            *([preprocessed_mount(training, read_only=True)] if spec.selection else []),
            results_mount(training),
        ],
    )
    return job(training, options, STAGE_EVALUATE, template, priority=options.finishing_priority_class)


def _proven(training: Training) -> dict[str, str]:
    """Return the hashes of the checkpoints that were verified: the evaluation shall not take them from the volume."""
    hashes = {fold.name: fold.checkpoint_hash for fold in training.status.folds if fold.checkpoint_hash}
    return {PROVEN_ENV: json.dumps(hashes)} if hashes else {}


def _fold_job(training: Training, options: JobOptions, key: FoldKey | None) -> Manifest:
    assert key is not None, "a Job that trains is of a fold run"
    return fold_job(training, options, key)


JOBS: dict[str, Callable[[Training, JobOptions, FoldKey | None], Manifest]] = {
    STAGE_PLAN: lambda training, options, _: plan_job(training, options),
    STAGE_FOLD: _fold_job,
    STAGE_VERIFY: lambda training, options, _: verify_job(training, options),
    STAGE_EVALUATE: lambda training, options, _: evaluate_job(training, options),
}
"""By stage: what makes the Job of one of its children."""


def manifest_of(training: Training, options: JobOptions, child: Child) -> Manifest:
    """Return the Job of a child."""
    return JOBS[child.stage](training, options, child.fold)
