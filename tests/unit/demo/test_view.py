"""What the demo shows beside the live view: the table at its end."""

from hack.demo import view
from tests.support.made_statuses import DONE, rendered, watched


def test_results_show_scores_interruptions_and_the_model() -> None:
    text = rendered(view.results(watched(**DONE), ["claim nnunet-results"]))
    rows = [" ".join(row.strip("│ ").split()) for row in text.splitlines()]

    def row(start: str) -> str:
        (found,) = [row for row in rows if row.startswith(start)]
        return found

    assert "0.623" in row("fold 0")
    assert "40/40 epochs, 1 attempt, 0 epochs lost" in row("fold 0")
    assert "3 attempts, 2 epochs lost" in row("fold 1")
    assert "0.602" in row("cross-validation Dice")
    assert "0.557 (3 cases, ensemble of the folds)" in row("test Dice")
    assert "0.514" in row("white_matter")
    assert "brain-1a2b3c4d" in row("model")
    assert "claim nnunet-results" in text
    assert "3 min 00 s" in row("took")


def test_of_several_what_was_chosen_is_shown_with_its_score() -> None:
    each = [
        {"configuration": "2d", "meanValidationDice": 0.5, "modelPath": "runs/2d"},
        {"configuration": "3d_fullres", "meanValidationDice": 0.6, "modelPath": "runs/3d"},
    ]
    chosen = {"chosen": ["3d_fullres"], "meanValidationDice": 0.6, "postprocessing": ["grey_matter"], "candidates": 3}
    found = {"configurations": each, "selection": chosen, "testDice": {"mean": 0.55, "cases": 3}}
    text = rendered(view.results(watched(**{**DONE, "results": found}), []))
    for said in ("Dice of 2d", "0.500", "3d_fullres was chosen", "grey_matter", "0.550", "runs/3d"):
        assert said in text, said
    assert "runs/2d" not in text
