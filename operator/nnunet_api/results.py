"""What the status says of a training's outcome."""

from typing import Annotated

from pydantic import Field

from nnunet_api.base import StatusModel

MAX_CLASSES = 64
"""Classes whose Dice the status lists; summary.json in the run folder has all."""


class TestDice(StatusModel):
    """Dice on the test set."""

    __test__ = False  # pytest: not a test class

    mean: float | None = None
    """Mean foreground Dice (0 to 1)."""
    cases: int | None = None
    """Number of test cases."""
    per_class: Annotated[dict[str, float], Field(max_length=MAX_CLASSES)] = {}
    """Mean Dice of each class by the name of its label; at most 64, all are in summary.json."""


class TestSurface(StatusModel):
    """Surface distances on the test set."""

    __test__ = False  # pytest: not a test class

    nsd: float | None = None
    """Mean normalized surface Dice (0 to 1) at spec.evaluation.surfaceToleranceMm."""
    hd95_mm: float | None = None
    """Mean 95th percentile of the Hausdorff distance, mm."""


class ReplicateResult(StatusModel):
    """Scores of one replicate."""

    replicate: int
    """1 = first."""
    seed: int | None = None
    """Its seed."""
    mean_validation_dice: float | None = None
    """Its cross-validation Dice."""
    test_dice: float | None = None
    """Its test Dice."""


class Spread(StatusModel):
    """How far the replicates are apart: a difference that is smaller means nothing."""

    validation_dice: float | None = None
    """Sample standard deviation of the cross-validation Dice over the replicates."""
    test_dice: float | None = None
    """Sample standard deviation of the test Dice over the replicates."""


class Results(StatusModel):
    """The outcome."""

    mean_validation_dice: float | None = None
    """Cross-validation Dice: the mean over all validation cases of the trained folds (0 to 1)."""
    test_dice: TestDice | None = None
    """Dice of the ensemble on the test set. The final word on a model."""
    model_path: str | None = None
    """Model folder inside the results claim; usable with plain nnUNetv2_predict."""
    test_surface: TestSurface | None = None
    """Surface distances of the ensemble on the test set."""
    best_checkpoint_test_dice: float | None = None
    """Test Dice with the best checkpoints, where spec.evaluation.bestCheckpoint asks for it. Not the result."""
    replicates: Annotated[list[ReplicateResult], Field(max_length=10)] = []
    """Scores of each replicate, where there are several; the scores above are means over them."""
    spread: Spread | None = None
    """How far the replicates are apart."""
    report_path: str | None = None
    """HTML report inside the results claim, with curves and per-case plots."""
    summary_hash: Annotated[str | None, Field(max_length=64)] = None
    """SHA-256 of summary.json in the run folder, as the evaluation wrote it: a comparison takes no other scores."""
    summary: str | None = None
    """Test Dice, or else cross-validation Dice, for display."""
