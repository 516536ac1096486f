"""What the status says of a training's outcome."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from nnunet_api.base import StatusModel
from nnunet_api.fold_key import MAX_TRAINED_CONFIGURATIONS

MAX_CLASSES = 64
"""Classes whose Dice the status lists; summary.json in the run folder has all."""
_SHOWN = 5
"""Names in a sentence."""


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


class ConfigurationResult(StatusModel):
    """Scores of one of several configurations."""

    configuration: str
    """nnU-Net's name of it."""
    mean_validation_dice: float | None = None
    """Its cross-validation Dice (0 to 1); with replicates the mean over them."""
    spread: float | None = None
    """Sample standard deviation of that over the replicates: a difference that is smaller means nothing."""
    model_path: str | None = None
    """Its model folder inside the results claim; usable with plain nnUNetv2_predict."""


class SelectionResult(StatusModel):
    """What was chosen among the configurations, by cross-validation and before the test set was scored."""

    chosen: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=2)]
    """The configuration, or both of the pair whose probabilities are averaged."""
    mean_validation_dice: float | None = None
    """Cross-validation Dice (0 to 1) of what was chosen, before postprocessing: by it was chosen."""
    postprocessed_validation_dice: float | None = None
    """The same after postprocessing; absent where none was looked for."""
    postprocessing: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=MAX_CLASSES)] = []
    """Of what all but the largest component is removed, in order: "all foreground", or names of classes. Empty: of
    nothing."""
    candidates: int | None = None
    """How many configurations and pairs there were to choose from."""
    summary: Annotated[str, Field(max_length=160)] = ""
    """What was chosen, for display: 2d + 3d_fullres."""

    def told(self) -> str:
        """Return what was chosen, and how it is postprocessed, as a clause."""
        names, by = " and ".join(self.chosen), _in_brackets(self.mean_validation_dice)
        if len(self.chosen) > 1:
            parts = [f"{names} together were chosen by cross-validation{by}"]
        elif self.candidates == 1:
            parts = [f"{names} was the only one to choose{by}"]
        else:
            parts = [f"{names} was chosen by cross-validation{by}"]
        after = self.postprocessed_validation_dice
        if self.postprocessing:
            parts.append(f"postprocessing of: {_first_of(self.postprocessing)}{_in_brackets(after)}")
        elif after is not None:
            parts.append("no postprocessing helps")
        return ", ".join(parts)


def _first_of(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _in_brackets(value: float | None) -> str:
    return "" if value is None else f" ({value:.3f})"


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
    configurations: Annotated[list[ConfigurationResult] | None, Field(max_length=MAX_TRAINED_CONFIGURATIONS)] = None
    """Scores of each configuration, where there are several. They are compared by cross-validation; only what a
    selection has chosen is scored on a test set."""
    selection: SelectionResult | None = None
    """What was chosen among the configurations, where spec.selection asks for it."""
    report_path: str | None = None
    """HTML report inside the results claim, with curves and per-case plots."""
    summary_hash: Annotated[str | None, Field(max_length=64)] = None
    """SHA-256 of summary.json in the run folder, as the evaluation wrote it: a comparison takes no other scores."""
    test_set_hash: Annotated[str | None, Field(max_length=64)] = None
    """SHA-256 over the contents of the test images that were scored: by it NnunetTestSets count looks."""
    summary: str | None = None
    """Test Dice, or else cross-validation Dice, for display; with several configurations that of each, or of what was
    chosen."""

    @property
    def validation_dice(self) -> float | None:
        """Cross-validation Dice of the training, or of what was chosen among its configurations."""
        chosen = self.selection.mean_validation_dice if self.selection else None
        return chosen if self.mean_validation_dice is None else self.mean_validation_dice
