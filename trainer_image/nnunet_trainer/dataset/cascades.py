"""Whether a training's cascades can be trained: by its folds and by its plans. No torch in here.

A cascade learns from the predictions of its previous stage for all cases, each made by a network that was not trained
on it: by the fold that validates it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_api.contract import RunContract
from nnunet_api.dataset.layout import named
from nnunet_trainer.dataset.configurations import unavailable, without
from nnunet_trainer.process.failures import wrong_configuration

Splits = Sequence[Mapping[str, Sequence[str]]]


def require_every_fold(contract: RunContract, splits: Splits | None, folds: int) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION where no fold of a cascade's previous stage predicts a case.

    `splits` are those in force, None where nnU-Net splits the cases into so many `folds` itself.
    """
    cascades = [one.configuration for one in contract.by_configuration if one.previous_stage]
    if not cascades:
        return
    why = f"{named(cascades)} learns from the predictions of its previous stage for all cases"
    if contract.folds == ["all"]:
        raise wrong_configuration(f'{why}, and of fold "all" there are none: give all folds')
    if splits is None:
        if absent := sorted({str(fold) for fold in range(folds)} - set(contract.folds)):
            raise wrong_configuration(f"{why}, each made by the fold that validates it: add {named(absent)} to folds")
        return
    asked = [splits[int(fold)] for fold in contract.folds]
    times = Counter(case for split in asked for case in split["val"])
    if missed := {case for split in asked for case in split["train"]} - set(times):
        raise wrong_configuration(
            f"{why}, each made by the fold that validates it, and no fold of this training validates {named(missed)}: "
            "give all folds of the split in folds, or correct the split"
        )
    if twice := {case for case, number in times.items() if number > 1}:
        raise wrong_configuration(
            f"{why}, and several folds validate {named(twice)}, so that there would be several predictions: let each "
            "case be in val of one fold of the split"
        )


def available(contract: RunContract, plans: Mapping[str, Any]) -> RunContract:
    """Return the contract without configurations that are not planned, its cascades being those of the plans.

    Raises TrainerError as `unavailable` and `require_planned_stages` do.
    """
    left = without(contract, unavailable(contract, plans))
    require_planned_stages(left, plans)
    return left


def require_planned_stages(contract: RunContract, plans: Mapping[str, Any]) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION unless the plans have the cascades that the training knows of.

    All that waits for a previous stage goes by the training's own word: the plans are nnU-Net's, or the image's.
    """
    for one in contract.by_configuration:
        name, planned = one.configuration, _planned(one.configuration, plans["configurations"])
        if planned != one.previous_stage:
            raise wrong_configuration(
                f"configuration {name} has by the plans {_stage(planned)}, and by the training "
                f"{_stage(one.previous_stage)}: state previous_stage under planning.configurations.{name}"
            )
        if planned is not None and planned not in contract.configuration_names:
            raise wrong_configuration(
                f"configuration {name} learns from the predictions of {planned}, which this training does not train: "
                f"add {planned} to configurations"
            )
        seen = [name]
        while planned is not None and planned in plans["configurations"]:  # each is looked at by itself, too
            if planned in seen:
                raise wrong_configuration(
                    f"configuration {name} learns from itself: {' <- '.join([*seen, planned])}. Correct previous_stage "
                    f"under planning.configurations"
                )
            seen.append(planned)
            planned = _planned(planned, plans["configurations"])


def _planned(name: str, configurations: Mapping[str, Any]) -> str | None:
    """Return the previous stage of a configuration by the plans, whose names and inheritance were checked."""
    settings = configurations[name]
    while "previous_stage" not in settings:
        if settings.get("inherits_from") is None:
            return None
        settings = configurations[settings["inherits_from"]]
    stage = settings["previous_stage"]
    return None if stage is None else str(stage)


def _stage(name: str | None) -> str:
    return f"previous stage {name}" if name else "no previous stage"
