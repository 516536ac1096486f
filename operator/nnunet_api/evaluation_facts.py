"""What the evaluation reports: scores of replicates and configurations, and what was chosen among these."""

from typing import Annotated

from pydantic import Field

from nnunet_api.base import StatusModel
from nnunet_api.fold_key import MAX_TRAINED_CONFIGURATIONS
from nnunet_api.results import MAX_CLASSES


class ReplicateScores(StatusModel):
    """Scores of one replicate."""

    replicate: int
    """1 = first."""
    seed: int | None = None
    """Its seed."""
    mean_validation_dice: float | None = None
    """Its cross-validation Dice."""
    test_mean: float | None = None
    """Mean foreground Dice of its ensemble on the test set."""


class ConfigurationScores(StatusModel):
    """Scores of one of several configurations."""

    configuration: Annotated[str, Field(max_length=64)]
    """nnU-Net's name of it."""
    mean_validation_dice: float | None = None
    """Its cross-validation Dice, the mean over its replicates."""
    spread: float | None = None
    """Sample standard deviation of that over the replicates."""
    model_path: Annotated[str | None, Field(max_length=1024)] = None
    """Its model folder inside the results claim (of the first replicate)."""


class SelectionFacts(StatusModel):
    """What was chosen among the configurations."""

    chosen: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=2)]
    """The configuration, or both of the pair whose probabilities are averaged."""
    mean_validation_dice: float
    """Cross-validation Dice of what was chosen, before postprocessing: by it was chosen."""
    postprocessed_validation_dice: float | None = None
    """The same after postprocessing; absent where none was looked for."""
    postprocessing: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=MAX_CLASSES)] = []
    """Of what all but the largest component is removed, in order: "all foreground", or names of classes. Empty: of
    nothing."""
    candidates: int
    """How many configurations and pairs there were to choose from."""


class EvaluationFacts(StatusModel):
    """Outcome of the evaluation."""

    mean_validation_dice: float | None = None
    """Cross-validation Dice over all validation cases of the trained folds."""
    fold_dice: dict[str, float] = {}
    """Mean validation Dice of each fold run, by its name (`FoldKey.name`)."""
    test_mean: float | None = None
    """Mean foreground Dice of the ensemble on the test set."""
    test_cases: int | None = None
    """Number of test cases."""
    test_per_class: Annotated[dict[str, float], Field(max_length=MAX_CLASSES)] = {}
    """Mean test Dice of each class, by label name."""
    model_path: str | None = None
    """Model folder inside the results claim (of the first replicate)."""
    test_nsd: float | None = None
    """Mean normalized surface Dice (0 to 1) on the test set."""
    test_hd95_mm: float | None = None
    """Mean 95th percentile of the Hausdorff distance on the test set, mm."""
    best_checkpoint_test_mean: float | None = None
    """Mean foreground Dice on the test set with the best checkpoints in place of the final ones."""
    held_seconds: float | None = None
    """Seconds that all attempts at the evaluation ran. None of it counts as lost: the next attempt goes on."""
    replicates: Annotated[list[ReplicateScores], Field(max_length=10)] = []
    """Scores of each replicate, where there are several. The scores above are then means over them."""
    configurations: Annotated[list[ConfigurationScores], Field(max_length=MAX_TRAINED_CONFIGURATIONS)] = []
    """Scores of each configuration, where there are several. Then only a selection has a score on the test set."""
    selection: SelectionFacts | None = None
    """What was chosen among the configurations, where the training says so."""
    summary_hash: Annotated[str | None, Field(max_length=64)] = None
    """SHA-256 of summary.json, which has the scores of all cases."""
    test_set_hash: Annotated[str | None, Field(max_length=64)] = None
    """SHA-256 over the contents of the test images, whatever their names."""
