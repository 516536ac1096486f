"""What was chosen among the configurations, and from which checkpoints: selection.json in the run folder. No torch."""

import itertools
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nnunet_api.base import StatusModel
from nnunet_api.contract import SELECTION_FILE, RunContract
from nnunet_api.dataset.layout import named
from nnunet_api.evaluation_facts import SelectionFacts
from nnunet_api.folders import MODEL_SEPARATOR
from nnunet_api.results import MAX_CLASSES
from nnunet_api.training import Selection
from nnunet_trainer.dataset.contents import Contents
from nnunet_trainer.dataset.labels import Labels
from nnunet_trainer.process.failures import TrainerError, wrong_configuration
from nnunet_trainer.process.files import read_text
from nnunet_trainer.run.report import shortened

log = logging.getLogger(__name__)

ALL_FOREGROUND = "all foreground"
"""In the place of a class: all of them together."""
NEW_TRAINING = (
    "Create a new training with all folds of a split whose validation cases hold it, or one without selection: folds "
    "and selection of a training can't be changed"
)
"""The remedy where a class has no Dice to compare."""


class NoChoiceError(TrainerError):
    """Nothing can be chosen, and no attempt changes that. What the folds scored holds all the same."""


class Chosen(StatusModel):
    """A configuration that was chosen, by itself or in a pair."""

    configuration: str
    """nnU-Net's name of it."""
    model_path: str
    """Its model folder inside the results claim."""


class Candidate(StatusModel):
    """A configuration, or a pair of which the probabilities are averaged."""

    configurations: list[str]
    """One or two."""
    mean_validation_dice: float
    """nnU-Net's foreground mean over all validation cases of all folds."""
    per_class: dict[str, float] = {}
    """Mean Dice of each class, by its name."""


class SelectionRecord(StatusModel):
    """What was chosen among which candidates."""

    chosen: list[Chosen]
    """One, or both of a pair."""
    postprocessing: list[str] = []
    """Of what all but the largest component is removed, in order: `ALL_FOREGROUND`, or names of classes."""
    mean_validation_dice: float
    """Of what was chosen, before postprocessing."""
    postprocessed_validation_dice: float | None = None
    """The same after it; absent where none was looked for."""
    candidates: list[Candidate]
    """In nnU-Net's order: the configurations, then the pairs."""
    checkpoints: dict[str, str]
    """By fold run: the SHA-256 of the final checkpoint whose predictions were compared."""
    asked: Selection
    """What was to be looked for."""

    @property
    def configurations(self) -> list[str]:
        """The names of what was chosen."""
        return [one.configuration for one in self.chosen]

    def facts(self) -> SelectionFacts:
        """Return what the operator is told."""
        return SelectionFacts(
            chosen=self.configurations,
            mean_validation_dice=self.mean_validation_dice,
            postprocessed_validation_dice=self.postprocessed_validation_dice,
            postprocessing=shortened([name[:128] for name in self.postprocessing], MAX_CLASSES - 1),
            candidates=len(self.candidates),
        )


def read_record(run: Path) -> SelectionRecord | None:
    """Return what was chosen, None where that is nothing or can't be read: then it is chosen anew."""
    try:
        return SelectionRecord.model_validate_json(read_text(run / SELECTION_FILE))
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.warning("%s can't be read, the choice is made anew: %s", SELECTION_FILE, error)
        return None


def made_from(record: SelectionRecord, contract: RunContract, checkpoints: Mapping[str, str]) -> bool:
    """Tell whether the choice was made from these final checkpoints, and all that is asked for was looked for."""
    return record.checkpoints == dict(checkpoints) and record.asked == contract.selection


def is_possible(record: SelectionRecord, contract: RunContract, classes: Collection[str]) -> bool:
    """Tell whether the choice is one that the training can come to: the file may have been written by anybody."""
    chosen = 1 <= len(record.chosen) <= 2 and set(record.configurations) <= set(contract.configuration_names)
    return chosen and set(record.postprocessing) <= {ALL_FOREGROUND, *classes}


