"""How a training splits its cases into folds, where it says so itself."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from nnunet_api.base import INTEGER, ApiModel, cel

MAX_FOLDS = 50
"""Folds of a training, in all its replicates: each has its place in the status, and a Job."""
DEFAULT_FOLDS = 5
"""Folds of nnU-Net's own cross-validation."""
NNUNET_SEED = 12345
"""Seed of nnU-Net's own five-fold split."""
MAX_SUBGROUPS = 8
"""Columns by which scores are told apart."""
MAX_SUBGROUP_VALUES = 50
"""Values of such a column."""

ColumnName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""Name of a column of cases.csv."""


class Splits(ApiModel):
    """How the training cases are split into folds, in place of nnU-Net's five-fold split and of a splits_final.json.

    Columns are those of cases.csv in the dataset's folder, which has a row for each case. The result depends on names
    of cases, on these columns and on the seed, never on the order of files or rows.
    """

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!has(self.leaveOneOut) || !(has(self.folds) || has(self.groupBy) || has(self.stratifyBy))",
                "leaveOneOut makes a fold of each value of its column: leave out folds, groupBy and stratifyBy",
            )
        )
    )

    folds: Annotated[int | None, Field(ge=2, le=MAX_FOLDS, json_schema_extra=INTEGER)] = None
    """Number of folds. Default: 5, as nnU-Net has it."""
    group_by: ColumnName | None = None
    """Column whose values are never on both sides of a fold, nor in the test set and among the training cases. Default:
    patient, where cases.csv has that column."""
    stratify_by: ColumnName | None = None
    """Column whose values are spread evenly over the folds, such as site or scanner."""
    leave_one_out: ColumnName | None = None
    """Column that makes a fold of each of its values, in their order: site leaves one site out in each fold, case one
    case. 2 to 50 values."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, json_schema_extra=INTEGER)] = NNUNET_SEED
    """Seed of the split. Default: nnU-Net's, so that folds: 5 without columns is nnU-Net's own split."""

    @property
    def are_asked_for(self) -> bool:
        """Tell whether the training has splits of its own: something is set."""
        return self != Splits()


def folds_problem(splits: Splits, folds: Sequence[str]) -> str:
    """Return what is wrong with the folds to train, in nnU-Net's spelling, as to the splits; empty where nothing is.

    How many folds leaveOneOut makes is known when the cases are.
    """
    if not splits.are_asked_for:
        return ""
    if list(folds) == ["all"]:
        return "splits has no effect with trainOnAllCases: leave it out, or name folds"
    count = splits.folds or DEFAULT_FOLDS
    if not splits.leave_one_out and (absent := [fold for fold in folds if int(fold) >= count]):
        return f"fold {', '.join(absent)} does not exist: splits makes {count} folds, counted from 0. Correct folds"
    return ""
