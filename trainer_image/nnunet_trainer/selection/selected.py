"""What is reported of a choice among configurations, beside the cross-validation of each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_api.contract import RunContract
from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_trainer.scoring import results
from nnunet_trainer.scoring.results import Results
from nnunet_trainer.selection.record import SelectionRecord

ONCE = (
    "the test set was predicted and scored once, after the choice: it had no part in it, so its score is not too good"
)
SEVERAL = (
    "the test set was scored {} times: the choice was made anew, from other checkpoints, after it had been scored "
    "by an earlier one, so its score may be too good"
)


@dataclass(frozen=True)
class Selected:
    """What was chosen, and what it scores on the test set."""

    record: SelectionRecord
    results: Results | None = None
    """Of what was chosen: the scores on the test set alone. None without a test set."""
    others: int = 0
    """How many times the test set was scored by what was chosen before."""

    @property
    def name(self) -> str:
        """The configuration, or both."""
        return " + ".join(self.record.configurations)

    @property
    def scorings(self) -> int:
        """How many times the test set was scored, by all choices."""
        runs = self.results.replicates if self.results else ()
        return self.others + sum((run.test is not None) + (run.best is not None) for run in runs)


def with_selection(facts: EvaluationFacts, selected: Selected) -> EvaluationFacts:
    """Return the facts with the choice, and with the test scores of what was chosen."""
    known: dict[str, Any] = {"selection": selected.record.facts()}
    if selected.results:
        tested = results.evaluation_facts(selected.results)
        names = ("test_mean", "test_cases", "test_per_class", "test_nsd", "test_hd95_mm", "best_checkpoint_test_mean")
        known |= {name: getattr(tested, name) for name in names}
    if len(selected.record.chosen) == 1:
        known["model_path"] = selected.record.chosen[0].model_path
    return facts.model_copy(update=known)


def selection_content(selected: Selected) -> dict[str, Any]:
    """Return what summary.json says of the choice."""
    content = selected.record.to_json_dict()
    return content | {"testSetScorings": selected.scorings}


def summary_with_selection(
    contract: RunContract, content: Mapping[str, Any], facts: EvaluationFacts, selected: Selected
) -> dict[str, Any]:
    """Return the contents of summary.json with the choice, and under `chosen` all test scores of what was chosen."""
    told = dict(content) | facts.to_json_dict() | {"selection": selection_content(selected)}
    told["notes"] = [*content["notes"], *selection_notes(contract, selected)]
    if selected.results and contract.has_several:
        told["chosen"] = results.summary(contract, selected.results)
    return told


def selection_words(selected: Selected) -> str:
    """Return the choice in one sentence without its end."""
    record = selected.record
    of = f"chosen of {len(record.candidates)} candidates" if len(record.candidates) > 1 else "the only candidate"
    words = f"{of}: {selected.name}, cross-validation Dice {record.mean_validation_dice:.4f}"
    if record.postprocessed_validation_dice is not None:
        after = f", {record.postprocessed_validation_dice:.4f} with the largest component alone of "
        words += f"{after}{', '.join(record.postprocessing)}" if record.postprocessing else ", no postprocessing helps"
    return words


def message_with_selection(contract: RunContract, words: str, selected: Selected) -> str:
    """Return the outcome in one line: the choice, the test scores of what was chosen, then the cross-validation."""
    if not contract.has_several:
        return "; ".join([words, selection_words(selected), *selection_notes(contract, selected)])
    parts = [f"evaluated, {selection_words(selected)}"]
    if selected.results:
        parts.append(results.message(contract, selected.results).removeprefix("evaluated: "))
        parts += selection_notes(contract, selected)[:1]
    return "; ".join([*parts, words.removeprefix("evaluated, ")])


def selection_notes(contract: RunContract, selected: Selected) -> list[str]:
    """Return what the reader has to know about the choice."""
    if not selected.results:
        return []
    more = [f"{selected.name}: {note}" for note in results.notes(selected.results)] if contract.has_several else []
    once = ONCE if not selected.others else SEVERAL.format(selected.scorings)
    if selected.scorings - selected.others > 1:
        once += ". Its best checkpoints were scored, too, for comparison only"
    return [once, *more]
