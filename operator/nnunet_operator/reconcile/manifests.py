"""The Job of each stage. A further stage is one more row in `JOBS`."""

from collections.abc import Callable

from nnunet_api.fold_key import FoldKey
from nnunet_api.labels import STAGE_EVALUATE, STAGE_FOLD, STAGE_PLAN, STAGE_VERIFY
from nnunet_operator.builders.evaluate import evaluate_job
from nnunet_operator.builders.fold import fold_job
from nnunet_operator.builders.model import JobOptions, Manifest, Training
from nnunet_operator.builders.plan import plan_job
from nnunet_operator.builders.verify import verify_job
from nnunet_operator.reconcile.observation import Child


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
