"""What is reported of several configurations: their scores side by side, and none of the training as a whole. Pure.

They are compared by cross-validation. No test set is scored: one that is looked at once for each configuration would
choose among them, and its score would then be too good.
"""

from collections.abc import Mapping
from typing import Any

from nnunet_api.contract import RunContract
from nnunet_api.evaluation_facts import ConfigurationScores, EvaluationFacts
from nnunet_trainer.scoring import results
from nnunet_trainer.scoring.results import Results


def facts_of_several(found: Mapping[str, Results]) -> EvaluationFacts:
    """Return what is reported to the operator of the results of each configuration."""
    each = {name: results.evaluation_facts(one) for name, one in found.items()}
    return EvaluationFacts(
        fold_dice={fold: dice for facts in each.values() for fold, dice in facts.fold_dice.items()},
        configurations=[
            ConfigurationScores(
                configuration=name,
                mean_validation_dice=facts.mean_validation_dice,
                spread=found[name].spread(lambda run: run.validation_dice),
                model_path=facts.model_path,
            )
            for name, facts in each.items()
        ],
    )


def summary_of_several(contract: RunContract, found: Mapping[str, Results]) -> dict[str, Any]:
    """Return the contents of summary.json: the facts, and under `byConfiguration` what that of a single one has."""
    content = facts_of_several(found).to_json_dict()
    content["notes"] = notes_on_several(contract, found)
    content["byConfiguration"] = {
        one.configuration: results.summary(one, found[one.configuration]) for one in contract.by_configuration
    }
    return content


def message_of_several(contract: RunContract, found: Mapping[str, Results]) -> str:
    """Return the outcome in one line."""
    parts = []
    for one in facts_of_several(found).configurations:
        dice = "none (no validation cases)"
        if one.mean_validation_dice is not None:
            dice = results.with_spread(one.mean_validation_dice, one.spread, 4)
        parts.append(f"{one.configuration} {dice}")
    return "; ".join([f"evaluated, cross-validation Dice: {', '.join(parts)}", *notes_on_several(contract, found)])


def notes_on_several(contract: RunContract, found: Mapping[str, Results]) -> list[str]:
    """Return what the reader has to know about the scores, and about what has none."""
    return [*left_out(contract), *(f"{name}: {note}" for name, one in found.items() for note in results.notes(one))]


def left_out(contract: RunContract) -> list[str]:
    """Return that configurations were left out, where some were."""
    names = contract.left_out_configurations
    return [f"not planned by nnU-Net for this dataset, and left out: {', '.join(names)}"] if names else []
