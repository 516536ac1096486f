"""The stages of a training: their names, and the words and traits of each. How they follow each other: `pipeline`."""

from collections.abc import Callable
from dataclasses import dataclass

from nnunet_api.labels import STAGE_EVALUATE, STAGE_FOLD, STAGE_PLAN, STAGE_VERIFY
from nnunet_api.reasons import Reason
from nnunet_api.training import NnunetTrainingSpec


@dataclass(frozen=True)
class Stage:
    """One stage."""

    name: str
    """Value of its label, and part of its Jobs' names."""
    subject: str
    """How sentences call its Job; one that trains a fold run is called by that."""
    running: Reason
    """Reason of condition Progressing while it runs."""
    doing: str
    """What is being done then: what that reason means."""
    verb: str = "runs"
    """What its Job does then."""
    on_gpu: Callable[[NnunetTrainingSpec], bool] = lambda _: False
    """Whether its pods get `spec.resources`, or `spec.resources.preprocessing`, which never has a GPU."""
    proves: bool = False
    """Its report is proof: it is believed only where nobody but the operator's own image can have written it."""
    counts_while_deleted: bool = False
    """A Job of it that has completed counts also while the operator itself deletes it. One that somebody else deletes
    counts always."""


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            STAGE_PLAN,
            "planning and preprocessing",
            Reason.PLANNING,
            "the dataset is being checked, planned and preprocessed",
        ),
        Stage(
            STAGE_FOLD,
            "training",
            Reason.TRAINING,
            "at least one fold trains; the message tells about the others",
            verb="trains",
            on_gpu=lambda _: True,
        ),
        Stage(
            STAGE_VERIFY,
            "verification",
            Reason.VERIFYING,
            "the final checkpoints are read, in the operator's own image, to prove the epochs",
            proves=True,
        ),
        Stage(
            STAGE_EVALUATE,
            "evaluation",
            Reason.EVALUATING,
            "the folds are being scored, and the test set predicted",
            on_gpu=lambda spec: spec.test_set is not None,
            counts_while_deleted=True,  # it is the end of all
        ),
    )
}
