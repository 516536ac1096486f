"""What the page shows of a choice among configurations. Pure."""

from typing import Any

from nnunet_trainer.selection.selected import Selected, selection_words


def selection_rows(selected: Selected) -> dict[str, Any]:
    """Return what the page shows of the choice."""
    record = selected.record
    return {
        "chosen": selected.name,
        "words": selection_words(selected),
        "candidates": [
            {"name": " + ".join(one.configurations), "dice": one.mean_validation_dice, "per_class": one.per_class}
            for one in record.candidates
        ],
        "classes": list(record.candidates[0].per_class),
    }
