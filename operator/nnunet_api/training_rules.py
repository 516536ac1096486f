"""The rules on `NnunetTraining` as a whole, in CEL: what the fields of its spec must be beside each other."""

from collections.abc import Iterator

from nnunet_api.splits import MAX_FOLDS
from nnunet_api.training import (
    DEFAULT_CONFIGURATION,
    DEFAULT_PLANNER,
    MAX_FOLD_RUNS,
    MUTABLE_FIELDS,
    MUTABLE_PARTS,
    ONE_FORM,
    NnunetTrainingSpec,
    PreprocessedClaim,
    Storage,
)


def _fixed(field: str) -> str:
    return (
        f"{field} can't change after creation: the conditions of a run are fixed. Delete the training and "
        "create a new one, under a new name to keep both results"
    )


def _storage_parts() -> Iterator[str]:
    """Yield all of storage but `MUTABLE_PARTS`: fields with a default, which are there before and after a change."""
    for name in Storage.model_fields:
        if name != "preprocessed":
            yield f"storage.{name}"
    for name, info in PreprocessedClaim.model_fields.items():
        path = f"storage.preprocessed.{info.alias or name}"
        if path not in MUTABLE_PARTS:
            yield path


_CONFIGURATIONS = (
    "(has({0}.configurations) ? {0}.configurations : [has({0}.configuration) ? {0}.configuration : '{1}'])"
)


def _in_cel(spec: str) -> str:
    return _CONFIGURATIONS.format(spec, DEFAULT_CONFIGURATION)


def fixed_fields() -> dict[str, tuple[str, str]]:
    """Return the CEL rule, and its message, of each field of the spec that can't change after creation, by its path.

    They stand on the fields. Each look of a rule into the spec as a whole costs the API server a table of all its
    fields, and rules are evaluated at each write, those of the status included.
    """
    names = [info.alias or name for name, info in NnunetTrainingSpec.model_fields.items()]
    fixed = [name for name in names if name not in (*MUTABLE_FIELDS, *ONE_FORM, "storage")]
    return {path: ("self == oldSelf", _fixed(path)) for path in (*fixed, *_storage_parts())}


def configuration_rules() -> list[tuple[str, str]]:
    """CEL rules over the whole spec on what is trained: (rule, message).

    Those on several configurations end at once where there are none.
    """
    return [
        (
            "!has(self.configuration) || !has(self.configurations)",
            "give configurations alone: configuration is its former form (a stored one goes with configuration: null)",
        ),
        (
            "!has(self.configurations) || [self.configurations.size()].all(n, n == 1 || "
            f"n * (self.trainOnAllCases ? 1 : self.folds.size()) * self.replicates <= {MAX_FOLD_RUNS})",
            f"several configurations may have at most {MAX_FOLD_RUNS} fold runs (configurations times folds times "
            "replicates): take fewer of them, or several trainings",
        ),
        (
            "!has(self.configurations) || !has(self.testSet) || has(self.selection) || self.configurations.size() == 1",
            "a test set is scored once, by one model: with several configurations give selection: {}, which chooses by "
            "cross-validation before the test set is scored, or leave testSet out",
        ),
        (
            "!has(self.selection) || !self.trainOnAllCases",
            "selection chooses by the cases that a fold was not trained on, and trainOnAllCases leaves none: give "
            "folds, or leave selection out",
        ),
        (
            "!has(self.selection) || self.replicates == 1",
            "selection makes one choice, and each replicate would come to its own: leave replicates out, or make a "
            "training of each seed",
        ),
        (
            "!has(self.configurations) || !has(self.initialWeights) || self.configurations.size() == 1",
            "a checkpoint is of one configuration: with several configurations leave initialWeights out, or make a "
            "training of each",
        ),
        (
            "!has(self.initialWeights) || "
            f"(self.planning.planner == '{DEFAULT_PLANNER}' && !has(self.planning.gpuMemoryTargetGB))",
            "the plans come with initialWeights: leave planning.planner and planning.gpuMemoryTargetGB out",
        ),
        (
            "self.resources.configurations.size() == 0 || "
            f"self.resources.configurations.all(x, x in {_in_cel('self')})",
            "resources.configurations names a configuration that this training does not train: correct the name",
        ),
    ]


def spec_rules() -> list[tuple[str, str]]:
    """CEL rules over the whole spec: (rule, message)."""
    # A field without a default may be absent before or after a change, and then no rule on it is asked.
    absent = [
        info.alias or name
        for name, info in NnunetTrainingSpec.model_fields.items()
        if info.default is None and (info.alias or name) not in (*MUTABLE_FIELDS, *ONE_FORM)
    ]
    return [
        (
            "self.trainOnAllCases == (self.folds.size() == 0)",
            "give folds, or trainOnAllCases: true with folds: []",
        ),
        (
            f"self.folds.size() * self.replicates <= {MAX_FOLDS}",
            f"folds times replicates may be at most {MAX_FOLDS}: lower replicates, or name fewer folds",
        ),
        *configuration_rules(),
        (f"{_in_cel('self')} == {_in_cel('oldSelf')}", _fixed("configurations")),
        (
            "self.trainer.device == 'cpu' || self.resources.gpus >= 1",
            "resources.gpus must be at least 1 for trainer.device cuda",
        ),
        (
            "self.resources.gpus == oldSelf.resources.gpus",
            "resources.gpus can't change after creation: it decides how the batch is shared out. Delete the training "
            "and create a new one",
        ),
        (
            "self.replicates == 1 || has(self.trainer.seed)",
            "replicates need trainer.seed: replicate k is trained with seed + k - 1",
        ),
        (
            "!has(self.schedule.learningRatePolicy) || self.schedule.learningRatePolicy != 'PolyWithWarmup' || "
            "self.schedule.warmupEpochs < self.schedule.epochs",
            "schedule.warmupEpochs must be less than schedule.epochs",
        ),
        *((f"has(self.{name}) == has(oldSelf.{name})", _fixed(name)) for name in absent),
    ]