def keeps_probabilities(contract: RunContract) -> bool:
    """Tell whether the folds keep the probabilities of their validation cases: where there are pairs to compare."""
    return contract.selection is not None and contract.selection.ensembles and len(contract.configuration_names) > 1


def is_chosen_from(run: Path, contract: RunContract, fold: str, checkpoint: str) -> bool:
    """Tell whether the choice was made already, from this final checkpoint of a fold run."""
    record = read_record(run)
    return record is not None and record.asked == contract.selection and record.checkpoints.get(fold) == checkpoint


def candidates(configurations: Sequence[str], ensembles: bool) -> list[tuple[str, ...]]:
    """Return what there is to choose from, in nnU-Net's order: of equals the first is taken, which is simpler."""
    pairs = itertools.combinations(configurations, 2) if ensembles else ()
    return [*((name,) for name in configurations), *pairs]


def require_selectable(
    contract: RunContract, plans_name: str, splits: Sequence[Mapping[str, Sequence[str]]] | None
) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION for a training in which nothing can be chosen.

    `splits` are those in force, None where nnU-Net splits the cases itself.
    """
    if contract.selection is None:
        return
    if contract.folds == ["all"]:
        raise wrong_configuration(
            'selection chooses by cross-validation, and a training on all cases (fold "all") has none: give folds, or '
            "leave selection out"
        )
    if contract.replicates > 1:
        raise wrong_configuration(
            f"selection chooses among configurations that are trained once, and replicates is {contract.replicates}: "
            "set replicates to 1, or leave selection out"
        )
    for name in (contract.trainer_class, plans_name, *contract.configuration_names):
        if MODEL_SEPARATOR in name or name.startswith("_") or name.endswith("_"):
            raise wrong_configuration(
                f"selection can't be done with the name {name}: nnU-Net takes the names of model folders apart at "
                f"{MODEL_SEPARATOR}, and those of pairs at ___. Choose a name without {MODEL_SEPARATOR} "
                "and without _ at its ends"
            )
    if splits is not None:
        times = Counter(case for fold in contract.folds for case in splits[int(fold)]["val"])
        _require_once(times)


def require_classes(
    contract: RunContract, labels: Labels, training: Contents, splits: Sequence[Mapping[str, Sequence[str]]]
) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION for a class that no validation case of the training's folds holds.

    Candidates are compared by the mean over all classes, and of that one there is none. Also for a class with the
    name `ALL_FOREGROUND`. `splits` are those in force.
    """
    if contract.selection is None or contract.folds == ["all"]:
        return
    if ALL_FOREGROUND in labels.foreground:
        raise wrong_configuration(
            f'selection calls all classes together "{ALL_FOREGROUND}", and labels in dataset.json has a class of that '
            "name: give it another one, or leave selection out"
        )
    cases = [case for fold in contract.folds for case in splits[int(fold)]["val"] if case in training]
    counts = labels.cases_with(training[case].labels for case in cases)
    if absent := [name for name, count in counts.items() if count == 0]:
        raise wrong_configuration(
            f"selection compares the Dice of all classes, and no validation case of folds {', '.join(contract.folds)} "
            f"holds {named(absent)}. {NEW_TRAINING}"
        )


def require_same_cases(contract: RunContract, validated: Mapping[str, Sequence[str]]) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION unless all configurations were validated on the same cases, once.

    `validated` has the validation cases of all folds of each configuration.
    """
    for cases in validated.values():
        _require_once(Counter(cases))
    first, *others = validated
    for other in others:
        if different := set(validated[first]) ^ set(validated[other]):
            raise wrong_configuration(
                f"{first} and {other} were not validated on the same cases, so they can't be compared: only one of "
                f"them was on {named(different)}. Has {contract.trainer_class} splits of its own? Then leave selection "
                "out"
            )


def _require_once(times: Mapping[str, int]) -> None:
    if twice := {case for case, number in times.items() if number > 1}:
        raise wrong_configuration(
            f"selection takes one prediction of each case, and several folds validate {named(twice)}: let each case be "
            "in val of one fold of the split, or leave selection out"
        )
